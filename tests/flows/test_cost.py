"""What messages cost, and how much and how fast each SIM may send, by the normal doors."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.model.operators import EXAMPLE
from otppi.sim.faults import Faults
from otppi.sim.magic import Magic, MagicTimes
from tests.gateway_under_test import Sim

FOUR = tuple(Sim(name=one.name, default=one.is_default, settings={"prices": one.prices}) for one in EXAMPLE)
NO_RESERVE = {"reserve_for_codes_percent": 0}


def priced(name, price, **settings):
    submit_s = settings.pop("submit_s", 0.0)
    return Sim(name=name, submit_s=submit_s, settings={"prices": [f"other={price}"], **settings})


def send(gateway, **changes):
    data = {"receiver": "081200000001", "message": "Your order is ready"}
    return gateway.call("send-message", "/api/sms", **{**data, **changes})


def send_critical(gateway, **changes):
    return send(gateway, **{"expiration": int(time.time()) + 300, **changes})


def used(answer):
    return answer.json["data"].get("modemID")


def books(gateway):
    return {row["modem"]: row for row in gateway.gateway.cost()["modems"]}


@pytest.mark.parametrize(
    ("receiver", "modem"),
    [
        ("087100000001", "operator-1"),
        ("085600000001", "operator-2"),
        ("084500000001", "operator-3"),
        ("084800000001", "operator-4"),
        ("081100000001", "operator-4"),
    ],
)
def test_the_cheapest_sim_is_chosen(gateway, receiver, modem):
    one = gateway(modems=FOUR)
    assert used(send(one, receiver=receiver)) == modem
    assert one.gateway.route(receiver, 1, is_code=False)["modems"][0]["modem"] == modem


def test_cost_and_savings_are_told(gateway):
    one = gateway(modems=FOUR)
    for receiver in ("087100000001", "085600000001", "081100000001"):
        assert send(one, receiver=receiver, message="x" * 200).code == "0000"  # two parts
    today = {name: row["today"] for name, row in books(one).items()}
    assert [(row["parts"], row["cost"], row["saved"]) for row in today.values()] == [
        (2, "100", "300"),
        (2, "200", "200"),
        (0, "0", "0"),
        (2, "400", "0"),
    ]
    metrics = one.http("GET", "/metrics").body.decode()
    assert 'otppi_sim_saved{modem="operator-1",period="day"} 300.0' in metrics
    assert 'otppi_sim_parts{modem="operator-4",period="month"} 2.0' in metrics


def test_when_the_cheapest_hangs_a_code_goes_through_the_next_dearer(gateway):
    one = gateway(modems=(priced("dear", 300), priced("cheap", 50), priced("middle", 100)))
    one.lines["cheap"].set_faults(Faults(silent_sends=1))
    assert used(send_critical(one)) in {"middle", "dear"}
    one.lines["cheap"].unplug()
    one.wait_until(lambda: one.state("cheap") == "absent")
    assert used(send(one)) == "middle"


def test_when_the_cheapest_refuses_the_next_dearer_takes_it_and_only_that_is_charged(gateway):
    one = gateway(modems=(priced("dear", 300), priced("cheap", 50), priced("middle", 100)))
    one.lines["cheap"].set_faults(Faults(failing_sends=1))
    assert used(send(one)) == "middle"
    assert [books(one)[name]["today"]["cost"] for name in ("cheap", "middle", "dear")] == ["0", "100", "0"]


def test_what_may_have_been_sent_is_charged(gateway):
    one = gateway(modems=(priced("m0", 50, quota_per_day=1),))
    one.lines["m0"].set_faults(Faults(silent_sends=1))
    assert send(one).code == "1408"
    assert books(one)["m0"]["today"]["cost"] == "50"
    one.wait_until(lambda: one.state("m0") == "ready")
    assert send(one).code == "1302"


def test_a_used_up_quota_leads_to_the_next_sim_and_in_the_end_to_1302(gateway):
    one = gateway(
        modems=(priced("cheap", 50, quota_per_hour=2), priced("dear", 300, quota_per_minute=1)),
        sms=NO_RESERVE,
    )
    assert [used(send(one)) for _ in range(3)] == ["cheap", "cheap", "dear"]
    answer = send(one)
    assert (answer.status, answer.code) == (200, "1302")
    assert 0 < answer.json["data"]["retry_after"] <= 65
    answer = one.v1("send-sms", receiver="081200000001", message="x")
    assert (answer.status, answer.code) == (429, "1302")
    assert 0 < int(answer.headers["Retry-After"]) <= 65
    assert len(one.texts()) == 3


def test_bulk_leaves_the_reserve_to_codes(gateway):
    one = gateway(modems=(priced("m0", 50, quota_per_day=4),), sms={"reserve_for_codes_percent": 50})
    assert [send(one).code for _ in range(3)] == ["0000", "0000", "1302"]
    request = {"receiver": "081200000001", "message": "Code %s"}
    codes = [one.call("request-otp", reference=f"r{n}", **request).code for n in range(3)]
    assert codes == ["0000", "0000", "1302"]
    # A code that was not sent is forgotten, as ever.
    assert one.call("request-otp", reference="r2", **request).code == "1302"


def test_many_callers_at_once_never_exceed_a_quota(gateway):
    one = gateway(
        modems=(priced("cheap", 50, quota_per_day=7), priced("dear", 300, quota_per_day=5)),
        sms=NO_RESERVE,
    )
    with ThreadPoolExecutor(20) as callers:
        codes = list(callers.map(lambda n: send(one, message=f"message {n}").code, range(40)))
    assert (codes.count("0000"), codes.count("1302")) == (12, 28)
    assert (len(one.texts("cheap")), len(one.texts("dear"))) == (7, 5)


def test_counters_survive_a_restart(gateway):
    one = gateway(modems=(priced("m0", 50, quota_per_day=10),), sms=NO_RESERVE)
    for _ in range(4):
        assert send(one).code == "0000"
    before = books(one)
    one.restart()
    assert books(one) == before
    assert [send(one).code for _ in range(7)].count("0000") == 6


def test_a_power_cut_never_lets_more_through_than_the_quota(gateway):
    one = gateway(modems=(priced("m0", 50, quota_per_day=20),), sms=NO_RESERVE)
    for _ in range(8):
        assert send(one).code == "0000"
    lay_there = (one.state_dir / "usage.json").read_bytes()
    one.gateway.stop()
    (one.state_dir / "usage.json").write_bytes(lay_there)
    shutil.rmtree(one.runtime_dir)
    one.runtime_dir.mkdir(mode=0o700)
    one.start()
    sent_after = [send(one).code for _ in range(13)].count("0000")
    assert 8 + sent_after <= 20
    assert sent_after >= 6


def test_new_prices_and_quotas_act_at_once(gateway):
    one = gateway(modems=(priced("a", 50), priced("b", 100)))
    assert used(send(one)) == "a"
    one.gateway.store.set_path("modems.b.prices", "other=10")
    one.wait_until(lambda: used(send(one)) == "b")
    one.gateway.store.set_path("modems.b.quota_per_day", "1")
    one.wait_until(lambda: used(send(one)) == "a")


def test_a_code_overtakes_waiting_bulk_but_interrupts_no_long_message(gateway):
    one = gateway(modems=(Sim(name="m0", submit_s=0.3),), api={"threads": 24})
    line = one.lines["m0"]
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(send, one, message="a" * 300)
        one.wait_until(lambda: line.ctrl_z_times)
        bulk = [callers.submit(send, one, message=f"bulk {n}") for n in range(4)]
        one.wait_until(lambda: one.gateway.pool.waiting_for("m0") == 4)
        code = callers.submit(send_critical, one, message="code")
        assert {one.result().code for one in (first, code, *bulk)} == {"0000"}
    # Two parts of the long one, then the code, then the rest in any order of arrival.
    assert [message.text[:4] for message in line.messages] == ["aaaa", "code", "bulk", "bulk", "bulk", "bulk"]
    assert [sms.submitted.concat is not None for sms in line.sent[:3]] == [True, True, False]


def test_bulk_behind_a_stream_of_codes_ends_with_an_answer(gateway):
    one = gateway(modems=(Sim(name="m0", submit_s=0.1),), sms={"longest_wait_s": 1.5})
    over = threading.Event()

    def stream():
        while not over.is_set():
            send_critical(one, message="code")

    streams = [threading.Thread(target=stream) for _ in range(4)]
    for thread in streams:
        thread.start()
    one.wait_until(lambda: len(one.texts()) >= 3)
    began = time.monotonic()
    answer = send(one, message="bulk")
    over.set()
    for thread in streams:
        thread.join()
    assert answer.code == "1503"
    assert time.monotonic() - began < 4
    assert "bulk" not in one.texts()


def test_what_the_cheapest_could_not_do_in_time_goes_through_a_dearer_one(gateway):
    one = gateway(
        modems=(priced("cheap", 50, submit_s=0.2), priced("dear", 300, submit_s=0.2)),
        sms={"longest_wait_s": 3},
        magic_times=MagicTimes(slow_s=2.0),
    )
    assert used(send(one, receiver=Magic.IS_SLOW)) == "cheap"  # from now on it counts as slow
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda n: send(one, message=f"message {n}"), range(6)))
    assert {answer.code for answer in answers} == {"0000"}
    assert set(map(used, answers)) == {"cheap", "dear"}


def test_a_pause_between_messages_holds_for_bulk_and_not_for_codes(gateway):
    one = gateway(modems=(Sim(name="m0", settings={"gap_min_s": 0.8, "gap_max_s": 0.9}),))
    assert send(one, message="first").code == "0000"
    began = time.monotonic()
    with ThreadPoolExecutor(2) as callers:
        bulk = callers.submit(send, one, message="second")
        one.wait_until(lambda: one.gateway.pool.waiting_for("m0") == 1)
        assert send_critical(one, message="code").code == "0000"
        assert time.monotonic() - began < 0.7
        assert bulk.result().code == "0000"
    # The code began a pause of its own.
    times = one.lines["m0"].ctrl_z_times
    assert times[2] - times[1] >= 0.8
    assert one.texts() == ["first", "code", "second"]


def test_while_one_sim_pauses_an_equal_one_takes_the_next(gateway):
    pause = {"gap_min_s": 5, "gap_max_s": 5}
    one = gateway(modems=(Sim(name="m0", settings=pause), Sim(name="m1", settings=pause)))
    began = time.monotonic()
    assert {used(send(one)) for _ in range(2)} == {"m0", "m1"}
    assert time.monotonic() - began < 4
