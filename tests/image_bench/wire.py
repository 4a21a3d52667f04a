"""The sockets that QEMU gives: its monitor (QMP) and the serial lines of the guest."""

import json
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OPEN_S = 20.0
_GLANCE_S = 0.1
_ANSWER_S = 3.0
_PIECE, _PIECE_S = 48, 0.02


class MachineFailed(Exception):
    """QEMU or the guest did not do as it was told, in time."""


def _connected(path: Path) -> socket.socket:
    until = time.monotonic() + _OPEN_S
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
        except OSError as error:
            line.close()
            if time.monotonic() > until:
                raise MachineFailed(f"QEMU did not open {path.name}") from error
            time.sleep(_GLANCE_S)
        else:
            return line


class Monitor:
    """Speaks QMP; one caller at a time."""

    def __init__(self, path: Path) -> None:
        self._line = _connected(path)
        self._line.settimeout(120)
        self._reader = self._line.makefile("rb")
        self._events: list[dict[str, Any]] = []
        self._read()
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: Any) -> Any:
        """Run a command and return what it returns.

        Raises:
            MachineFailed: QEMU refused it or is gone.
        """
        name = command.replace("_", "-") if command.startswith("human") else command
        self._line.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise MachineFailed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self._events.append(answer)

    def human(self, line: str) -> str:
        """Run a command of the monitor for people, which knows some that QMP does not.

        Raises:
            MachineFailed: It says anything: these commands are silent when they are done.
        """
        said = str(self.do("human-monitor-command", **{"command-line": line})).strip()
        if said:
            raise MachineFailed(f"{line}: {said}")
        return said

    def wait_for(self, event: str, limit_s: float, **data: Any) -> None:
        """Wait for news that may have come already."""
        until = time.monotonic() + limit_s
        while True:
            for one in self._events:
                if one.get("event") == event and data.items() <= one.get("data", {}).items():
                    self._events.remove(one)
                    return
            if time.monotonic() > until:
                raise MachineFailed(f"no {event} {data} within {limit_s:g} s")
            self.do("query-status")  # brings the news that wait on the line
            time.sleep(_GLANCE_S)

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._line.close()

    def _read(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            raise MachineFailed("QEMU is gone")
        message: dict[str, Any] = json.loads(line)
        return message


@dataclass(frozen=True)
class Done:
    """What a command in the guest did."""

    code: int
    said: str


class Line:
    """A serial line of the guest. A thread reads it, or the guest would wait; all that came is kept in a file."""

    def __init__(self, path: Path, log: Path) -> None:
        self._line = _connected(path)
        self._log = log
        self._unread = b""
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"line {path.name}", daemon=True)
        self._thread.start()

    def send(self, text: str) -> None:
        """Type, no faster than the guest reads: its console loses the rest of a long piece."""
        data = text.encode()
        for start in range(0, len(data), _PIECE):
            self._line.sendall(data[start : start + _PIECE])
            time.sleep(_PIECE_S)

    def wait_for(self, pattern: str, limit_s: float) -> re.Match[bytes]:
        """Wait for what the pattern matches and forget everything up to its end.

        Raises:
            MachineFailed: It did not come in time.
        """
        wanted, until = re.compile(pattern.encode(), re.DOTALL), time.monotonic() + limit_s
        with self._came:
            while (found := wanted.search(self._unread)) is None:
                if not self._came.wait(until - time.monotonic()) and time.monotonic() >= until:
                    end = self._unread[-2000:].decode(errors="replace")
                    raise MachineFailed(f"no {pattern!r} within {limit_s:g} s; the end of what came: {end}")
            self._unread = self._unread[found.end() :]
            return found

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._line.close()

    def _read(self) -> None:
        with self._log.open("ab", buffering=0) as log, suppress(OSError):
            while data := self._line.recv(65536):
                log.write(data)
                with self._came:
                    self._unread += data
                    self._came.notify_all()


class RootShell:
    """The root shell that systemd opens on a line of its own when the kernel's command line says so."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def open(self, limit_s: float) -> None:
        """Wait until the shell is there, and make it one that programs can talk to."""
        self._line.wait_for("# ", limit_s)
        # bash would edit lines, and keeps what is typed before it has gone.
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        quiet = f"env {path} PS1= PS2= TERM=dumb SYSTEMD_COLORS=0 PAGER=cat dash"
        self._line.send(f"exec dash -c 'stty raw -echo; exec {quiet}'\n")
        self.resume()

    def resume(self, tries: int = 10) -> None:
        """Find the end of what is on the line, as after a snapshot was loaded."""
        word = secrets.token_hex(8)
        for tries_left in reversed(range(tries)):
            self._line.send(f"\necho {word[:8]}''{word[8:]}\n")
            try:
                self._line.wait_for(f"{word}\r?\n", _ANSWER_S)
            except MachineFailed:
                if not tries_left:
                    raise
            else:
                return

    def run(self, script: str, limit_s: float) -> Done:
        """Run a script of dash and return how it ended and all that it said."""
        word = secrets.token_hex(8)
        self._line.send(f"sh -c \"$(cat <<'{word}'\n{script}\n{word}\n)\" </dev/null 2>&1; echo {word}:$?\n")
        found = self._line.wait_for(f"{word}:(\\d+)\r?\n", limit_s)
        said = found.string[: found.start()].decode(errors="replace").replace("\r", "")
        return Done(int(found[1]), said.strip("\n"))
