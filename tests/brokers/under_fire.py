"""Messages that flow while broker, gateway and network are killed: what arrives, and how often.

`make campaign-brokers` runs all brokers in both modes and prints the table of the README.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from otppi.publisher.errors import PublisherError
from otppi.publisher.publisher import Publisher
from otppi.publisher.transport import Transport
from otppi.settings.section import Section
from tests.broker_servers.cable import Cable
from tests.broker_servers.server import BrokerServer
from tests.service_process import Service

_PUBLISHERS = 3
_LIMIT_S = 90.0
_QUIET_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """One broker in one mode."""

    section: type[Section]
    settings: Mapping[str, Any]  # but for the port, which is the cable's
    server: BrokerServer
    port: int
    transport: Transport
    name_setting: str = ""  # what devices must have different of; they are on one machine here
    gives_to_others: bool = True  # what a device has that died; else it waits for that device to come back
    survives_a_kill: bool = True  # the broker, with what it has confirmed; else it is asked to end
    let_time_pass: Callable[[], None] = lambda: (
        None
    )  # after which a broker gives what a dead device had to others


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    sent: int
    lost: int
    copies: int  # beyond the first of each
    most_copies: int  # that a kill of the gateway may cause: one for each modem
    events: Sequence[str]
    seconds: float
    heals: bool  # whether messages that are published afterwards arrive

    @property
    def is_as_promised(self) -> bool:
        """Whether all is well again, nothing is lost, and nothing doubled but what a modem had in hand at a kill."""
        return self.heals and not self.lost and self.copies <= self.most_copies


def under_fire(
    make_service: Callable[..., Service],
    target: Target,
    *,
    count: int = 500,
    modems: int = 4,
    events: Sequence[str] = ("gateway", "gateway", "broker", "broker", "cable", "cable"),
    seed: int | None = None,
    is_durable: bool = True,
) -> Outcome:
    """Publish messages and strike at random moments; returns when all that may arrive has arrived."""
    chance = random.Random(seed if seed is not None else random.randrange(10_000))
    order = chance.sample(events, len(events))
    moments = sorted(chance.sample(range(count // 20, count - count // 20), len(order)))
    with Cable(target.port) as cable:
        service = make_service(modems=modems, submit_s=0.02, starts=False)
        service.set(
            target.section,
            {**target.settings, "enabled": True, "port": cable.port, "reconnect_delay_ms": 100},
        )
        service.start()
        service.wait_for_broker(target.section.key)
        began_s = time.monotonic()
        publisher = Publisher(target.transport)
        with ThreadPoolExecutor(_PUBLISHERS) as publishers:
            handed_over = [publishers.submit(_insist, publisher, number) for number in range(count)]
            for moment, what in zip(moments, order, strict=True):
                if not _reached(service, moment, began_s, is_durable):
                    break
                _strike(what, service, target, cable, chance)
            for one in handed_over:
                one.result()
        _wait_for_all(service, count, is_durable)
        arrived = Counter(service.texts())
        return Outcome(
            sent=count,
            lost=count - len(arrived),
            copies=arrived.total() - len(arrived),
            most_copies=order.count("gateway") * modems,
            events=[f"{what} at {moment}" for what, moment in zip(order, moments, strict=True)],
            seconds=time.monotonic() - began_s,
            heals=_arrives_again(service, publisher, count),
        )


def _arrives_again(service: Service, publisher: Publisher, number: int) -> bool:
    """Publish another message now and then until one arrives; what the broker does not keep may be lost at first."""
    end_s = time.monotonic() + 30.0
    before = len(service.texts())
    while time.monotonic() < end_s:
        number += 1
        _insist(publisher, number)
        heard_s = time.monotonic() + 1.0
        while time.monotonic() < heard_s:
            if len(service.texts()) > before:
                return True
            time.sleep(0.02)
    return False


def _insist(publisher: Publisher, number: int) -> None:
    """Publish as a careful application does: the same again until the broker has it."""
    end_s = time.monotonic() + _LIMIT_S
    while True:
        try:
            publisher.send_sms(f"0812000{number:05d}", f"message {number}", id=f"{number}", lifetime_s=300)
        except PublisherError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.05)
        else:
            return


def _strike(what: str, service: Service, target: Target, cable: Cable, chance: random.Random) -> None:
    match what:
        case "gateway":
            service.kill()
            service.start()
        case "broker":
            (target.server.kill if target.survives_a_kill else target.server.stop)()
            target.server.start()
        case "cable":
            (cable.hold if chance.random() < 0.5 else cable.hold_answers)()
            time.sleep(chance.random() * 0.3)
            cable.cut()
            cable.mend()


def _reached(service: Service, moment: int, began_s: float, is_durable: bool) -> bool:
    """Wait until so many messages have arrived; where messages are lost it may never be."""
    last, last_s = -1, time.monotonic()
    while (now := len(service.texts())) < moment:
        if now != last:
            last, last_s = now, time.monotonic()
        if time.monotonic() - last_s > (_LIMIT_S if is_durable else 5.0):
            return False
        time.sleep(0.002)
    return True


def _wait_for_all(service: Service, count: int, is_durable: bool) -> None:
    """Wait until every message is there, and then or else until nothing comes any more."""
    quiet_s = _QUIET_S if not is_durable else _LIMIT_S
    last, last_s = -1, time.monotonic()
    while True:
        texts = service.texts()
        if len(texts) != last:
            last, last_s = len(texts), time.monotonic()
        if time.monotonic() - last_s > (_QUIET_S if len(set(texts)) == count else max(quiet_s, 5.0)):
            return
        time.sleep(0.02)
