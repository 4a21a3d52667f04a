"""What the simulated network says to USSD codes (3GPP TS 27.007, 7.15)."""

import re

from otppi.sim.personality import Personality


def ussd_answer(personality: Personality, code: str, *, in_ucs2: bool) -> str:
    """Return the `+CUSD:` line that follows a code; `in_ucs2` is the character set of the line."""
    if in_ucs2 and re.fullmatch(r"(?:[0-9A-Fa-f]{4})+", code):
        code = bytes.fromhex(code).decode("utf-16-be", errors="replace")
    line = personality.ussd.get(code, f'+CUSD: 0,"You dialled {code}",15')
    if in_ucs2 and not line.endswith(",72"):
        line = re.sub(r'"(.*)"', lambda match: f'"{_hex(match[1])}"', line, flags=re.DOTALL)
    return line


def _hex(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()
