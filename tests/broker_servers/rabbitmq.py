"""RabbitMQ with its STOMP plugin, and the name server of its own that Erlang wants."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
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

VHOST = "shop"  # the only one that USER may use; LIMITED_USER may enter it and do nothing there
_INSTALLED = Path("/usr/lib/rabbitmq/lib")
_PLUGINS = ("rabbitmq_prelaunch", "rabbitmq_stomp")
_NODE = "tests@localhost"
_LIMIT_S = 10.0


class RabbitMqServer(BrokerServer):
    """One start takes some seconds: share one, and make queues with names of your own."""

    ready = b"Server startup complete"

    def __init__(self) -> None:
        super().__init__()
        self.stomp_port = free_port()
        self.stomp_tls_port = free_port()
        self._epmd_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._link_program()
        users = [(USER, PASSWORD), (LIMITED_USER, LIMITED_PASSWORD)]
        rights = [(USER, ".*"), (LIMITED_USER, "^$")]
        definitions = {
            "users": [{"name": name, "password": password, "tags": ""} for name, password in users],
            "vhosts": [{"name": "/"}, {"name": VHOST}],
            "permissions": [
                {"user": name, "vhost": VHOST, "configure": what, "write": what, "read": what}
                for name, what in rights
            ],
        }
        definitions_file = self._write("definitions.json", json.dumps(definitions))
        self._write("enabled_plugins", "[rabbitmq_stomp].")
        self._write(
            "rabbitmq.conf",
            f"""
listeners.tcp.1 = {HOST}:{self.port}
listeners.ssl.1 = {HOST}:{self.tls_port}
stomp.listeners.tcp.1 = {HOST}:{self.stomp_port}
stomp.listeners.ssl.1 = {HOST}:{self.stomp_tls_port}
ssl_options.cacertfile = {self.ca_file}
ssl_options.certfile = {self.certificate_file}
ssl_options.keyfile = {self.key_file}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
load_definitions = {definitions_file}
disk_free_limit.absolute = 1MB
log.console = true
log.file = false
""",
        )

    def start(self) -> None:
        if self._epmd is None:
            command = [needs.program("epmd"), "-address", HOST, "-port", str(self._epmd_port)]
            self._epmd = self._child(command, subprocess.DEVNULL)
            deadline = time.monotonic() + _LIMIT_S
            while not _is_open(self._epmd_port):
                assert time.monotonic() < deadline, "epmd does not listen"
                time.sleep(0.005)
        super().start()

    def kill(self) -> None:
        """End it in the middle of what it does; the queues that there are stay, however young.

        It says that a queue is made up to some seconds before it writes that down, unlike a confirmed message.
        """
        if self._process is not None:
            self.evaluate("mnesia:sync_log()")
        super().kill()

    def reset(self) -> None:
        """Make it as new, if possible without a start: all in the vhost goes, and all in it are sent away."""
        if self._process is None:
            self.start()
        self.evaluate(f'ok = rabbit_vhost:delete(<<"{VHOST}">>, <<"tests">>)')
        self.evaluate("ok = rabbit_definitions:maybe_load_definitions()")

    def evaluate(self, expression: str) -> str:
        """Have it work out an expression of Erlang; takes some milliseconds, unlike rabbitmqctl."""
        done = subprocess.run(
            [needs.program("erl_call"), "-sname", _NODE, "-e"],
            input=f"{expression}.\r",
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=_LIMIT_S,
        )
        assert done.stdout.startswith("{ok, "), done.stdout
        return done.stdout.removeprefix("{ok, ").removesuffix("}")

    def close(self) -> None:
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        super().close()

    def _command(self) -> Sequence[str | Path]:
        # Not the one in /usr/sbin, which changes its user.
        return [self.directory / "sbin/rabbitmq-server"]

    def _link_program(self) -> None:
        # Seen from a folder that has no more plugins than needed it starts in two thirds of the time.
        (home,) = _INSTALLED.glob("rabbitmq_server-*")
        (self.directory / "sbin").symlink_to(home / "sbin")
        (self.directory / "plugins").mkdir()
        for plugin in (home / "plugins").iterdir():
            if not plugin.name.startswith("rabbitmq_") or plugin.name.startswith(_PLUGINS):
                (self.directory / "plugins" / plugin.name).symlink_to(plugin)

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),  # of its cookie
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RUNNING_UNDER_SYSTEMD": "true",  # Erlang takes the place of the script, and so its signals
            # A node that has its name is spared the search for an epmd and the start of one.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-sname {_NODE} -start_epmd false"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }


def _is_open(port: int) -> bool:
    try:
        socket.create_connection((HOST, port)).close()
    except ConnectionRefusedError:
        return False
    return True
