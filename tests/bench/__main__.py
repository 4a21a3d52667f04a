"""Measure everything, print one table, write `bench-results/latest.json`.

The exit code is 1 if a row could not be measured or if a row that is not about speed was missed.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.baseline import BASELINE
from tests.bench.brokers import BROKERS
from tests.bench.burst import BURST
from tests.bench.crowded import CROWDED
from tests.bench.elsewhere import ELSEWHERE
from tests.bench.failover import FAILOVER
from tests.bench.idle import IDLE
from tests.bench.latency import LATENCY
from tests.bench.memory import MEMORY
from tests.bench.monitors import MONITORS
from tests.bench.one_hangs import ONE_HANGS
from tests.bench.pages import ADMIN_PAGES
from tests.bench.processes import REPOSITORY
from tests.bench.recovery import RECOVERY
from tests.bench.report import as_json, as_table, write_json
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Row
from tests.bench.slow_modems import SLOW_MODEMS
from tests.bench.start import START, START_EIGHT
from tests.bench.verify import VERIFY

_MEASUREMENTS = (
    BASELINE,
    START,
    START_EIGHT,
    MEMORY,
    IDLE,
    LATENCY,
    BURST,
    MONITORS,
    ADMIN_PAGES,
    VERIFY,
    *SLOW_MODEMS,
    *FAILOVER,
    ELSEWHERE,
    RECOVERY,
    ONE_HANGS,
    *CROWDED,
    *BROKERS,
)
_QUICK_IDLE_S = 2.0
_IDLE_S = 20.0
_HOUR_S = 3600.0


def main() -> int:
    """Run the benchmark and return the exit code."""
    # As for Ctrl-C, every process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _read_options()
    options.out.mkdir(parents=True, exist_ok=True)
    idle_s = _HOUR_S if options.idle_hour else _QUICK_IDLE_S if options.quick else _IDLE_S
    extent = Extent(folder=options.out.absolute(), quick=options.quick, idle_s=idle_s)
    chosen = [one for one in _MEASUREMENTS if _is_wanted(one, options)]
    load_before, began_s = os.getloadavg()[0], time.monotonic()
    rows = [row for one in chosen for row in _measure(one, extent)]
    took_s = time.monotonic() - began_s
    print(as_table(rows))
    print(f"\n{took_s:.0f} s in all; 1-minute load before the run: {load_before:.1f}")
    write_json(
        as_json(rows, quick=options.quick, took_s=took_s, load_before=load_before),
        options.out / "latest.json",
    )
    return int(any(row.fails_the_run for row in rows))


def _is_wanted(measurement: Measurement, options: argparse.Namespace) -> bool:
    if options.only:
        return measurement.name in options.only
    return not (options.quick and measurement.is_long)


def _measure(measurement: Measurement, extent: Extent) -> Sequence[Row]:
    began_s = time.monotonic()
    try:
        readings = measurement.run(extent)
        why_not = "no value"
    except CouldNotMeasure as error:
        readings, why_not = {}, str(error)
    except Exception as error:  # noqa: BLE001 - the rows of the others are worth having
        readings, why_not = {}, f"{type(error).__name__}: {error}"
    print(f"{measurement.name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    return [
        Row(spec=spec, measurement=measurement.name, reading=readings.get(spec.key), why_not=why_not)
        for spec in measurement.rows
    ]


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the gateway.")
    parser.add_argument("--quick", action="store_true", help="a short form of all that can be short")
    parser.add_argument("--idle-hour", action="store_true", help="let the idle pause last an hour")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[one.name for one in _MEASUREMENTS],
        help="only this measurement; may be repeated",
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "bench-results", help="folder for latest.json and for state"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
