"""The first administrator of a device: who may make the account, and that there is only one."""

import hmac
from collections.abc import Callable, Mapping
from functools import partial

from otppi.gateway.accounts import Administrator, refuse_user_name
from otppi.gateway.functions import AuditTrail
from otppi.gateway.guessing import GrowingWaits
from otppi.gateway.new_passwords import refuse_weak
from otppi.gateway.policy import SmsSettings
from otppi.lib.clock import Clock
from otppi.lib.passwords import hash_password
from otppi.model.errors import BadRequest, SettingsError
from otppi.model.number import parse_number
from otppi.settings.store import SettingsStore

# The secret has 64 bits, so the waits are there for one that somebody chose; nobody can keep the owner out by guessing,
# as the access point asks for none.
_FREE_TRIES, _LONGEST_WAIT_S = 5, 60.0
_FREE_TRIES_IN_ALL, _LONGEST_WAIT_IN_ALL_S = 20, 10.0
_ALL = b"all"


class FirstAdministrator:
    """Makes the first account and no other; every method may be called from any thread.

    Who has joined the access point has shown to stand beside the device. Everybody else is asked for the set-up
    secret that was born on it.
    """

    def __init__(
        self, store: SettingsStore, clock: Clock, audit: AuditTrail, setup_secret: Callable[[], str] | None
    ) -> None:
        """Take the parts; without a secret only who stands beside the device can make the account."""
        self._store = store
        self._clock = clock
        self._audit = audit
        self._setup_secret = setup_secret
        self._waits = GrowingWaits(free=_FREE_TRIES, longest_s=_LONGEST_WAIT_S)
        self._waits_in_all = GrowingWaits(free=_FREE_TRIES_IN_ALL, longest_s=_LONGEST_WAIT_IN_ALL_S)

    @property
    def has_secret(self) -> bool:
        """Whether there is a secret to be asked for."""
        return self._setup_secret is not None

    def make(
        self,
        user: str,
        password: str,
        *,
        again: str,
        phone: str,
        email: str,
        language: str,
        address: str,
        is_beside: bool,
        secret: str = "",
    ) -> bool:
        """Make an owner's account, and return True; False if somebody else was faster.

        Args:
            user: User name.
            password: In the clear.
            again: The same once more.
            phone: Where a forgotten password is reset; may be empty.
            email: The same.
            language: Of the pages.
            address: Where the request comes from.
            is_beside: Whether that is beside the device.
            secret: The set-up secret, which is asked of all others.

        Raises:
            BadRequest: The secret is wrong.
            SettingsError: Says of every field that is not accepted why, or the disk refuses.
            TooManyRequests: The secret was wrong too often.
        """
        if not is_beside:
            self._prove(secret, address)
        values = {"phone": phone, "email": email, "language": language}
        self._refuse(user, password, again, values)
        values["password"] = hash_password(password)  # before the lock: it takes a moment
        with self._store.exclusively():
            if self._store.items(Administrator):
                return False
            self._store.put(Administrator, user, values)
        details = {"by_secret": not is_beside}
        self._audit.note(user=user, address=address, what="setup", details=details, outcome="done")
        return True

    def _prove(self, secret: str, address: str) -> None:
        if self._setup_secret is None:
            raise BadRequest("secret", "there is none; make the account on the machine: otppi admin add NAME")
        mine, everybodys = [("address", address.encode())], [("device", _ALL)]
        now = self._clock.boot_s()
        self._waits.refuse(mine, now)
        self._waits_in_all.refuse(everybodys, now)
        if not hmac.compare_digest(secret.strip().encode(), self._setup_secret().encode()):
            self._waits.count(mine, now)
            self._waits_in_all.count(everybodys, now)
            raise BadRequest("secret", "is not the set-up secret of this device")

    def _refuse(self, user: str, password: str, again: str, others: Mapping[str, str]) -> None:
        _, wrong = Administrator.parse(others)
        wrong.pop("password", None)  # it is not among them
        refusals = (
            partial(refuse_user_name, user),
            partial(refuse_weak, user, password),
            partial(self._refuse_phone, others["phone"]),
        )
        for refuse in refusals:
            try:
                refuse()
            except BadRequest as error:
                wrong[error.field] = error.reason
        if password != again:
            wrong["again"] = "The two passwords are not the same."
        if wrong:
            raise SettingsError({f"{Administrator.key}.{name}": reason for name, reason in wrong.items()})

    def _refuse_phone(self, phone: str) -> None:
        if not phone:
            return
        try:
            number = parse_number(phone, self._store.get(SmsSettings).country_code)
        except ValueError as error:
            raise BadRequest("phone", str(error)) from None
        if number.is_short_code:
            raise BadRequest("phone", "is not a possible phone number (7 to 15 digits with its country code)")
