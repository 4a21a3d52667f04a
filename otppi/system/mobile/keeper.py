"""Keeps the mobile connection as the settings say; pppd itself is in a unit of its own."""

import logging
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address

from otppi.contracts.host import Units
from otppi.model.checks import Check, Level
from otppi.model.errors import HostError
from otppi.model.mobile import MobileLink
from otppi.system.mobile.endings import explained
from otppi.system.mobile.reading import address_of, last_exit

log = logging.getLogger(__name__)

UNIT = "otppi-mobile.service"
INTERFACE = "ppp0"
_AT_REST = frozenset({"inactive", "failed", "absent"})


class MobileKeeper:
    """Starts and stops the unit that dials; all but `checks` on one thread.

    A port belongs to the modems that send or to pppd, so a change goes in this order: `let_go`, then the pool of
    modems, then `take_up`. Each of the three waits until its ports are free or taken.
    """

    def __init__(
        self,
        units: Units,
        *,
        address_of: Callable[[str], IPv4Address | None] = address_of,
        last_exit: Callable[[str], int | None] = last_exit,
    ) -> None:
        """Make a keeper that has asked nothing yet; the unit may be running from an earlier life of ours."""
        self._units = units
        self._address_of = address_of
        self._last_exit = last_exit
        self._links: tuple[MobileLink, ...] = ()
        self._running: MobileLink | None = None
        self._is_settled = False

    def let_go(self, links: Sequence[MobileLink]) -> None:
        """Stop pppd unless it dials the first of these already; its port is free when this returns.

        What could not be done is logged and shown by `checks`.
        """
        wanted = links[0] if links else None
        self._links = tuple(links)
        if self._running is not None and self._running == wanted:
            return
        self._running = None
        self._is_settled = False
        try:
            if self._units.state(UNIT) not in _AT_REST:
                self._units.stop(UNIT)
        except HostError as error:
            self._report("mobile internet could not be stopped", error)
        else:
            self._is_settled = wanted is None

    def take_up(self) -> None:
        """Let pppd dial what `let_go` was told, unless it does already; returns before there is a connection."""
        if not self._links or self._running is not None:
            return
        try:
            self._units.start(UNIT)
        except HostError as error:
            self._report("mobile internet could not be started", error)
        else:
            self._running = self._links[0]
            self._is_settled = True

    def settle(self, links: Sequence[MobileLink]) -> None:
        """Do what could not be done before, for modems that are in nobody's hands; nothing if all was done."""
        if not self._is_settled or tuple(links) != self._links:
            self.let_go(links)
            self.take_up()

    def redial(self) -> None:
        """Hang up and dial anew.

        Raises:
            HostError: It could not be stopped or started.
        """
        # Not a restart: that is what systemd does by itself, and a link that dials once would not dial again.
        self._units.stop(UNIT)
        self._units.start(UNIT)

    def checks(self) -> Iterable[Check]:
        """Look at the connection; may be called from any thread, and asks systemd."""
        links = self._links
        if not links:
            yield _green("not set up")
            return
        for spare in links[1:]:
            yield _check(
                Level.YELLOW,
                f"{spare.modem_name} is kept for internet and not used: {links[0].modem_name} is",
                "One modem is enough for it; let the other one send SMS.",
            )
        yield self._check_link(links[0])

    def _check_link(self, link: MobileLink) -> Check:
        try:
            state = self._units.state(UNIT)
            if state == "absent":
                return _check(
                    Level.RED,
                    f"{UNIT} is not installed",
                    "Mobile internet needs the device's own image.",
                )
            address = self._address_of(INTERFACE) if state == "active" else None
            if address is not None:
                return _green(f"connected through {link.modem_name}, address {address}; it sends no SMS")
            if state == "active":
                return _check(
                    Level.YELLOW, f"dialling through {link.modem_name}; it sends no SMS", "Wait a minute."
                )
            return self._check_ended(link, state)
        except (HostError, OSError) as error:
            return _check(Level.RED, f"its state is not known: {error}", "Restart the device.")

    def _check_ended(self, link: MobileLink, state: str) -> Check:
        if state == "inactive" and not link.reconnects:
            return _check(
                Level.YELLOW,
                f"not connected through {link.modem_name}: its one call is over",
                "Switch on its setting autoreconnect, or dial again: otppi mobile redial",
            )
        what, help_text = explained(self._last_exit(UNIT))
        soon = "; it is dialled again by itself" if state == "activating" else ""
        return _check(Level.RED, f"not connected through {link.modem_name}: {what}{soon}", help_text)

    def _report(self, what: str, error: HostError) -> None:
        # Without any such modem it is of no interest that a development machine has no systemd.
        level = logging.WARNING if self._links else logging.DEBUG
        log.log(level, what, extra={"fields": {"reason": str(error)}})


def _green(finding: str) -> Check:
    return _check(Level.GREEN, finding, "")


def _check(level: Level, finding: str, advice: str) -> Check:
    return Check(name="mobile internet", level=level, finding=finding, advice=advice)
