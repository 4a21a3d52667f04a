"""The simulated modems of a measurement, in a process of their own."""

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.processes import REPOSITORY, end
from tests.bench.rows import CouldNotMeasure

_ANSWER_LIMIT_S = 20.0


@dataclass(frozen=True)
class Counts:
    """What all modems together have counted."""

    at_commands: int
    serial_bytes: int
    ctrl_z_s: tuple[float, ...]  # CLOCK_MONOTONIC, in order

    def since(self, earlier: "Counts") -> "Counts":
        """Return what came after an earlier count."""
        return Counts(
            self.at_commands - earlier.at_commands,
            self.serial_bytes - earlier.serial_bytes,
            self.ctrl_z_s[len(earlier.ctrl_z_s) :],
        )


@dataclass(frozen=True)
class Sent:
    """A message that reached the simulated network."""

    modem: str
    at_s: float
    number: str
    text: str


class Simulator:
    """Speaks the JSON lines of `python -m otppi.sim`."""

    def __init__(
        self, directory: Path, modems: int, submit_s: float, personalities: Sequence[str] = ("generic",)
    ) -> None:
        command = [sys.executable, "-m", "otppi.sim", "--directory", str(directory)]
        command += ["--modems", str(modems), "--submit-s", str(submit_s), "--personality", *personalities]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._unread = b""
        self._seen = 0
        self.ports: dict[str, str] = {one["name"]: one["path"] for one in self._read()["modems"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self._process, 2.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Ask one thing and return the answer; for one thread at a time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        answer = self._read()
        if "error" in answer:
            raise CouldNotMeasure(f"the simulator refused {do}: {answer['error']}")
        return answer

    def counts(self) -> Counts:
        """Return the counters of all modems together."""
        modems = self.ask("stats")["modems"].values()
        return Counts(
            sum(one["at_commands"] for one in modems),
            sum(one["bytes_in"] + one["bytes_out"] for one in modems),
            tuple(sorted(moment for one in modems for moment in one["ctrl_z_s"])),
        )

    def ctrl_z_by_modem(self) -> dict[str, list[float]]:
        """Return for each modem when its messages were complete, by CLOCK_MONOTONIC."""
        return {name: one["ctrl_z_s"] for name, one in self.ask("stats")["modems"].items()}

    def offences(self) -> list[str]:
        """Return the commands that no gateway may give."""
        return [command for one in self.ask("stats")["modems"].values() for command in one["offences"]]

    def new_messages(self) -> list[Sent]:
        """Return what reached the network since the last call."""
        sent = [
            Sent(one["modem"], one["at_s"], one["number"], one["text"])
            for one in self.ask("sent", since=self._seen)["sent"]
        ]
        self._seen += len(sent)
        return sent

    def wait_until(self, reached: Callable[[int], bool], limit_s: float) -> bool:
        """Wait until the number of messages so far fits; False if it did not in time."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if reached(sum(one["messages"] for one in self.ask("stats")["modems"].values())):
                return True
            time.sleep(0.02)
        return False

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor, deadline = self._process.stdout.fileno(), time.monotonic() + _ANSWER_LIMIT_S
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(descriptor, 1 << 20) if ready else b""
            if not data:
                raise CouldNotMeasure("the simulator did not answer")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def count_numbers(sent: list[Sent]) -> Counter[str]:
    """Count the messages of every receiver."""
    return Counter(one.number for one in sent)
