"""The accounts at SMS vendors as pages and diagnosis see them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from otppi.contracts.sms import ModemDirectory
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.tariff import shown_money
from otppi.settings.store import SettingsStore
from otppi.vendors.routes import VendorRoutes
from otppi.vendors.settings import VendorRouteSettings
from otppi.vendors.upkeep import Credit

_ADVICE: Mapping[ModemState, str] = {
    ModemState.FAILED: "Look at address, account and password, and test the connection. It is tried again every "
    "quarter of an hour.",
    ModemState.RESTING: "Top up the account if no credit is left. It is tried again by itself; a test of the "
    "connection that goes well ends the waiting.",
    ModemState.STARTING: "Wait a few seconds.",
}


class Senders:
    """Implements `ModemDirectory` for all that send: modems, and accounts at vendors behind them."""

    def __init__(self, *directories: ModemDirectory) -> None:
        self._directories = directories

    def snapshot(self) -> tuple[ModemStatus, ...]:
        """See `ModemDirectory`."""
        return tuple(one for directory in self._directories for one in directory.snapshot())


class VendorDesk:
    """What is told and asked of accounts at vendors; every method may be called from any thread."""

    def __init__(self, store: SettingsStore, routes: VendorRoutes) -> None:
        self._store = store
        self._routes = routes

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that pages may make."""
        return {"vendor_route.list": self.list, "vendor_route.test": self.test}

    def list(self) -> list[dict[str, Any]]:
        """Return all accounts at SMS vendors as they stand, in the order of the settings."""
        credits, settings = self._routes.credits(), self._store.items(VendorRouteSettings)
        return [
            {
                "id": one.id,
                "name": one.name,
                "state": one.state.value,
                "reason": one.reason,
                "active": one.active,
                "last_resort": one.is_last_resort,
                "host": settings[one.id].address.hostname,
                "encrypted": settings[one.id].address.scheme == "https",
                "prefixes": list(one.prefixes),
                "prices": list(settings[one.id].prices),
                **_left(credits.get(one.id)),
            }
            for one in self._routes.snapshot()
            if one.id in settings
        ]

    def test(self, route: str) -> dict[str, Any]:
        """Ask a vendor what is left on an account, by its name or id; waits for the vendor.

        An account that rests is tried again if the vendor answers.
        """
        for route_id, settings in self._store.items(VendorRouteSettings).items():
            if route in (route_id, settings.name):
                return self._described(route_id, settings.name, self._routes.ask_balance(route_id, settings))
        raise BadRequest("route", "there is no such account")

    def has(self, route: str) -> bool:
        """Whether there is an account of this name or id."""
        return any(route in (key, one.name) for key, one in self._store.items(VendorRouteSettings).items())

    def balances(self) -> Iterable[dict[str, Any]]:
        """Return what is left on every active account, in the form of the balances of SIMs."""
        credits = self._routes.credits()
        return (
            self._described(one.id, one.name, credits.get(one.id))
            for one in self._routes.snapshot()
            if one.active
        )

    def checks(self) -> Iterable[Check]:
        """Look at every account that is to be used."""
        credits = self._routes.credits()
        for one in self._routes.snapshot():
            if not one.active:
                continue
            credit = credits.get(one.id)
            warning = credit.warning if credit is not None else ""
            level = Level.YELLOW
            if one.state is ModemState.FAILED:
                level = Level.RED
            elif one.is_ready and not warning:
                level = Level.GREEN
            yield Check(
                name=f"SMS vendor {one.name}",
                level=level,
                finding=one.reason or warning or one.state.value,
                advice="Top up the account." if one.is_ready and warning else _ADVICE.get(one.state, ""),
            )

    @staticmethod
    def _described(route_id: str, name: str, credit: Credit | None) -> dict[str, Any]:
        return {"modem": name, "modem_id": route_id, "is_vendor": True, "problem": "", **_left(credit)}


def _left(credit: Credit | None) -> dict[str, Any]:
    """Return what is left as a balance is told."""
    if credit is None:
        return {"warnings": []}
    return {
        "warnings": [credit.warning] if credit.warning else [],
        "amount": shown_money(credit.amount),
        "valid_until": None,
        "at": credit.at_wall_s,
    }
