"""Numbers that get no message, whoever asks."""

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

    def set(self, number: Number, *, blocked: bool) -> None:
        """Block or unblock a number; on disk when this returns."""
        entry = self._store.items(BlockedNumber).get(number.digits)
        if entry is None and not blocked:
            return
        self._store.put(BlockedNumber, number.digits, {"blocked": blocked})
