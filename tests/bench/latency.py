"""From an HTTP request to the last byte at the modem, one message at a time."""

import random
import time
from collections.abc import Sequence

from tests.bench.caller import Connection, otp_request, sms
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median, percentile

_LIMIT_S = 30.0


def spaced_latencies_ms(rig: Rig, requests: Sequence[bytes]) -> list[float]:
    """Make the requests 10 to 30 ms apart; return for each how long its Ctrl-Z took to reach the modem."""
    before = rig.simulator.counts()
    spacing = random.Random(1)
    began = []
    connection = Connection(rig.port)
    try:
        for one in requests:
            time.sleep(spacing.uniform(0.010, 0.030))
            answer = connection.exchange(one, _LIMIT_S)
            if answer.code != "0000":
                raise CouldNotMeasure(f"a request was answered with {answer.code}")
            began.append(answer.sent_s)
    finally:
        connection.close()
    ended = rig.simulator.counts().since(before).ctrl_z_s
    if len(ended) != len(began):
        raise CouldNotMeasure(f"{len(ended)} Ctrl-Z for {len(began)} messages")
    return [(end - begin) * 1000 for begin, end in zip(began, ended, strict=True)]


def _run(extent: Extent) -> Readings:
    count = extent.pick(300, 40)
    with Rig(extent, modems=4) as rig:
        rig.warm_up()
        before = rig.simulator.counts()
        sms_ms = spaced_latencies_ms(rig, [sms(index) for index in range(count)])
        cost = rig.simulator.counts().since(before)
        otp_ms = spaced_latencies_ms(rig, [otp_request(index) for index in range(count)])
        offences = rig.simulator.offences()
    return {
        "median_ms": Reading(median(sms_ms), f"n={count}, least {min(sms_ms):.2f} ms"),
        "p99_ms": Reading(percentile(sms_ms, 99), f"most {max(sms_ms):.1f} ms"),
        "otp_median_ms": Reading(median(otp_ms), f"p99 {percentile(otp_ms, 99):.1f} ms"),
        "at_per_sms": Reading(cost.at_commands / count),
        "bytes_per_sms": Reading(cost.serial_bytes / count, "70 characters, 12 digits, both directions"),
        "offences": Reading(len(offences), " ".join(offences)),
    }


LATENCY = Measurement(
    name="latency",
    rows=(
        RowSpec(key="median_ms", title="send-sms to Ctrl-Z at an idle modem, median", unit="ms", at_most=3.0),
        RowSpec(key="p99_ms", title="The same, 99th percentile", unit="ms", at_most=20.0),
        RowSpec(key="otp_median_ms", title="request-otp to Ctrl-Z, median", unit="ms"),
        RowSpec(
            key="at_per_sms", title="AT commands per message", at_least=1.0, at_most=1.0, is_correctness=True
        ),
        RowSpec(
            key="bytes_per_sms",
            title="Serial bytes per message",
            unit="B",
            at_most=190.0,
            is_correctness=True,
        ),
        RowSpec(
            key="offences", title="Commands that write to the SIM", at_least=0, at_most=0, is_correctness=True
        ),
    ),
    run=_run,
)
