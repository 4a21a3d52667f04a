"""Debian's Exim as the mail server of an application: what it gets as sendmail it hands to one server, logged in.

Its files are in a folder of its own, no daemon runs, and the configuration of the machine is not looked at.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import needs

_CONFIGURATION = """
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
primary_hostname = app.example.org
disable_ipv6
trusted_users = root
never_users =
keep_environment =

begin routers
onward:
  driver = manualroute
  route_list = * localhost::{port} byname
  self = send
  transport = onward

begin transports
onward:
  driver = smtp
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_certificates = {folder}/ca.pem
  tls_verify_hosts = *

begin retry
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{user}^{password}
"""


class Exim:
    """Needs root, to become the user that Exim runs as."""

    def __init__(self, port: int, user: str, password: str, ca: str) -> None:
        needs.root()
        needs.programs("exim4")
        self._folder = Path(tempfile.mkdtemp(prefix="otppi-exim-"))
        self._folder.chmod(0o755)
        for name in ("spool", "log"):
            (self._folder / name).mkdir()
            shutil.chown(self._folder / name, "Debian-exim", "Debian-exim")
        (self._folder / "ca.pem").write_text(ca)
        self._configuration = self._folder / "exim.conf"
        text = _CONFIGURATION.format(folder=self._folder, port=port, user=user, password=password)
        self._configuration.write_text(text)

    def send(self, sender: str, receiver: str, message: str) -> None:
        """Take a message as sendmail does, and try once to bring it on."""
        self._run("-i", "-odi", "-f", sender, receiver, said=message)

    def try_again(self) -> None:
        """Try once to bring on what is kept."""
        self._run("-qff")

    @property
    def kept(self) -> int:
        """How many messages wait."""
        return int(self._run("-bpc"))

    @property
    def log(self) -> str:
        """What it noted."""
        return (self._folder / "log" / "mainlog").read_text()

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._folder)

    def _run(self, *options: str, said: str = "") -> str:
        command = [needs.program("exim4"), "-C", str(self._configuration), *options]
        done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
