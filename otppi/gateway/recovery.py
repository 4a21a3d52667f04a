"""A forgotten password: a code to the phone or e-mail address of the account lets its person set a new one."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from otppi.gateway.admin_tokens import AdminTokens
from otppi.gateway.administrators import AdminAccounts
from otppi.gateway.journal import Journal
from otppi.gateway.limits import Rule, SlidingLimit
from otppi.gateway.new_passwords import refuse_weak
from otppi.gateway.otp import OtpSettings, OtpStore
from otppi.gateway.sessions import Sessions
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.model.errors import (
    BadRequest,
    DuplicateReference,
    OtpError,
    OtpInvalid,
    OtpPiError,
    TooManyRequests,
)

log = logging.getLogger(__name__)

_HOUR_S = 3600.0
# NIST SP 800-63B-4, 4.2: at least six digits, ten minutes at most; ASVS 5.0, 6.6.3 limits guesses.
# An address may try only some of them, so that nobody alone uses up a code that its owner is about to type.
_CODES = OtpSettings(length=8, default_life_s=600, max_life_s=600, max_wrong_tries=50)
_WRONG_FROM_ADDRESS = (Rule(limit=10, window_s=600.0), Rule(limit=20, window_s=_HOUR_S))
_FOR_ACCOUNT = Rule(limit=3, window_s=_HOUR_S)
_FROM_ADDRESS = Rule(limit=10, window_s=_HOUR_S)
_NO_PARAMS = ("", "", "", "")

# In GSM-7, one part each.
_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "en": "{code} is your code for a new OTP-Pi password. It is valid for 10 minutes. Give it to nobody. "
        "You did not ask for it? Then ignore it.",
        "id": "{code} adalah kode Anda untuk kata sandi OTP-Pi yang baru, berlaku 10 menit. Jangan berikan kepada "
        "siapa pun. Abaikan jika Anda tidak memintanya.",
    }
)


class Recovery:
    """Sends codes and takes new passwords; every method may be called from any thread.

    Whoever asks learns nothing of which accounts there are. A second factor stays: who has lost that as well
    needs another owner, or a USB stick. Codes are in memory only, as keyed hashes.
    """

    def __init__(
        self,
        accounts: AdminAccounts,
        sessions: Sessions,
        tokens: AdminTokens,
        send: Callable[[Sequence[str], str], object],
        key: bytes,
        clock: Clock,
        journal: Journal,
    ) -> None:
        """Take the parts.

        Args:
            accounts: Gets the new password.
            sessions: Those of the account end.
            tokens: Those of the account are removed.
            send: Sends a text to the first of these numbers and addresses that it gets through to, and may wait for
                it; raises OtpPiError if it failed.
            key: The key of the device.
            clock: Its boot time counts.
            journal: What a restart keeps; a code for a password is never among it.
        """
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._send = send
        self._key = key
        self._clock = clock
        # One live code for each account, and used up by the first success: as every other code of the device.
        self._otp = OtpStore(lambda: _CODES, key, clock, journal, kind="recovery")
        self._lock = threading.Lock()
        self._for_accounts = SlidingLimit(_FOR_ACCOUNT)
        self._from_addresses = SlidingLimit(_FROM_ADDRESS)
        self._wrong = SlidingLimit(*_WRONG_FROM_ADDRESS)

    def begin(self, user_or_contact: str, address: str, language: str = "en") -> None:
        """Send a code, if there is an account of this name that has a contact and no code yet that counts.

        Were the earlier one void, whoever asks again and again would keep its owner out. Returns at once and says
        nothing of what it did. The language is used where the account names none.

        Raises:
            TooManyRequests: Too many were asked for from this address.
        """
        user = self._accounts.find(user_or_contact)
        with self._lock:
            now = self._clock.boot_s()
            _take(self._from_addresses, self._hash("address", address), now)
            if not user:
                return
            account = self._accounts.account(user)
            contacts = self._accounts.contacts_of(account)
            if not contacts or not account.is_usable:
                return
            key = self._hash("account", user)
            if self._for_accounts.wait_s(key, now) > 0:
                log.warning("too many codes for a new password", extra={"fields": {"user": user}})
                return
            try:
                issued = self._otp.issue(user, " ".join(contacts), _NO_PARAMS, _CODES.default_life_s)
            except DuplicateReference:
                return
            self._for_accounts.take(key, now)
        text = _TEXTS.get(account.language or language, _TEXTS["en"]).format(code=issued.code)
        log.info("a code for a new password", extra={"fields": {"user": user, "address": address}})
        # How long the network takes would tell that there is such an account.
        threading.Thread(
            target=self._deliver, args=(user, issued.token, contacts, text), name="recovery", daemon=True
        ).start()

    def finish(self, user_or_contact: str, code: str, new_password: str, address: str) -> str:
        """Set a new password by the code, end all sessions and tokens of the account, and return its user name.

        Raises:
            BadRequest: The password is too easy to guess; the code is used up only if it is the user name, which
                nobody learns without a code.
            OtpInvalid: The code is wrong or no longer valid, or there is no such account.
            TooManyRequests: Too much from this address was wrong.
            SettingsError: The disk refuses; a new code is needed.
        """
        key, now = self._hash("wrong", address), self._clock.boot_s()
        with self._lock:
            _take(self._wrong, key, now)
        refuse_weak(user_or_contact, new_password)
        user = self._accounts.find(user_or_contact)
        try:
            self._check(user, code)
        except (OtpError, BadRequest):
            raise OtpInvalid("the code is wrong or no longer valid") from None
        self._wrong.give_back(key, now)
        refuse_weak(user, new_password)
        self._tokens.remove_all(user)
        self._accounts.set_password(user, new_password)
        # For good: with a backup the old password could come back, and they with it.
        self._sessions.close_others(user, keep_token="")
        log.warning("a new password by a code", extra={"fields": {"user": user, "address": address}})
        return user

    def _check(self, user: str, code: str) -> None:
        account = self._accounts.account(user)
        if not account.is_usable:
            raise OtpInvalid("the account is switched off")
        # Bound to where it was sent: a contact that changed meanwhile proves nothing.
        self._otp.verify(user, " ".join(self._accounts.contacts_of(account)), _NO_PARAMS, code)

    def _deliver(self, user: str, token: str, contacts: Sequence[str], text: str) -> None:
        try:
            self._send(contacts, text)
        except OtpPiError as error:
            self._otp.revoke(user, token)
            fields = {"user": user, "reason": type(error).__name__}
            log.error("a code for a new password was not sent", extra={"fields": fields})  # noqa: TRY400

    def _hash(self, scope: str, name: str) -> bytes:
        return keyed_hash(self._key, "recovery", scope, name)


def _take(limit: SlidingLimit, key: bytes, now: float) -> None:
    wait_s = limit.wait_s(key, now)
    if wait_s > 0:
        raise TooManyRequests("address", wait_s)
    limit.take(key, now)
