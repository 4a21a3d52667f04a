"""What all broker servers of the tests share: how they start and end, and who may use them."""

import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from tests import needs
from tests.broker_servers.certificates import certificates
from tests.ports import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "gateway", "kunci pintu 7"  # may do everything with queues and topics
LIMITED_USER, LIMITED_PASSWORD = "visitor", "hanya lihat 3"  # may log in, and nothing else

_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0


class BrokerServer(ABC):
    """A broker that ends with this process; a start after a stop or kill has the same ports and data.

    It is killed when the thread that started it ends: start it in one that lives on.
    """

    ready: ClassVar[bytes]  # what it prints when clients may come

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="otppi-broker-", dir="/dev/shm"))
        self.data = self.directory / "data"
        self.data.mkdir()
        self.port = free_port()
        self.tls_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        pairs = certificates()
        self.ca_file = self._write("ca.pem", pairs.ca.pem)
        self.certificate_file = self._write("server.pem", pairs.server.pem)
        self.key_file = self._write("server.key", pairs.server.key_pem)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it; returns when clients may come."""
        with self.log.open("wb") as log:
            self._process = self._child(self._command(), log, self._environment())
        deadline = time.monotonic() + _START_LIMIT_S
        while self.ready not in self.log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise AssertionError(
                    f"{type(self).__name__} did not start:\n{self.log.read_text('utf-8', 'replace')[-4000:]}"
                )
            time.sleep(0.005)

    def stop(self) -> None:
        """Let it end by itself."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOP_LIMIT_S)
            self._process = None

    def kill(self) -> None:
        """End it in the middle of what it does: what it has not given to the kernel to write is lost."""
        self._end()

    def reset(self) -> None:
        """Make it as new: nothing stored, nobody connected."""
        self._end()
        shutil.rmtree(self.data)
        self.data.mkdir()
        self.start()

    def close(self) -> None:
        """End it for good."""
        self._end()
        shutil.rmtree(self.directory)

    @property
    def log(self) -> Path:
        """What it has printed since its last start."""
        return self.directory / "log"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @abstractmethod
    def _command(self) -> Sequence[str | Path]: ...

    def _environment(self) -> Mapping[str, str] | None:
        return None  # that of this process

    def _write(self, name: str, text: str | bytes) -> Path:
        path = self.directory / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def _child(
        self,
        command: Sequence[str | Path],
        log: IO[bytes] | int,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        # The kernel ends it with us, whatever ends us.
        return subprocess.Popen(
            [needs.program("setpriv"), "--pdeathsig=KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.directory,
        )
