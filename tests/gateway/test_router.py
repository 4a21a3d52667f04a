import pytest

from otppi.gateway.router import tiers
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.number import Number


def modem(id_, *prefixes, default=False, **changes):
    facts = {"id": id_, "name": id_, "port": "p", "state": ModemState.READY, **changes}
    return ModemStatus(prefixes=prefixes, is_default=default, **facts)


# The example of prefix routing in the product's description.
FOUR_OPERATORS = (
    modem("1", "62871", "62872"),
    modem("2", "62835", "62856", "62837"),
    modem("3", "62845"),
    modem("4", "62848", "62849", default=True),
)


@pytest.mark.parametrize(
    ("number", "first"),
    [
        ("6287100000001", "1"),
        ("6287200000001", "1"),
        ("6283500000001", "2"),
        ("6285600000001", "2"),
        ("6283700000001", "2"),
        ("6284500000001", "3"),
        ("6284800000001", "4"),
        ("6284900000001", "4"),
        ("6281100000001", "4"),
        ("12025550100", "4"),
    ],
)
def test_the_four_operator_example(number, first):
    assert tiers(Number(number), FOUR_OPERATORS)[0] == [first]


def test_prefix_wins_over_default_and_default_over_the_rest():
    assert tiers(Number("6287100000001"), FOUR_OPERATORS) == [["1"], ["4"], ["2", "3"]]


def test_the_longest_prefix_wins_then_shorter_ones():
    modems = (modem("short", "628"), modem("long", "62812"), modem("middle", "6281"))
    assert tiers(Number("6281200000001"), modems) == [["long"], ["middle"], ["short"]]


def test_modems_with_the_same_prefix_are_one_group():
    modems = (modem("a", "62812"), modem("b", "62813"), modem("c", "62812"))
    assert tiers(Number("6281200000001"), modems)[0] == ["a", "c"]


def test_without_a_default_every_modem_of_the_api_may_take_an_unmatched_number():
    modems = (modem("a", "62812"), modem("b"))
    assert tiers(Number("6289900000001"), modems) == [["a", "b"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"api_enabled": False},
        {"internet_access": True},
        {"state": ModemState.ABSENT},
        {"state": ModemState.SILENT},
        {"state": ModemState.STARTING},
        {"state": ModemState.SIM_BLOCKED},
    ],
)
def test_a_modem_that_may_not_send_is_never_chosen_even_with_the_right_prefix(changes):
    modems = (modem("wrong", "62812", **changes), modem("right"))
    assert tiers(Number("6281200000001"), modems) == [["right"]]


def test_a_short_code_matches_no_prefix():
    modems = (modem("prefix", "44"), modem("default", default=True))
    assert tiers(Number("4444", is_short_code=True), modems)[0] == ["default"]


def test_no_modem_gives_no_group():
    assert tiers(Number("6281200000001"), ()) == []
