"""Numbers for Prometheus, by its official client. Labels hold modem names, never phone numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import otppi
from otppi.lib.bus import Bus
from otppi.model.brokers import BrokerState
from otppi.model.events import Channel, MessageFinished, ModemStateChanged, Outcome, RequestAnswered
from otppi.model.mail import MailAccountStatus
from otppi.model.modems import ModemState, ModemStatus

_LAG_S = 0.1
# What subscribers count, from their start on.
_OF_BROKERS = {
    "received": "Messages that the broker handed over.",
    "done": "Messages whose outcome was final.",
    "dead": "Messages that nothing could be done with.",
    "later": "Tries that came to nothing and were to be made again.",
}
_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2, 3, 4, 6, 8, 10, 15, 30, 60)


class Metrics:
    """Counts what the bus tells, and asks for the state of modems and brokers when it is read."""

    def __init__(
        self,
        bus: Bus,
        modems: Callable[[], tuple[ModemStatus, ...]],
        waiting_for: Callable[[str], int],
        usage: Callable[[Sequence[ModemStatus]], Sequence[Mapping[str, Any]]],
        brokers: Callable[[], Sequence[Mapping[str, Any]]],
        accounts: Callable[[], Iterable[MailAccountStatus]],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no type for it
        self._registry = CollectorRegistry(auto_describe=True)
        self._modems = modems
        self._accounts = accounts
        self._sms = Counter(
            "otppi_sms", "Messages by outcome.", ["modem", "outcome"], registry=self._registry
        )
        self._email = Counter(
            "otppi_email", "E-mails by outcome.", ["account", "outcome"], registry=self._registry
        )
        self._late = Counter(
            "otppi_sms_late",
            "Messages that a modem confirmed after their outcome had been called unknown.",
            ["modem"],
            registry=self._registry,
        )
        self._sms_seconds = Histogram(
            "otppi_sms_duration_seconds",
            "Time from a modem taking a message to its confirmation.",
            ["modem"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "otppi_requests", "Answered requests.", ["door", "command", "code"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "otppi_request_duration_seconds",
            "Time from a request being read to its answer.",
            ["door", "command"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_ModemCollector(modems, waiting_for))
        self._registry.register(_UsageCollector(lambda: usage(modems())))
        self._registry.register(_BrokerCollector(brokers))
        ProcessCollector(registry=self._registry)
        bus.subscribe(
            "metrics", self._take, MessageFinished, RequestAnswered, ModemStateChanged, lag_s=_LAG_S
        )

    def render(self) -> bytes:
        """Return the text exposition."""
        self._forget_the_gone()
        return generate_latest(self._registry)

    def _forget_the_gone(self) -> None:
        for metric in (self._sms, self._late, self._sms_seconds):
            counted = {sample.labels["modem"] for family in metric.collect() for sample in family.samples}
            for name in counted - {modem.name for modem in self._modems()}:
                metric.remove_by_labels({"modem": name})
        accounts = {one.name for one in self._accounts()}
        counted = {sample.labels["account"] for family in self._email.collect() for sample in family.samples}
        for name in counted - accounts:
            self._email.remove_by_labels({"account": name})
        for name in accounts:
            for outcome in Outcome:
                self._email.labels(name, outcome.value)

    def _take(self, event: MessageFinished | RequestAnswered | ModemStateChanged) -> None:
        if isinstance(event, ModemStateChanged):
            # A counter that is not there yet cannot be seen to rise from nought.
            for outcome in Outcome:
                self._sms.labels(event.modem_name, outcome.value)
        elif isinstance(event, RequestAnswered):
            self._requests.labels(event.door, event.command, event.code).inc()
            self._request_seconds.labels(event.door, event.command).observe(event.duration_s)
        elif event.channel is Channel.EMAIL:
            self._email.labels(event.modem_name, event.outcome.value).inc()
        elif event.late:
            self._late.labels(event.modem_name).inc()
        else:
            self._sms.labels(event.modem_name, event.outcome.value).inc()
            self._sms_seconds.labels(event.modem_name).observe(event.duration_s)


class _ModemCollector(Collector):
    def __init__(
        self, modems: Callable[[], tuple[ModemStatus, ...]], waiting_for: Callable[[str], int]
    ) -> None:
        self._modems = modems
        self._waiting_for = waiting_for

    def collect(self) -> Iterable[Metric]:
        """Yield the state of every modem as it stands."""
        state = GaugeMetricFamily("otppi_modem_state", "1 for the state it is in.", labels=["modem", "state"])
        signal = GaugeMetricFamily("otppi_modem_signal_dbm", "Received power.", labels=["modem"])
        waiting = GaugeMetricFamily(
            "otppi_modem_waiting", "Messages that this modem might take next.", labels=["modem"]
        )
        for modem in self._modems():
            for one in ModemState:
                state.add_metric([modem.name, one.value], float(modem.state is one))
            if modem.signal is not None:
                signal.add_metric([modem.name], modem.signal.rssi_dbm)
            waiting.add_metric([modem.name], self._waiting_for(modem.id))
        yield from (state, signal, waiting)
        yield InfoMetricFamily("otppi", "The running release.", value={"version": otppi.__version__})


class _UsageCollector(Collector):
    """The books of the SIMs; they survive a restart and begin anew with each day and month."""

    def __init__(self, usage: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self._usage = usage

    def collect(self) -> Iterable[Metric]:
        """Yield what every SIM has sent."""
        labels = ["modem", "period"]
        parts = GaugeMetricFamily("otppi_sim_parts", "Parts of messages sent in the period.", labels=labels)
        cost = GaugeMetricFamily(
            "otppi_sim_cost", "What they cost, in the currency of the settings.", labels=labels
        )
        saved = GaugeMetricFamily("otppi_sim_saved", "What the choice by price saved.", labels=labels)
        left = GaugeMetricFamily("otppi_sim_quota_left", "Parts that the quota leaves.", labels=labels)
        for row in self._usage():
            for period, totals in (("day", row["today"]), ("month", row["this_month"])):
                parts.add_metric([row["modem"], period], totals["parts"])
                cost.add_metric([row["modem"], period], float(totals["cost"]))
                saved.add_metric([row["modem"], period], float(totals["saved"]))
            for period, rest in row["quota_left"].items():
                left.add_metric([row["modem"], period], rest)
        yield from (parts, cost, saved, left)


class _BrokerCollector(Collector):
    def __init__(self, brokers: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self._brokers = brokers

    def collect(self) -> Iterable[Metric]:
        """Yield how it stands with every broker that is switched on."""
        connected = GaugeMetricFamily(
            "otppi_broker_connected", "1 while the broker is connected.", labels=["broker"]
        )
        counts = {
            what: CounterMetricFamily(f"otppi_broker_{what}", meaning, labels=["broker"])
            for what, meaning in _OF_BROKERS.items()
        }
        for broker in self._brokers():
            if not broker["enabled"]:
                continue
            is_connected = broker["state"] == BrokerState.CONNECTED
            connected.add_metric([broker["name"]], float(is_connected))
            for what, count in counts.items():
                # There is nothing yet before its subscriber begins.
                count.add_metric([broker["name"]], broker.get(what, 0))
        yield from (connected, *counts.values())
