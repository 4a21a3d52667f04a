"""How much memory one more modem costs."""

import statistics

from tests.bench import processes
from tests.bench.caller import drive, sms
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median

_MESSAGES_EACH = 10
_LIMIT_S = 60.0


def _rss_mb(extent: Extent, modems: int) -> float:
    with Rig(extent, modems=modems) as rig:
        # As many callers as modems, so that every modem and as many threads of the API have had something to do.
        drive(rig.port, [sms(index) for index in range(_MESSAGES_EACH * modems)], modems, _LIMIT_S)
        return processes.rss_mb(rig.pid)


def _run(extent: Extent) -> Readings:
    counts = (1, 8) if extent.quick else (1, 8, 32)
    rounds = [[_rss_mb(extent, count) for count in counts] for _ in range(extent.pick(3, 1))]
    measured = [median(values) for values in zip(*rounds, strict=True)]
    shown = ", ".join(f"{rss_mb:.1f} MB" for rss_mb in measured)
    return {
        "rss_per_modem_mb": Reading(
            statistics.linear_regression(counts, measured).slope,
            f"{shown} with {', '.join(str(count) for count in counts)}",
        )
    }


MEMORY = Measurement(
    name="memory",
    rows=(RowSpec(key="rss_per_modem_mb", title="Memory for each further modem", unit="MB", at_most=1.0),),
    run=_run,
)
