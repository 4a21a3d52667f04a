"""`otppi ws-broker` as a process; what it has in memory ends with it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import bcrypt

from tests.broker_servers.server import HOST, PASSWORD, USER, BrokerServer


class WebSocketServer(BrokerServer):
    """Without TLS; USER may use every topic."""

    ready = b"listening"

    def __init__(self) -> None:
        super().__init__()
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        self._htpasswd = self._write("htpasswd", f"{USER}:{hashed}\n")

    def _command(self) -> Sequence[str | Path]:
        ws_broker = [sys.executable, "-m", "otppi", "ws-broker", "--host", HOST, "--port", str(self.port)]
        return [*ws_broker, "--htpasswd", self._htpasswd]
