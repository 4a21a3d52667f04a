"""What the test of restarts of USB devices does inside an umockdev testbed; run under umockdev-wrapper with a scene.

The files of the kernel's driver are pipes here, and a thread does what the kernel would do about what is written.
Prints what was written and what became of each restart as one JSON object.
"""

import json
import logging
import os
import select
import sys
import threading
from pathlib import Path

from otppi.model.errors import HostError
from otppi.system.usb_restart import restart
from tests.system.usb_bench import Bench

PATIENCE_S = 5.0
FILES = ("unbind", "bind")
STICK = "1-1.2"
NO_MODEMS = {"1-1.3": "02/06/00", "1-1.4": "08/06/50", "1-1.5": "03/01/01"}  # network card, disk, keyboard


class Kernel:
    """Drives the sticks of a testbed until `stop`."""

    def __init__(self, bench: Bench) -> None:
        self.written: list[tuple[str, str]] = []
        self.pulls_out = False  # each device that is unbound
        self.is_ignored = False  # by each device that is bound
        self._bench = bench
        self._root = Path(bench.testbed.get_root_dir())
        self._folder = self._root / "sys/bus/usb/drivers/usb"
        self._folder.mkdir(parents=True)
        self._changed = threading.Condition()
        self._sticks: dict[str, list[str]] = {}
        for file in FILES:
            os.mkfifo(self._folder / file)
        self._pipes = {os.open(self._folder / file, os.O_RDWR | os.O_NONBLOCK): file for file in FILES}
        self._stopping = os.eventfd(0)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def drive(self, paths: list[str]) -> None:
        """Take a stick: the device and what is below it."""
        self._sticks[Path(paths[0]).name] = paths
        self._bench.testbed.set_attribute_link(paths[0], "driver", "../../bus/usb/drivers/usb")

    def refuse(self) -> None:
        """Let no device be bound."""
        (self._folder / "bind").rename(self._folder / "aside")
        (self._folder / "bind").mkdir()

    def accept(self) -> None:
        """Let devices be bound again."""
        (self._folder / "bind").rmdir()
        (self._folder / "aside").rename(self._folder / "bind")

    def wait_for(self, count: int) -> None:
        """Wait until so much was written and done."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.written) >= count, PATIENCE_S)

    def stop(self) -> None:
        """Do what is written already and end."""
        os.eventfd_write(self._stopping, 1)
        self._thread.join()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([*self._pipes, self._stopping], [], [])
            for descriptor in ready:
                if file := self._pipes.get(descriptor):
                    self._take(file, os.read(descriptor, 4096).decode())
            if ready == [self._stopping]:
                return

    def _take(self, file: str, place: str) -> None:
        device, *below = self._sticks[place]
        if file == "unbind":
            (self._root / device.removeprefix("/") / "driver").unlink()
            for path in reversed(below):
                self._bench.testbed.remove_device(path)
            # A pipe does not keep its writer waiting, so what follows the next `bind` is there before it.
            self._bench.testbed.set_attribute(device, "bConfigurationValue", "" if self.is_ignored else "1")
            if self.pulls_out:
                self.refuse()
                self._bench.testbed.remove_device(device)
        else:
            self.drive([device])
        with self._changed:
            self.written.append((file, place))
            self._changed.notify_all()


def outcome_of(place: str, **limits: float) -> str:
    try:
        restart(place, **limits)
    except HostError as error:
        return str(error)
    return ""


def whole(bench: Bench, kernel: Kernel) -> list[str]:
    kernel.drive(bench.huawei("1-1.1", first=3))
    return [outcome_of(STICK)]


def no_modems(bench: Bench, kernel: Kernel) -> list[str]:
    bench.usb("1-1", "0424:2514", main_class="09")
    for place, kind in NO_MODEMS.items():
        device = bench.usb(place, "1234:0001")
        bench.interface(device, f"{place}:1.0", "00", kind, "invented")
        kernel.drive([device])
    other = bench.huawei("1-1.6", first=6)
    bench.testbed.set_attribute_link(other[0], "driver", "../../bus/usb/drivers/apple-mfi-fastcharge")
    return [outcome_of(place) for place in ("1-1", *NO_MODEMS, "1-1.6")]


def hostile_names(bench: Bench, kernel: Kernel) -> list[str]:
    names = (
        "",
        "usb1",
        f"{STICK}:1.0",
        f"{STICK}\n",
        f"{STICK} 1-1.3",
        f"{STICK}/../1-1.3",
        "../../x",
        "1-1.",
    )
    return [outcome_of(name) for name in names]


def absent(bench: Bench, kernel: Kernel) -> list[str]:
    return [outcome_of("1-1.7")]


def pulled_out_meanwhile(bench: Bench, kernel: Kernel) -> list[str]:
    kernel.pulls_out = True
    return [outcome_of(STICK)]


def bound_at_the_second_try(bench: Bench, kernel: Kernel) -> list[str]:
    kernel.refuse()
    ears = logging.Handler()
    ears.emit = lambda record: kernel.accept()
    logging.getLogger("otppi.system.usb_restart").addHandler(ears)
    return [outcome_of(STICK)]


def bound_by_the_next_restart(bench: Bench, kernel: Kernel) -> list[str]:
    kernel.refuse()
    first = outcome_of(STICK, limit_s=0.0)
    kernel.accept()
    return [first, outcome_of(STICK)]


def without_configuration(bench: Bench, kernel: Kernel) -> list[str]:
    kernel.is_ignored = True
    first = outcome_of(STICK, limit_s=0.0)
    kernel.wait_for(2)
    kernel.is_ignored = False
    return [first, outcome_of(STICK)]


SCENES = (
    whole,
    no_modems,
    hostile_names,
    absent,
    pulled_out_meanwhile,
    bound_at_the_second_try,
    bound_by_the_next_restart,
    without_configuration,
)


def main() -> None:
    bench = Bench()
    kernel = Kernel(bench)
    kernel.drive(bench.huawei(STICK, first=0))
    try:
        outcomes = {scene.__name__: scene for scene in SCENES}[sys.argv[1]](bench, kernel)
    finally:
        kernel.stop()
    print(json.dumps({"written": kernel.written, "outcomes": outcomes}), flush=True)


if __name__ == "__main__":
    main()
