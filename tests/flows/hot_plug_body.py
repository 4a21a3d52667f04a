"""What the test of hot-plugging does inside an umockdev testbed; run under umockdev-wrapper with a folder to work in.

A whole gateway hears of simulated sticks by the udev events of the testbed alone: its sweep is off where it is not what
is shown. Prints one JSON object per scene.
"""

import json
import operator
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from otppi.lib.clock import SystemClock
from otppi.model.events import ModemStateChanged
from otppi.model.modems import ModemState
from otppi.services.control import call
from otppi.sim.faults import Faults
from otppi.sim.terminal import PseudoTerminal
from otppi.system.devices import DeviceWatch
from otppi.system.serialports import present_sticks
from tests.gateway_under_test import GatewayUnderTest
from tests.system.usb_bench import Bench, UMockdev

PATIENCE_S = 60.0
A, B, C = "490154203237518", "356938035643809", "352099001761481"
TO_A, TO_B = "081100000001", "085700000001"
# Opens a port as a terminal program does, under that program's name, until its own input ends.
HOLD = """
import fcntl, os, sys
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
open("/proc/self/comm", "w").write("minicom")
print("held", flush=True)
sys.stdin.read()
"""


class Stick:
    """A Huawei stick: its third port takes commands, nobody has anything to say to the other two."""

    def __init__(self, one: GatewayUnderTest, name: str, imei: str) -> None:
        self.line = one.sim.add(name, "huawei", imei=imei)
        self.line.unplug()
        folder = self.line.path.parent
        self._others = [PseudoTerminal(folder / f"{name}-{number}") for number in range(2)]
        self.ports = [folder / f"{name}-0", folder / f"{name}-1", self.line.path]
        self.paths: list[str] = []  # in /sys, while it is plugged in

    @property
    def bytes_at_others(self) -> int:
        """How many came since this was asked last."""
        return sum(len(other.read()) for other in self._others)

    @property
    def texts(self) -> list[str]:
        """The messages that reached the network, in order."""
        return [message.text for message in self.line.messages]


class OwnTerminal(UMockdev.IoctlBase):
    """Lets a pseudo-terminal in the testbed take its ioctls itself; the testbed would refuse TIOCEXCL."""

    def do_handle_ioctl(self, client: Any) -> bool:
        client.complete(*client.execute())
        return True


class UsbBus(Bench):
    """Sticks come and go here: node, uevent, node, uevent, as the kernel and udev tell it."""

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(self.testbed.get_root_dir())
        (self._root / "dev").mkdir()
        self._terminals = OwnTerminal()
        self._targets: dict[str, Path] = {}  # by node
        self._pause_s = 0.0

    def plug(self, stick: Stick, place: str, first: int, *, pause_s: float = 0.0) -> None:
        """Let a stick show itself, with numbers from `first` on and a pause after each port."""
        self._pause_s = pause_s
        stick.line.plug()
        self._targets = {f"ttyUSB{first + number}": port for number, port in enumerate(stick.ports)}
        stick.paths = self.huawei(place, first)

    def unplug(self, stick: Stick) -> None:
        stick.line.unplug()
        for path in reversed(stick.paths):
            self._node(Path(path).name).unlink(missing_ok=True)
            self.testbed.uevent(path, "remove")
            self.testbed.remove_device(path)
            self._wait_until_heard()

    def device(self, *words: Any, **properties: str) -> str:
        path: str = super().device(*words, **properties)
        self._wait_until_heard()
        return path

    def tty(self, parent: str, name: str, *links: str) -> str:
        node = self._node(name)
        if not (self._root / "ioctl/dev" / name).exists():
            self.testbed.attach_ioctl(f"/dev/{name}", self._terminals)
        node.symlink_to(self._targets[name])
        path: str = super().tty(parent, name, *links)
        time.sleep(self._pause_s)
        return path

    def _node(self, name: str) -> Path:
        return self._root / "dev" / name

    def _wait_until_heard(self) -> None:
        # The testbed aborts the program when a listener has ten events unread; a socket is named by its descriptor.
        ears = select.poll()
        for listener in self._root.glob("event*"):
            ears.register(int(listener.name.removeprefix("event")), select.POLLIN)
        GatewayUnderTest.wait_until(lambda: not ears.poll(0), PATIENCE_S)


class Story:
    def __init__(self, folder: Path) -> None:
        self.bus = UsbBus()
        self.one = one = GatewayUnderTest(folder, free_port, modems=(), on_desk=True, sticks=present_sticks)
        one.build()
        self.sweep_every(0)
        control = folder / "udev"
        control.touch()
        one.gateway.appliance.devices = DeviceWatch(one.gateway.bus, SystemClock(), control=control)
        self.changes: list[ModemStateChanged] = []
        one.gateway.bus.subscribe("story", self.changes.append, ModemStateChanged)
        self.a, self.b, self.c = Stick(one, "a", A), Stick(one, "b", B), Stick(one, "c", C)
        one.gateway.start()

    def tell(self) -> None:
        try:
            for scene in (
                self.appears,
                self.is_used,
                self.is_moved,
                self.are_exchanged,
                self.goes_in_the_middle,
                self.goes_in_the_middle_of_a_code,
                self.is_held,
                self.flaps,
            ):
                print(json.dumps({"scene": scene.__name__, **scene()}), flush=True)
        finally:
            self.one.stop()

    def appears(self) -> dict[str, Any]:
        # Its ports may take so long to be there, and none is asked before.
        self.bus.plug(self.a, "1-1.2", first=0, pause_s=0.6)
        self.until(self.found)
        return {
            "found": self.found(),
            "bytes_at_others": self.a.bytes_at_others,
            "advice": [
                check["advice"] for check in self.one.gateway.diagnose() if check["name"] == "new modem"
            ],
        }

    def is_used(self) -> dict[str, Any]:
        self.use("ttyUSB2", "telkomsel", ["62811"])
        self.until(lambda: self.used() == {"/dev/ttyUSB2": "telkomsel"})
        return {"code": self.send(TO_A, "from the first place"), "texts": self.a.texts}

    def is_moved(self) -> dict[str, Any]:
        began_s = time.monotonic()
        self.bus.unplug(self.a)
        self.until(lambda: self.one.state("telkomsel") == "absent")
        absent_s = time.monotonic() - began_s
        self.until(lambda: not self.found())
        began_s = time.monotonic()
        self.bus.plug(self.a, "1-1.4.1", first=5)
        self.until(lambda: self.one.state("telkomsel") == "ready")
        return {
            "absent_s": absent_s,
            "ready_s": time.monotonic() - began_s,
            "code": self.send(TO_A, "from another place"),
            "texts": self.a.texts,
            "used": self.used(),
        }

    def are_exchanged(self) -> dict[str, Any]:
        self.bus.plug(self.b, "1-1.3", first=10)
        self.until(lambda: "/dev/ttyUSB12" in self.used())
        self.use(B, "indosat", ["62857"])
        before = {"/dev/ttyUSB7": "telkomsel", "/dev/ttyUSB12": "indosat"}
        self.until(lambda: self.used() == before)
        self.until_ready()
        for stick in (self.a, self.b):
            self.bus.unplug(stick)
        self.bus.plug(self.b, "1-1.4.1", first=5)
        self.bus.plug(self.a, "1-1.3", first=10)
        self.until(lambda: self.used() == {"/dev/ttyUSB7": "indosat", "/dev/ttyUSB12": "telkomsel"})
        self.until_ready()
        return {
            "codes": [self.send(TO_A, "for telkomsel"), self.send(TO_B, "for indosat")],
            "copies": [self.copies("for telkomsel"), self.copies("for indosat")],
        }

    def goes_in_the_middle(self) -> dict[str, Any]:
        return self._goes_in_the_middle("an order", first=20)

    def goes_in_the_middle_of_a_code(self) -> dict[str, Any]:
        return self._goes_in_the_middle("a code", first=25, expiration=int(time.time()) + 300)

    def _goes_in_the_middle(self, text: str, first: int, **life: int) -> dict[str, Any]:
        self.a.line.set_faults(Faults(silent_sends=1))
        with ThreadPoolExecutor(1) as caller:
            answer = caller.submit(self.send, TO_A, text, **life)
            self.until(lambda: text in self.a.texts)
            self.bus.unplug(self.a)
            # The numbers are others, as the old ones were still open when it left.
            self.bus.plug(self.a, "1-1.3", first)
            code = answer.result()
        self.until(lambda: f"/dev/ttyUSB{first + 2}" in self.used())
        self.until_ready()
        return {
            "code": code,
            "code_after": self.send(TO_A, f"after {text}"),
            "copies": self.copies(text),
            "copies_after": self.copies(f"after {text}"),
        }

    def is_held(self) -> dict[str, Any]:
        self.c.line.plug()
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, self.c.line.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            holder.stdout.readline()
            self.bus.plug(self.c, "1-1.1", first=30)
            self.until(lambda: self.shown("/dev/ttyUSB32"))
            while_held = self.shown("/dev/ttyUSB32")
            holder.stdin.close()
        # Nobody tells that a port has come free, so this takes the sweep.
        self.sweep_every(1)
        self.until(lambda: not self.shown("/dev/ttyUSB32")["problem"])
        self.sweep_every(0)
        return {
            "while_held": while_held,
            "afterwards": self.shown("/dev/ttyUSB32"),
            "bytes_at_others": self.c.bytes_at_others,
        }

    def flaps(self) -> dict[str, Any]:
        held, changes = self.holdings(), len(self.changes)
        began_s = time.monotonic()
        for _ in range(10):
            self.bus.unplug(self.b)
            last = len(self.changes)
            self.bus.plug(self.b, "1-1.4.1", first=5)
        flapped_s = time.monotonic() - began_s
        self.until(lambda: ModemState.READY in [one.state for one in self.changes[last:]])
        places = {"/dev/ttyUSB7": "indosat", "/dev/ttyUSB27": "telkomsel", "/dev/ttyUSB32": ""}
        self.until(lambda: self.used() == places)
        self.until_ready()
        ready_s = time.monotonic() - began_s - flapped_s
        changed = {one.modem_name for one in self.changes[changes:]}
        self.until(lambda: all(map(operator.le, self.holdings(), held)))  # nothing of it is left behind
        changes = len(self.changes)
        codes = {self.send(TO_B, f"calm {number}") for number in range(20)}
        return {
            "flapped_s": flapped_s,
            "ready_s": ready_s,
            "changed": sorted(changed),
            "codes": sorted(codes),
            "changes_after": len(self.changes) - changes,
        }

    def sweep_every(self, interval_s: int) -> None:
        self.one.gateway.store.set_path("general.modems_inspect_s", interval_s)

    def until(self, is_true: Callable[[], object]) -> None:
        self.one.wait_until(is_true, PATIENCE_S)

    def until_ready(self) -> None:
        self.until(lambda: all(modem.state == "ready" for modem in self.one.gateway.pool.snapshot()))

    def found(self) -> list[dict[str, Any]]:
        return list(call(self.one.state_dir, "modem.found", {}, PATIENCE_S)["modems"])

    def shown(self, node: str) -> dict[str, Any] | None:
        return next((one for one in self.found() if one["node"] == node), None)

    def used(self) -> dict[str, str]:
        return {one["node"]: one["used_as"] for one in self.found()}

    def use(self, modem: str, name: str, prefixes: list[str]) -> None:
        wanted = {"modem": modem, "name": name, "prefixes": prefixes, "is_default": True}
        call(self.one.state_dir, "modem.use", wanted, PATIENCE_S)
        self.until(lambda: name in [modem.name for modem in self.one.gateway.pool.snapshot()])
        self.until(lambda: self.one.state(name) == "ready")

    def send(self, receiver: str, text: str, **life: int) -> str:
        return str(self.one.call("send-sms", receiver=receiver, message=text, **life).code)

    def copies(self, text: str) -> list[int]:
        """How often a text left by the first stick and by the second."""
        return [stick.texts.count(text) for stick in (self.a, self.b)]

    def holdings(self) -> tuple[int, int]:
        """Threads and descriptors of this process."""
        return threading.active_count(), len(os.listdir("/proc/self/fd"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    Story(Path(sys.argv[1])).tell()
