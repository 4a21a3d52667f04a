"""How long `otppi serve` takes until it is of use."""

from tests.bench.caller import drive, verification
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median

_CROWD = 40


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


START = Measurement(
    name="start",
    rows=(
        RowSpec(key="listening_s", title="Process start to listening", unit="s"),
        RowSpec(key="first_ready_s", title="Process start to the first modem ready", unit="s"),
        RowSpec(key="crowd_s", title=f"{_CROWD} callers at once just after: all answered", unit="s"),
    ),
    run=_run,
)
