"""A gateway and its simulated modems, set up for one measurement and taken down after it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from otppi.modems.settings import ModemSettings
from otppi.services.offline import administer
from otppi.settings.store import SettingsStore
from tests.bench import processes
from tests.bench.caller import PASSWORD, USER, Connection, sms, verification
from tests.bench.rows import CouldNotMeasure, Extent
from tests.bench.simulator import Simulator
from tests.ports import free_port
from tests.web.admin_client import PASSWORD as OWNER_PASSWORD
from tests.web.admin_client import AdminClient

_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 3.0
_WARM_UP_MESSAGES = 4
_OWNER = "owner"
_RAM = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it


class Rig:
    """`otppi serve` on a state folder of its own, with modems that are ready when the block is entered."""

    def __init__(
        self,
        extent: Extent,
        *,
        modems: int,
        submit_s: float = 0.0,
        settings: Mapping[str, Any] | None = None,
        personalities: Sequence[str] = ("generic",),
        program: str = "otppi",
    ) -> None:
        self.modems = modems
        self._program = program
        self._personalities = personalities
        self._extent = extent
        self._submit_s = submit_s
        self._settings = settings or {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """The process of the gateway."""
        return self._process.pid

    def log_in(self) -> None:
        """Make the one request after a start that takes longer, because its password is hashed slowly."""
        self._ask_for(verification(0, "000000"), "1202")

    def warm_up(self) -> None:
        """Send a few messages that nobody counts."""
        for index in range(_WARM_UP_MESSAGES):
            self._ask_for(sms(999_000 + index), "0000")
        self.simulator.new_messages()

    def owner(self) -> AdminClient:
        """Log in at the admin pages."""
        owner = AdminClient(self.admin_port)
        if owner.log_in(_OWNER).status != 303:
            raise CouldNotMeasure("the administrator could not log in")
        return owner

    def wait_all_ready(self, limit_s: float) -> None:
        """Wait until no modem is missing."""
        deadline = time.monotonic() + limit_s
        while self._health().get("modems_ready", 0) < self.modems:
            if time.monotonic() > deadline:
                raise CouldNotMeasure(f"not all modems were ready again after {limit_s:g} s")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the gateway without any courtesy."""
        self._process.kill()
        self._process.wait()

    def complaints(self) -> list[str]:
        """Return what the gateway logged at level warning or above."""
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if {"warning", "error", "critical"} & set(line.split()[1:2])]

    def _ask_for(self, wanted: bytes, code: str) -> None:
        connection = Connection(self.port)
        try:
            answer = connection.exchange(wanted, 30.0)
        finally:
            connection.close()
        if answer.code != code:
            raise CouldNotMeasure(f"the first request was answered with {answer.code}")

    def _set_up(self) -> None:
        # Settings lie on a disk, as on a device; what a device keeps in RAM is in RAM here as well.
        self.state_dir = self._folder(self._extent.folder) / "state"
        ram = self._folder(_RAM if os.access(_RAM, os.W_OK) else Path(tempfile.gettempdir()))
        self._log = ram / "log"
        self.simulator = self._stack.enter_context(
            Simulator(ram / "ports", self.modems, self._submit_s, self._personalities)
        )
        self.port, self.admin_port = free_port(), free_port()
        self._configure()
        self.began_s = time.monotonic()
        self._process = self._start(ram / "runtime")
        self.listening_s = self._wait_listening()
        self.first_ready_s = self._wait_ready(1)
        self.all_ready_s = self._wait_ready(self.modems)
        self._wait_learned()

    def _folder(self, parent: Path) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="otppi-bench-", dir=parent))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _configure(self) -> None:
        # What `otppi settings set`, `modem add`, `api-user add` and `admin add` do while no gateway runs, without a new
        # process for each of up to forty calls.
        settings = {
            "api.host": "127.0.0.1",
            "api.http_port": self.port,
            "api.https_enabled": False,
            "admin.host": "127.0.0.1",
            "admin.http_port": self.admin_port,
            "admin.https_enabled": False,
            **self._settings,
        }
        for path, value in settings.items():
            administer(
                self.state_dir,
                "settings.set",
                {"values": {path: str(value).lower() if isinstance(value, bool) else str(value)}},
            )
        administer(self.state_dir, "api_user.add", {"user": USER, "password": PASSWORD})
        administer(self.state_dir, "admin.add", {"user": _OWNER, "password": OWNER_PASSWORD})
        for name, port in self.simulator.ports.items():
            modem = {"name": name, "port": port, "prefixes": [], "is_default": True}
            administer(self.state_dir, "modem.add", modem)

    def _start(self, runtime_dir: Path) -> "subprocess.Popen[bytes]":
        log = self._stack.enter_context(self._log.open("wb"))
        command = [sys.executable, "-m", self._program, "serve", "--state-dir", str(self.state_dir)]
        process = subprocess.Popen(
            [*command, "--runtime-dir", str(runtime_dir)],
            cwd=processes.REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self._stack.callback(processes.end, process, _STOP_LIMIT_S)
        return process

    def _wait_listening(self) -> float:
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5.0).close()
            except ConnectionRefusedError:
                self._pause("does not listen")
            else:
                return time.monotonic() - self.began_s

    def _wait_ready(self, modems: int) -> float:
        while self._health().get("modems_ready", 0) < modems:
            self._pause(f"has not {modems} modems ready")
        return time.monotonic() - self.began_s

    def _wait_learned(self) -> None:
        # What a modem tells of itself is saved once, a moment after it was ready for the first time.
        while not all(one.imei and one.iccid for one in self._known_modems()):
            self._pause("has not saved what its modems told")

    def _known_modems(self) -> Iterable[ModemSettings]:
        store = SettingsStore(self.state_dir, (ModemSettings,), None, read_only=True)
        return store.items(ModemSettings).values()

    def _health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5.0) as answer:
                health: dict[str, Any] = json.load(answer)
                return health
        except urllib.error.HTTPError as error:
            error.close()
            return {}

    def _pause(self, what: str) -> None:
        if self._process.poll() is not None:
            last = self._log.read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise CouldNotMeasure(f"the gateway ended by itself: {' '.join(last)}")
        if time.monotonic() - self.began_s > _START_LIMIT_S:
            raise CouldNotMeasure(f"the gateway {what} after {_START_LIMIT_S:g} s")
        time.sleep(0.005)
