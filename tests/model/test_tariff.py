import re
from decimal import Decimal

import pytest

from otppi.model.operators import EXAMPLE, OPERATORS, with_prefixes
from otppi.model.tariff import LINE, Sent, TariffError, shown_money, tariff


def cost(lines, digits, parts=1, day=0, month=0):
    fare = tariff(tuple(lines)).fare(digits)
    return None if fare is None else fare.cost(parts, Sent(day=day, month=month))


@pytest.mark.parametrize(
    ("lines", "digits", "price"),
    [
        (["62811=50"], "6281100000001", 50),
        (["62811=50"], "6281200000001", None),
        (["62811=50", "other=350"], "6281200000001", 350),
        (["62811+62812=50"], "6281200000001", 50),
        (["62=300", "6281=200", "62811=50"], "6281100000001", 50),
        (["62=300", "6281=200", "62811=50"], "6281200000001", 200),
        (["other=0.075"], "12025550100", Decimal("0.075")),
        ([], "6281100000001", None),
    ],
)
def test_the_longest_prefix_tells_the_price_and_other_the_rest(lines, digits, price):
    assert cost(lines, digits) == price


def test_a_long_message_is_charged_by_its_parts():
    assert cost(["other=350"], "6281100000001", parts=3) == 1050


@pytest.mark.parametrize(
    ("parts", "day", "month", "charged"),
    [(1, 0, 0, 0), (1, 0, 99, 0), (1, 0, 100, 50), (4, 0, 98, 100), (2, 500, 0, 0)],
)
def test_a_package_is_free_until_it_is_used_up(parts, day, month, charged):
    package = ["62811+62812=0", "62811+62812=50 after 100/month"]
    assert cost(package, "6281200000001", parts, day, month) == charged


@pytest.mark.parametrize(("sent", "charged"), [(0, 50), (9, 50), (10, 1), (11, 1)])
def test_a_promotion_begins_after_so_many_of_a_day(sent, charged):
    assert cost(["62811=50", "62811=1 after 10/day"], "6281100000001", day=sent) == charged


def test_of_several_steps_the_last_that_is_reached_holds():
    lines = ["other=5", "other=3 after 10/day", "other=9 after 50/month"]
    assert [cost(lines, "620000000", day=d, month=m) for d, m in [(0, 0), (10, 10), (0, 50), (10, 50)]] == [
        5,
        3,
        9,
        9,
    ]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["62811=50", "62811=60"], "one price to begin with"),
        (["62811=1 after 10/day"], "one price to begin with"),
        (["62811=1 after 10/day", "62811=50"], "one price to begin with"),
        (["62811=50", "62811+62812=60"], "62811 is listed twice"),
        (["other=5", "62811+62811=5"], "62811 is listed twice"),
    ],
)
def test_lines_that_do_not_fit_together_are_refused(lines, says):
    with pytest.raises(TariffError, match=says):
        tariff(tuple(lines))


@pytest.mark.parametrize("line", ["other=1", "62811=0.5", "62811+62812=50", "62811=1 after 10/day"])
def test_a_line_reads_like_this(line):
    assert re.fullmatch(LINE, line)


@pytest.mark.parametrize(
    "line",
    [
        "0811=50",
        "62811",
        "62811=",
        "62811=-1",
        "62811=5,0",
        "others=1",
        "62811=1 after 0/day",
        "62811=1 after 5/week",
    ],
)
def test_a_line_does_not_read_like_this(line):
    assert not re.fullmatch(LINE, line)


@pytest.mark.parametrize(
    ("amount", "text"), [("50", "50"), ("100", "100"), ("0.50", "0.5"), ("0.0", "0"), ("1E+2", "100")]
)
def test_money_is_shown_plainly(amount, text):
    assert shown_money(Decimal(amount)) == text


def test_the_presets_are_tariffs_and_no_two_operators_share_a_prefix():
    for operator in OPERATORS:
        line = with_prefixes(f"{operator.key}=50")
        assert re.fullmatch(LINE, line)
        assert all(cost([line], f"{prefix}0000001") == 50 for prefix in operator.prefixes)
    prefixes = [prefix for operator in OPERATORS for prefix in operator.prefixes]
    assert len(prefixes) == len(set(prefixes))


def test_an_operators_name_stands_for_its_prefixes_also_beside_others():
    assert with_prefixes("tri+6281=7") == "62895+62896+62897+62898+62899+6281=7"
    assert with_prefixes("other=7") == "other=7"
    assert with_prefixes("nobody=7") == "nobody=7"


def test_the_longest_prefix_parts_a_brand_from_its_network():
    lines = [with_prefixes("telkomsel=50"), with_prefixes("byu=70")]
    assert (cost(lines, "6285150000001"), cost(lines, "6285155000001")) == (50, 70)


def test_the_example_is_well_formed():
    assert [tariff(sim.prices).fare(f"{sim.prefixes[0]}00000001").steps[0].price for sim in EXAMPLE] == [
        50,
        100,
        60,
        90,
    ]
