"""All e-mail accounts: made and unmade as the settings say."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from otppi.contracts.mail import OutgoingMail, Relayed, Written
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.lib.threads import died
from otppi.mail.account import Account, status_of
from otppi.mail.settings import EmailAccountSettings, EmailSettings
from otppi.model.errors import SendFailed
from otppi.model.mail import DIRECT, MailAccountStatus

log = logging.getLogger(__name__)

_TEST_S = 60.0
_LONGEST_WAIT_S = 3600.0


class DirectSender(Protocol):
    """Brings e-mail straight to the servers of the receiver's domain."""

    def send(self, mail: OutgoingMail, until: Deadline, before_submit: Callable[[], None]) -> None:
        """See `MailSender`."""
        ...


class MailAccounts:
    """Implements `MailSender`; the thread `mail` closes connections that nobody needs any more."""

    def __init__(
        self,
        *,
        settings: Callable[[], EmailSettings],
        device_name: Callable[[], str],
        bus: Bus,
        clock: Clock,
        direct: DirectSender | None = None,
    ) -> None:
        """Compose.

        Args:
            settings: What all accounts have in common.
            device_name: The name that receivers see where nobody set another.
            bus: Hears how accounts stand.
            clock: Dates messages, and measures rests and waits.
            direct: The way without an account.
        """
        self._common = settings
        self._device_name = device_name
        self._bus = bus
        self._clock = clock
        self._direct = direct
        self._lock = threading.Lock()  # one `apply` at a time; readers take the mappings as they are
        self._settings: Mapping[str, EmailAccountSettings] = {}
        self._accounts: Mapping[str, Account] = {}
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    def apply(self, items: Mapping[str, EmailAccountSettings]) -> None:
        """Make and unmake accounts until they are as the settings say; messages on their way are finished."""
        with self._lock:
            before = self._accounts
            self._accounts = {
                account_id: before[account_id]
                if account_id in before and before[account_id].settings == one
                else self._made(account_id, one, self._bus)
                for account_id, one in items.items()
                if one.active
            }
            self._settings = dict(items)
            for account_id, account in before.items():
                if self._accounts.get(account_id) is not account:
                    account.close()
            if self._accounts and self._thread.ident is None:
                self._thread.start()
        self._woken.set()

    def accounts(self) -> tuple[MailAccountStatus, ...]:
        """See `MailSender`."""
        accounts = self._accounts
        return tuple(
            accounts[account_id].status() if account_id in accounts else status_of(account_id, one)
            for account_id, one in self._settings.items()
        )

    def send(
        self, account_id: str, mail: OutgoingMail, until: Deadline, before_submit: Callable[[], None]
    ) -> None:
        """See `MailSender`."""
        if account_id == DIRECT:
            if self._direct is None:
                raise SendFailed("e-mail is not brought straight to the receiver's server here")
            self._direct.send(mail, until, before_submit)
            return
        if (account := self._accounts.get(account_id)) is None:
            raise SendFailed("the e-mail account is not active any more")
        try:
            account.send(mail, self._composed(mail, account.settings), until, before_submit)
        finally:
            self._woken.set()

    def test(self, account_id: str, settings: EmailAccountSettings, address: str) -> None:
        """Send a short message, by an account that rests or is not active as well; success ends a rest.

        It is not counted with what the account may send in a day.

        Raises:
            Busy: Not sent, as all connections of the account are in use.
            SendFailed: Not sent; the server's own words are in it.
            OutcomeUnknown: The server does not say what became of it.
        """
        account = self._accounts.get(account_id)
        if account is None or account.settings != settings:
            account = self._made(account_id, settings, Bus())  # nobody is to hear of it
        text = f"This is a test of the e-mail account {settings.name}. Nobody has to do anything."
        mail = OutgoingMail(
            address=address,
            body=Written(subject=f"Test from {self._device_name()}", text=text),
            message_id=secrets.token_hex(16),
        )
        until = Deadline.after(self._clock, _TEST_S)
        try:
            account.send(mail, self._composed(mail, settings), until, is_test=True)
        finally:
            if account is not self._accounts.get(account_id):
                account.close()
            self._woken.set()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stopping.is_set())

    def stop(self) -> None:
        """Close all connections and end the thread; messages on their way are finished by their callers."""
        self.apply({})
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _made(self, account_id: str, settings: EmailAccountSettings, bus: Bus) -> Account:
        return Account(account_id, settings, idle_s=lambda: self._common().idle_s, bus=bus, clock=self._clock)

    def _composed(self, mail: OutgoingMail, account: EmailAccountSettings) -> bytes:
        from otppi.mail.compose import composed

        common = self._common()
        is_code = not isinstance(mail.body, Relayed) and mail.body.is_code
        return composed(
            mail,
            account,
            sender_name=account.sender_name or common.sender_name or self._device_name(),
            subject=common.code_subject if is_code else common.subject,
            at=datetime.fromtimestamp(self._clock.wall_s(), UTC).astimezone(),
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            due_s = _LONGEST_WAIT_S
            for account in self._accounts.values():
                try:
                    due_s = min(due_s, account.look_after())
                except Exception:
                    log.exception(
                        "an e-mail account failed", extra={"fields": {"account": account.settings.name}}
                    )
            self._woken.wait(due_s)
