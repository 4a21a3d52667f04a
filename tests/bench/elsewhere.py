"""A modem hangs with a code in its hand: how long until another modem has sent that code."""

import threading
import time

from tests.bench.caller import drive, otp_request
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec

_LIMIT_S = 70.0
_OVERTAKE_S = 15.0
_QUICK_OVERTAKE_S = 1.0
_MARGIN_S = 2.0


def _run(extent: Extent) -> Readings:
    overtake_s = _QUICK_OVERTAKE_S if extent.quick else _OVERTAKE_S
    settings = {"sms.overtake_after_s": overtake_s}
    with Rig(extent, modems=3, submit_s=0.2 if extent.quick else 1.0, settings=settings) as rig:
        rig.log_in()
        # One message for each free modem, so that the one that hangs has one as well.
        idle_s = _hang_idle(rig)
        sending_s = _hang_sending(rig)
        rig.kill()  # it would wait for the silent modems
    note = f"another modem is asked after {overtake_s:g} s at the latest"
    return {
        "elsewhere_idle_s": Reading(idle_s, note),
        "elsewhere_sending_s": Reading(sending_s, note),
    }


def _hang_idle(rig: Rig) -> float:
    began_s = time.monotonic()
    rig.simulator.ask("fault", modem="m0", fault={"hung": True})
    drive(rig.port, [otp_request(index) for index in range(3)], 3, _LIMIT_S)
    return _last_s(rig, 3) - began_s


def _hang_sending(rig: Rig) -> float:
    before, began_s = rig.simulator.counts(), []

    def break_one() -> None:
        deadline = time.monotonic() + _LIMIT_S
        while len(rig.simulator.counts().since(before).ctrl_z_s) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        began_s.append(time.monotonic())
        rig.simulator.ask("fault", modem="m1", fault={"hung": True})

    breaker = threading.Thread(target=break_one, name="breaker")
    breaker.start()
    try:
        drive(rig.port, [otp_request(index) for index in range(3, 5)], 2, _LIMIT_S)
    finally:
        breaker.join()
    return _last_s(rig, 2) - began_s[0]


def _last_s(rig: Rig, due: int) -> float:
    first: dict[str, float] = {}
    for one in rig.simulator.new_messages():
        first.setdefault(one.number, one.at_s)
    if len(first) != due:
        raise CouldNotMeasure(f"{len(first)} of {due} codes went out")
    return max(first.values())


ELSEWHERE = Measurement(
    name="elsewhere",
    rows=(
        RowSpec(
            key="elsewhere_idle_s",
            title="Idle modem hangs and is given a code: out by another after",
            unit="s",
            at_most=_OVERTAKE_S + _MARGIN_S,
        ),
        RowSpec(
            key="elsewhere_sending_s",
            title="Modem hangs after Ctrl-Z: the code is out by another after",
            unit="s",
            at_most=_OVERTAKE_S + _MARGIN_S,
        ),
    ),
    run=_run,
)
