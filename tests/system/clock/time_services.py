"""Real timedated and timesyncd that cannot touch this machine, and what they need around them.

They have no CAP_SYS_TIME, /etc of timedated and /run/systemd of timesyncd are folders of the test, and the only
network of timesyncd is a loopback of its own, on which a small NTP server answers. The service manager is played
by a few lines that start and stop that timesyncd.
"""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from otppi.system import dbus
from tests import needs

_MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_POWERLESS = ("setpriv", "--inh-caps=-all", "--bounding-set=-sys_time")

_NTP_SERVER = """
import socket, struct, time

def stamp():
    seconds, fraction = divmod(time.time() + 2208988800, 1)
    return struct.pack("!II", int(seconds), int(fraction * 2**32))

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 123))
print("listens", flush=True)
while True:
    question, client = server.recvfrom(512)
    received = stamp()
    # RFC 5905, 7.3: version 4, mode server, stratum 1, reference LOCL.
    head = bytes([0x24, 1, 6, 0xEC]) + bytes(8) + b"LOCL"
    server.sendto(head + received + question[40:48] + received + stamp(), client)
"""


def until(is_so: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a real process to get so far."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def has_name(name: str) -> bool:
    """Return whether somebody has this name on the bus that the environment names."""
    return dbus.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s", (name,))[0]


class Process:
    """A process that becomes the program itself, so that its end is the end of everything."""

    def __init__(self, script: str, **options) -> None:
        needs.programs("unshare", "setpriv", "nsenter")
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        self.pid = self._process.pid
        self.stdout = self._process.stdout

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        if self.stdout is not None:
            self.stdout.close()


class NtpServer:
    """Answers on 127.0.0.1:123 of a network of its own."""

    def __init__(self, folder: Path) -> None:
        program = folder / "ntp_server.py"
        program.write_text(_NTP_SERVER)
        needs.programs("ip")
        script = f"ip link set lo up; exec {sys.executable} {program}"
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-ec", script], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "listens\n"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


class TimeSyncd:
    """The real one, in the network of an NTP server; `run` is what it takes for /run/systemd."""

    def __init__(self, run: Path, server: NtpServer) -> None:
        needs.programs("systemd-timesyncd")
        self.run, self._server = run, server
        self._process: Process | None = None
        self.starts = 0
        (run / "timesyncd.conf.d").mkdir(parents=True)
        (run / "timesync").mkdir()
        os.chown(run / "timesync", self._user.pw_uid, self._user.pw_gid)

    @property
    def _user(self) -> pwd.struct_passwd:
        return pwd.getpwnam("systemd-timesync")

    @property
    def synchronised(self) -> Path:
        return self.run / "timesync/synchronized"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        if self._process is None:
            self.starts += 1
            user = self._user
            self._process = Process(
                f"mount --bind {self.run} /run/systemd; "
                f"exec nsenter --net=/proc/{self._server.process.pid}/ns/net "
                f"{' '.join(_POWERLESS)} --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups "
                f"{needs.program('systemd-timesyncd')}"
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()


class TimeDated:
    """The real one; its /etc is a folder of the test."""

    def __init__(self, etc: Path) -> None:
        needs.programs("systemd-timedated")
        self.etc = etc
        etc.mkdir()
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (etc / "localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
        self.start()

    @property
    def zone(self) -> str:
        return os.readlink(self.etc / "localtime").partition("zoneinfo/")[2]

    def start(self) -> None:
        environment = {**os.environ, "SYSTEMD_TIMEDATED_NTP_SERVICES": "systemd-timesyncd.service"}
        self._process = Process(
            f"mount --bind {self.etc} /etc; exec {' '.join(_POWERLESS)} {needs.program('systemd-timedated')}",
            env=environment,
        )
        until(lambda: has_name("org.freedesktop.timedate1"))

    def stop(self) -> None:
        self._process.stop()


class ServiceManager:
    """Plays systemd for timedated: one unit, which is the timesyncd of the test."""

    def __init__(self, timesyncd: TimeSyncd) -> None:
        self._timesyncd = timesyncd
        self.is_enabled = False
        self.refuses = ""  # a method that fails
        self.job_takes_s = 0.0
        self._jobs = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        self._bus = bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        bus.add_message_handler(self._handle)
        await bus.request_name("org.freedesktop.systemd1")
        self._ready.set()
        await self._end.wait()
        bus.disconnect()
        await bus.wait_for_disconnect()
        bus._stream.close()
        bus._sock.close()

    def _handle(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == self.refuses:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "no")
        answer = {
            "GetAll": self._properties,
            "StartUnit": self._start,
            "StopUnit": self._stop,
            "EnableUnitFiles": lambda: self._enable(True),
            "DisableUnitFiles": lambda: self._enable(False),
            "Reload": lambda: ("", []),
            "Subscribe": lambda: ("", []),
        }.get(message.member)
        return Message.new_method_return(message, *answer()) if answer else None

    def _properties(self) -> tuple[str, list]:
        return "a{sv}", [
            {
                "LoadState": Variant("s", "loaded"),
                "ActiveState": Variant("s", "active" if self._timesyncd.is_running else "inactive"),
                "UnitFileState": Variant("s", "enabled" if self.is_enabled else "disabled"),
            }
        ]

    def _start(self) -> tuple[str, list]:
        self._timesyncd.start()
        return self._job()

    def _stop(self) -> tuple[str, list]:
        self._timesyncd.stop()
        return self._job()

    def _job(self) -> tuple[str, list]:
        self._jobs += 1
        job = f"/org/freedesktop/systemd1/job/{self._jobs}"
        # timedated looks at its units again only when the job is over, which is after the answer to this call.
        body = [self._jobs, job, "systemd-timesyncd.service", "done"]
        signal = Message.new_signal(_MANAGER[0], _MANAGER[1], "JobRemoved", "uoss", body)
        self._loop.call_later(self.job_takes_s, self._bus.send, signal)
        return "o", [job]

    def _enable(self, is_enabled: bool) -> tuple[str, list]:
        self.is_enabled = is_enabled
        return ("ba(sss)", [True, []]) if is_enabled else ("a(sss)", [[]])
