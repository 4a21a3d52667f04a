"""Whether checks of codes stay quick beside slow messages and beside connections that dawdle."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.bench.caller import Connection, Exchange, drive, sms, verification
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median, percentile

_SLOW_SENDS = 32
_DAWDLERS = 100
_LIMIT_S = 90.0
_SPACING_S = 0.01
_DRIP = b"POST /api/otp HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Dawdler: " + b"x" * 1000


def _verify_calls(rig: Rig, count: int) -> list[Exchange]:
    """Check codes one after the other, every second time on a new connection.

    Their references are unknown, which takes the gateway as long as a wrong code of a known one.
    """
    answers = []
    kept = Connection(rig.port)
    try:
        for turn in range(count):
            time.sleep(_SPACING_S)
            wanted = verification(turn, "000000")
            answers.append(kept.exchange(wanted, _LIMIT_S) if turn % 2 else _on_a_new_connection(rig, wanted))
    finally:
        kept.close()
    return answers


def _on_a_new_connection(rig: Rig, wanted: bytes) -> Exchange:
    began_s = time.monotonic()
    connection = Connection(rig.port)
    try:
        answer = connection.exchange(wanted, _LIMIT_S)
    finally:
        connection.close()
    return Exchange(began_s, answer.answered_s, answer.status, answer.body)


def _reading(answers: list[Exchange], more: str = "") -> Reading:
    codes = dict(Counter(answer.code for answer in answers))
    if set(codes) != {"1202"}:
        raise CouldNotMeasure(f"wrong codes were answered with {codes}")
    times_ms = [1000 * answer.took_s for answer in answers]
    note = f"n={len(answers)}, median {median(times_ms):.1f} ms, most {max(times_ms):.1f} ms{more}"
    return Reading(percentile(times_ms, 99), note)


def _beside_slow_sends(extent: Extent) -> Readings:
    count = extent.pick(200, 60)
    with Rig(extent, modems=8, submit_s=0.5 if extent.quick else 5.0) as rig:
        rig.log_in()
        slow: list[Exchange] = []
        sender = threading.Thread(
            target=lambda: slow.extend(
                drive(rig.port, [sms(index) for index in range(_SLOW_SENDS)], _SLOW_SENDS, _LIMIT_S)
            ),
            name="slow-sends",
        )
        sender.start()
        time.sleep(0.3)
        answers = _verify_calls(rig, count)
        in_hand = sender.is_alive()
        sender.join()
    if not in_hand:
        raise CouldNotMeasure("the slow messages were out before the checks were done")
    refused = _SLOW_SENDS - sum(answer.code == "0000" for answer in slow)
    return {
        "beside_slow_ms": _reading(answers, f", {_SLOW_SENDS} sends in hand"),
        "slow_refused": Reading(refused, f"of {_SLOW_SENDS}"),
    }


def _beside_dawdlers(extent: Extent) -> Readings:
    count = extent.pick(200, 60)
    with Rig(extent, modems=1) as rig:
        rig.log_in()
        with _dawdlers(rig.port, drips=False), _dawdlers(rig.port, drips=True):
            time.sleep(0.5)
            answers = _verify_calls(rig, count)
    return {"beside_dawdlers_ms": _reading(answers, f", {_DAWDLERS} silent and {_DAWDLERS} dripping beside")}


@contextlib.contextmanager
def _dawdlers(port: int, *, drips: bool) -> Iterator[None]:
    """Hold connections open; with `drips` each sends one byte a second, otherwise nothing."""
    over = threading.Event()
    opened = [socket.create_connection(("127.0.0.1", port), timeout=10.0) for _ in range(_DAWDLERS)]

    def drip() -> None:
        for at in range(len(_DRIP)):
            for one in opened:
                with contextlib.suppress(OSError):  # the gateway may well hang up on such a caller
                    one.send(_DRIP[at : at + 1])
            if over.wait(1.0):
                return

    dripper = threading.Thread(target=drip, name="dripper")
    try:
        if drips:
            dripper.start()
        yield
    finally:
        over.set()
        if dripper.ident is not None:
            dripper.join()
        for one in opened:
            one.close()


CROWDED = (
    Measurement(
        name="crowded-sends",
        rows=(
            RowSpec(
                key="beside_slow_ms", title="verify-otp beside 32 slow sends, p99", unit="ms", at_most=50.0
            ),
            RowSpec(
                key="slow_refused", title="Slow sends refused", at_least=0, at_most=0, is_correctness=True
            ),
        ),
        run=_beside_slow_sends,
    ),
    Measurement(
        name="crowded-connections",
        rows=(
            RowSpec(
                key="beside_dawdlers_ms",
                title="verify-otp beside 200 idle or dripping connections, p99",
                unit="ms",
                at_most=50.0,
            ),
        ),
        run=_beside_dawdlers,
    ),
)
