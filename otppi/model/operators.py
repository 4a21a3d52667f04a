"""Presets of Indonesian operators: a start for settings, which the owner then changes as he likes.

Prefixes change hands rarely and prices often, so there are none of the latter here. The longest prefix wins, which
parts by.U from Telkomsel.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What is publicly known of an operator."""

    key: str
    name: str
    prefixes: tuple[str, ...]
    apn: str = "internet"
    apn_username: str = ""
    apn_password: str = ""
    dial_number: str = "*99#"


OPERATORS = (
    Operator(
        key="telkomsel",
        name="Telkomsel",
        prefixes=("62811", "62812", "62813", "62821", "62822", "62823", "62851", "62852", "62853"),
    ),
    Operator(key="byu", name="by.U (Telkomsel)", prefixes=("6285155", "6285156", "6285157", "6285158")),
    Operator(
        key="indosat",
        name="Indosat",
        prefixes=("62814", "62815", "62816", "62855", "62856", "62857", "62858"),
        apn="indosatgprs",
    ),
    Operator(
        key="tri",
        name="Tri (Indosat)",
        prefixes=("62895", "62896", "62897", "62898", "62899"),
        apn="3data",
        apn_username="3data",
        apn_password="3data",  # noqa: S106 - public, the same for everybody
    ),
    Operator(
        key="xl",
        name="XL (XLSmart)",
        prefixes=("62817", "62818", "62819", "62859", "62877", "62878", "62879"),
    ),
    Operator(
        key="axis",
        name="Axis (XLSmart)",
        prefixes=("62831", "62832", "62833", "62838"),
        apn="axis",
        apn_username="axis",
        apn_password="123456",  # noqa: S106 - public, the same for everybody
    ),
    Operator(
        key="smartfren",
        name="Smartfren (XLSmart)",
        prefixes=("62881", "62882", "62883", "62884", "62885", "62886", "62887", "62888", "62889"),
        apn="smart",
        apn_username="smart",
        apn_password="smart",  # noqa: S106 - public, the same for everybody
        dial_number="#777",
    ),
)


_PREFIXES = {operator.key: operator.prefixes for operator in OPERATORS}


def with_prefixes(line: str) -> str:
    """Put the prefixes of operators in the place of their names in a line of a tariff: xl=50 or xl+axis=50."""
    names, sign, price = line.partition("=")
    prefixes = ["+".join(_PREFIXES.get(name, (name,))) for name in names.split("+")]
    return f"{'+'.join(prefixes)}{sign}{price}"


def by_operators(prefixes: Sequence[str]) -> tuple[list[Operator], list[str]]:
    """Return the operators all of whose prefixes are there, and the prefixes that are of none of these."""
    found = [one for one in OPERATORS if set(one.prefixes) <= set(prefixes)]
    named = {prefix for one in found for prefix in one.prefixes}
    return found, [prefix for prefix in prefixes if prefix not in named]


def with_names(line: str) -> str:
    """Undo `with_prefixes` where that gives the very same line again: steps are counted by how it is written."""
    prefixes, sign, price = line.partition("=")
    operators, rest = by_operators(prefixes.split("+"))
    named = f"{'+'.join([*(one.key for one in operators), *rest])}{sign}{price}"
    return named if with_prefixes(named) == line else line


@dataclass(frozen=True, kw_only=True)
class ExampleSim:
    """A SIM of the example by which prefix routing has always been explained."""

    name: str
    prefixes: tuple[str, ...]
    price: int  # in rupiah, to these prefixes
    price_other: int
    is_default: bool = False

    @property
    def prices(self) -> tuple[str, str]:
        """Its tariff as a setting."""
        return f"{'+'.join(self.prefixes)}={self.price}", f"other={self.price_other}"


EXAMPLE = (
    ExampleSim(name="operator-1", prefixes=("62871", "62872"), price=50, price_other=350),
    ExampleSim(name="operator-2", prefixes=("62835", "62856", "62837"), price=100, price_other=350),
    ExampleSim(name="operator-3", prefixes=("62845",), price=60, price_other=250),
    ExampleSim(name="operator-4", prefixes=("62848", "62849"), price=90, price_other=200, is_default=True),
)
