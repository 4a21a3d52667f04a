"""How long `otppi serve` takes until it is of use."""

from collections.abc import Sequence

from otppi.sim.personality import personality_names
from tests.bench.caller import drive, verification
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median

_CROWD = 40
_MODEMS = 8


def _run(extent: Extent) -> Readings:
    listening, ready, crowd = [], [], []
    for _ in range(extent.pick(3, 1)):
        with Rig(extent, modems=1) as rig:
            listening.append(rig.listening_s)
            ready.append(rig.first_ready_s)
            answers = drive(
                rig.port, [verification(index, "000000") for index in range(_CROWD)], _CROWD, 60.0
            )
            crowd.append(max(answer.took_s for answer in answers))
    return {
        "listening_s": Reading(median(listening)),
        "first_ready_s": Reading(median(ready)),
        "crowd_s": Reading(median(crowd), "each has the right password, which is not known to be right yet"),
    }


def _run_eight(extent: Extent) -> Readings:
    makes = personality_names()[: extent.pick(_MODEMS, 1)]
    together: list[float] = []
    alone: dict[str, list[float]] = {make: [] for make in makes}
    for _ in range(extent.pick(3, 1)):
        together.append(_all_ready_s(extent, _MODEMS, makes))
        for make, times in alone.items():
            times.append(_all_ready_s(extent, 1, [make]))
    slowest = max(alone, key=lambda make: median(alone[make]))
    return {
        "eight_more_s": Reading(
            median(together) - median(alone[slowest]),
            f"{_MODEMS} in {median(together):.2f} s, {slowest} alone in {median(alone[slowest]):.2f} s",
        )
    }


def _all_ready_s(extent: Extent, modems: int, makes: Sequence[str]) -> float:
    with Rig(extent, modems=modems, personalities=makes) as rig:
        return rig.all_ready_s


START = Measurement(
    name="start",
    rows=(
        RowSpec(key="listening_s", title="Process start to listening", unit="s"),
        RowSpec(key="first_ready_s", title="Process start to the first modem ready", unit="s"),
        RowSpec(key="crowd_s", title=f"{_CROWD} callers at once just after: all answered", unit="s"),
    ),
    run=_run,
)
START_EIGHT = Measurement(
    name="start-eight",
    rows=(
        RowSpec(
            key="eight_more_s",
            title=f"Start to ready: {_MODEMS} modems after the slowest of them alone",
            unit="s",
            at_most=3.0,
        ),
    ),
    run=_run_eight,
)
