"""What a SIM is charged for a message: prices by prefix, with steps for packages and promotions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache

OTHER = "other"
# One line of a tariff, such as 62811+62812=50, other=350 or 62811=1 after 10/day.
LINE = (
    r"(?:other|[1-9][0-9]{0,14}(?:\+[1-9][0-9]{0,14})*)=[0-9]{1,9}(?:\.[0-9]{1,4})?"
    r"(?: after [1-9][0-9]{0,8}/(?:day|month))?"
)
LINE_SHAPE = (
    "PREFIXES=PRICE, such as 62811+62812=50 or other=350, and perhaps a step such as 62811=1 after 10/day"
)


class TariffError(ValueError):
    """The lines of a tariff do not fit together; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How many parts a SIM has sent under one fare."""

    day: int = 0
    month: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """A price of one part, and from when on it holds."""

    price: Decimal
    after: int = 0  # parts sent under the fare in the period
    period: str = ""  # day or month; empty for what holds from the first part on

    def holds(self, sent: Sent, ahead: int) -> bool:
        """Whether it is reached, with so many parts of the same message ahead."""
        return not self.period or ahead + (sent.day if self.period == "day" else sent.month) >= self.after


@dataclass(frozen=True, kw_only=True)
class Fare:
    """The price to one group of prefixes, which are counted together."""

    name: str  # the prefixes as they were written
    steps: tuple[Step, ...]  # of those that are reached the last one holds

    @property
    def is_flat(self) -> bool:
        """Whether the price never changes."""
        return len(self.steps) == 1

    def cost(self, parts: int, sent: Sent) -> Decimal:
        """Return what a message of so many parts costs after what was sent."""
        if self.is_flat:
            return self.steps[0].price * parts
        return sum((self._price(sent, ahead) for ahead in range(parts)), Decimal())

    def _price(self, sent: Sent, ahead: int) -> Decimal:
        return next(step.price for step in reversed(self.steps) if step.holds(sent, ahead))


@dataclass(frozen=True)
class Tariff:
    """All fares of one SIM."""

    fares: Mapping[str, Fare]  # by prefix, and `OTHER`

    @cached_property
    def _lengths(self) -> Sequence[int]:
        return sorted({len(prefix) for prefix in self.fares if prefix != OTHER}, reverse=True)

    def fare(self, digits: str) -> Fare | None:
        """Return the fare to an international number, by its longest prefix; None if it is not known."""
        if not self.fares:
            return None
        for length in self._lengths:
            if (found := self.fares.get(digits[:length])) is not None:
                return found
        return self.fares.get(OTHER)


UNKNOWN_TARIFF = Tariff({})


@lru_cache(maxsize=256)
def tariff(lines: tuple[str, ...]) -> Tariff:
    """Read a tariff from lines of the form `LINE`.

    Raises:
        TariffError: A prefix is in two groups, or a group has no price to begin with, or two.
    """
    steps: dict[str, list[Step]] = {}
    for line in lines:
        name, _, price_and_step = line.partition("=")
        price, _, condition = price_and_step.partition(" after ")
        after, _, period = condition.partition("/")
        steps.setdefault(name, []).append(Step(price=Decimal(price), after=int(after or 0), period=period))
    fares: dict[str, Fare] = {}
    for name, found in steps.items():
        if [bool(step.period) for step in found] != [False, *[True] * (len(found) - 1)]:
            raise TariffError(f"{name} needs one price to begin with, and then its steps")
        for prefix in name.split("+"):
            if prefix in fares:
                raise TariffError(f"{prefix} is listed twice")
            fares[prefix] = Fare(name=name, steps=tuple(found))
    return Tariff(fares)


def shown_money(amount: Decimal) -> str:
    """Return an amount as people write it, without needless noughts."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
