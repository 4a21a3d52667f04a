"""The e-mail accounts as pages, command line and diagnosis see them."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from otppi.gateway.ledger import Ledger
from otppi.mail.accounts import MailAccounts
from otppi.mail.presets import PRESETS
from otppi.mail.settings import ADDRESS, EmailAccountSettings
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest, Busy, DeliveryError
from otppi.model.mail import MailState
from otppi.settings.store import SettingsStore

_LEVELS = {MailState.READY: Level.GREEN, MailState.RESTING: Level.YELLOW, MailState.FAILED: Level.RED}
_ADVICE = {
    MailState.RESTING: "It is tried again by itself; a test message that goes well ends the waiting.",
    MailState.FAILED: "Look at the server, user name and password of the account, and send a test message. It is tried "
    "again every quarter of an hour.",
}


class MailDesk:
    """What is told and asked of e-mail accounts; every method may be called from any thread."""

    def __init__(self, store: SettingsStore, accounts: MailAccounts, ledger: Ledger) -> None:
        self._store = store
        self._accounts = accounts
        self._ledger = ledger

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that pages and the command line may make."""
        return {
            "email_account.list": self.list,
            "email_account.presets": self.presets,
            "email_account.test": self.test,
        }

    def presets(self) -> list[dict[str, Any]]:
        """Return known servers, for forms to be filled in; advice says what an owner has to know of one."""
        return [asdict(one) for one in PRESETS]

    def list(self) -> list[dict[str, Any]]:
        """Return all e-mail accounts as they stand, in the order of the settings."""
        settings = self._store.items(EmailAccountSettings)
        accounts = [one for one in self._accounts.accounts() if one.id in settings]
        return [
            {
                "id": one.id,
                "name": one.name,
                "active": settings[one.id].active,
                "state": one.state.value,
                "reason": one.reason,
                "host": settings[one.id].host,
                "port": settings[one.id].port,
                "security": settings[one.id].security,
                "sender_address": settings[one.id].sender_address,
                "sent_today": counted["today"]["parts"],
                "limit_per_day": settings[one.id].limit_per_day,
                "left_today": counted["quota_left"].get("day"),
            }
            for one, counted in zip(accounts, self._ledger.report(accounts), strict=True)
        ]

    def test(self, account: str, address: str) -> dict[str, Any]:
        """Send a test message by one e-mail account, by its name or id; waits for the server.

        An account that rests is tried all the same, and takes messages again if it goes well.
        """
        if not re.fullmatch(ADDRESS, address):
            raise BadRequest("address", "is not an e-mail address")
        for account_id, settings in self._store.items(EmailAccountSettings).items():
            if account in (account_id, settings.name):
                break
        else:
            raise BadRequest("account", "there is no such account")
        began_s = time.monotonic()
        reason = ""
        try:
            self._accounts.test(account_id, settings, address)
        except (Busy, DeliveryError) as error:
            reason = str(error)
        return {"sent": not reason, "reason": reason, "seconds": round(time.monotonic() - began_s, 2)}

    def checks(self) -> Iterable[Check]:
        """Look at every account that is to be used."""
        for one in self._accounts.accounts():
            if one.state is not MailState.OFF:
                yield Check(
                    name=f"e-mail account {one.name}",
                    level=_LEVELS[one.state],
                    finding=one.reason or one.state.value,
                    advice=_ADVICE.get(one.state, ""),
                )
