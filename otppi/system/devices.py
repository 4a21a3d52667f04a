"""Hardware that comes and goes, as udev tells it."""

import logging
import math
import re
import select
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pyudev

from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.checks import Check, Level
from otppi.model.events import DeviceNotice
from otppi.system.pace import Pace

log = logging.getLogger(__name__)

_KINDS: Mapping[str, str] = {"tty": "serial", "block": "storage", "net": "network", "rtc": "rtc"}
# Without this, libudev hears nothing for ever, even of a udev that starts later.
_CONTROL = Path("/run/udev/control")
_LOOK_AGAIN_S = 30.0
_HELD_S = 1.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0
_REMEMBERED = 20
# A device that comes and goes more often than so is told of when it has calmed down.
_TIMES_PER_DEVICE = 6
_TIMES_IN_ALL = 300
_PACE_S = 60.0
_CALM_S = 5.0  # without news of any device
_UNKNOWN_UART = "0"  # the `type` of a serial port that the kernel prepared and no chip stands behind
_LONGEST_NAME = 40
_LONGEST_PART = 60
_MAC_OR_NUMBER = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|[0-9]{10,}")


class _UdevAbsent(Exception):
    """No udev runs."""


class DeviceWatch:
    """Publishes a `DeviceNotice` for what is there at the start, then for what comes and goes.

    All on the thread `devices`. What it knows of the present is compared with what it has told; so nothing is
    told twice, and nothing is missed when udev or the line to it has to be started anew.
    """

    def __init__(self, bus: Bus, clock: Clock, *, control: Path = _CONTROL) -> None:
        """Take who is told; `control` is there while a udev runs."""
        self._bus = bus
        self._clock = clock
        self._control = control
        self._wakeup = Wakeup()
        self._stopping = False
        self._found: dict[str, DeviceNotice] = {}  # by the path of the kernel
        self._told: dict[str, DeviceNotice] = {}
        self._left: set[str] = set()  # what went and has not been told of as gone; it may be back by now
        self._heard_at_s = -math.inf  # when udev told something last, by the clock of the boot
        self._recent: deque[tuple[float, DeviceNotice]] = deque(maxlen=_REMEMBERED)
        self._pace = Pace(per_name=_TIMES_PER_DEVICE, in_all=_TIMES_IN_ALL, within_s=_PACE_S)
        self._problem = "not looked at yet"
        self._was_well = False  # before the last problem
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)

    def start(self) -> None:
        """Begin to watch; what is there is told soon."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wakeup.ring()
        self._thread.join()
        self._wakeup.close()

    def present(self) -> tuple[DeviceNotice, ...]:
        """Return what is there, by kind and name."""
        return tuple(sorted(self._told.copy().values(), key=lambda one: (one.kind, one.name)))

    def recent(self) -> tuple[tuple[float, DeviceNotice], ...]:
        """Return what came and went last, newest first, with wall time; not what was there at the start."""
        return tuple(reversed(self._recent.copy()))

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stopping)

    def checks(self) -> Iterable[Check]:
        """Say whether devices are heard of, and what is there."""
        if self._problem:
            yield Check(
                name="devices",
                level=Level.YELLOW,
                finding=self._problem,
                advice="Modems that are set up still work. What is plugged in is not shown; it heals by itself, "
                "else restart the device.",
            )
            return
        present = self.present()
        counts = {kind: sum(one.kind == kind for one in present) for kind in _KINDS.values()}
        finding = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        yield Check(name="devices", level=Level.GREEN, finding=finding)

    def _run(self) -> None:
        delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        while not self._stopping:
            try:
                self._watch()
            except _UdevAbsent:
                self._cannot("udev does not run")
            except (OSError, ValueError, ImportError) as error:
                # News was lost, or a message was none; what is there is looked up anew.
                self._cannot(f"udev cannot be heard: {type(error).__name__}")
            except Exception as error:
                # What udev tells comes from devices that may be made to confuse.
                log.exception("watching devices failed")
                self._cannot(f"internal error: {type(error).__name__}")
            if self._was_well:
                delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
            if not self._stopping:
                self._wakeup.wait(next(delays))

    def _cannot(self, problem: str) -> None:
        self._was_well = not self._problem
        if problem != self._problem:
            log.warning("devices are not watched", extra={"fields": {"reason": problem}})
        self._problem = problem

    def _watch(self) -> None:
        self._expect_udev()
        context = pyudev.Context()
        monitor = pyudev.Monitor.from_netlink(context)
        for subsystem in _KINDS:
            monitor.filter_by(subsystem)
        monitor.start()
        # After the monitor has been started, so that nothing falls between the two.
        devices = [one for kind in _KINDS for one in context.list_devices(subsystem=kind)]
        self._found = {one.device_path: notice for one in devices if (notice := notice_of(one))}
        self._problem = ""
        self._tell(is_start=not self._told)
        while not self._stopping:
            self._wait(monitor)
            while not self._stopping and (device := monitor.poll(timeout=0)) is not None:
                self._take(device)
                self._tell()
            self._tell()

    def _wait(self, monitor: pyudev.Monitor) -> None:
        ears = select.poll()
        ears.register(monitor.fileno(), select.POLLIN)
        ears.register(self._wakeup.fd, select.POLLIN)
        rest_s = _HELD_S if self._left or self._found != self._told else _LOOK_AGAIN_S
        if not ears.poll(rest_s * 1000):
            self._expect_udev()

    def _expect_udev(self) -> None:
        if not self._control.exists():
            raise _UdevAbsent

    def _take(self, device: pyudev.Device) -> None:
        path, action = device.device_path, device.action
        self._heard_at_s = self._clock.boot_s()
        if action == "move":
            self._found.pop(_property(device, "DEVPATH_OLD"), None)
        if action == "remove":
            self._found.pop(path, None)
            self._left.add(path)
        elif action in ("add", "move") and (notice := notice_of(device)):
            self._found[path] = notice

    def _tell(self, *, is_start: bool = False) -> None:
        gone = [path for path in self._told if path in self._left or path not in self._found]
        for path in gone:
            if self._may_tell(path):
                self._publish(replace(self._told.pop(path), is_present=False))
        self._left = self._told.keys() & gone
        for path, notice in self._found.items():
            if path not in self._told and self._may_tell(path):
                self._told[path] = notice
                self._publish(notice, is_news=not is_start)
            elif self._told.get(path, notice) != notice:
                self._told[path] = notice

    def _may_tell(self, path: str) -> bool:
        now_s = self._clock.boot_s()
        return self._pace.allows(path, now_s, has_calmed=now_s - self._heard_at_s >= _CALM_S)

    def _publish(self, notice: DeviceNotice, *, is_news: bool = True) -> None:
        if is_news:
            self._recent.append((self._clock.wall_s(), notice))
        self._bus.publish(notice)


def notice_of(device: pyudev.Device) -> DeviceNotice | None:
    """Return what is told of a device that is there; None for what is no hardware, such as a console."""
    if device.subsystem not in _KINDS or "/devices/virtual/" in f"/{device.device_path.lstrip('/')}":
        return None
    if device.subsystem == "tty" and _attribute(device, "type") == _UNKNOWN_UART:
        return None
    return DeviceNotice(
        kind=_KINDS[device.subsystem],
        name=clean(device.sys_name, _LONGEST_NAME),
        node=clean(device.device_node or "", _LONGEST_NAME),
        description=description_of(device),
        is_present=True,
    )


def clean(text: str, longest: int) -> str:
    """Return one printable line of words; a device chooses its words itself, and means well or not.

    Hardware addresses and long numbers, which would tell one device from all others, are left out.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return " ".join(_MAC_OR_NUMBER.sub("", line).split())[:longest].strip()


def description_of(device: pyudev.Device) -> str:
    """Return maker and model in words, as udev's database or else the device tells them."""

    def first(*names: str) -> str:
        words = (_property(device, name).replace("_", " ") for name in names)
        return next((cleaned for one in words if (cleaned := clean(one, _LONGEST_PART))), "")

    maker = first("ID_VENDOR_FROM_DATABASE", "ID_USB_VENDOR", "ID_VENDOR")
    model = first("ID_MODEL_FROM_DATABASE", "ID_USB_MODEL", "ID_MODEL", "ID_NAME")
    if model.lower().startswith(maker.lower()):
        maker = ""
    # Parts of the board itself have no maker.
    own_name = first("ID_NET_DRIVER", "ID_USB_DRIVER") or clean(_attribute(device, "name"), _LONGEST_PART)
    return f"{maker} {model}".strip() or own_name


def _property(device: pyudev.Device, name: str) -> str:
    return str(device.properties.get(name, ""))


def _attribute(device: pyudev.Device, name: str) -> str:
    try:
        return str(device.attributes.get(name, b""), "utf-8", "replace").strip()
    except OSError:
        return ""


def log_notice(notice: DeviceNotice) -> None:
    """Log what came or went; for a subscriber of the bus."""
    fields = {"kind": notice.kind, "name": notice.name, "is": notice.description}
    log.info("device is there" if notice.is_present else "device is gone", extra={"fields": fields})
