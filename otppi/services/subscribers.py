"""The subscribers of all brokers, kept as the settings say."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from otppi.brokers.errors import BrokerError
from otppi.brokers.kinds import KINDS
from otppi.brokers.link import Kind
from otppi.brokers.settings import Connection
from otppi.brokers.subscriber import Answering, Subscriber
from otppi.gateway.inbox import Inbox
from otppi.lib.bus import Bus
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.brokers import BrokerState
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest
from otppi.model.events import DeliveryReported, SettingsChanged, SmsReceived
from otppi.modems.settings import ModemSettings
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_SECTIONS = frozenset(kind.section.key for kind in KINDS)


class Subscribers:
    """Starts, ends and replaces subscribers on the thread `subscribers`; everything else may be called from any."""

    def __init__(
        self, store: SettingsStore, door: Answering, bus: Bus, inbox: Inbox, grace_s: Callable[[], float]
    ) -> None:
        """Take the parts; `grace_s` is how long what is in hand may take to end."""
        self._store = store
        self._door = door
        self._bus = bus
        self._inbox = inbox
        self._grace_s = grace_s
        self._running: dict[str, Subscriber] = {}
        self._renew: set[str] = set()
        self._lock = threading.Lock()
        self._wakeup = Wakeup()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="subscribers", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._bus.subscribe("subscribers", self._settings_changed, SettingsChanged)
        self._bus.subscribe("broker-news", self._tell, SmsReceived, DeliveryReported)
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more and let what is in hand end."""
        self._stopping = True
        self._wakeup.ring()
        self._thread.join()
        self._wakeup.close()

    def died(self) -> tuple[str, ...]:
        """Return the names of threads that ended by mistake."""
        own = died(self._thread, was_asked=self._stopping)
        return own + tuple(name for one in self._running.copy().values() for name in one.died())

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls of pages and command line."""
        return {
            "broker.list": self.list,
            "broker.test": self.test,
            "broker.reconnect": self.reconnect,
        }

    def list(self) -> list[dict[str, Any]]:
        """Return every kind of broker with how its connection stands."""
        running = self._running.copy()
        return [self._shown(kind, running.get(kind.section.key)) for kind in KINDS]

    def test(self, broker: str) -> dict[str, Any]:
        """Connect to a broker as the saved settings say, take no message, and say what was found."""
        kind = _kind(broker)
        try:
            return {"works": True, "finding": kind.probe(self._store.get(kind.section)), "detail": ""}
        except BrokerError as error:
            told = error.without(self._store.get(kind.section).password)
            return {"works": False, "finding": told.trouble.value, "detail": told.detail}

    def reconnect(self, broker: str) -> dict[str, Any]:
        """Make the connection to a broker anew; what is in hand ends first."""
        kind = _kind(broker)
        with self._lock:
            self._renew.add(kind.section.key)
        self._wakeup.ring()
        return {}

    def checks(self) -> Iterable[Check]:
        """Look at every broker that is wanted."""
        for one in self.list():
            if not one["enabled"]:
                continue
            level, finding, advice = Level.GREEN, "connected", ""
            if one["reason"]:
                detail = f" ({one['detail']})" if one["detail"] else ""
                level, finding = Level.RED, f"not connected. {one['reason']}{detail}"
                advice = f"Test the connection: otppi broker test {one['name']}"
            elif one["state"] != BrokerState.CONNECTED.value:
                level, finding, advice = Level.YELLOW, "connecting", "Wait a few seconds."
            yield Check(name=f"broker {one['title']}", level=level, finding=finding, advice=advice)

    def _shown(self, kind: Kind, subscriber: Subscriber | None) -> dict[str, Any]:
        section = kind.section
        settings = self._store.get(section)
        shown = {
            "name": section.key,
            "title": section.title,
            "enabled": settings.enabled,
            "mode": settings.mode,
            "host": settings.host,
            "port": settings.port,
            "topic": settings.topic,
            "state": BrokerState.OFF.value,
            "reason": "",
            "detail": "",
        }
        return {**shown, **(subscriber.show() if subscriber is not None else {})}

    def _run(self) -> None:
        while not self._stopping:
            self._apply()
            self._wakeup.wait(_DAY_S)
        self._end(list(self._running))

    def _apply(self) -> None:
        with self._lock:
            renew, self._renew = self._renew, set()
        wanted = {kind.section.key: kind for kind in KINDS if self._store.get(kind.section).enabled}
        self._end(
            [
                name
                for name, one in self._running.items()
                if name in renew or name not in wanted or not self._is_as_wanted(one, wanted[name])
            ]
        )
        for name, kind in wanted.items():
            if name not in self._running:
                settings = self._store.get(kind.section)
                one = Subscriber(kind, settings, self._door, self._bus, self._most_in_hand(settings))
                self._running = {**self._running, name: one}
                one.start()

    def _is_as_wanted(self, one: Subscriber, kind: Kind) -> bool:
        settings = self._store.get(kind.section)
        return one.settings == settings and one.most_in_hand == self._most_in_hand(settings)

    def _most_in_hand(self, settings: Connection) -> int:
        # For each modem one that is sent and one that waits, so that no modem waits for the broker.
        active = sum(modem.active for modem in self._store.items(ModemSettings).values())
        return settings.most_in_hand or 2 * active + 2

    def _end(self, names: Iterable[str]) -> None:
        ending = {name: self._running[name] for name in names}
        for one in ending.values():
            one.end()
        until_s = time.monotonic() + self._grace_s()
        for one in ending.values():
            one.join(max(0.0, until_s - time.monotonic()))
        self._running = {name: one for name, one in self._running.items() if name not in ending}

    def _settings_changed(self, change: SettingsChanged) -> None:
        if change.section in _SECTIONS or change.section == ModemSettings.key:
            self._wakeup.ring()

    def _tell(self, event: SmsReceived | DeliveryReported) -> None:
        """Publish what came from the network, with its text, where the owner wants it."""
        listeners = [
            (one, topic) for one in self._running.copy().values() if (topic := one.settings.received_topic)
        ]
        if not listeners or (news := self._news(event)) is None:
            return
        for one, topic in listeners:
            try:
                one.publish(topic, news)
            except BrokerError as error:
                fields = {"broker": one.settings.key, "reason": str(error)}
                log.warning("news could not be published", extra={"fields": fields})

    def _news(self, event: SmsReceived | DeliveryReported) -> dict[str, Any] | None:
        if isinstance(event, DeliveryReported):
            return {
                "command": "delivery-report",
                "data": {
                    "message_id": event.message_id,
                    "modem_id": event.modem_id,
                    "receiver": event.masked_number,
                    "outcome": event.outcome.value,
                },
            }
        message = self._inbox.message(event.message_id) if event.message_id else None
        if message is None:
            return None
        return {
            "command": "received-sms",
            "data": {
                "message_id": message.id,
                "modem_id": message.modem_id,
                "sender": message.sender.text,
                "message": message.text,
                "is_complete": not message.missing,
            },
        }


def _kind(name: str) -> Kind:
    for kind in KINDS:
        if kind.section.key == name:
            return kind
    raise BadRequest("broker", f"must be one of {', '.join(sorted(_SECTIONS))}")
