"""All brokers in both modes under fire: prints the table of the README; `make campaign-brokers`."""

import argparse
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from otppi.publisher.transport import BrokerTransport, Mode
from tests.broker_servers.activemq import ActiveMqServer
from tests.broker_servers.mosquitto import MosquittoServer
from tests.broker_servers.rabbitmq import RabbitMqServer
from tests.broker_servers.redis import RedisServer
from tests.broker_servers.server import BrokerServer
from tests.brokers.targets import TARGETS
from tests.brokers.under_fire import Outcome, Target, under_fire
from tests.service_process import services

_SERVERS: dict[str, type[BrokerServer]] = {
    "rabbitmq_server": RabbitMqServer,
    "mosquitto_server": MosquittoServer,
    "redis_server": RedisServer,
    "activemq_server": ActiveMqServer,
}


def main() -> int:
    """Run the campaign; the exit code is 1 if a durable mode has not kept its promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each broker and mode")
    parser.add_argument("--only", choices=TARGETS, action="append")
    options = parser.parse_args()
    is_kept = True
    print("| Broker | Mode | Sent | Lost | Extra copies | Kills of the gateway, times modems |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.only or TARGETS:
        for mode in Mode:
            outcomes = [_run(name, mode) for _ in range(options.runs)]
            is_kept = is_kept and (mode is Mode.COMPATIBLE or all(one.is_as_promised for one in outcomes))
            sums = [
                sum(getattr(one, what) for one in outcomes)
                for what in ("sent", "lost", "copies", "most_copies")
            ]
            print(f"| {name} | {mode.value} | {' | '.join(map(str, sums))} |", flush=True)
    return 0 if is_kept else 1


def _run(name: str, mode: Mode) -> Outcome:
    fixture, made_of = TARGETS[name]
    with _SERVERS[fixture]() as server, tempfile.TemporaryDirectory() as folder:
        target = _in_mode(made_of(server), mode)
        with services(Path(folder), _free_port) as make:
            outcome = under_fire(make, target, is_durable=mode is Mode.DURABLE)
    print(f"{name} {mode.value}: {outcome}", file=sys.stderr, flush=True)
    return outcome


def _in_mode(target: Target, mode: Mode) -> Target:
    if not isinstance(target.transport, BrokerTransport):
        raise TypeError
    return replace(
        target,
        settings={**target.settings, "mode": mode.value},
        transport=replace(target.transport, mode=mode),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
