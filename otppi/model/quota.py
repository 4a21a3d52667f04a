"""How many parts of messages a SIM may send."""

import math
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Limits of one SIM in parts; 0 is no limit."""

    minute: int = 0
    hour: int = 0
    day: int = 0
    month: int = 0

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self.minute or self.hour or self.day or self.month)


NO_QUOTA = Quota()


@lru_cache(maxsize=256)
def without_reserve(quota: Quota, percent: float) -> Quota:
    """Return what is left when a share is kept for others; of no limit less than one part is left."""
    return Quota(
        minute=_rest(quota.minute, percent),
        hour=_rest(quota.hour, percent),
        day=_rest(quota.day, percent),
        month=_rest(quota.month, percent),
    )


def _rest(limit: int, percent: float) -> int:
    return limit - min(math.ceil(limit * percent / 100), max(limit - 1, 0))
