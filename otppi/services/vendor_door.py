"""The door for programs of an SMS vendor: its web server, what it remembers, and what pages see of its accounts."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import bottle

from otppi.api.vendor import THREADS_KEPT_FREE, VendorApi
from otppi.api.vendor_settings import VendorApiSettings
from otppi.gateway.accounts import ApiAccounts
from otppi.gateway.door import Door
from otppi.gateway.inbox import Inbox
from otppi.gateway.journal import Journal
from otppi.gateway.policy import SmsSettings
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.gateway.vendor_book import VendorBook
from otppi.gateway.vendor_messages import VendorMessages
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.errors import HostError
from otppi.model.events import DeliveryReported, MessageFinished, SettingsChanged
from otppi.modems.settings import ModemSettings
from otppi.services.folders import StateFolder
from otppi.services.listeners import Plan
from otppi.settings.section import shown
from otppi.settings.store import SettingsStore

_FEWEST_THREADS = 24
_MAX_BODY_BYTES = 64 * 1024
_LAG_S = 0.1


class VendorDoor:
    """Builds its parts; they listen only if the settings say so."""

    def __init__(
        self,
        *,
        state: StateFolder,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        key: bytes,
        journal: Journal,
        door: Door,
        inbox: Inbox,
        balances: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> None:
        """Take the parts of the gateway; `balances` returns what is known of each SIM."""
        self.app = bottle.Bottle()
        self._store = store
        self._bus = bus
        self._inbox = inbox
        self._balances = balances
        self._book = VendorBook(state.vendor_book, journal, clock)
        self._messages = VendorMessages(self._book, key, clock, journal)
        self._log_in = ApiAccounts(store, clock, VendorAccount)
        # For each modem a message in hand and one that waits, so that no modem waits for a caller.
        self._threads = max(_FEWEST_THREADS, 2 * len(store.items(ModemSettings)) + THREADS_KEPT_FREE)
        VendorApi(
            door=door,
            log_in=self._log_in,
            accounts=lambda: store.items(VendorAccount),
            settings=lambda: store.get(VendorApiSettings),
            sms=lambda: store.get(SmsSettings),
            messages=self._messages,
            book=self._book,
            inbox=inbox,
            sim_balance=self._sim_balance,
            clock=clock,
            threads=self._threads,
        ).install(self.app)

    def start(self) -> None:
        """Begin to hear what becomes of messages and accounts."""
        self._settle()
        self._bus.subscribe(
            "vendor", self._hear, MessageFinished, DeliveryReported, SettingsChanged, lag_s=_LAG_S
        )

    def stop(self) -> None:
        """Write what the disk does not have yet; nobody may be asked any more."""
        self._book.close()

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that pages may make."""
        return {"vendor_account.list": self.listed}

    def listed(self) -> list[dict[str, Any]]:
        """Return the accounts of the vendor API without their secrets: what each sent, and when it was used."""
        used = self._log_in.used()
        return [
            {
                "user": account,
                **{name: value for name, value in shown(one).items() if name != "password"},
                "sent_parts": self._book.sent(account),
                "used": used.get(account),
            }
            for account, one in self._store.items(VendorAccount).items()
        ]

    def plans(self) -> tuple[list[Plan], list[Plan]]:
        """Return the web servers that the settings want: without TLS, and those that need a certificate."""
        settings = self._store.get(VendorApiSettings)

        def plan(name: str, port: int) -> Plan:
            return Plan(
                name=name,
                app=self.app,
                host=settings.host,
                port=port,
                threads=self._threads,
                max_body_bytes=_MAX_BODY_BYTES,
            )

        return (
            [plan("vendor", settings.http_port)] if settings.http_enabled else [],
            [plan("vendor-tls", settings.https_port)] if settings.https_enabled else [],
        )

    def _hear(self, event: MessageFinished | DeliveryReported | SettingsChanged) -> None:
        if not isinstance(event, SettingsChanged):
            self._messages.take(event)
            self._book.save_if_due()
        elif event.section == VendorAccount.key:
            self._settle()

    def _settle(self) -> None:
        accounts = self._store.items(VendorAccount)
        try:
            received = self._inbox.ids() if accounts else []
        except HostError:
            return  # it was logged; whoever reads for the first time then begins with what comes later
        self._book.settle(accounts.keys(), received)

    def _sim_balance(self) -> Decimal | None:
        known = [Decimal(one["amount"]) for one in self._balances() if "amount" in one]
        return sum(known, Decimal()) if known else None
