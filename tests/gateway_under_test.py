"""A whole gateway in the test's process, on simulated modems behind real pseudo-terminals."""

import base64
import http.client
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otppi.api.settings import ApiSettings
from otppi.brokers.kinds import KINDS
from otppi.gateway.accounts import ApiUser
from otppi.gateway.otp import OtpSettings
from otppi.gateway.policy import SmsSettings
from otppi.lib.clock import SystemClock
from otppi.lib.passwords import hash_password
from otppi.model.ports import Stick
from otppi.modems.settings import ModemSettings
from otppi.services.ending import Ending
from otppi.services.folders import StateFolder
from otppi.services.gateway import Gateway
from otppi.services.hosts import desk
from otppi.settings.store import SettingsStore
from otppi.sim.line import SimLine, SimModems
from otppi.sim.magic import MagicTimes
from otppi.system.clock.keeper import ClockKeeper
from otppi.web.settings import AdminSettings

USER, PASSWORD = "shop", "correct horse battery"
# To hash it anew for each gateway would take as long as all the rest of its start.
_STORED_PASSWORD = hash_password(PASSWORD)
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass(frozen=True, kw_only=True)
class Sim:
    """A modem that the test wants."""

    name: str = "m0"
    prefixes: tuple[str, ...] = ()
    default: bool = False
    active: bool = True
    api_enabled: bool = True
    personality: str = "generic"
    submit_s: float = 0.0
    pin: str = ""
    sim_pin: str = ""
    imei: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # further ones


@dataclass
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["response_code"]


@dataclass
class GatewayUnderTest:
    directory: Path
    free_port: Callable[[], int]
    modems: tuple[Sim, ...] = (Sim(),)
    sms: dict[str, Any] = field(default_factory=dict)
    otp: dict[str, Any] = field(default_factory=dict)
    api: dict[str, Any] = field(default_factory=dict)
    brokers: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # settings by section; all are enabled
    magic_times: MagicTimes | None = None
    on_desk: bool = False  # with a simulated host to look after
    sticks: Callable[[], Sequence[Stick]] | None = None  # where that host looks for modems
    restart_usb: Callable[[str], None] | None = None  # how it switches one off and on
    own_clock: Callable[[SettingsStore], ClockKeeper] | None = None  # whose clock is set from the pages

    def __post_init__(self) -> None:
        self.port = self.free_port()
        self.admin_port = self.free_port()
        self.https_port = self.free_port()
        self.runtime_dir = Path(tempfile.mkdtemp(prefix="otppi-test-", dir="/dev/shm"))
        self.state_dir = self.directory / "state"
        self.sim = SimModems(self.directory / "ports", magic_times=self.magic_times)
        self.lines: dict[str, SimLine] = {}
        for one in self.modems:
            self.lines[one.name] = self.sim.add(
                one.name, one.personality, submit_s=one.submit_s, pin=one.pin, imei=one.imei, keep_log=True
            )
        self.gateway: Gateway | None = None
        self.ending = Ending()  # nobody waits for it but a test
        self.host_said: list[str] = []

    def start(self) -> None:
        self.build()
        self.gateway.start()
        wanted = [one.name for one in self.modems if one.active and one.pin == one.sim_pin]
        self.wait_until(lambda: all(self.state(name) == "ready" for name in wanted))

    def build(self) -> None:
        clock = SystemClock()
        gateway = Gateway(
            StateFolder.prepared(self.state_dir),
            self.runtime_dir,
            clock=clock,
            ending=self.ending,
            host=(
                lambda store: replace(
                    desk(clock, self.host_said.append),
                    modem_sticks=self.sticks,
                    restart_usb=self.restart_usb,
                    clock=self.own_clock(store) if self.own_clock is not None else None,
                )
            )
            if self.on_desk
            else None,
        )
        store = gateway.store
        store.update(
            AdminSettings, {"host": "127.0.0.1", "http_port": self.admin_port, "https_enabled": False}
        )
        store.update(
            ApiSettings,
            {
                "host": "127.0.0.1",
                "http_port": self.port,
                "https_enabled": False,
                "https_port": self.https_port,
                "threads": 24,
                **self.api,
            },
        )
        store.update(SmsSettings, {"overtake_after_s": 1, "answer_limit_s": 5, **self.sms})
        store.update(OtpSettings, {"length": 10, **self.otp})
        for kind in KINDS:
            if (settings := self.brokers.get(kind.section.key)) is not None:
                store.update(kind.section, {"enabled": True, "reconnect_delay_ms": 100, **settings})
        if USER not in store.items(ApiUser):
            store.put(ApiUser, USER, {"password": _STORED_PASSWORD})
        for one in self.modems:
            store.put(
                ModemSettings,
                one.name,
                {
                    "name": one.name,
                    "port": str(self.lines[one.name].path),
                    "prefixes": list(one.prefixes),
                    "is_default": one.default,
                    "active": one.active,
                    "api_enabled": one.api_enabled,
                    "sim_pin": one.sim_pin,
                    **one.settings,
                },
            )
        self.gateway = gateway

    def broker(self, name: str) -> dict[str, Any]:
        """How it stands with a broker, as pages see it."""
        return next(one for one in self.gateway._subscribers.list() if one["name"] == name)

    def restart(self) -> None:
        """Stop the service and start it again; modems and runtime folder stay."""
        self.gateway.stop()
        self.start()

    def stop(self) -> None:
        if self.gateway is not None:
            self.gateway.stop()
        self.sim.stop()
        shutil.rmtree(self.runtime_dir, ignore_errors=True)

    def state(self, name: str) -> str:
        """What a modem is doing; empty for one that the gateway does not have, perhaps not yet."""
        return next((one.state.value for one in self.gateway.pool.snapshot() if one.name == name), "")

    @staticmethod
    def wait_until(is_true: Callable[[], object], timeout_s: float = 15.0) -> None:
        end = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < end, "did not come true in time"
            time.sleep(0.005)

    def http(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        authorization: str | None = AUTHORIZATION,
        port: int | None = None,
    ) -> HttpAnswer:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=90)
        try:
            all_headers = dict(headers or {})
            if authorization is not None:
                all_headers["Authorization"] = authorization
            connection.request(method, path, body, all_headers)
            response = connection.getresponse()
            return HttpAnswer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def call(self, command: str, path: str = "/api/otp", **data: Any) -> HttpAnswer:
        return self.http("POST", path, json.dumps({"command": command, "data": data}))

    def v1(self, command: str, **data: Any) -> HttpAnswer:
        return self.http("POST", f"/api/v1/{command}", json.dumps(data))

    def texts(self, name: str | None = None) -> list[str]:
        """The messages that reached the network, in order."""
        lines = [self.lines[name]] if name else self.lines.values()
        messages = sorted((message for line in lines for message in line.messages), key=lambda m: m.at_s)
        return [message.text for message in messages]

    def code_sent(self) -> str:
        """The code in the newest message."""
        return self.texts()[-1].rsplit(" ", 1)[-1]
