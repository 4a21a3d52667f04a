"""How administrators prove who they are: password, second factor, and what keeps guessers away."""

import hmac
import logging
import re
import secrets
import threading
from collections.abc import Sequence

from otppi.gateway.accounts import TOTP_SECRET, Administrator, keep_password
from otppi.gateway.guessing import GrowingWaits, OneAtATime
from otppi.gateway.limits import Rule, SlidingLimit
from otppi.gateway.new_passwords import refuse_weak
from otppi.gateway.policy import SmsSettings
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.lib.passwords import hash_password, kept_form
from otppi.model.errors import BadRequest, ClockNotSet, SecondFactorNeeded, Unauthorized
from otppi.model.number import parse_number
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

# ASVS 5.0, 6.3.1. A minute is short enough for an owner whom somebody keeps out by guessing, and makes 1,440 guesses a
# day.
_FREE_TRIES = 5
_LONGEST_WAIT_S = 60.0
# Whoever gets here knows the password, and of a million codes three are right at any moment.
_LONGEST_CODE_WAIT_S = 600.0
# Time enough to find the phone, and a code comes every half minute.
_HALF_WAY_S = 300
# Half of the threads that serve the pages.
_AT_SLOW_HASHES = 3
_LOG_LINES = Rule(limit=1, window_s=60.0)
_WRONG = "user name or password is wrong"
_ISSUER = "OTP-Pi"
_CODE = re.compile(r"[0-9]{6}")
_STEPS_OFF = 1  # RFC 6238, 5.2: one step for clocks that differ and people who type
_MARK_BYTES = 16

_Keys = list[tuple[str, bytes]]


class AdminAccounts:
    """Accounts of administrators; every method may be called from any thread, and many take a slow hash.

    Wrong passwords make the next try wait, for the address and for the account. A browser that has logged in
    before brings its mark and has waits of its own, so nobody can keep it out by guessing from elsewhere (the
    "device cookie" of OWASP). The waits and the used codes of authenticator apps are in memory only.
    """

    def __init__(self, store: SettingsStore, clock: Clock, key: bytes) -> None:
        """Take the store, the clock, and the key of the device, which signs the marks of browsers."""
        self._store = store
        self._clock = clock
        self._key = key
        self._slow = OneAtATime(most_threads=_AT_SLOW_HASHES)
        self._waits = GrowingWaits(free=_FREE_TRIES, longest_s=_LONGEST_WAIT_S)
        self._code_waits = GrowingWaits(free=_FREE_TRIES, longest_s=_LONGEST_CODE_WAIT_S)
        self._told = SlidingLimit(_LOG_LINES)
        self._half_way_key = secrets.token_bytes(32)
        self._codes = threading.Lock()
        self._used_steps: dict[str, tuple[str, int]] = {}  # user: secret, last step that was used

    def log_in(
        self,
        user: str,
        clear: str,
        address: str,
        *,
        totp: str = "",
        known_browser: str = "",
        half_way: str = "",
    ) -> str:
        """Let an administrator in.

        Args:
            user: User name, or the e-mail address or phone number if only one account has it.
            clear: The password.
            address: Where the request comes from.
            totp: The code of the authenticator app, if it was asked for.
            known_browser: What `browser_mark` once gave to this browser, if it still has it.
            half_way: What `half_way_mark` gave when only the code was wanting; it stands for the password.

        Returns:
            The user name.

        Raises:
            Unauthorized: User or password is wrong, or the account is switched off.
            SecondFactorNeeded: The password is right, and the code that the account wants as well is missing or wrong.
            TooManyRequests: Too much was wrong before, or too many wait to be looked at.
            ClockNotSet: The account wants a code, which cannot be judged now.
        """
        found = self.find(user)
        keys = self._keys_of(found or user, address, known_browser if found else "")
        account = self._half_way(found, half_way) or self._prove(found, clear, keys, address)
        if account.totp_secret:
            self._ask_code(found, account.totp_secret, totp, keys, address)
        _forgive(self._waits, keys)
        return found

    def confirm(self, user: str, clear: str) -> None:
        """Ask somebody who is logged in for the password once more.

        Raises:
            BadRequest: It is wrong.
            TooManyRequests: It was wrong too often.
        """
        keys: _Keys = [("account", keyed_hash(self._key, "confirm", user))]
        try:
            self._prove(user, clear, keys, "")
        except Unauthorized:
            raise BadRequest("password", "is not your password") from None
        _forgive(self._waits, keys)

    def browser_mark(self, user: str) -> str:
        """Return what a browser keeps to be known again when this user logs in; give it after a log-in."""
        nonce = secrets.token_hex(_MARK_BYTES)
        return f"{nonce}.{self._signature(user, nonce)}"

    def half_way_mark(self, called: str) -> str:
        """Return what stands for the password for some minutes; give it to who had that right and lacked a code."""
        until_s = str(int(self._clock.boot_s()) + _HALF_WAY_S)
        return f"{until_s}.{self._half_way_signature(self.find(called), until_s)}"

    def find(self, called: str) -> str:
        """Return the user name of who is called so: by it, or by e-mail address or phone number; empty if nobody is.

        What two accounts have is nobody's.
        """
        accounts = self._store.items(Administrator)
        if called in accounts:
            return called
        by_mail = [
            user for user, one in accounts.items() if one.email and one.email.casefold() == called.casefold()
        ]
        number = self.digits_of(called)
        by_phone = [user for user, one in accounts.items() if number and self.digits_of(one.phone) == number]
        found = {*by_mail, *by_phone}
        return found.pop() if len(found) == 1 else ""

    def digits_of(self, phone: str) -> str:
        """Return the canonical digits of a contact's number; empty if it is none that gets messages."""
        try:
            number = parse_number(phone, self._store.get(SmsSettings).country_code)
        except ValueError:
            return ""
        return "" if number.is_short_code else number.digits

    def contacts_of(self, account: Administrator) -> Sequence[str]:
        """Return where the person can be reached, the phone first; empty if nowhere."""
        address = account.email.strip()
        is_address = " " not in address and 0 < address.find("@") < len(address) - 1
        return [one for one in (self.digits_of(account.phone), address if is_address else "") if one]

    def account(self, user: str) -> Administrator:
        """Return an account.

        Raises:
            BadRequest: There is none of this name.
        """
        account = self._store.items(Administrator).get(user)
        if account is None:
            raise BadRequest("user", "there is no such administrator")
        return account

    def set_password(self, user: str, clear: str) -> None:
        """Give an account a new password, which ends its sessions.

        Raises:
            BadRequest: The password is too easy to guess, or there is no such account.
            SettingsError: The disk refuses.
        """
        refuse_weak(user, clear)
        stored = hash_password(clear)  # before the lock: it takes a moment
        with self._store.exclusively():
            self.account(user)
            self._store.put(Administrator, user, {"password": stored})

    def begin_totp(self, user: str) -> dict[str, str]:
        """Return a new secret for an authenticator app, and the link that its QR code holds; nothing is kept."""
        import pyotp

        self.account(user)
        secret = pyotp.random_base32()
        return {
            "secret": secret,
            "uri": pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=_ISSUER),
        }

    def enable_totp(self, user: str, secret: str, code: str) -> None:
        """Ask for codes of this secret from now on; the code shows that the app has it.

        Raises:
            BadRequest: The code is wrong, or the secret is none.
            TooManyRequests: Codes were wrong too often.
            ClockNotSet: No code can be judged now.
        """
        keys: _Keys = [("account", keyed_hash(self._key, "enable", user))]
        if not re.fullmatch(TOTP_SECRET, secret):
            raise BadRequest("secret", "is not the secret of an authenticator app")
        try:
            self._ask_code(user, secret, code, keys, "")
        except Unauthorized:
            reason = "is not the code of this moment; is the clock of the phone right?"
            raise BadRequest("code", reason) from None
        with self._store.exclusively():
            self.account(user)
            self._store.put(Administrator, user, {"totp_secret": secret})

    def disable_totp(self, user: str) -> None:
        """Ask for no more codes.

        Raises:
            BadRequest: There is no such account.
            SettingsError: The disk refuses.
        """
        with self._store.exclusively():
            self.account(user)
            self._store.put(Administrator, user, {"totp_secret": ""})

    def _prove(self, user: str, clear: str, keys: _Keys, address: str) -> Administrator:
        """Return the account if this is its password; unknown, wrong and switched off look and cost the same."""
        self._waits.refuse(keys, self._clock.boot_s())
        with self._slow.turn():
            self._waits.refuse(keys, self._clock.boot_s())
            account = self._store.items(Administrator).get(user)
            stored = account.password if account is not None else ""
            kept = kept_form(clear, stored)
            if account is None or kept is None or not account.is_usable:
                self._waits.count(keys, self._clock.boot_s())
                self._tell("a wrong password of an administrator", user, address)
                raise Unauthorized(_WRONG)
            keep_password(self._store, Administrator, user, stored, kept)
        return account

    def _ask_code(self, user: str, secret: str, code: str, keys: _Keys, address: str) -> None:
        if not self._clock.wall_is_trusted():
            raise ClockNotSet(
                "the code of the authenticator app cannot be judged, as the clock of the device is not set; open these "
                "pages over the access point of the device, which sets it, or reset the administrators by a USB stick"
            )
        if not code:
            raise SecondFactorNeeded("the code of the authenticator app is needed")
        with self._codes:
            now = self._clock.boot_s()
            self._code_waits.refuse(keys, now)
            step = self._step_of(secret, code)
            used_secret, used_step = self._used_steps.get(user, ("", 0))
            if step is None or (used_secret == secret and step <= used_step):
                self._code_waits.count(keys, now)
                self._tell("a wrong code of an authenticator app", user, address)
                raise SecondFactorNeeded("the code of the authenticator app is wrong")
            self._used_steps[user] = (secret, step)
        _forgive(self._code_waits, keys)

    def _step_of(self, secret: str, code: str) -> int | None:
        import pyotp

        typed = re.sub(r"\s", "", code)
        if not _CODE.fullmatch(typed):
            return None
        try:
            return pyotp.TOTP(secret).verify_and_get_timecode(
                typed, for_time=self._clock.wall_s(), valid_window=_STEPS_OFF
            )
        except pyotp.OTPVerificationError:
            return None

    def _half_way(self, user: str, mark: str) -> Administrator | None:
        """Return the account if this mark is one for it as it is now, and counts still."""
        until_s, _, signature = mark.encode("ascii", "replace").decode().partition(".")
        account = self._store.items(Administrator).get(user)
        if account is None or not account.is_usable:
            return None
        if not hmac.compare_digest(signature, self._half_way_signature(user, until_s)):
            return None
        return account if self._clock.boot_s() < int(until_s) else None

    def _half_way_signature(self, user: str, until_s: str) -> str:
        account = self._store.items(Administrator).get(user)
        stored = (account.password, account.totp_secret) if account is not None else ("", "")
        return keyed_hash(self._half_way_key, "half way", user, until_s, *stored).hex()

    def _keys_of(self, user: str, address: str, known_browser: str) -> _Keys:
        nonce, _, signature = known_browser.encode("ascii", "replace").decode().partition(".")
        if hmac.compare_digest(signature, self._signature(user, nonce)):
            return [("browser", keyed_hash(self._key, "known browser", user, nonce))]
        return [
            ("account", keyed_hash(self._key, "account", user)),
            ("address", keyed_hash(self._key, "address", address)),
        ]

    def _signature(self, user: str, nonce: str) -> str:
        return keyed_hash(self._key, "browser mark", user, nonce).hex()

    def _tell(self, what: str, user: str, address: str) -> None:
        """Log one line a minute for each address; what was typed for a name may be a password."""
        now = self._clock.boot_s()
        if self._told.wait_s(address.encode(), now) == 0:
            self._told.take(address.encode(), now)
            log.warning(what, extra={"fields": {"address": address, "user": user or "unknown"}})


def _forgive(waits: GrowingWaits, keys: _Keys) -> None:
    # Not the address: an account of one's own must not buy guesses at another.
    for scope, key in keys:
        if scope != "address":
            waits.forgive(key)
