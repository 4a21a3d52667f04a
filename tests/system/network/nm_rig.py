"""A real NetworkManager of the test's own: private bus, private namespaces, virtual cables.

What it could change on this machine is replaced for it: network, host name, /etc, /run and
/var/lib/NetworkManager are its own, /sys is read-only (so that it does not wait for udev). The other ends of the
cables are in a namespace of their own, where a test may put a DHCP server or another host.

python-networkmanager keeps what it learned of the first bus it sees for the life of the process, and wants to set
the process's default main loop. So the tests talk to the driver in a child process (`DriverProcess`), one for each
rig; the bus address is all it is given.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from otppi.model.errors import HostError
from otppi.model.network import NetworkPlan, NetworkState
from tests import needs
from tests.system.private_bus import PrivateBus

_ROOT = Path(__file__).parents[3]
_CONFIG = """[main]
plugins=keyfile
auth-polkit=false
dns=none
rc-manager=unmanaged
no-auto-default=*
dhcp=internal
[keyfile]
path=/etc/NetworkManager/system-connections
[connectivity]
enabled=false
[logging]
level=INFO
"""
# Everything is made below the mount point, so nothing outside is touched; the namespaces take it all with them.
_SETUP = """
mount --make-rprivate /
mount -t sysfs -o ro sysfs /sys
for name in run varlib; do mkdir -p "$1/$name"; done
mount -t tmpfs tmpfs /run
mkdir -p /run/NetworkManager
mount --bind "$1/varlib" /var/lib/NetworkManager
mount --bind "$1/etc" /etc
hostname factory
ip link set lo up
echo ready
exec sleep infinity
"""


class NetworkManagerRig:
    """Started by the constructor; `stop` takes everything away again."""

    def __init__(self, folder: Path, interfaces: tuple[str, ...] = ("eth0",)) -> None:
        needs.root()
        needs.programs("NetworkManager", "unshare", "nsenter", "ip", "dbus-daemon")
        needs.module("NetworkManager")
        self._folder = folder
        self.etc = folder / "etc"
        self.bus = PrivateBus(folder / "bus")
        self._make_etc(self.etc)
        self._daemon: subprocess.Popen | None = None
        self._started: list[subprocess.Popen] = []
        self._peers = _Namespace(["sh", "-ec", "ip link set lo up; echo ready; exec sleep infinity"])
        self._device = _Namespace(["sh", "-ec", _SETUP, "setup", str(folder)])
        try:
            for interface in interfaces:
                self.plug_in(interface)
            self.start_networkmanager()
        except BaseException:
            self.stop()
            raise

    def plug_in(self, interface: str) -> None:
        """Make a virtual cable; its other end is up, in the namespace of the peers."""
        peer = f"{interface}p"
        self.device("ip", "link", "add", interface, "type", "veth", "peer", "name", peer)
        self.device("ip", "link", "set", peer, "netns", str(self._peers.pid))
        self.peers("ip", "link", "set", peer, "up")

    def lend_radio(self, phy: str) -> None:
        """Give a radio to the namespace; the kernel takes it back when the namespace ends."""
        _ran([needs.program("iw"), "phy", phy, "set", "netns", str(self._device.pid)])

    def wifi_interface(self) -> str:
        lines = self.device(needs.program("iw"), "dev").splitlines()
        return next(line.split()[1] for line in lines if line.strip().startswith("Interface "))

    def start_supplicant(self) -> None:
        """Start the Wi-Fi service on the private bus."""
        address = f"DBUS_SYSTEM_BUS_ADDRESS={self.bus.address}"
        supplicant = needs.program("wpa_supplicant")
        self._started.append(
            subprocess.Popen(
                [*self._device.entry(), "env", address, supplicant, "-u", "-O", "/run/wpa_supplicant"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def start_networkmanager(self) -> None:
        log = (self._folder / "nm.log").open("ab")
        with log:
            self._daemon = subprocess.Popen(
                [*self._device.entry(), needs.program("NetworkManager"), "--debug"],
                env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus.address},
                stdout=log,
                stderr=log,
            )

    def kill_networkmanager(self) -> None:
        """End NetworkManager as a crash would."""
        self._daemon.kill()
        self._daemon.wait(10)

    def device(self, *command: str) -> str:
        """Run a program where NetworkManager runs."""
        return _ran([*self._device.entry(), *command])

    def peers(self, *command: str) -> str:
        """Run a program at the other ends of the cables."""
        return _ran([*self._peers.entry(), *command])

    def start_peer(self, *command: str) -> None:
        """Start a program at the other ends of the cables; ends with the rig."""
        self._started.append(
            subprocess.Popen(
                [*self._peers.entry(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    def nmcli(self, *words: str) -> str:
        """Ask NetworkManager by another client than ours."""
        address = f"DBUS_SYSTEM_BUS_ADDRESS={self.bus.address}"
        return self.device("env", address, needs.program("nmcli"), *words)

    def nm_log(self) -> str:
        return (self._folder / "nm.log").read_text(errors="replace")

    def profile_files(self) -> dict[str, str]:
        folder = self.etc / "NetworkManager/system-connections"
        return {one.name: one.read_text() for one in folder.iterdir()}

    def stop(self) -> None:
        self._device.stop()
        self._peers.stop()
        for one in (self._daemon, *self._started):
            if one is not None:
                one.wait(10)
        self.bus.stop()

    def _make_etc(self, etc: Path) -> None:
        for name in ("system-connections", "dnsmasq-shared.d", "conf.d"):
            (etc / "NetworkManager" / name).mkdir(parents=True)
        (etc / "NetworkManager/NetworkManager.conf").write_text(_CONFIG)
        (etc / "hostname").write_text("factory\n")
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime", "protocols"):
            if (original := Path("/etc") / name).exists():
                (etc / name).write_bytes(original.read_bytes())


class _Namespace:
    """Namespaces for network, mounts and host name, which end with the processes in them.

    Process numbers are those of the machine: NetworkManager looks up who calls it.
    """

    def __init__(self, held_by: list[str]) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--uts", "--mount", *held_by], stdout=subprocess.PIPE, text=True
        )
        self.pid = self._holder.pid
        assert self._holder.stdout.readline() == "ready\n"

    def entry(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--net", "--uts", "--mount", "--"]

    def stop(self) -> None:
        network = os.readlink(f"/proc/{self.pid}/ns/net")
        for pid in _processes_in(network):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._holder.wait(10)
        self._holder.stdout.close()


def _processes_in(network: str) -> Iterator[int]:
    """Find the processes in a namespace that this rig has made."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "ns/net") == network:
                yield int(process.name)


def _ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


class DriverProcess:
    """`NetworkManagerNetwork` in a process of its own; a `Network` to whoever holds it."""

    def __init__(self, bus_address: str, **options: float) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.system.network.nm_driver"],
            cwd=_ROOT,
            # Without the id of the daemon: on a device too it may be another one after a restart.
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus_address.partition(",")[0]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._child.pid
        pickle.dump(options, self._child.stdin)

    def state(self) -> NetworkState:
        return self.call("state")

    def apply(self, plan: NetworkPlan) -> None:
        self.call("apply", plan)

    def begin_trial(self, rollback_s: int) -> str:
        return self.call("begin_trial", rollback_s)

    def keep(self, trial: str) -> None:
        self.call("keep", trial)

    def take_back(self, trial: str) -> None:
        self.call("take_back", trial)

    def call(self, method: str, *args: Any) -> Any:
        pickle.dump((method, args), self._child.stdin)
        self._child.stdin.flush()
        is_well, answer = pickle.load(self._child.stdout)  # noqa: S301 - from our own child or parent
        if is_well:
            return answer
        kind, text = answer
        raise kind(*text)

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.kill()
        self.stop()

    def stop(self) -> None:
        self._child.stdin.close()
        self._child.wait(10)
        self._child.stdout.close()


def wait_for(is_so: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for a real process to get somewhere."""
    deadline_s = time.monotonic() + limit_s
    while not _answers(is_so):
        assert time.monotonic() < deadline_s, "did not happen in time"
        time.sleep(0.05)


def _answers(is_so: Callable[[], bool]) -> bool:
    try:
        return is_so()
    except HostError:
        return False
