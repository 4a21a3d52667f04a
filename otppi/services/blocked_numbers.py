"""The block list as front ends see it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from otppi.gateway.blocklist import BlockList
from otppi.gateway.policy import SmsSettings
from otppi.model.errors import BadRequest, SettingsError
from otppi.model.number import Number, parse_number
from otppi.settings.store import SettingsStore

_MOST_AT_ONCE: Final = 2000
_MOST_ON_A_PAGE: Final = 1000


class BlockedNumbers:
    """Shows and changes the block list; every method takes and returns JSON values."""

    def __init__(self, store: SettingsStore) -> None:
        """Take the settings, where the list is kept."""
        self._store = store
        self._list = BlockList(store)

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that front ends may make."""
        return {
            "number.list": self.list,
            "number.block": self.block,
            "number.block_all": self.block_all,
            "number.remove": self.remove,
        }

    def list(self, search: str = "", offset: int = 0, count: int = 50) -> dict[str, Any]:
        """Return the numbers of the block list, newest first, how many there are and how many of all are blocked.

        A search is for digits that a number has, as people write it.
        """
        if offset < 0:
            raise BadRequest("offset", "must not be negative")
        if not 1 <= count <= _MOST_ON_A_PAGE:
            raise BadRequest("count", f"must be 1 to {_MOST_ON_A_PAGE}")
        entries = self._list.entries()
        wanted = _digits(search)
        found = [
            {"number": digits, "blocked": entry.blocked}
            for digits, entry in reversed(list(entries.items()))
            if not search or (wanted and wanted in digits)
        ]
        return {
            "numbers": found[offset : offset + count],
            "total": len(found),
            "all": len(entries),
            "blocked": sum(entry.blocked for entry in entries.values()),
        }

    def block(self, number: str, blocked: bool) -> None:
        """Block a number, or let it receive messages again."""
        self._list.set([self._parsed(number)], blocked=blocked)

    def block_all(self, numbers: Sequence[str]) -> dict[str, int]:
        """Block many numbers, all of them or none; returns how many there were and how many of them are new."""
        if len(numbers) > _MOST_AT_ONCE:
            raise BadRequest("numbers", f"are more than {_MOST_AT_ONCE}; send them in several goes")
        parsed: dict[str, Number] = {}
        errors: dict[str, str] = {}
        for line, number in enumerate(numbers, start=1):
            try:
                one = self._parsed(number)
            except BadRequest as error:
                errors[f"numbers.{line}"] = error.reason
            else:
                parsed[one.digits] = one
        if errors:
            raise SettingsError(errors)
        before = self._list.entries()
        self._list.set(list(parsed.values()), blocked=True)
        return {"numbers": len(parsed), "new": sum(digits not in before for digits in parsed)}

    def remove(self, number: str) -> None:
        """Take a number off the block list."""
        self._list.remove(self._parsed(number))

    def _parsed(self, number: str) -> Number:
        try:
            return parse_number(number, self._store.get(SmsSettings).country_code)
        except ValueError as error:
            raise BadRequest("number", str(error)) from None


def _digits(search: str) -> str:
    # Who looks for 0812… means 62812….
    return "".join(character for character in search if character.isdecimal()).lstrip("0")
