"""The one tree of errors.

Each class knows its code on the wire (`code`, the table of the REST documentation) and the HTTP status that
the versioned API gives it (`status`). Messages are shown to callers and logged, so none may hold a code, a
message text, a password or an unmasked number.
"""

import math
from typing import ClassVar


class OtpPiError(Exception):
    """Anything that the product refuses or fails to do."""

    code: ClassVar[str] = "1102"
    status: ClassVar[int] = 503
    retry_after_s: float | None = None


class RequestError(OtpPiError):
    """The caller asked for something that cannot be done as asked."""


class BadRequest(RequestError):
    """A field is missing, malformed or out of bounds; `field` names it."""

    code = "1400"
    status = 400

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class UnknownCommand(BadRequest):
    """The command does not exist."""

    status = 404

    def __init__(self) -> None:
        super().__init__("command", "unknown command")


class Unauthorized(RequestError):
    """User name or password is wrong, or the account may not be used."""

    code = "1100"
    status = 401


class NumberBlocked(RequestError):
    """The receiver is on the block list."""

    code = "1301"
    status = 403


class TooManyRequests(RequestError):
    """A rate limit is used up; `data.retry_after` says for how many seconds."""

    code = "1205"
    status = 429

    def __init__(self, scope: str, retry_after_s: float) -> None:
        super().__init__(f"too many requests for this {scope}")
        self.retry_after_s = retry_after_s


class DuplicateReference(RequestError):
    """The reference is taken by a code that has not expired; `data.retry_after` is the rest of its life in seconds."""

    code = "1201"
    status = 409

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("a code for this reference is live, or was until too many wrong tries")
        self.retry_after_s = retry_after_s


class MessageExpired(RequestError):
    """The life of the message ended before a modem could take it."""

    code = "1410"
    status = 422


class Busy(RequestError):
    """The expected wait is longer than the message may live, or too many callers wait already."""

    code = "1503"
    status = 503

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class OtpError(OtpPiError):
    """A code was not accepted."""

    status = 422


class OtpInvalid(OtpError):
    """The code is wrong, or nothing is known of its reference."""

    code = "1202"


class OtpExpired(OtpError):
    """The code was right or wrong, but its life is over."""

    code = "1203"


class OtpTooManyTries(OtpError):
    """The code is dead after too many wrong tries; `data.retry_after` is the rest of its life in seconds."""

    code = "1204"
    status = 429

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many wrong tries")
        self.retry_after_s = retry_after_s


class DeliveryError(OtpPiError):
    """A message was not, or not surely, handed to the network."""


class NoModemAvailable(DeliveryError):
    """No modem may take this message now."""

    code = "1101"


class SendFailed(DeliveryError):
    """The message surely did not leave: the modem or the network refused it."""

    code = "1102"


class QuotaUsedUp(DeliveryError):
    """The quota of every SIM or account that could send it is used up; `data.retry_after` says for how long."""

    code = "1302"
    status = 429

    def __init__(self, retry_after_s: float, text: str = "the quota of the SIM is used up") -> None:
        """Take the wait; inf if the message is longer than a quota ever allows."""
        super().__init__(text)
        self.retry_after_s = retry_after_s if math.isfinite(retry_after_s) else None


class OutcomeUnknown(DeliveryError):
    """The modem was given the message and never said what became of it."""

    code = "1408"
    # Not a 5xx: libraries repeat those by themselves, and a repeat is what must not happen by accident.
    status = 409


class NoEmailAccount(DeliveryError):
    """There is no e-mail account to send with."""

    code = "1102"

    def __init__(self) -> None:
        super().__init__("no e-mail account active")


class UnknownModem(RequestError):
    """There is no modem of this id or name."""

    code = "1404"
    status = 404


class UssdFailed(DeliveryError):
    """The network or the modem did not answer the USSD request."""

    code = "1102"


class SettingsError(OtpPiError):
    """Settings were refused; `errors` maps `section.field` to the reason."""

    code = "1400"
    status = 422

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in errors.items()))
        self.errors = errors


class SettingsNotSaved(SettingsError):
    """The settings were fine and the disk did not take them; nothing has changed."""

    code = "1503"
    status = 503


class DeviceError(OtpPiError):
    """Something of the device did not do as its owner asked; no command of the API meets it."""


class Forbidden(DeviceError):
    """Who asks may not do this."""

    code = "1100"
    status = 403

    def __init__(self, role: str) -> None:
        super().__init__(f"only somebody with the role {role} may do this")


class SecondFactorNeeded(Unauthorized):
    """The password is right and the account asks for the code of its authenticator app as well."""


class ModemUnavailable(DeviceError):
    """A modem cannot do now what a person asks of it."""

    code = "1101"
    status = 503


class SimToolError(DeviceError):
    """The SIM, the modem or the network did not do what a person asked, or would not be safe to ask."""

    code = "1102"
    status = 409


class ClockNotSet(DeviceError):
    """What was asked can only be judged by the time of day, and nothing vouches for that of the device."""

    code = "1503"
    status = 503


class HostError(DeviceError):
    """The operating system did not do what was asked of it; sending goes on."""

    code = "1503"
    status = 503


class HostUnreachable(HostError):
    """A service of the operating system does not run, or does not answer."""


class HostRefused(HostError):
    """A service of the operating system said no; `name` is its own name for the reason."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{text} ({name})" if text else name)
        self.name = name
        self.text = text or name
