"""A board in QEMU: switched on, plugged into, driven by its serial lines, and robbed of its power."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.image_bench.disk import DISK_ID, Parts
from tests.image_bench.kinds import VIRTUAL, Kind
from tests.image_bench.recipe import STAGE
from tests.image_bench.wire import Done, Line, MachineFailed, Monitor, RootShell
from tests.image_bench.writes import logged

_COMMAND_S = 60.0
_SHELL_S = 600.0
_BOOT_S = 900.0
_PLUG_S = 20.0
_GLANCE_S = 0.3
TOOLBOX = "/run/toolbox"
OUTSIDE = "10.0.2.100"  # a server on the far side of the guest's Ethernet cable
# What the device's own cmdline.txt has; Raspberry Pi OS names Ethernet eth0 by the last word.
_WORDS = (
    f"root=PARTUUID={DISK_ID.removeprefix('0x')}-02",
    *(STAGE / "95-raspberrypi/files/cmdline.words").read_text().split(),
    "net.ifnames=0",
)
_CARRIER = Path(__file__).with_name("outside.py")
_RADIO = ("modules_load=mac80211_hwsim", "mac80211_hwsim.radios=2")


@dataclass(frozen=True, kw_only=True)
class Board:
    """What the machine is made of."""

    kind: Kind = VIRTUAL
    ram_mib: int = 1024
    has_radio: bool = True
    forwarded: Sequence[int] = (22, 25, 80, 443, 8888, 8899, 9000)  # TCP ports of its Ethernet side
    outside: Sequence[int] = (
        1883,
        2525,
    )  # TCP ports that the guest finds at OUTSIDE; see `Machine.serve_outside`
    words: Sequence[str] = ()  # further words for the kernel
    mac: str = "52:54:00:12:34:56"
    has_worn_card: bool = False  # it takes no writes any more


class Machine:
    """One board with one card; `power_on` and `cut_power` as often as wanted. One caller at a time."""

    def __init__(
        self,
        parts: Parts,
        board: Board | None = None,
        *,
        card: Path | None = None,
        writes: Path | None = None,
    ) -> None:
        """Make the card; nothing runs yet.

        Args:
            parts: What the machine is given.
            board: What it is made of.
            card: A raw image to go on from, itself left as it is; without it the card is as the image.
            writes: Where the next run keeps a log of all that it writes to the card.
        """
        self.board = board or Board()
        self.folder = Path(tempfile.mkdtemp(prefix="otppi-machine-"))
        self._parts = parts
        self.card = self.folder / "card.qcow2"
        self._writes = writes
        based_on = ("-F", "qcow2", "-b", str(parts.card)) if card is None else ("-F", "raw", "-b", str(card))
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", *based_on, str(self.card)], check=True, timeout=60
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._plugged: dict[str, str] = {}
        self.ports: Mapping[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)

    def power_on(self) -> None:
        """Start QEMU; waits until there is a shell and all jobs of the boot are done."""
        self.start()
        self.wait_until_up()

    def start(self) -> None:
        """Start QEMU and return at once."""
        for name in ("qmp", "shell", "console"):
            (self.folder / name).unlink(missing_ok=True)
        self.ports = _free_ports(self.board.forwarded)
        self._plugged.clear()
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        try:
            self.monitor = Monitor(self.folder / "qmp")
            self.console = Line(self.folder / "console", self.folder / "console.log")
            self._shell_line = Line(self.folder / "shell", self.folder / "shell.log")
        except MachineFailed as error:
            raise MachineFailed(f"{error}\n{(self.folder / 'qemu.log').read_text()}") from error
        self.shell = RootShell(self._shell_line)

    def wait_until_up(self) -> None:
        """Wait until systemd has done all jobs of the boot, well or not."""
        self.shell.open(_SHELL_S * self.board.kind.patience)
        state = 'case "$(systemctl is-system-running)" in running | degraded) true ;;'
        until_done = f"{state} *) systemctl list-jobs; false ;; esac"
        self.wait_for(until_done, limit_s=_BOOT_S, what="the end of the boot")
        if self.board.kind.has_toolbox:
            self.run(f"mkdir -p {TOOLBOX} && mount -o ro,exec LABEL=toolbox {TOOLBOX}")

    def run(self, script: str, *, limit_s: float = _COMMAND_S, check: bool = True) -> Done:
        """Run a script in the guest as root.

        Raises:
            MachineFailed: It did not end in time; or it failed and `check` is true.
        """
        done = self.shell.run(script, limit_s * self.board.kind.patience)
        if check and done.code != 0:
            raise MachineFailed(f"{script}\nended with {done.code}: {done.said}")
        return done

    def wait_for(self, script: str, *, limit_s: float = _COMMAND_S, what: str = "") -> str:
        """Wait until a script succeeds and return what it said."""
        until = time.monotonic() + limit_s * self.board.kind.patience
        while True:
            done = self.run(script, check=False)
            if done.code == 0:
                return done.said
            if time.monotonic() > until:
                raise MachineFailed(f"{what or script} not within {limit_s:g} s: {done.said}")
            time.sleep(_GLANCE_S)

    def put(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a small file in the guest."""
        words = data.hex(" ", 1).split()
        octal = "".join(f"\\{int(word, 16):03o}" for word in words)
        self.run(f"umask 077; printf '{octal}' > {path} && chmod {mode:o} {path}")

    def plug_serial(self, name: str, tty: Path) -> str:
        """Plug in a USB serial adapter that leads to a terminal of this machine; return the guest's device."""
        backend = {"type": "serial", "data": {"device": str(tty.resolve())}}
        self.monitor.do("chardev-add", id=f"{name}-line", backend=backend)
        self._plug("usb-serial", name, chardev=f"{name}-line", serial=name)
        by_id = f"/dev/serial/by-id/*{name}*"
        return self.wait_for(f"readlink -f {by_id} && ls {by_id}", limit_s=_PLUG_S).splitlines()[0]

    def plug_played(self, name: str, port: str) -> Path:
        """Plug in a USB device that somebody plays at the socket that is returned, in the protocol of usbredir."""
        path = self.folder / f"{name}-line"
        address = {"type": "unix", "data": {"path": str(path)}}
        backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
        self.monitor.do("chardev-add", id=f"{name}-line", backend=backend)
        self._plug("usb-redir", name, chardev=f"{name}-line", port=port)
        return path

    def unplug_serial(self, name: str) -> None:
        """Pull the adapter, or the device that is played."""
        takes_line_along = self._plugged[name] == "usb-redir"
        self._unplug(name)
        if not takes_line_along:
            self.monitor.do("chardev-remove", id=f"{name}-line")

    def serve_outside(self, port: int, server_port: int) -> None:
        """Let a server of this machine be what the guest finds at OUTSIDE, at one of the board's ports."""
        self._outside(port).write_text(str(server_port))

    def pull_ethernet(self) -> None:
        """Pull the cable."""
        self.monitor.do("set_link", name="net", up=False)

    def plug_ethernet(self) -> None:
        """Put the cable back."""
        self.monitor.do("set_link", name="net", up=True)

    def plugged_serials(self) -> list[str]:
        """Return the adapters and the devices that are played which are in."""
        return [name for name, driver in self._plugged.items() if driver != "usb-storage"]

    def plug_stick(self, name: str, image: Path) -> str:
        """Plug in a USB stick with this content, which the guest may write to; return the guest's disk."""
        known = set(self._disks())
        node: dict[str, object] = {"driver": "raw", "node-name": f"{name}-disk"}
        self.monitor.do("blockdev-add", **node, file={"driver": "file", "filename": str(image)})
        self._plug("usb-storage", name, drive=f"{name}-disk", serial=name)
        until = time.monotonic() + _PLUG_S * self.board.kind.patience
        while not (fresh := set(self._disks()) - known):
            if time.monotonic() > until:
                raise MachineFailed(f"the stick {name} did not show up")
            time.sleep(_GLANCE_S)
        return fresh.pop()

    def unplug_stick(self, name: str) -> None:
        """Pull the stick."""
        self._unplug(name)
        self.monitor.do("blockdev-del", **{"node-name": f"{name}-disk"})

    def save(self, name: str) -> None:
        """Keep the whole state under a name; nothing may be plugged in."""
        self.monitor.human(f"savevm {name}")

    def load(self, name: str) -> None:
        """Go back to a state; what was plugged in since is not there any more."""
        for one in list(self._plugged):
            self.unplug_stick(one) if self._plugged[one] == "usb-storage" else self.unplug_serial(one)
        self.monitor.human(f"loadvm {name}")
        self.shell.resume()
        # The guest's clock stood still meanwhile.
        self.run(f"date -s @{time.time():.0f}")

    def cut_power(self) -> None:
        """Pull the plug: nothing that the guest has not flushed by then needs to be on the card."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(20)
        self._process = None
        self._plugged.clear()
        with suppress(AttributeError, OSError):
            for line in (self.monitor, self.console, self._shell_line):
                line.close()

    def reboot(self) -> None:
        """Restart in good order."""
        self.run("systemd-run --on-active=1 --timer-property=AccuracySec=100ms systemctl reboot")
        assert self._process is not None
        self._process.wait(_BOOT_S)
        self.cut_power()
        self.power_on()

    def _disks(self) -> list[str]:
        return self.run("ls /sys/block").said.split()

    def _plug(self, driver: str, name: str, **properties: str) -> None:
        self.monitor.do("device_add", driver=driver, id=name, bus=self.board.kind.usb_bus, **properties)
        self._plugged[name] = driver

    def _unplug(self, name: str) -> None:
        self.monitor.do("device_del", id=name)
        self.monitor.wait_for("DEVICE_DELETED", _PLUG_S * self.board.kind.patience, device=name)
        del self._plugged[name]

    def _command(self) -> list[str]:
        kind = self.board.kind
        card = str(self.card) if self._writes is None else logged(self.card, self._writes)
        card += ",readonly=on" if self.board.has_worn_card else ""
        words = (*_WORDS, *(_RADIO if self.board.has_radio else ()), *kind.words(self._parts.architecture))
        return [
            *kind.command(self._parts, card, self.board.mac),
            *("-m", str(self.board.ram_mib), "-netdev", self._network()),
            *("-kernel", str(self._parts.kernel), "-initrd", str(self._parts.initrd)),
            *("-append", " ".join((*words, *self.board.words))),
            *("-display", "none", "-monitor", "none", "-no-reboot", "-nodefaults"),
            *("-qmp", "unix:qmp,server=on,wait=off"),
            *("-chardev", "socket,id=console,path=console,server=on,wait=off"),
            *("-chardev", "socket,id=shell,path=shell,server=on,wait=off"),
        ]

    def _network(self) -> str:
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in self.ports.items())
        outside = "".join(
            f",guestfwd=tcp:{OUTSIDE}:{port}-cmd:{sys.executable} -IS {_CARRIER} {self._outside(port)}"
            for port in self.board.outside
        )
        return f"user,id=net,restrict=on{forwards}{outside}"

    def _outside(self, port: int) -> Path:
        return self.folder / f"outside-{port}"


def _free_ports(wanted: Sequence[int]) -> dict[int, int]:
    with ExitStack() as held:  # all at once, or one could be found twice
        probes = {port: held.enter_context(socket.socket()) for port in wanted}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        return {port: probe.getsockname()[1] for port, probe in probes.items()}
