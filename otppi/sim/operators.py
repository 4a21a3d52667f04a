"""The networks that a simulated modem sees, and which it is registered with (3GPP TS 27.007, 7.3)."""

import re

from otppi.sim.card import CardPrint

_AVAILABLE, _CURRENT, _FORBIDDEN = 1, 2, 3
# Beside that of the SIM, by their codes of the test network 001 (ITU-T E.212).
_OTHERS = {"00102": ("Roamnet", _AVAILABLE), "00103": ("Barnet", _FORBIDDEN)}

NO_SERVICE, NOT_ALLOWED, WRONG_PARAMETERS = "+CME ERROR: 30", "+CME ERROR: 32", "+CME ERROR: 50"


class Operators:
    """What `AT+COPS` is about; the choice survives a restart, as that of most modems does."""

    def __init__(self, printed: CardPrint) -> None:
        self._home = printed.imsi[:5]
        self._names = {self._home: printed.operator} | {code: name for code, (name, _) in _OTHERS.items()}
        self._is_chosen = False
        self._current = self._home  # empty: none, and none is looked for
        self._format = "0"

    @property
    def registration(self) -> int:
        """The state of `+CREG` (7.2) where there is a network at all."""
        if not self._current:
            return 3
        return 1 if self._current == self._home else 5

    def present(self) -> str:
        """Return the values of `+COPS?`."""
        mode = int(self._is_chosen)
        if not self._current:
            return f"{mode}"
        name = self._current if self._format == "2" else self._names[self._current]
        return f'{mode},{self._format},"{name}"'

    def found(self) -> str:
        """Return the values of `+COPS=?`: those in reach, then what may be set."""
        listed = []
        for code, name in self._names.items():
            status = _OTHERS[code][1] if code in _OTHERS else _AVAILABLE
            listed.append(f'({_CURRENT if code == self._current else status},"{name}","{name}","{code}",7)')
        return ",".join(listed) + ",,(0-4),(0-2)"

    def set(self, values: str) -> str:
        """Carry out `+COPS=`; returns the error, or nothing."""
        if match := re.fullmatch("3,([0-2])", values):
            self._format = match[1]
        elif values == "0":
            self._is_chosen, self._current = False, self._home
        elif match := re.fullmatch(r'1,2,"(\d{5,6})"', values):
            return self._choose(match[1])
        else:
            return WRONG_PARAMETERS
        return ""

    def _choose(self, code: str) -> str:
        # One that cannot be had leaves it without any: no other is taken (7.3, mode 1).
        self._is_chosen, self._current = True, ""
        if code not in self._names:
            return NO_SERVICE
        if code in _OTHERS and _OTHERS[code][1] == _FORBIDDEN:
            return NOT_ALLOWED
        self._current = code
        return ""
