"""The way between a browser and a device, which can be cut: what no switch of the browser does to open streams."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Passes bytes on between a port of its own and the one of the device."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._is_whole = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._listen)

    def cut(self) -> None:
        """Break every connection; new ones are broken at once."""
        with self._lock:
            self._is_whole = False
            for one in self._ends:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections pass again."""
        self._is_whole = True

    def close(self) -> None:
        """Break everything for good."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._is_whole:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to_port))
            with self._lock:
                self._ends |= {near, far}
            self._start(self._pass_on, near, far)
            self._start(self._pass_on, far, near)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        with self._lock:
            # The second of the two directions closes both.
            if source not in self._ends:
                source.close()
                target.close()
            self._ends -= {source, target}

    @staticmethod
    def _start(work, *args: socket.socket) -> None:
        threading.Thread(target=work, args=args, name="wire", daemon=True).start()


@contextmanager
def wire(to_port: int) -> Iterator[Wire]:
    one = Wire(to_port)
    try:
        yield one
    finally:
        one.close()
