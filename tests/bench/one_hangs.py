"""Thirty-two busy modems of which one hangs: what the others lose by it.

Phases with and without the fault follow each other and are compared in pairs, the order turning from pair to pair. So
what else the machine does, and what changes slowly, falls out.
"""

import itertools
import time
from collections.abc import Sequence

from tests.bench.caller import drive, sms
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median

_MODEMS = 32
_CALLERS = 2 * _MODEMS  # as many wait as are served, so that no modem waits for one
_HANGS = "m31"
_QUICK_OVERTAKE_S = 1
_LIFE_S = 300
_LIMIT_S = 90.0
_HEALED_LIMIT_S = 90.0


def _phase(rig: Rig, numbers: Sequence[int], *, hangs: bool) -> float:
    """Send the messages and return how many a second the other modems sent while all callers had one in hand."""
    rig.simulator.ask("fault", modem=_HANGS, fault={})
    rig.wait_all_ready(_HEALED_LIMIT_S)
    if hangs:
        rig.simulator.ask("fault", modem=_HANGS, fault={"hung": True})
    soon = int(time.time()) + _LIFE_S
    answers = drive(rig.port, [sms(index, expiration=soon) for index in numbers], _CALLERS, _LIMIT_S)
    refused = [answer.code for answer in answers if answer.code != "0000"]
    if refused:
        raise CouldNotMeasure(f"{len(refused)} of {len(answers)} were refused, the first with {refused[0]}")
    sent_s = [answer.sent_s for answer in answers]
    return sum(
        _rate(times, min(sent_s), max(sent_s))
        for modem, times in rig.simulator.ctrl_z_by_modem().items()
        if modem != _HANGS
    )


def _rate(times: Sequence[float], since_s: float, until_s: float) -> float:
    # From message to message, so that the ends of the phase cut none in two.
    within = [one for one in times if since_s <= one <= until_s]
    if len(within) < 2:
        raise CouldNotMeasure("a modem that does not hang had nothing to do")
    return (len(within) - 1) / (within[-1] - within[0])


def _run(extent: Extent) -> Readings:
    pairs, each = extent.pick(7, 1), extent.pick(8, 4)
    submit_s, settings = (0.2, {"sms.overtake_after_s": _QUICK_OVERTAKE_S}) if extent.quick else (1.0, {})
    unused = itertools.count()
    losses = []
    with Rig(extent, modems=_MODEMS, submit_s=submit_s, settings=settings) as rig:
        rig.log_in()
        for turn in range(pairs):
            rates = {}
            for hangs in (True, False) if turn % 2 else (False, True):
                numbers = list(itertools.islice(unused, _MODEMS * each + _CALLERS))
                rates[hangs] = _phase(rig, numbers, hangs=hangs)
            losses.append(100 * (1 - rates[True] / rates[False]))
        rig.kill()  # it would wait for the silent modem
    shown = ", ".join(f"{loss:.2f}" for loss in sorted(losses))
    return {"hang_loss_percent": Reading(median(losses), f"median of pairs of phases: {shown}")}


ONE_HANGS = Measurement(
    name="one-hangs",
    rows=(
        RowSpec(
            key="hang_loss_percent",
            title="One of 32 modems hangs: the throughput that the others lose",
            unit="%",
            at_most=1.0,
        ),
    ),
    run=_run,
)
