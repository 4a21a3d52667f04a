"""What the simulated network says to USSD: codes, menus and the replies to them (3GPP TS 27.007, 7.15)."""

import re
from dataclasses import dataclass

from otppi.model import gsm7
from otppi.model.sms_text import decode_gsm7
from otppi.model.ussd import packed_hex
from otppi.sim.personality import Personality

_LINE = re.compile(r'(\+CUSD: *\d+)( *, *")(.*)(" *(?:, *(\d+) *)?)', re.DOTALL)
_UCS2 = 72
_ENDED_BY_NETWORK = "+CUSD: 2"


@dataclass(frozen=True)
class Said:
    """A line of the network, so long after the request."""

    after_s: float
    line: str


class UssdSession:
    """The USSD of one modem: a menu stays open until it is answered, cancelled or left to the network's limit.

    Where a menu is open, whatever is sent is the reply to it; a new code is no exception, as on a real network.
    """

    def __init__(self, personality: Personality) -> None:
        self._personality = personality
        self._path = ""  # the code and the replies that led to the open menu
        self.number = 0  # another one whenever a session begins, goes on or ends

    @property
    def is_open(self) -> bool:
        """Whether a menu waits for a reply."""
        return bool(self._path)

    def ask(self, sent: str, character_set: str) -> tuple[list[Said], str]:
        """Send a code or a reply; returns what the network says and the final result of the command."""
        text = self._decoded(sent, character_set)
        if text is None:
            return [], self._personality.unknown
        path = f"{self._path}>{text}" if self._path else text
        rows = self._personality.ussd.get(path)
        if rows is None:
            line = _ENDED_BY_NETWORK if self._path else f'+CUSD: 0,"You dialled {text}",15'
            rows = ((None, line),)
        final = rows[0][1]
        if "ERROR" in final:
            return [], final
        self.end()
        if any(line.startswith("+CUSD: 1") for _, line in rows):
            self._path = path
        usual_s = self._personality.ussd_s
        return [
            Said(usual_s if after_s is None else after_s, self._coded(line, character_set))
            for after_s, line in rows
        ], "OK"

    def times_out(self, number: int) -> bool:
        """End the session if it is still that of this number; True if it was."""
        if self.number != number:
            return False
        self.end()
        return True

    def end(self) -> None:
        """End the session, if one is open."""
        self._path = ""
        self.number += 1

    def _decoded(self, sent: str, character_set: str) -> str | None:
        is_hex = re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", sent) is not None
        if self._personality.packs_ussd:
            octets = bytes.fromhex(sent) if is_hex else b""
            text = decode_gsm7(gsm7.unpack(octets, len(octets) * 8 // 7))
            return text.rstrip("\r@") or None
        if character_set == "UCS2" and re.fullmatch(r"(?:[0-9A-Fa-f]{4})+", sent):
            return bytes.fromhex(sent).decode("utf-16-be", errors="replace")
        return bytes.fromhex(sent).decode("latin-1") if character_set == "HEX" and is_hex else sent

    def _coded(self, line: str, character_set: str) -> str:
        """Write the text of a line as this modem gives it; what the table has as UCS-2 stands there in hex."""
        match = _LINE.fullmatch(line)
        if match is None or match[5] == str(_UCS2):
            return line
        text = match[3]
        if self._personality.packs_ussd:
            text = packed_hex(text)
        elif character_set == "UCS2":
            text = text.encode("utf-16-be").hex().upper()
        elif character_set == "HEX":
            text = text.encode("latin-1").hex().upper()
        return f"{match[1]}{match[2]}{text}{match[4]}"
