"""Simulated modems in a process of their own: `python -m otppi.sim --directory DIR --modems N`.

The first line of standard output names the ports. After that every line of standard input is a JSON object
with `do`, and gets one line in answer:

    {"do": "stats"}                                      counters of every modem
    {"do": "sent", "since": 0}                           parts that reached the network, from that index on
    {"do": "fault", "modem": "m0", "fault": {...}}       the fields of `Faults`; {} puts the modem in order
    {"do": "inject", "modem": "m0", "line": "RING"}      an uninvited line
    {"do": "deliver", "modem": "m0", "from": "+62…", "text": "Hi"}   a message to the SIM
    {"do": "unplug", "modem": "m0"}, {"do": "plug", "modem": "m0"}
    {"do": "stop"}                                       as does the end of standard input

Times are those of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otppi.sim.faults import parse_faults
from otppi.sim.line import SimLine, SimModems
from otppi.sim.personality import personality_names
from otppi.sim.record import SentSms


def main() -> None:
    """Run until told to stop."""
    options = _read_options()
    with SimModems(options.directory) as sim:
        for index in range(options.modems):
            personality = options.personality[index % len(options.personality)]
            sim.add(f"m{index}", personality, submit_s=options.submit_s)
        _write({"modems": [{"name": line.name, "path": str(line.path)} for line in sim.lines]})
        for line in sys.stdin:
            try:
                answer = _answer(sim, json.loads(line))
            except (ValueError, KeyError, TypeError, StopIteration) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            _write(answer)
            if answer == {"stopped": True}:
                return


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m otppi.sim", description="Simulated modems.")
    parser.add_argument("--directory", type=Path, required=True, help="where the ports appear")
    parser.add_argument("--modems", type=int, default=1)
    parser.add_argument("--submit-s", type=float, default=None, help="from Ctrl-Z to the final result")
    parser.add_argument(
        "--personality", nargs="+", choices=personality_names(), default=["generic"], help="taken in turn"
    )
    return parser.parse_args()


def _answer(sim: SimModems, request: Mapping[str, Any]) -> dict[str, Any]:
    match request["do"]:
        case "stats":
            return {"modems": {line.name: _stats(line) for line in sim.lines}}
        case "sent":
            return {"sent": [_sent(sms) for sms in sim.sent[int(request.get("since", 0)) :]]}
        case "fault":
            _modem(sim, request).set_faults(parse_faults(request["fault"]))
        case "inject":
            _modem(sim, request).inject(f"\r\n{request['line']}\r\n".encode("ascii", errors="replace"))
        case "deliver":
            _modem(sim, request).deliver(str(request["from"]), str(request["text"]))
        case "unplug":
            _modem(sim, request).unplug()
        case "plug":
            _modem(sim, request).plug()
        case "stop":
            return {"stopped": True}
        case _:
            raise ValueError("unknown request")
    return {"done": True}


def _modem(sim: SimModems, request: Mapping[str, Any]) -> SimLine:
    return next(line for line in sim.lines if line.name == request["modem"])


def _stats(line: SimLine) -> dict[str, Any]:
    return {
        "sent": len(line.sent),
        "messages": len(line.messages),
        "bytes_in": line.bytes_in,
        "bytes_out": line.bytes_out,
        "at_commands": line.at_commands,
        "ctrl_z_s": line.ctrl_z_times,
        "offences": line.offences,
        "is_plugged": line.is_plugged,
    }


def _sent(sms: SentSms) -> dict[str, Any]:
    return {
        "modem": sms.modem,
        "at_s": sms.at_s,
        "reference": sms.reference,
        "number": sms.number,
        "text": sms.text,
        "part": sms.concat.number if sms.concat else 1,
        "parts": sms.concat.total if sms.concat else 1,
        "concat_reference": sms.concat.reference if sms.concat else None,
    }


def _write(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
