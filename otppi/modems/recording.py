"""Every byte of a conversation with a modem, with its time."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otppi.lib.wakeup import Wakeup
from otppi.modems.transport import SerialLine, SerialTransport

_LINE_END = re.compile(r"(?<=[\r\n])(?=[^\r\n])")


@dataclass(frozen=True)
class _Piece:
    at_s: float
    is_heard: bool
    text: str  # a character for each byte


class Recording:
    """What was said and heard since it began."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._pieces: list[_Piece] = []

    def add(self, data: bytes, *, is_heard: bool) -> None:
        """Take what just went over the line."""
        self._pieces.append(_Piece(time.monotonic() - self._began_s, is_heard, data.decode("latin-1")))

    @property
    def length(self) -> int:
        """A mark for `heard`."""
        return len(self._pieces)

    def heard(self, since: int = 0) -> str:
        """Return what the modem said since a mark."""
        return "".join(piece.text for piece in self._pieces[since:] if piece.is_heard)

    def lines(self, redact: Callable[[str], str]) -> Iterator[str]:
        """Yield the conversation line by line: seconds, `>` to the modem or `<` from it, what was said.

        Args:
            redact: Given all that one side said, as what is to be hidden may come in pieces; returns as many
                characters.
        """
        redacted = {
            is_heard: redact("".join(one.text for one in self._pieces if one.is_heard is is_heard))
            for is_heard in (False, True)
        }
        at = {False: 0, True: 0}
        begun: _Piece | None = None
        for piece in self._pieces:
            end = at[piece.is_heard] + len(piece.text)
            text = redacted[piece.is_heard][at[piece.is_heard] : end]
            at[piece.is_heard] = end
            for part in filter(None, _LINE_END.split(text)):
                if begun is not None and begun.is_heard is piece.is_heard and begun.text[-1] not in "\r\n":
                    begun = _Piece(begun.at_s, begun.is_heard, begun.text + part)
                    continue
                yield from _shown(begun)
                begun = _Piece(piece.at_s, piece.is_heard, part)
        yield from _shown(begun)


class RecordedTransport(SerialTransport):
    """An open serial port of which every byte is recorded."""

    def __init__(self, port: str, line: SerialLine, wakeup: Wakeup, recording: Recording) -> None:
        super().__init__(port, line, wakeup)
        self._recording = recording

    def read(self) -> bytes:
        """Return what has arrived, as `SerialTransport` does."""
        data = super().read()
        self._recording.add(data, is_heard=True)
        return data

    def write(self, data: bytes) -> None:
        """Write all of it, as `SerialTransport` does."""
        self._recording.add(data, is_heard=False)
        super().write(data)


def _shown(piece: _Piece | None) -> Iterator[str]:
    if piece is None:
        return
    text = piece.text.strip("\r\n")
    if text:
        printable = "".join(char if " " <= char <= "~" else f"\\x{ord(char):02x}" for char in text)
        yield f"{piece.at_s:9.3f} {'<' if piece.is_heard else '>'} {printable}"
