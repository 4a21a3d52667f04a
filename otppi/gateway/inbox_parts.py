"""Which parts make one message: thinking without a clock or a disk (3GPP TS 23.040, 9.2.3.24.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

# The SMS centre stamps all parts of a message within moments, however late it delivers them. References of 8 bits
# come round soon, so a part with an older or newer stamp is of another message.
_SPAN_S: Final = 3600.0


class PartKey(NamedTuple):
    """What the parts of one message have in common, and those of another may have as well."""

    sim: str
    sender: str
    reference: int
    total: int


@dataclass(slots=True)
class _Open:
    message_id: str
    missing: set[int]
    first_s: float
    last_s: float

    def distance_s(self, at_s: float) -> float:
        return max(self.first_s - at_s, at_s - self.last_s, 0.0)


class OpenMessages:
    """Long messages of which parts are missing."""

    def __init__(self) -> None:
        self._by_key: dict[PartKey, list[_Open]] = {}
        self._keys: dict[str, PartKey] = {}

    def __contains__(self, message_id: object) -> bool:
        """Whether parts of this message are missing."""
        return message_id in self._keys

    def __iter__(self) -> Iterator[str]:
        """Return the ids, in the order in which the messages began."""
        return iter(self._keys)

    def home(self, key: PartKey, number: int, stamp_s: float) -> str | None:
        """Return the message that lacks this part; None if the part begins another one.

        Of several that lack it, the one whose other parts were stamped nearest has it.
        """
        lacking = [
            one
            for one in self._by_key.get(key, ())
            if number in one.missing and one.distance_s(stamp_s) <= _SPAN_S
        ]
        # The newest of equals: the network rather lost a part long ago than just now.
        nearest = min(reversed(lacking), key=lambda one: one.distance_s(stamp_s), default=None)
        return nearest.message_id if nearest is not None else None

    def add(self, key: PartKey, message_id: str, number: int, stamp_s: float) -> None:
        """Note a part; once no part is missing the message is no longer open."""
        siblings = self._by_key.setdefault(key, [])
        one = next((one for one in siblings if one.message_id == message_id), None)
        if one is None:
            one = _Open(message_id, set(range(1, key.total + 1)), stamp_s, stamp_s)
            siblings.append(one)
            self._keys[message_id] = key
        one.missing.discard(number)
        one.first_s, one.last_s = min(one.first_s, stamp_s), max(one.last_s, stamp_s)
        if not one.missing:
            self.forget(message_id)

    def forget(self, message_id: str) -> None:
        """Wait for no more parts of this message."""
        key = self._keys.pop(message_id, None)
        if key is None:
            return
        left = [one for one in self._by_key[key] if one.message_id != message_id]
        if left:
            self._by_key[key] = left
        else:
            del self._by_key[key]
