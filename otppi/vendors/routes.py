"""All accounts at vendors: made and unmade as the settings say."""

from collections.abc import Mapping
from threading import Lock

from otppi.contracts.received import ReportSink
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.modems import ModemStatus
from otppi.vendors.account import Account
from otppi.vendors.route import VendorRoute, status_of
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.upkeep import Credit
from otppi.work.queue import WorkQueue


class VendorRoutes:
    """Implements `ModemDirectory`, and takes messages from the queue."""

    def __init__(self, *, queue: WorkQueue, bus: Bus, reports: ReportSink, clock: Clock) -> None:
        """Compose.

        Args:
            queue: Where messages wait, for modems as well.
            bus: Hears what becomes of accounts and messages.
            reports: Takes what vendors say of messages afterwards.
            clock: Signs by its wall time.
        """
        self._queue = queue
        self._bus = bus
        self._reports = reports
        self._clock = clock
        self._lock = Lock()  # one `apply` at a time; readers take the mappings as they are
        self._settings: Mapping[str, VendorRouteSettings] = {}
        self._routes: Mapping[str, VendorRoute] = {}

    def apply(self, settings: Mapping[str, VendorRouteSettings]) -> None:
        """Start and stop accounts until they are as the settings say; waits for those that stop."""
        with self._lock:
            wanted = {route_id: one for route_id, one in settings.items() if one.active}
            gone = [route for route_id, route in self._routes.items() if route_id not in wanted]
            for route in gone:
                route.ask_to_stop()
            for route in gone:
                route.stop()
            kept = {route_id: route for route_id, route in self._routes.items() if route_id in wanted}
            for route_id, route in kept.items():
                route.settings = wanted[route_id]
            added = {
                route_id: self._make(route_id, one)
                for route_id, one in wanted.items()
                if route_id not in kept
            }
            self._routes = kept | added
            self._settings = dict(settings)
            for route in added.values():
                route.start()

    def stop(self) -> None:
        """Let every account finish the messages in hand."""
        self.apply({})

    def snapshot(self) -> tuple[ModemStatus, ...]:
        """See `ModemDirectory`."""
        routes = self._routes
        return tuple(
            routes[route_id].status() if route_id in routes else status_of(route_id, one)
            for route_id, one in self._settings.items()
        )

    def credits(self) -> Mapping[str, Credit]:
        """Return what is known to be left, by account."""
        known = {route_id: route.credit for route_id, route in self._routes.items()}
        return {route_id: credit for route_id, credit in known.items() if credit is not None}

    def ask_balance(self, route_id: str, settings: VendorRouteSettings) -> Credit:
        """Ask what is left, of an account that is not active as well; waits for the vendor.

        One that rests is tried again if the vendor answers and something is left.

        Raises:
            VendorTrouble: It did not say it.
        """
        route = self._routes.get(route_id)
        if route is None:
            return Credit(
                amount=Account(settings, self._clock).balance(), at_wall_s=self._clock.wall_s(), warning=""
            )
        credit = route.ask_balance()
        with self._lock:  # one that stops gives its bell back
            if credit.amount > 0 and self._routes.get(route_id) is route:
                route.end_rest()
        return credit

    def died(self) -> tuple[str, ...]:
        """Return the names of accounts whose thread ended though nobody asked it to."""
        return tuple(route.settings.name for route in self._routes.values() if route.has_died)

    def _make(self, route_id: str, settings: VendorRouteSettings) -> VendorRoute:
        return VendorRoute(
            route_id, settings, queue=self._queue, bus=self._bus, reports=self._reports, clock=self._clock
        )
