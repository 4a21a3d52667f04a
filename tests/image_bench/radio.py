"""A Wi-Fi client next to the board: the second simulated radio, in a network namespace of the guest."""

import json
import shlex
from collections.abc import Mapping, Sequence

from tests.image_bench.machine import TOOLBOX, Machine
from tests.image_bench.wire import Done

_STATION = f"{TOOLBOX}/station.sh"
_LEASE_S = 20


class Station:
    """Joins, gets an address, looks around; a machine has one."""

    def __init__(self, machine: Machine) -> None:
        """Take the second radio away from the board."""
        self._machine = machine
        machine.run(f"{_STATION} make")

    def join(self, ssid: str, passphrase: str, *, limit_s: int = 45) -> bool:
        """Join a network; whether it let the client in."""
        words = shlex.join(["join", ssid, passphrase, str(limit_s)])
        return self._machine.run(f"{_STATION} {words}", limit_s=limit_s + 60, check=False).code == 0

    def lease(self) -> Mapping[str, str]:
        """Ask for an address and take it; return what the server told: ip, mask, router, dns, lease, domain."""
        said = self._machine.run(f"{_STATION} lease {_LEASE_S} 2>/dev/null", limit_s=_LEASE_S + 30).said
        return dict(line.partition("=")[::2] for line in said.splitlines())

    def leave(self) -> None:
        """Go away."""
        self._machine.run(f"{_STATION} leave")

    def get(self, url: str, *options: str) -> Done:
        """Fetch a page: the code is 0 for an answer below 400, what is said are headers and body."""
        return self.run(f"{TOOLBOX}/busybox", "wget", "-S", "-T", "20", "-O", "-", *options, url)

    def knock(self, address: str, ports: Sequence[int]) -> Mapping[int, str]:
        """Return for each TCP port: open, closed (refused) or silent."""
        words = [str(port) for port in ports]
        said = self.run("python3", "-I", f"{TOOLBOX}/knock.py", address, *words).said
        return {int(port): answer for port, answer in json.loads(said).items()}

    def run(self, *command: str, limit_s: float = 60.0) -> Done:
        """Run a command on the client's side; may fail."""
        return self._machine.run(f"{_STATION} in {shlex.join(command)}", limit_s=limit_s, check=False)
