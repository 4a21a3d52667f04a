"""A systemd of the test's own: a real service manager with its bus, in a mount and a control group of its own."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests import needs

_GROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
_PATIENCE_S = 10.0
# As a user's manager it needs neither to be process 1 nor a machine that was booted by systemd, which the empty
# /run/systemd/system makes it believe.
_START = """
set -e
echo $$ >"$GROUP/cgroup.procs"
exec unshare --mount --cgroup sh -ec '
    mount --make-rprivate /
    mount -t tmpfs none /run
    mkdir -p /run/systemd/system
    mount -t cgroup2 none /sys/fs/cgroup
    exec "$SYSTEMD" --user --unit=default.target --log-target=console
'
"""
_ALONE = "[Unit]\nDefaultDependencies=no\n"
_UNITS = {
    "default.target": "[Unit]\nWants=dbus.socket dbus.service\n",
    "shutdown.target": _ALONE,
    "exit.target": _ALONE,
    "dbus.socket": _ALONE + "[Socket]\nListenStream={bus}\n",
    "dbus.service": _ALONE
    + "Requires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\n"
    + "ExecStart={dbus} --session --address=systemd: --nofork --nopidfile --systemd-activation\n",
}


class PrivateSystemd:
    """Started by the constructor, with units by name; `address` is where it is found on a bus."""

    def __init__(self, folder: Path, units: dict[str, str]) -> None:
        needs.root()
        needs.programs("systemd", "dbus-daemon", "unshare")
        runtime, unit_folder = folder / "run", folder / "units"
        for one in (runtime, unit_folder):
            one.mkdir(mode=0o700, parents=True)
        bus = runtime / "bus"
        for name, content in (_UNITS | {name: f"{_ALONE}{one}" for name, one in units.items()}).items():
            content = content.replace("{bus}", str(bus)).replace("{dbus}", needs.program("dbus-daemon"))
            (unit_folder / name).write_text(content)
        self.address = f"unix:path={bus}"
        self._group = _make_group()
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["sh", "-c", _START],
            env={
                "PATH": os.environ["PATH"],
                "GROUP": str(self._group),
                "SYSTEMD": needs.program("systemd"),
                "XDG_RUNTIME_DIR": str(runtime),
                "SYSTEMD_UNIT_PATH": str(unit_folder),
            },
            stdout=self._log,
            stderr=self._log,
        )
        end_s = time.monotonic() + _PATIENCE_S
        while not bus.exists():
            if self._process.poll() is not None or time.monotonic() > end_s:
                self.stop()
                pytest.skip("NOT SHOWN HERE: needs namespaces and control groups for a systemd of its own")
            time.sleep(0.02)

    def stop(self) -> None:
        (self._group / "cgroup.kill").write_text("1")
        self._process.wait(10)
        self._log.close()
        for group in sorted(self._group.rglob("*/"), reverse=True):
            if group.is_dir():
                _remove(group)
        _remove(self._group)


def _make_group() -> Path:
    for parent in _GROUPS:
        if (parent / "cgroup.procs").exists() and (parent / "cgroup.controllers").exists():
            group = parent / f"otppi-test-{os.getpid()}"
            try:
                group.mkdir()
            except OSError:
                continue
            return group
    pytest.skip("NOT SHOWN HERE: needs a control group (version 2) that can be written to")


def _remove(group: Path) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            group.rmdir()
        except OSError:
            # Its last process has been killed and is not gone yet.
            if time.monotonic() > end_s:
                raise
            time.sleep(0.02)
        else:
            return
