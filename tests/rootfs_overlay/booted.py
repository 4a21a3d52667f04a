"""The overlay's units under a real systemd, in namespaces of their own on this machine's programs.

This is not the image: there is no udev, no radio, no disk, no memory controller. It shows that the units start, what
their restrictions let pass, and what polkit and systemd answer.
"""

import os
import pty
import subprocess
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests import needs
from tests.rootfs_overlay.staged import (
    ROOT,
    copy_foreign_configuration,
    copy_overlay,
    instance_of,
    own_units,
    put_program,
)

_HERE = Path(__file__).parent
_TARGET = "otppi-test.target"
_BOOT_S = 40.0
_NAMESPACES = (
    "unshare",
    "--kill-child",
    "--fork",
    "--mount",
    "--pid",
    "--cgroup",
    "--net",
    "--uts",
    "--ipc",
)
# Of the machine, which must stay as it is; and there is no udev to wait for.
_MASKED = (
    "apparmor.service",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-flush.service",
    "systemd-random-seed.service",
    "systemd-sysctl.service",
    "systemd-timedated.service",
    "systemd-timesyncd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "systemd-update-utmp.service",
)
# Name, mode, group, kind, major, minor.
_NODES = """\
null 666 root c 1 3
zero 666 root c 1 5
full 666 root c 1 7
random 666 root c 1 8
urandom 666 root c 1 9
tty 666 root c 5 0
ttyS0 660 dialout c 4 64
vcs 666 root c 7 0
i2c-1 666 root c 89 1
loop0 666 root b 7 0
"""


class BootedOverlay:
    """Started by the constructor, which returns when all units were started; `stop` leaves nothing behind."""

    def __init__(self, stage: Path) -> None:
        self._stage = stage
        self._cgroup = _own_cgroup()
        self._console: list[bytes] = []
        self._first: int | None = None
        _prepare(stage)
        try:
            self._start()
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def run(self, *command: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the system as its root."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._first), "--all", "--", *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.returncode} {done.stdout}{done.stderr}\n{self.console}")
        return done

    def run_as(self, user: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the system as one of its users; may fail."""
        return self.run(
            "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command, check=False
        )

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()

    def wait(self, what: str, *command: str, is_so: str = "", limit_s: float = 15.0) -> str:
        """Wait until a command succeeds, or says so; return what it says."""
        until = time.monotonic() + limit_s
        while True:
            done = self.run(*command, check=False)
            if (done.stdout.strip() == is_so) if is_so else done.returncode == 0:
                return done.stdout
            if time.monotonic() > until:
                raise AssertionError(f"{what}: {done.stdout}{done.stderr}\n{self.console}")
            time.sleep(0.1)

    @property
    def console(self) -> str:
        """What was said on the console so far."""
        return b"".join(self._console).decode(errors="replace")

    def stop(self) -> None:
        """End the first process, and with it all others and all mounts."""
        if self._first is not None:
            with suppress(ProcessLookupError):
                os.kill(self._first, 9)
        self._outer.wait(20)
        self._reader.join(20)
        os.close(self._terminal)
        _remove_cgroup(self._cgroup)

    def _start(self) -> None:
        self._terminal, console = pty.openpty()
        self._outer = subprocess.Popen(
            [*_NAMESPACES, str(_HERE / "enter.sh"), str(self._stage), _TARGET],
            stdin=console,
            stdout=console,
            stderr=console,
            start_new_session=True,
            preexec_fn=lambda: _move_to(self._cgroup),
        )
        os.close(console)
        self._reader = threading.Thread(target=self._read_console, daemon=True)
        self._reader.start()

    def _read_console(self) -> None:
        with suppress(OSError):  # the terminal's other end is gone: the system has ended
            while data := os.read(self._terminal, 65536):
                self._console.append(data)

    def _wait_until_up(self) -> None:
        until = time.monotonic() + _BOOT_S
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        while self._outer.poll() is None and time.monotonic() < until:
            if self._first is None:
                found = children.read_text().split()
                self._first = int(found[0]) if found else None
            elif self.run("systemctl", "is-active", _TARGET, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"it did not come up:\n{self.console}")


def _prepare(stage: Path) -> None:
    tree = stage / "tree"
    (stage / "root").mkdir(parents=True)
    (stage / "nodes").write_text(_NODES)
    copy_overlay(tree)
    copy_foreign_configuration(tree)
    _put_secrets(tree)
    _put_units(tree)
    probe = (_HERE / "probe.py").read_text()
    put_program(tree, "usr/lib/otppi/venv/bin/otppi", probe)
    put_program(tree, "usr/sbin/hwclock", probe)
    put_program(tree, "usr/lib/otppi/gateway", _GATEWAY)
    put_program(tree, "usr/lib/otppi/broker", _BROKER)
    (tree / "usr/lib/otppi/source/otppi").mkdir(parents=True)
    (tree / "usr/lib/otppi/site").mkdir()
    site = sysconfig.get_path("purelib")
    (stage / "binds").write_text(f"{ROOT / 'otppi'} usr/lib/otppi/source/otppi\n{site} usr/lib/otppi/site\n")


_PROGRAM = """\
#!/usr/bin/python3
import sys
sys.path[:0] = ["/usr/lib/otppi/source", "/usr/lib/otppi/site"]
"""
_GATEWAY = f"{_PROGRAM}from otppi.__main__ import main\nmain()\n"
_BROKER = f"{_PROGRAM}from otppi.wsbroker.cli import ws_broker\nws_broker()\n"


def _put_secrets(tree: Path) -> None:
    for name in (
        "etc/shadow",
        "etc/NetworkManager/system-connections/secret",
        "boot/firmware/otppi.toml",
        "data/system/ssh/authorized_keys",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("invented\n")
    (tree / "etc/NetworkManager/system-connections/secret").chmod(0o600)
    (tree / "data/system/ssh").chmod(0o700)


def _put_units(tree: Path) -> None:
    own = tree / "etc/systemd/system"
    own.mkdir(parents=True)
    (tree / "etc/machine-id").write_text("uninitialized\n")
    for name in _MASKED:
        (own / name).symlink_to("/dev/null")
    started = [*own_units("path"), *(name for name in own_units("service") if name not in _TRIGGERED)]
    wanted = " ".join(map(instance_of, started))
    (own / _TARGET).write_text(f"[Unit]\nWants=dbus.socket {_HOLDER} {wanted}\n")
    (own / _HOLDER).write_text(_HOLDING.format(wanted))
    # Before any unit: something to be read or not.
    (tree / "usr/lib/tmpfiles.d/otppi-test.conf").write_text(
        "f /var/lib/otppi/secret 0600 otppi otppi - invented\n"
        "f /var/lib/otppi/ws-broker.htpasswd 0600 root root - invented:{SHA}86kpszZLRxpIH0982gtFWezemro=\n"
    )
    for unit in ("otppi.service.d", "otppi-.service.d"):
        (own / unit).mkdir()
        (own / unit / "90-test.conf").write_text(
            "[Service]\nStandardOutput=append:/run/said-by-%n\nStandardError=append:/run/errors-of-%n\n"
        )


# A program of root that has locked what stands for a port; ready as soon as it has.
_HOLDER = "test-holder.service"
_HOLDING = """\
[Unit]
DefaultDependencies=no
Before={}
[Service]
Type=notify
NotifyAccess=all
ExecStart=flock --no-fork /run/port sh -c "systemd-notify --ready; sleep infinity; :"
"""
_TRIGGERED = ("otppi-reset.service",)


def _own_cgroup() -> Path:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            cgroup = Path(place) / f"otppi-test-{os.getpid()}"
            cgroup.mkdir()
            return cgroup
    needs.device("/sys/fs/cgroup/cgroup.procs")
    raise AssertionError("unreachable")


def _move_to(cgroup: Path) -> None:
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))


def _remove_cgroup(cgroup: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            for folder, _, _ in os.walk(cgroup, topdown=False):
                os.rmdir(folder)
        except OSError:
            time.sleep(0.1)  # the last processes are still on their way out
        else:
            return
