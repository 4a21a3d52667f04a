from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.gateway import router
from otppi.gateway.journal import Journal
from otppi.gateway.ledger import Ledger, Parcel
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.number import Number
from otppi.model.operators import EXAMPLE
from otppi.model.quota import Quota
from otppi.model.tariff import tariff
from tests.conftest import FakeClock


def modem(id_, *prefixes, default=False, prices=(), **changes):
    facts = {"id": id_, "name": id_, "port": "p", "state": ModemState.READY, **changes}
    return ModemStatus(prefixes=prefixes, is_default=default, tariff=tariff(tuple(prices)), **facts)


def books():
    clock = FakeClock()
    return Ledger(None, Journal(None, clock), clock, lambda: 0)


def parcel(number, parts=1, critical=False):
    number = number if isinstance(number, Number) else Number(number)
    return Parcel(number=number, parts=parts, is_critical=critical)


def tiers(number, modems):
    return router.plan(parcel(number), modems, books()).groups


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
        {"state": ModemState.HUNG},
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


PRICED = tuple(
    modem(sim.name[-1], *sim.prefixes, default=sim.is_default, prices=sim.prices) for sim in EXAMPLE
)
# Number, what operators 1 to 4 charge, and whose SIM it goes through.
PRICE_LIST = (
    ("6287100000001", (50, 350, 250, 200), "1"),
    ("6287200000001", (50, 350, 250, 200), "1"),
    ("6283500000001", (350, 100, 250, 200), "2"),
    ("6285600000001", (350, 100, 250, 200), "2"),
    ("6283700000001", (350, 100, 250, 200), "2"),
    ("6284500000001", (350, 350, 60, 200), "3"),
    ("6284800000001", (350, 350, 250, 90), "4"),
    ("6284900000001", (350, 350, 250, 90), "4"),
    ("6281100000001", (350, 350, 250, 200), "4"),
    ("12025550100", (350, 350, 250, 200), "4"),
)


@pytest.mark.parametrize(("number", "charged", "chosen"), PRICE_LIST)
def test_the_four_operator_example_by_price(number, charged, chosen):
    ledger = books()
    assert tuple(ledger.cost(one, parcel(number)) for one in PRICED) == charged
    assert router.plan(parcel(number), PRICED, ledger).groups[0] == [chosen]
    # Prices alone say the same: neither prefixes nor a default modem are needed.
    bare = tuple(modem(sim.name[-1], prices=sim.prices) for sim in EXAMPLE)
    assert router.plan(parcel(number), bare, ledger).groups[0] == [chosen]


def test_the_four_operator_example_saves_so_many_rupiah():
    ledger, spent = books(), 0
    for number, charged, chosen in PRICE_LIST:
        one = PRICED[int(chosen) - 1]
        ledger.take(one, parcel(number), router.cost_in_turns(parcel(number), PRICED, ledger))
        spent += min(charged)
    today = [row["today"] for row in ledger.report(PRICED)]
    assert spent == sum(Decimal(one["cost"]) for one in today) == 1040
    by_default_sim = sum(charged[3] for _, charged, _ in PRICE_LIST)
    by_dearest_sim = sum(max(charged) for _, charged, _ in PRICE_LIST)
    assert (by_default_sim, by_dearest_sim) == (1780, 3500)
    # Saved is told against the default SIM, not against the worst that could have been done.
    assert sum(Decimal(one["saved"]) for one in today) == by_default_sim - spent == 740


def test_the_next_dearer_follows_when_the_cheapest_is_not_there():
    down = tuple(
        modem(
            sim.name[-1], prices=sim.prices, state=ModemState.ABSENT if sim.price == 50 else ModemState.READY
        )
        for sim in EXAMPLE
    )
    assert tiers("6287100000001", down) == [["4"], ["3"], ["2"]]


def test_equal_prices_are_one_group_unless_prefix_or_default_part_them():
    price = ("other=100",)
    assert tiers("6281100000001", (modem("a", prices=price), modem("b", prices=price))) == [["a", "b"]]
    modems = (
        modem("a", prices=price),
        modem("b", prices=price, default=True),
        modem("c", "628", prices=price),
    )
    assert tiers("6281100000001", modems) == [["c"], ["b"], ["a"]]


def test_an_unknown_price_comes_after_every_known_one():
    modems = (modem("unknown", "62811", default=True), modem("dear", prices=("other=9999",)))
    assert tiers("6281100000001", modems) == [["dear"], ["unknown"]]


def test_the_price_of_the_whole_message_decides():
    ledger = books()
    package = modem("package", prices=("other=0", "other=500 after 2/month"))
    flat = modem("flat", prices=("other=100",))
    assert router.plan(parcel("6281100000001", parts=2), (package, flat), ledger).groups[0] == ["package"]
    assert router.plan(parcel("6281100000001", parts=3), (package, flat), ledger).groups[0] == ["flat"]
    ledger.take(package, parcel("6281100000001", parts=2), None)
    assert router.plan(parcel("6281100000001"), (package, flat), ledger).groups == [["flat"], ["package"]]


def test_a_sim_whose_quota_is_used_up_is_in_no_group_and_its_wait_is_told():
    ledger, one = books(), modem("one", quota=Quota(minute=1))
    other = modem("other", prices=("other=1",), quota=Quota(day=1))
    ledger.take(one, parcel("6281100000001"), None)
    plan = router.plan(parcel("6281100000001"), (one, other), ledger)
    assert plan.groups == [["other"]]
    ledger.take(other, parcel("6281100000001"), None)
    plan = router.plan(parcel("6281100000001"), (one, other), ledger)
    assert plan.groups == []
    assert 60 <= plan.quota_wait_s <= 65


@pytest.mark.parametrize(
    ("modems", "cost"),
    [
        ((modem("a", prices=("other=100",)), modem("b", prices=("other=200",))), 150),
        ((modem("a", prices=("other=100",)), modem("b", prices=("other=200",), default=True)), 200),
        ((modem("a", prices=("other=100",)), modem("b", default=True)), None),
        (
            (modem("a", prices=("other=100",)), modem("b", prices=("other=200",), state=ModemState.ABSENT)),
            150,
        ),
        ((modem("a", prices=("other=100",)), modem("b", prices=("other=200",), active=False)), 100),
        ((), None),
    ],
)
def test_savings_are_measured_against_the_default_modems_in_turns_or_all(modems, cost):
    assert router.cost_in_turns(parcel("6281100000001"), modems, books()) == cost


_PREFIXES = st.lists(st.sampled_from(["62811", "62812", "6281", "62"]), max_size=2, unique=True)


@st.composite
def fleets(draw):
    modems = []
    for n in range(draw(st.integers(1, 6))):
        lines = [f"{prefix}={draw(st.integers(0, 5))}" for prefix in draw(_PREFIXES)]
        if draw(st.booleans()):
            lines.append(f"other={draw(st.integers(0, 5))}")
        if draw(st.booleans()) and lines:
            lines.append(f"{lines[0].partition('=')[0]}={draw(st.integers(0, 5))} after 2/day")
        modems.append(
            modem(
                str(n),
                *draw(_PREFIXES),
                default=draw(st.booleans()),
                prices=lines,
                state=draw(st.sampled_from([ModemState.READY, ModemState.READY, ModemState.ABSENT])),
                api_enabled=draw(st.integers(0, 4)) > 0,
                quota=Quota(day=draw(st.integers(0, 6))),
            )
        )
    return tuple(modems)


@given(
    modems=fleets(),
    messages=st.lists(
        st.tuples(st.sampled_from(["6281100000001", "6281200000001", "6289900000001"]), st.integers(1, 3)),
        max_size=12,
    ),
)
def test_no_dearer_sim_comes_before_a_cheaper_one_that_is_ready_and_has_quota_left(modems, messages):
    ledger, by_id = books(), {one.id: one for one in modems}
    sent = dict.fromkeys(by_id, 0)
    for number, parts in messages:
        one = parcel(number, parts)
        able = {
            candidate.id
            for candidate in modems
            if candidate.is_ready
            and candidate.api_enabled
            and (not candidate.quota.day or sent[candidate.id] + parts <= candidate.quota.day)
        }
        groups = router.plan(one, modems, ledger).groups
        assert sorted(id_ for group in groups for id_ in group) == sorted(able)
        costs = [[ledger.cost(by_id[id_], one) for id_ in group] for group in groups]
        assert all(len(set(group)) == 1 for group in costs)
        order = [Decimal("Infinity") if group[0] is None else group[0] for group in costs]
        assert order == sorted(order)
        if groups:
            ledger.take(by_id[groups[0][0]], one, None)
            sent[groups[0][0]] += parts


@given(modems=fleets(), number=st.sampled_from(["6281100000001", "6289900000001"]))
def test_without_prices_the_order_is_that_of_prefixes_and_default(modems, number):
    bare = tuple(replace(one, tariff=tariff(()), quota=Quota()) for one in modems)
    able = [one for one in bare if one.is_ready and one.api_enabled]

    def match(one):
        return max((len(prefix) for prefix in one.prefixes if number.startswith(prefix)), default=0)

    expected = [
        [one.id for one in able if match(one) == length]
        for length in sorted(set(map(match, able)) - {0}, reverse=True)
    ]
    expected.append([one.id for one in able if not match(one) and one.is_default])
    expected.append([one.id for one in able if not match(one) and not one.is_default])
    assert tiers(number, bare) == [group for group in expected if group]


def test_the_explanation_names_the_turn_the_price_and_the_reason():
    ledger = books()
    spent = modem("spent", prices=("other=1",), quota=Quota(day=1))
    ledger.take(spent, parcel("6281100000001"), None)
    modems = (
        modem("off", active=False),
        spent,
        modem("bare", default=True),
        modem("gone", state=ModemState.ABSENT, prices=("other=3",)),
        modem("dear", "62811", prices=("other=350",)),
        modem("cheap", prices=("62811+62812=50",)),
    )
    rows = router.explain(parcel("6281100000001", parts=2), modems, ledger)
    assert [(row["turn"], row["modem"], row["cost"], row["reason"]) for row in rows] == [
        (1, "cheap", "100", "price of 62811+62812, no prefix"),
        (2, "dear", "700", "price of other, prefix 62811"),
        (3, "bare", None, "price unknown, default"),
        (None, "off", None, "not active"),
        (None, "spent", "2", "its quota is used up"),
        (None, "gone", "6", "absent"),
    ]


def test_what_is_kept_for_the_last_resort_comes_after_all_others_by_the_same_rules():
    modems = (
        modem("free", prices=["other=0"], is_last_resort=True),
        modem("near", "62812", is_last_resort=True),
        modem("priced", prices=["other=350"]),
        modem("unpriced"),
    )
    assert tiers(Number("6281200000001"), modems) == [["priced"], ["unpriced"], ["free"], ["near"]]
    assert tiers(Number("6281200000001"), modems[:2]) == [["free"], ["near"]]


def test_savings_are_not_measured_against_the_last_resort():
    modems = (modem("a", prices=["other=100"]), modem("b", prices=["other=900"], is_last_resort=True))
    assert router.cost_in_turns(parcel("6281200000001"), modems, books()) == Decimal(100)
