"""Modems that take their time: how near to what the modems can do at most."""

from functools import partial

from tests.bench.caller import drive, sms
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec

# As many callers wait as are served, so that a modem never waits for one; with few modems, a handful.
_FEWEST_SPARE_CALLERS = 8
_PERCENT = 99.5


def _run(extent: Extent, modems: int) -> Readings:
    submit_s = 0.2 if extent.quick else 1.0
    each = extent.pick(20 if modems == 1 else 12, 4)
    requests = [sms(index) for index in range(modems * each)]
    with Rig(extent, modems=modems, submit_s=submit_s) as rig:
        rig.log_in()
        before = rig.simulator.counts()
        answers = drive(
            rig.port, requests, modems + max(modems, _FEWEST_SPARE_CALLERS), limit_s=each * submit_s + 60
        )
        moments = rig.simulator.counts().since(before).ctrl_z_s
    refused = [answer.code for answer in answers if answer.code != "0000"]
    if refused or len(moments) != len(requests):
        raise CouldNotMeasure(f"{len(refused)} refused, {len(moments)} of {len(requests)} sent")
    # The time that the last message itself takes is after its Ctrl-Z and does not count.
    ideal_s, measured_s = (each - 1) * submit_s, moments[-1] - moments[0]
    note = f"{len(requests)} messages of {submit_s:g} s in {measured_s:.2f} s, at best {ideal_s:.2f} s"
    return {f"of_limit_{modems}": Reading(100 * ideal_s / measured_s, note)}


def _measurement(modems: int) -> Measurement:
    return Measurement(
        name=f"slow-{modems}",
        rows=(
            RowSpec(
                key=f"of_limit_{modems}",
                title=f"{modems} modem{'s' if modems > 1 else ''} of 1 s a message",
                unit="% of the limit",
                at_least=_PERCENT,
            ),
        ),
        run=partial(_run, modems=modems),
    )


SLOW_MODEMS = tuple(_measurement(modems) for modems in (1, 4, 16, 32))
