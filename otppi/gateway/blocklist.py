"""Numbers that get no message, whoever asks."""

from collections.abc import Mapping, Sequence

from otppi.model.errors import NumberBlocked
from otppi.model.number import Number
from otppi.settings.fields import boolean
from otppi.settings.section import Section
from otppi.settings.store import SettingsStore


class BlockedNumber(Section, key="blocklist", title="Block list", reset_flag="RESET_BLOCKING", many=True):
    """Receivers that get no message; the id of an entry is the number with its country code."""

    blocked: bool = boolean(default=True, help="An entry that was unblocked stays in the list.")


class BlockList:
    """Refuses blocked numbers; kept in the settings, so that it survives everything."""

    def __init__(self, store: SettingsStore) -> None:
        self._store = store

    def check(self, number: Number) -> None:
        """Let a number pass.

        Raises:
            NumberBlocked: It is on the list.
        """
        entry = self._store.items(BlockedNumber).get(number.digits)
        if entry is not None and entry.blocked:
            raise NumberBlocked("the receiver is on the block list")

    def entries(self) -> Mapping[str, BlockedNumber]:
        """Return the whole list by digits, oldest first."""
        return self._store.items(BlockedNumber)

    def set(self, numbers: Sequence[Number], *, blocked: bool) -> None:
        """Block or unblock numbers, all of them or none; on disk when this returns."""
        with self._store.exclusively():
            present = self.entries()
            # What was never blocked need not be in the list.
            changed = {
                number.digits: BlockedNumber(blocked=blocked)
                for number in numbers
                if blocked or number.digits in present
            }
            self._store.replace({BlockedNumber: {**present, **changed}})

    def remove(self, number: Number) -> None:
        """Take a number off the list, if it is there; on disk when this returns."""
        with self._store.exclusively():
            others = {digits: entry for digits, entry in self.entries().items() if digits != number.digits}
            self._store.replace({BlockedNumber: others})
