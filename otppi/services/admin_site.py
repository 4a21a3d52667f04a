"""The admin site of a gateway: its parts, put together."""

import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import bottle

import otppi
from otppi.gateway.accounts import Administrator
from otppi.gateway.admin_tokens import AdminTokens
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.audit import Audit
from otppi.gateway.first_administrator import FirstAdministrator
from otppi.gateway.functions import Functions
from otppi.gateway.journal import Journal
from otppi.gateway.policy import GeneralSettings
from otppi.gateway.recovery import Recovery
from otppi.gateway.sessions import Sessions
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.services.admin_accounts import AccountFunctions
from otppi.services.folders import StateFolder
from otppi.settings.store import SettingsStore
from otppi.system.clock.settings import ClockSettings
from otppi.system.network.settings import NetworkSettings
from otppi.web.live import Listeners, Live
from otppi.web.routes import ROUTES
from otppi.web.settings import AdminSettings
from otppi.web.shown_once import ShownOnce
from otppi.web.site import Site
from otppi.wsgi.streams import Streams

_LOOPBACK = ("127.", "::1")


class GatewayAsDevice:
    """Implements `otppi.web.site.Device` for a gateway, on a board or on a desk."""

    def __init__(self, store: SettingsStore, is_beside: Callable[[str, str], bool]) -> None:
        """Take the settings, and what says whether a request came from somebody beside the device."""
        self._store = store
        self._is_beside = is_beside

    def name(self) -> str:
        """See `Device`."""
        return self._store.get(GeneralSettings).device_name

    def host_names(self) -> Sequence[str]:
        """See `Device`."""
        host = self._store.get(NetworkSettings).hostname.lower()
        given = (one.lower() for one in self._store.get(AdminSettings).names)
        return ("localhost", host, f"{host}.local", socket.gethostname().lower(), *given)

    def admin_ports(self) -> tuple[int, int | None]:
        """See `Device`."""
        admin = self._store.get(AdminSettings)
        return admin.http_port, admin.https_port if admin.https_enabled else None

    def has_administrator(self) -> bool:
        """See `Device`."""
        return bool(self._store.items(Administrator))

    def is_on_access_point(self, address: str, from_address: str) -> bool:
        """See `Device`."""
        return self._is_beside(address, from_address)

    def zone(self) -> tzinfo:
        """See `Device`."""
        return ZoneInfo(self._store.get(ClockSettings).time_zone)


def on_this_machine(_: str, from_address: str) -> bool:
    """Whether a request comes from the machine itself: on a desk that is who sits at it."""
    return from_address.startswith(_LOOPBACK)


class AdminSite:
    """The accounts, sessions and pages of a gateway."""

    def __init__(
        self,
        *,
        state: StateFolder,
        store: SettingsStore,
        bus: Bus,
        clock: Clock,
        key: bytes,
        journal: Journal,
        is_beside: Callable[[str, str], bool],
        send: Callable[[Sequence[str], str], object],
        setup_secret: Callable[[], str] | None,
    ) -> None:
        """Compose; nothing is shown yet.

        Args:
            state: Where the audit trail is.
            store: The settings.
            bus: What is told to open pages.
            clock: Its boot time counts.
            key: The key of the device.
            journal: What a restart keeps.
            is_beside: Whether a request to this address of ours, from that address, comes from beside the device.
            send: Sends a text to the first number or address it gets through to, for a forgotten password.
            setup_secret: What the first administrator is asked for elsewhere; None if there is none.
        """
        self._store = store
        self._clock = clock
        self._audit = Audit(state.audit, clock)
        self._sessions = Sessions(lambda: store.items(Administrator), clock)
        self._accounts = AdminAccounts(store, clock, key)
        self._tokens = AdminTokens(store)
        self._recovery = Recovery(self._accounts, self._sessions, self._tokens, send, key, clock, journal)
        self._first = FirstAdministrator(store, clock, self._audit, setup_secret)
        self._device = GatewayAsDevice(store, is_beside)
        self._streams: Streams[Listeners] = Streams("admin")
        self._live = Live(bus, self._streams, clock)

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return what can be asked of accounts, sessions and the audit trail."""
        functions = AccountFunctions(
            self._store, self._accounts, self._sessions, self._tokens, self._audit, self._clock
        )
        return functions.functions()

    def install(self, app: bottle.Bottle, table: Mapping[str, Callable[..., Any]], **facts: object) -> Site:
        """Add all pages to an application.

        Args:
            app: The application.
            table: The functions of the device.
            facts: Parts that some pages need beside those, by name.
        """
        site = Site(
            functions=Functions(table, self._audit),
            sessions=self._sessions,
            device=self._device,
            version=otppi.__version__,
            facts={
                "accounts": self._accounts,
                "tokens": self._tokens,
                "recovery": self._recovery,
                "first_administrator": self._first,
                "audit": self._audit,
                "live": self._live,
                "shown_once": ShownOnce(self._clock),
                **facts,
            },
        )
        site.install(app, ROUTES)
        return site

    def start(self) -> None:
        """Begin to note and to tell."""
        self._audit.start()
        self._streams.start()

    def stop(self) -> None:
        """Note what is left; for when no page is served and no news comes any more."""
        self._streams.stop()
        self._live.stop()
        self._audit.stop()

    def died(self) -> tuple[str, ...]:
        """Return the names of threads that ended though nobody asked them to."""
        return (*self._audit.died(), *self._streams.died())
