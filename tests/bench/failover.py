"""One of two modems falls silent in the middle of twenty messages that are in a hurry."""

import threading
import time
from collections import Counter
from functools import partial
from typing import Any

from tests.bench.caller import drive, otp_request, sms
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.simulator import count_numbers

_MESSAGES = 20
_BEFORE_THE_FAULT = 6
_LIMIT_S = 70.0
_OVERTAKE_S = 15.0
_QUICK_OVERTAKE_S = 2.0
_MARGIN_S = 2.0


def _requests() -> list[bytes]:
    soon = int(time.time()) + 300
    return [otp_request(index) if index % 2 else sms(index, expiration=soon) for index in range(_MESSAGES)]


def _run(extent: Extent, name: str, fault: dict[str, Any], doubles_allowed: int) -> Readings:
    overtake_s = _QUICK_OVERTAKE_S if extent.quick else _OVERTAKE_S
    settings = {"sms.overtake_after_s": overtake_s}
    with Rig(extent, modems=2, submit_s=0.15 if extent.quick else 0.3, settings=settings) as rig:
        rig.log_in()

        def break_one() -> None:
            rig.simulator.wait_until(lambda sent: sent >= _BEFORE_THE_FAULT, 10.0)
            rig.simulator.ask("fault", modem="m0", fault=fault)

        breaker = threading.Thread(target=break_one, name="breaker")
        breaker.start()
        try:
            answers = drive(rig.port, _requests(), _MESSAGES, _LIMIT_S)
        finally:
            breaker.join()
        sent = rig.simulator.new_messages()
        rig.kill()  # it would wait for the silent modem
    reached = count_numbers(sent)
    began_s = min(answer.sent_s for answer in answers)
    first: dict[str, float] = {}
    for one in sent:
        first.setdefault(one.number, one.at_s)
    doubles = sum(reached.values()) - len(reached)
    codes = dict(Counter(answer.code for answer in answers))
    return {
        f"{name}_lost": Reading(_MESSAGES - len(reached), f"of {_MESSAGES}; answers {codes}"),
        f"{name}_doubled": Reading(
            max(0, doubles - doubles_allowed), f"{doubles} second copies, {doubles_allowed} due"
        ),
        f"{name}_last_s": Reading(
            max(first.values(), default=began_s) - began_s, f"another modem is asked after {overtake_s:g} s"
        ),
    }


def _measurement(name: str, what: str, fault: dict[str, Any], doubles_allowed: int) -> Measurement:
    return Measurement(
        name=f"failover-{name}",
        rows=(
            RowSpec(key=f"{name}_lost", title=f"{what}: lost", at_least=0, at_most=0, is_correctness=True),
            RowSpec(
                key=f"{name}_doubled",
                title=f"{what}: twice without need",
                at_least=0,
                at_most=0,
                is_correctness=True,
            ),
            RowSpec(
                key=f"{name}_last_s",
                title=f"{what}: the last one out after",
                unit="s",
                at_most=_OVERTAKE_S + _MARGIN_S,
            ),
        ),
        run=partial(_run, name=name, fault=fault, doubles_allowed=doubles_allowed),
    )


# Only where the modem took a message and never said so is a second copy due: nobody can know better.
FAILOVER = (
    _measurement("hung", "Modem hangs", {"hung": True}, 0),
    _measurement("prompt", "Modem gives no prompt", {"no_prompt_sends": 1_000_000}, 0),
    _measurement("result", "Modem gives no result", {"silent_sends": 1}, 1),
)
