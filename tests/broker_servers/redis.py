"""Redis that writes everything down before it answers."""

from collections.abc import Sequence
from pathlib import Path

from tests import needs
from tests.broker_servers.server import (
    HOST,
    LIMITED_PASSWORD,
    LIMITED_USER,
    PASSWORD,
    USER,
    BrokerServer,
)


class RedisServer(BrokerServer):
    """With the password alone a client is the user `default`, who may do the same as USER."""

    ready = b"Ready to accept connections"

    def __init__(self, *, demands_client_certificate: bool = False) -> None:
        super().__init__()
        self._conf = self._write(
            "redis.conf",
            f"""
bind {HOST}
port {self.port}
tls-port {self.tls_port}
tls-cert-file {self.certificate_file}
tls-key-file {self.key_file}
tls-ca-cert-file {self.ca_file}
tls-auth-clients {"yes" if demands_client_certificate else "optional"}
dir {self.data}
save ""
appendonly yes
appendfsync always
user default on ~* &* +@all ">{PASSWORD}"
user {USER} on ~* &* +@all ">{PASSWORD}"
user {LIMITED_USER} on ">{LIMITED_PASSWORD}" +auth +hello +ping +client
""",
        )

    def _command(self) -> Sequence[str | Path]:
        return [needs.program("redis-server"), self._conf]
