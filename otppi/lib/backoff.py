"""Growing delays between attempts."""

import random
from collections.abc import Iterator


def delays_s(first_s: float, longest_s: float, factor: float = 2.0, jitter: float = 0.2) -> Iterator[float]:
    """Yield reconnect delays for ever: growing by `factor` up to `longest_s`, each off by at most `jitter`."""
    delay_s = first_s
    while True:
        yield delay_s * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - spreads load, keeps no secret
        delay_s = min(delay_s * factor, longest_s)
