"""What the test of devices does inside an umockdev testbed; run under umockdev-wrapper with a folder to work in.

Prints what the bus was told, one JSON list per scene.
"""

import json
import sys
import threading
import time
from pathlib import Path

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402

from otppi.lib.bus import Bus  # noqa: E402
from otppi.lib.clock import SystemClock  # noqa: E402
from otppi.model.events import DeviceNotice  # noqa: E402
from otppi.system.devices import DeviceWatch  # noqa: E402

PATIENCE_S = 5.0


class Clock(SystemClock):
    """Time that can be passed over."""

    ahead_s = 0.0

    def boot_s(self) -> float:
        return super().boot_s() + self.ahead_s


class Scene:
    def __init__(self, folder: Path) -> None:
        self.testbed = UMockdev.Testbed.new()
        self.control = folder / "control"
        self.bus = Bus()
        self.told: list[DeviceNotice] = []
        self.came = threading.Condition()
        self.bus.subscribe("test", self.hear, DeviceNotice)
        self.clock = Clock()
        self.watch = DeviceWatch(self.bus, self.clock, control=self.control)

    def hear(self, notice: DeviceNotice) -> None:
        with self.came:
            self.told.append(notice)
            self.came.notify_all()

    def device(self, subsystem: str, name: str, parent: str | None = None, **properties: str) -> str:
        attributes = (
            [properties.pop("attribute"), properties.pop("value")] if "attribute" in properties else []
        )
        flat = [part for pair in properties.items() for part in pair]
        return self.testbed.add_device(subsystem, name, parent, attributes, flat)

    def wait_for(self, count: int) -> None:
        with self.came:
            self.came.wait_for(lambda: len(self.told) >= count, PATIENCE_S)

    def tell(self) -> None:
        """Print what was told since the last time."""
        self.watch_is_idle()
        with self.came:
            told, self.told[:] = list(self.told), []
        print(json.dumps([[n.kind, n.name, n.node, n.description, n.is_present] for n in told]), flush=True)

    def watch_is_idle(self) -> None:
        time.sleep(0.15)  # for what must not come


def stick(scene: Scene, name: str, **properties: str) -> str:
    return scene.device("tty", name, None, DEVNAME=f"/dev/{name}", **properties)


def main(folder: Path) -> None:
    scene = Scene(folder)
    stick(
        scene,
        "ttyUSB0",
        ID_VENDOR_FROM_DATABASE="Huawei Technologies Co., Ltd.",
        ID_MODEL_FROM_DATABASE="E1752",
        ID_VENDOR="HUAWEI_Technology",
        ID_MODEL="HUAWEI_Mobile",
        ID_SERIAL_SHORT="861234567890123",
    )
    scene.device("tty", "ttyS7", attribute="type", value="0", DEVNAME="/dev/ttyS7")
    scene.device(
        "block", "sda", DEVNAME="/dev/sda", DEVTYPE="disk", ID_VENDOR="Kingston", ID_MODEL="Kingston_DT"
    )
    scene.device("net", "eth0", ID_NET_DRIVER="bcmgenet")
    scene.device("rtc", "rtc0", attribute="name", value="rtc-ds1307 1-0068", DEVNAME="/dev/rtc0")
    scene.device("input", "event0", DEVNAME="/dev/input/event0")

    scene.watch.start()
    time.sleep(0.2)
    absent = [check.finding for check in scene.watch.checks()]
    scene.control.touch()  # udev is started
    scene.wait_for(4)
    scene.tell()

    path = stick(
        scene, "ttyUSB1", ID_VENDOR="\x1b[31mEvil\x07", ID_MODEL=("x" * 300) + "‮" + "861234567890123"
    )
    scene.testbed.uevent(path, "add")  # once more, as after a trigger
    scene.testbed.uevent(path, "remove")
    scene.wait_for(2)
    scene.tell()

    path = scene.device("block", "sdb", DEVNAME="/dev/sdb", ID_MODEL="Flaps 00:11:22:33:44:55")
    scene.wait_for(1)
    scene.clock.ahead_s += 100  # it has been there for long
    for _ in range(15):
        scene.testbed.uevent(path, "remove")
        scene.testbed.uevent(path, "add")
        time.sleep(0.01)  # the socket of the testbed holds a few only
    scene.wait_for(7)
    scene.tell()
    scene.clock.ahead_s += 10
    scene.wait_for(2)
    scene.tell()

    print(
        json.dumps(
            {
                "absent": absent,
                "checks": [[check.level, check.finding] for check in scene.watch.checks()],
                "present": [notice.name for notice in scene.watch.present()],
                "recent": [notice.name for _, notice in scene.watch.recent()],
                "died": scene.watch.died(),
            }
        )
    )
    scene.watch.stop()
    scene.bus.stop()


main(Path(sys.argv[1]))
