"""A device with dnsmasq as NetworkManager starts it, and those who joined its access point, in two namespaces."""

import json
import os
import subprocess
import sys
import time
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from otppi.model.network import AddressRange
from otppi.system.network.dnsmasq import networkmanager_range
from tests import needs

CLIENT = Path(__file__).with_name("dhcp_client.py")
PATIENCE_S = 10.0


def as_nm_1_42(own: IPv4Interface, _: AddressRange) -> str:
    made_up = networkmanager_range(own)
    return f"{made_up.first},{made_up.last},60m"


def as_nm_1_52(_: IPv4Interface, first: AddressRange) -> str:
    return f"{first.first},{first.last},600"


class AccessPointLab:
    """Use as a context; the namespaces and dnsmasq are gone afterwards."""

    def __init__(self, folder: Path, own: IPv4Interface) -> None:
        needs.root()
        needs.programs("ip", "dnsmasq")
        self.own = own
        self.device, self.phones = (f"otppi-{name}-{os.getpid()}" for name in ("device", "phones"))
        self._folder = folder
        self.conf_dir = folder / "dnsmasq-shared.d"
        self.conf_dir.mkdir()
        self._dnsmasq: subprocess.Popen[str] | None = None
        self.log = folder / "dnsmasq.log"

    def __enter__(self) -> "AccessPointLab":
        run("ip", "netns", "add", self.device)
        run("ip", "netns", "add", self.phones)
        peer = ["peer", "name", "wlan0", "netns", self.phones]
        run("ip", "-n", self.device, "link", "add", "wlan0", "type", "veth", *peer)
        other = f"{self.own.network.broadcast_address - 1}/{self.own.network.prefixlen}"
        for namespace, address in ((self.device, str(self.own)), (self.phones, other)):
            run("ip", "-n", namespace, "address", "add", address, "dev", "wlan0")
            run("ip", "-n", namespace, "link", "set", "wlan0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        if self._dnsmasq is not None:
            self._dnsmasq.terminate()
            self._dnsmasq.wait(PATIENCE_S)
        for namespace in (self.device, self.phones):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)

    def start(self, snippet: str, dhcp_range: str) -> None:
        """Start dnsmasq with the arguments that NetworkManager gives it (nm-dnsmasq-manager.c)."""
        (self.conf_dir / "otppi.conf").write_text(snippet)
        arguments = [
            "--conf-file=/dev/null",
            "--no-hosts",
            "--keep-in-foreground",
            "--bind-interfaces",
            "--except-interface=lo",
            "--clear-on-reload",
            "--strict-order",
            f"--listen-address={self.own.ip}",
            f"--dhcp-range={dhcp_range}",
            # What a profile with name servers and search domains of its own would add.
            "--dhcp-option=option:dns-server,192.0.2.53",
            "--dhcp-option=option:router,192.0.2.1",
            f"--dhcp-leasefile={self._folder}/leases",
            f"--pid-file={self._folder}/pid",
            f"--conf-dir={self.conf_dir}",
            # Not NetworkManager's: without it each new address costs three seconds.
            "--no-ping",
            f"--log-facility={self.log}",
        ]
        command = ["ip", "netns", "exec", self.device, str(needs.program("dnsmasq")), *arguments]
        self._dnsmasq = subprocess.Popen(command, text=True)
        self._wait_for_port(67)

    def lease(self, mac: str, wish: str = "") -> dict[str, Any] | None:
        return self._client("lease", "wlan0", mac, *([wish] if wish else []))

    def ask(self, name: str, kind: int = 1) -> dict[str, Any]:
        return self._client("ask", str(self.own.ip), name, str(kind))

    def _client(self, *arguments: str) -> Any:
        command = ["ip", "netns", "exec", self.phones, sys.executable, "-I", "-S", str(CLIENT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        return json.loads(done.stdout)

    def _wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while f":{port:04X} " not in Path(f"/proc/{self._dnsmasq.pid}/net/udp").read_text():
            assert self._dnsmasq.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
