import json
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otppi.gateway.journal import Journal
from otppi.gateway.ledger import Ledger, Parcel
from otppi.model.errors import QuotaUsedUp
from otppi.model.modems import Identity, ModemState, ModemStatus
from otppi.model.number import Number
from otppi.model.quota import Quota, without_reserve
from otppi.model.tariff import tariff
from tests.conftest import FakeClock

DAY_S = 86_400


def modem(id_="m0", *prices, iccid="", **quota):
    return ModemStatus(
        id=id_,
        name=id_,
        port="p",
        state=ModemState.READY,
        tariff=tariff(prices),
        quota=Quota(**quota),
        identity=Identity(iccid=iccid),
    )


def parcel(parts=1, digits="6281100000001", critical=False):
    return Parcel(number=Number(digits), parts=parts, is_critical=critical)


def in_memory(clock, reserve=0.0):
    return Ledger(None, Journal(None, clock), clock, lambda: reserve)


def send(ledger, modem, parts=1, critical=False):
    return ledger.take(modem, parcel(parts, critical=critical), None)


def sent_until_refused(ledger, modem, critical=False):
    count = 0
    while True:
        try:
            send(ledger, modem, critical=critical)
        except QuotaUsedUp:
            return count
        count += 1


@pytest.fixture
def ram_folder():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture(autouse=True, params=["UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("quota", "ends_in_s"),
    [({"minute": 3}, 65), ({"hour": 3}, 3900), ({"day": 3}, DAY_S), ({"month": 3}, 31 * DAY_S)],
)
def test_a_quota_holds_and_tells_when_it_ends(clock, quota, ends_in_s):
    ledger, one = in_memory(clock), modem(**quota)
    assert sent_until_refused(ledger, one) == 3
    wait = ledger.wait_s(one, parcel())
    assert 0 < wait <= ends_in_s
    clock.advance(wait - 1)
    assert ledger.wait_s(one, parcel()) > 0
    clock.advance(1)
    assert sent_until_refused(ledger, one) == 3


def test_parts_are_counted_and_not_messages(clock):
    ledger, one = in_memory(clock), modem(day=5)
    send(ledger, one, parts=3)
    with pytest.raises(QuotaUsedUp):
        send(ledger, one, parts=3)
    send(ledger, one, parts=2)


def test_a_message_longer_than_the_quota_never_goes_and_names_no_wait(clock):
    with pytest.raises(QuotaUsedUp) as refused:
        send(in_memory(clock), modem(minute=2), parts=3)
    assert refused.value.retry_after_s is None


def test_the_reserve_is_for_time_critical_messages_alone(clock):
    ledger, one = in_memory(clock, reserve=20), modem(day=10)
    assert sent_until_refused(ledger, one) == 8
    assert sent_until_refused(ledger, one, critical=True) == 2


@pytest.mark.parametrize(("limit", "left"), [(1, 1), (2, 1), (5, 4), (10, 9), (100, 90)])
def test_the_reserve_is_at_least_one_part_and_never_everything(limit, left):
    assert without_reserve(Quota(day=limit), 10) == Quota(day=left)
    assert without_reserve(Quota(day=limit), 0) == Quota(day=limit)


def test_what_surely_did_not_leave_does_not_count(clock):
    ledger, one = in_memory(clock), modem("m0", "other=50", minute=1, hour=1, day=1, month=1)
    taken = send(ledger, one)
    ledger.give_back(taken)
    assert ledger.report([one])[0]["today"]["cost"] == "0"
    assert sent_until_refused(ledger, one) == 1


def test_the_counters_are_those_of_the_sim_wherever_it_is_plugged_in(clock):
    ledger = in_memory(clock)
    send(ledger, modem("left", iccid="8962000000000000001", day=1))
    assert ledger.wait_s(modem("right", iccid="8962000000000000001", day=1), parcel()) > 0
    assert ledger.wait_s(modem("left", iccid="8962000000000000002", day=1), parcel()) == 0


@pytest.mark.parametrize("zone", ["Asia/Jakarta"], indirect=True)
def test_days_and_months_are_those_of_the_device(clock):
    clock.wall = 1_801_414_800.0 - 60  # a minute before 2027-02-01 00:00 in Jakarta, which is UTC+7
    ledger, one = in_memory(clock), modem(month=1, day=1)
    send(ledger, one)
    assert ledger.wait_s(one, parcel()) == 60
    assert ledger.report([one])[0]["this_month"]["label"] == "2027-01"
    clock.advance(60)
    assert ledger.wait_s(one, parcel()) == 0
    report = ledger.report([one])[0]
    assert (report["today"]["label"], report["today"]["parts"]) == ("2027-02-01", 0)
    assert (report["month_before"]["label"], report["month_before"]["parts"]) == ("2027-01", 1)


def test_a_clock_that_nobody_vouches_for_resets_nothing(clock):
    ledger, one = in_memory(clock), modem(day=1, month=1)
    send(ledger, one)
    clock.trusted = False
    clock.wall += 40 * DAY_S
    assert ledger.wait_s(one, parcel()) > 0
    clock.wall = 0
    assert ledger.wait_s(one, parcel()) > 0


def test_a_clock_that_goes_back_resets_nothing_and_the_next_day_is_a_new_one(clock):
    ledger, one = in_memory(clock), modem(day=1)
    send(ledger, one)
    clock.wall -= 3 * DAY_S
    assert ledger.wait_s(one, parcel()) > 0
    clock.advance(DAY_S)
    assert ledger.wait_s(one, parcel()) == 0


def test_without_a_trusted_clock_a_day_is_over_when_the_device_has_run_for_one(clock):
    clock.trusted = False
    ledger, one = in_memory(clock), modem(day=1)
    send(ledger, one)
    assert ledger.wait_s(one, parcel()) == DAY_S
    clock.advance(DAY_S)
    assert ledger.wait_s(one, parcel()) == 0


def test_what_was_sent_before_the_clock_was_trusted_counts_as_of_today(clock):
    clock.trusted = False
    ledger, one = in_memory(clock), modem(day=1)
    send(ledger, one)
    clock.trusted = True
    assert ledger.wait_s(one, parcel()) > 0


def test_a_package_is_counted_over_its_prefixes_and_begins_anew_with_the_month(clock):
    ledger, one = in_memory(clock), modem("m0", "62811+62812=0", "62811+62812=50 after 2/month")
    assert ledger.cost(one, parcel()) == 0
    ledger.take(one, parcel(digits="6281200000001"), None)
    assert ledger.cost(one, parcel(parts=2)) == 50
    send(ledger, one)
    assert ledger.cost(one, parcel()) == 50
    clock.advance(31 * DAY_S)
    assert ledger.cost(one, parcel()) == 0


def test_the_books_tell_cost_and_what_was_saved(clock):
    ledger, one = in_memory(clock), modem("m0", "62811=50", "other=350")
    ledger.take(one, parcel(parts=2), Decimal(400))
    ledger.take(one, parcel(digits="6281200000001"), Decimal(200))
    today = ledger.report([one])[0]["today"]
    assert (today["parts"], Decimal(today["cost"]), Decimal(today["saved"])) == (3, 450, 150)


def test_a_short_code_has_no_known_price(clock):
    short = Parcel(number=Number("4444", is_short_code=True), parts=1, is_critical=False)
    assert in_memory(clock).cost(modem("m0", "other=350"), short) is None


class Machine:
    """A device whose service is restarted and whose power is cut."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.file = folder / "usage.json"
        self.clock = clock
        self.ram = None
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.ram, self.clock)
        self.ledger = Ledger(self.file, self.journal, self.clock, lambda: 0)
        self.ledger.start()

    def stop(self) -> None:
        self.ledger.stop()
        self.journal.close()

    def cut_power(self) -> None:
        """Nothing but the file as it lies there comes through; the boot clock begins anew."""
        lay_there = self.file.read_bytes() if self.file.exists() else None
        self.stop()
        if lay_there is None:
            self.file.unlink(missing_ok=True)
        else:
            self.file.write_bytes(lay_there)
        self.clock.boot = 20.0
        self.start()


@pytest.fixture
def machine(tmp_path, clock):
    one = Machine(tmp_path, clock)
    yield one
    one.stop()


def test_a_clean_restart_knows_exactly_what_was_sent(machine):
    one = modem("m0", "other=50", day=100, hour=90)
    for _ in range(33):
        send(machine.ledger, one)
    before = machine.ledger.report([one])
    machine.stop()
    machine.start()
    assert machine.ledger.report([one]) == before


def test_a_killed_service_finds_everything_in_the_journal(machine, tmp_path, ram_folder):
    machine.stop()
    machine.ram = ram_folder
    machine.start()
    one = modem("m0", "other=50", day=100, minute=100)
    for _ in range(33):
        send(machine.ledger, one)
    before = machine.ledger.report([one])
    reborn = Ledger(machine.file, Journal(ram_folder, machine.clock), machine.clock, lambda: 0)
    assert reborn.report([one]) == before
    assert before[0]["quota_left"] == {"minute": 67, "day": 67}


def test_what_was_sent_without_prices_and_quota_is_known_after_a_restart_too(machine, ram_folder):
    machine.stop()
    machine.ram = ram_folder
    machine.start()
    send(machine.ledger, modem(day=100))
    for _ in range(20):
        send(machine.ledger, modem())
    machine.stop()
    machine.start()
    assert machine.ledger.report([modem(day=100)])[0]["quota_left"] == {"day": 79}


def test_the_disk_is_written_rarely(machine):
    one = modem(month=2000)
    stamps = set()
    for _ in range(500):
        send(machine.ledger, one)
        stamps.add(machine.file.stat().st_mtime_ns)
    assert len(stamps) <= 500 // 50 + 1


def test_without_a_quota_a_message_never_writes_to_the_disk(machine):
    for _ in range(500):
        send(machine.ledger, modem("m0", "other=50"))
    assert not machine.file.exists()
    machine.stop()
    assert json.loads(machine.file.read_text())["sims"]["m0"]["day"]["parts"] == 500
    machine.start()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.fixed_dictionaries(
        {}, optional={"hour": st.integers(1, 60), "day": st.integers(1, 120), "month": st.integers(1, 300)}
    ).filter(bool),
    story=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 4)),
            st.tuples(st.just("send many"), st.integers(10, 40)),
            st.tuples(st.just("wait"), st.sampled_from([1, 600, 3000])),
            st.tuples(st.just("power cut"), st.just(0)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=25,
    ),
)
def test_no_power_cut_and_no_restart_lets_more_through_than_the_quota(tmp_path, limits, story):
    clock = FakeClock()
    clock.wall = 1_800_025_200.0  # 15:00 UTC, so that no story runs into the next day
    (tmp_path / "usage.json").unlink(missing_ok=True)
    machine, one = Machine(tmp_path, clock), modem(**limits)
    sent = []
    for word, count in story:
        if word == "power cut":
            clock.wall += 30
            machine.cut_power()
        elif word == "restart":
            machine.stop()
            machine.start()
        elif word == "wait" and clock.wall + count < 1_800_025_200 + 30_000:
            clock.advance(count)
        for _ in range(1 if word == "send" else count if word == "send many" else 0):
            parts = count if word == "send" else 1
            try:
                send(machine.ledger, one, parts)
            except QuotaUsedUp:
                continue
            sent.append((clock.wall, parts))
    machine.stop()
    assert sum(parts for _, parts in sent) <= min(limits.get("day", 10**9), limits.get("month", 10**9))
    for end, _ in sent:
        hour = sum(parts for at, parts in sent if end - 3600 < at <= end)
        assert hour <= limits.get("hour", 10**9)


def test_a_power_cut_costs_at_most_a_small_share_of_a_quota(machine):
    one = modem(day=100)
    for _ in range(40):
        send(machine.ledger, one)
    machine.cut_power()
    assert 51 <= machine.ledger.report([one])[0]["quota_left"]["day"] <= 60


def test_a_disk_that_cannot_be_written_stops_no_message(tmp_path, clock, caplog):
    ledger = Ledger(tmp_path / "gone" / "usage.json", Journal(None, clock), clock, lambda: 0)
    ledger.start()
    assert sent_until_refused(ledger, modem(day=50)) == 50
    ledger.stop()
    assert "cannot be saved" in caplog.text
    assert sum("cannot be saved" in line for line in caplog.messages) == 1


def test_a_damaged_file_begins_anew_and_says_so(tmp_path, clock, caplog):
    file = tmp_path / "usage.json"
    file.write_text('{"sims": {"m0": {}}}')
    ledger = Ledger(file, Journal(None, clock), clock, lambda: 0)
    assert "cannot be read" in caplog.text
    ledger.start()
    assert sent_until_refused(ledger, modem(day=3)) == 3
    ledger.stop()
    assert json.loads(file.read_text())["sims"]["m0"]["day"]["parts"] == 3
