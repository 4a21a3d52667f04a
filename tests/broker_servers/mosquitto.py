"""Mosquitto that keeps sessions and retained messages on its disk."""

import subprocess
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
    free_port,
)


class MosquittoServer(BrokerServer):
    """Its `mutual_tls_port` demands a certificate of the client, besides the password."""

    ready = b" running\n"

    def __init__(self, *, saves_each_change: bool = True) -> None:
        """Make one; where it is not to be killed but fast, it may save at a stop only."""
        super().__init__()
        self.mutual_tls_port = free_port()
        passwords = self._write("passwords", f"{USER}:{PASSWORD}\n{LIMITED_USER}:{LIMITED_PASSWORD}\n")
        subprocess.run([needs.program("mosquitto_passwd"), "-U", passwords], check=True)
        rights = self._write("rights", f"user {USER}\ntopic readwrite #\n")
        pair = f"cafile {self.ca_file}\ncertfile {self.certificate_file}\nkeyfile {self.key_file}"
        self._conf = self._write(
            "mosquitto.conf",
            f"""
user root
password_file {passwords}
acl_file {rights}
persistence true
persistence_location {self.data}/
autosave_on_changes true
autosave_interval {int(saves_each_change)}
max_queued_messages 0
set_tcp_nodelay true
listener {self.port} {HOST}
listener {self.tls_port} {HOST}
{pair}
listener {self.mutual_tls_port} {HOST}
{pair}
require_certificate true
""",
        )

    def _command(self) -> Sequence[str | Path]:
        return [needs.program("mosquitto"), "-c", self._conf]
