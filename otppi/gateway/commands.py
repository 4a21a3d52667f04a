"""Every command of the API: its fields, declared once, and the request that it becomes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from otppi.gateway.arguments import Argument, Fields
from otppi.gateway.otp import OtpSettings
from otppi.gateway.otp_message import check_app_hash, check_template, check_web_host
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.model import ussd
from otppi.model.errors import BadRequest, MessageExpired, UnknownCommand
from otppi.model.number import parse_number
from otppi.model.requests import (
    BlockNumber,
    CancelUssd,
    Echo,
    EmailAddress,
    Fallback,
    ListModems,
    Origin,
    Receiver,
    Request,
    RequestOtp,
    RequestUssd,
    SendMessage,
    VerifyOtp,
)

_DATE_TIME = Argument(
    name="date_time",
    help="Unix time in seconds when the request was made; echoed.",
    is_time=True,
    example=1629685778,
)
_EXPIRATION = Argument(
    name="expiration",
    help="Unix time in seconds after which the message or code is worth nothing.",
    is_time=True,
    example=1629685838,
)
_RECEIVER = Argument(
    name="receiver",
    aliases=("msisdn", "recipient"),
    help="Phone number, national or international; an e-mail address where the command sends e-mail.",
    required=True,
    max_length=254,
    example="081200000001",
)
_MESSAGE = Argument(
    name="message", help="The text.", required=True, max_length=20_000, example="Your order is ready"
)
_TEMPLATE = Argument(
    name="message",
    help="The text, with one %s where the code goes; %% is a percent sign.",
    required=True,
    max_length=20_000,
    example="Your OTP is %s",
)
_SUBJECT = Argument(name="subject", help="Subject of an e-mail.", max_length=998)
_ID = Argument(
    name="id",
    help="The caller's name for the message: the same id, receiver and text again is a repeat and is "
    "answered with the first outcome.",
    example=123456,
)
_REFERENCE = Argument(
    name="reference",
    help="Unique reference of the transaction; names the code when it is verified.",
    required=True,
    example="12345678901234567890",
)
_OPTIONAL_REFERENCE = Argument(name="reference", help="Stands for `id` where there is none.")
_PARAMS = tuple(
    Argument(name=f"param{n}", help="Must be the same in request-otp and verify-otp.", max_length=1024)
    for n in (1, 2, 3, 4)
)
_OTP = Argument(name="otp", help="The code that the person typed.", required=True, example="123456")
_WEB_HOST = Argument(
    name="web_host",
    help="Host name of the web page that asks for the code: adds the last line that lets browsers fill it in.",
    example="example.com",
)
_APP_HASH = Argument(
    name="app_hash", help="11-character hash of the Android app that reads the code.", example="FA+9qCX9VSu"
)
_MODEM_ID = Argument(
    name="modem_id", help="Id or name of the modem, from get-modem-list.", required=True, example="telkomsel"
)
_ONLY_MODEM = Argument(
    name="modem_id",
    help="Id or name of the one modem that may send it, from get-modem-list; without it any may.",
    example="telkomsel",
)
_USSD_CODE = Argument(
    name="ussd_code",
    help="The code to dial; after an answer that is `replyable`, the reply to it.",
    required=True,
    example="*888#",
)

_FALLBACK = Argument(
    name="fallback",
    help="Receivers that are tried in this order when the message does not get through to the first: a list of "
    'objects such as {"receiver": "person@example.com", "after_s": 30}. A receiver to whom it surely cannot be sent is '
    "followed at once, one for whom it was not taken within `after_s` seconds (30 without), then. What was taken is "
    "waited for, and only a code, or a message that lives ten minutes at most, goes on all the same. The "
    "answer says in `data.fallback` which one it was: 0 is `receiver`. A code is verified with `receiver`, whoever "
    "got it.",
    is_list=True,
)
_NEXT = replace(_RECEIVER, aliases=())  # one of them
_MOST_FALLBACKS = 5
_AFTER_S, _LONGEST_AFTER_S = 30.0, 600.0

# The shape only: what the server of the domain accepts is its own affair (RFC 5321, 4.1.2).
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = re.compile(rf"[^\s@<>\"(),:;\\\[\]]{{1,64}}@(?=.{{1,189}}\Z){_LABEL}(\.{_LABEL})*")

_MESSAGE_ARGUMENTS = (
    _RECEIVER,
    _MESSAGE,
    _SUBJECT,
    _ID,
    _OPTIONAL_REFERENCE,
    _DATE_TIME,
    _EXPIRATION,
    _FALLBACK,
)
_SMS_ARGUMENTS = (*_MESSAGE_ARGUMENTS, _ONLY_MODEM)


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command is for, the fields that it reads, and how it is read."""

    summary: str
    arguments: tuple[Argument, ...]
    read: "Callable[[Commands, Origin, str, Fields], Request]"


class Commands:
    """Turns JSON objects into requests; from here on nobody checks fields again."""

    def __init__(
        self,
        *,
        general: Callable[[], GeneralSettings],
        sms: Callable[[], SmsSettings],
        otp: Callable[[], OtpSettings],
        clock: Clock,
    ) -> None:
        self._general = general
        self._sms = sms
        self._otp = otp
        self._clock = clock

    def parse(self, document: Mapping[str, Any], origin: Origin) -> Request:
        """Read one request.

        Raises:
            BadRequest: A field is wrong; the error names it.
            MessageExpired: What it asks for is over already.
        """
        name = document.get("command")
        if name is None or name == "":
            raise BadRequest("command", "is missing")
        if not isinstance(name, str):
            raise BadRequest("command", "must be a text")
        command = COMMANDS.get(name)
        if command is None:
            raise UnknownCommand
        data = document.get("data")
        if not isinstance(data, Mapping):
            raise BadRequest("data", "must be an object")
        request = command.read(self, origin, name, Fields(data))
        if isinstance(request, Echo):
            return replace(request, document=dict(document))
        if data.get("fallback") is not None and _FALLBACK not in command.arguments:
            # To leave it out silently would promise a second way that is not gone.
            raise BadRequest("data.fallback", "is of no use with this command")
        return request

    def number_or_email(self, fields: Fields, *, may_be_email: bool) -> Receiver:
        """Read the receiver."""
        return self._receiver(fields.text(_RECEIVER), "data.receiver", may_be_email=may_be_email)

    def fallback(self, fields: Fields) -> tuple[Fallback, ...]:
        """Read the receivers that are tried after the first."""
        raw = fields.raw(_FALLBACK.name)
        if raw is None:
            return ()
        if not isinstance(raw, list) or len(raw) > _MOST_FALLBACKS:
            raise BadRequest("data.fallback", f"must be a list of at most {_MOST_FALLBACKS} objects")
        return tuple(self._fallback(one, f"data.fallback[{place}]") for place, one in enumerate(raw))

    def _fallback(self, raw: object, field: str) -> Fallback:
        if not isinstance(raw, Mapping) or raw.get(_NEXT.name) is None:
            raise BadRequest(field, 'must be an object such as {"receiver": "person@example.com"}')
        try:
            receiver = Fields(raw).text(_NEXT)
        except BadRequest as error:
            raise BadRequest(f"{field}.receiver", error.reason) from None
        after_s = raw.get("after_s", _AFTER_S)
        is_time = isinstance(after_s, int | float) and not isinstance(after_s, bool)
        if not is_time or not 0 < after_s <= _LONGEST_AFTER_S:
            raise BadRequest(
                f"{field}.after_s", f"must be above 0 and at most {_LONGEST_AFTER_S:.0f} seconds"
            )
        return Fallback(
            receiver=self._receiver(receiver, f"{field}.receiver", may_be_email=True),
            after_s=float(after_s),
        )

    def _receiver(self, raw: str, field: str, *, may_be_email: bool) -> Receiver:
        if "@" in raw and may_be_email:
            if not EMAIL.fullmatch(raw):
                raise BadRequest(field, "is not an e-mail address")
            return EmailAddress(address=raw)
        try:
            return parse_number(raw, self._sms().country_code)
        except ValueError as error:
            raise BadRequest(field, str(error)) from None

    def message_life(self, fields: Fields, held_s: float) -> Deadline:
        """Say until when a message that came so long ago is worth sending; for ever if the caller set no time."""
        expiration_s, date_time_s = fields.time_s(_EXPIRATION), _lenient_time_s(fields)
        general = self._general()
        offset_s = general.expiration_offset_ms / 1000
        if expiration_s is None and date_time_s is None:
            return Deadline.never(self._clock)
        if expiration_s is None and date_time_s is not None:
            # The documented rule for senders that set no expiration: date_time plus an offset.
            expiration_s = date_time_s + offset_s
        life_s = self._life_s(expiration_s or 0.0, date_time_s, offset_s, held_s)
        if life_s <= 0:
            if general.drop_expired:
                raise MessageExpired("the message expired before it came here")
            return Deadline.never(self._clock)
        return Deadline.after(self._clock, life_s)

    def code_life(self, fields: Fields, held_s: float) -> Deadline:
        """Say until when a code that was asked for so long ago is valid."""
        expiration_s = fields.time_s(_EXPIRATION)
        settings = self._otp()
        if expiration_s is None:
            life_s = settings.default_life_s - held_s
        else:
            life_s = self._life_s(expiration_s, _lenient_time_s(fields), settings.default_life_s, held_s)
        if life_s <= 0:
            raise MessageExpired("the code expired before it was made")
        return Deadline.after(self._clock, min(life_s, settings.max_life_s))

    def _life_s(
        self, expiration_s: float, date_time_s: float | None, default_s: float, held_s: float
    ) -> float:
        if self._clock.wall_is_trusted():
            return expiration_s - self._clock.wall_s()
        if date_time_s is not None:
            return expiration_s - date_time_s - held_s
        return default_s - held_s


def _held_s(origin: Origin) -> float:
    return origin.arrival.held_s if origin.arrival is not None else 0.0


def _lenient_time_s(fields: Fields) -> float | None:
    # Old clients may put anything into date_time; only a time counts.
    try:
        return fields.time_s(_DATE_TIME)
    except BadRequest:
        return None


def _echo(fields: Fields, *names: str) -> dict[str, Any]:
    """Repeat fields in the type in which they came; empty where the caller sent none."""
    return {name: "" if (value := fields.raw(name)) is None else value for name in names}


def _receiver_echo(fields: Fields) -> dict[str, Any]:
    return {
        "reference": fields.text(_REFERENCE),
        "receiver": fields.text(_RECEIVER),
        **_echo(fields, "date_time"),
    }


def _read_message(commands: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    receiver = commands.number_or_email(fields, may_be_email=name != "send-sms")
    if name in {"send-email", "send-mail"} and not isinstance(receiver, EmailAddress):
        raise BadRequest("data.receiver", "is not an e-mail address")
    token = fields.text(_ID) or fields.text(_OPTIONAL_REFERENCE) or str(fields.raw("date_time") or "")
    if not token and origin.arrival is not None:
        token = origin.arrival.token
    return SendMessage(
        origin=origin,
        command=name,
        receiver=receiver,
        text=fields.text(_MESSAGE),
        subject=fields.text(_SUBJECT),
        life=commands.message_life(fields, _held_s(origin)),
        fallback=commands.fallback(fields),
        modem=fields.text(_ONLY_MODEM),
        repeat_token=token[:256],
    )


def _read_request_otp(commands: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    template = fields.text(_TEMPLATE)
    check_template(template)
    web_host, app_hash = fields.text(_WEB_HOST), fields.text(_APP_HASH)
    if web_host:
        check_web_host(web_host)
    if app_hash:
        check_app_hash(app_hash)
    return RequestOtp(
        origin=origin,
        command=name,
        echo=_receiver_echo(fields),
        reference=fields.text(_REFERENCE),
        receiver=commands.number_or_email(fields, may_be_email=True),
        template=template,
        params=_params(fields),
        life=commands.code_life(fields, _held_s(origin)),
        subject=fields.text(_SUBJECT),
        web_host=web_host,
        app_hash=app_hash,
        fallback=commands.fallback(fields),
    )


def _read_verify_otp(commands: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    return VerifyOtp(
        origin=origin,
        command=name,
        echo=_receiver_echo(fields),
        reference=fields.text(_REFERENCE),
        receiver=commands.number_or_email(fields, may_be_email=True),
        code=fields.text(_OTP),
        params=_params(fields),
    )


def _params(fields: Fields) -> tuple[str, str, str, str]:
    one, two, three, four = (fields.text(argument) for argument in _PARAMS)
    return one, two, three, four


def _read_block(commands: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    number = commands.number_or_email(fields, may_be_email=False)
    if isinstance(number, EmailAddress):
        raise BadRequest("data.receiver", "is not a phone number")
    return BlockNumber(origin=origin, command=name, number=number, blocked=name == "block-msisdn")


def _read_list_modems(_: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    return ListModems(origin=origin, command=name, echo=_echo(fields))


def _read_ussd(_: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    code = fields.text(_USSD_CODE)
    if not ussd.is_safe(code):
        raise BadRequest("data.ussd_code", "may hold only letters, digits and *#+.,:/?!'()=-")
    modem = fields.text(_MODEM_ID)
    return RequestUssd(
        origin=origin,
        command=name,
        echo={**_echo(fields, "date_time"), "modem_id": modem, "ussd_code": code},
        modem=modem,
        ussd_code=code,
    )


def _read_cancel_ussd(_: Commands, origin: Origin, name: str, fields: Fields) -> Request:
    modem = fields.text(_MODEM_ID)
    return CancelUssd(
        origin=origin, command=name, echo={**_echo(fields, "date_time"), "modem_id": modem}, modem=modem
    )


def _read_echo(_: Commands, origin: Origin, name: str, __: Fields) -> Request:
    # `parse` puts the whole document in: what stands beside `data` comes back as well.
    return Echo(origin=origin, command=name, document={})


COMMANDS: Mapping[str, Command] = {
    "request-otp": Command(
        summary="Make a one-time password and send it",
        arguments=(
            _REFERENCE,
            _RECEIVER,
            _TEMPLATE,
            *_PARAMS,
            _WEB_HOST,
            _APP_HASH,
            _SUBJECT,
            _DATE_TIME,
            _EXPIRATION,
            _FALLBACK,
        ),
        read=_read_request_otp,
    ),
    "verify-otp": Command(
        summary="Check a one-time password; a right one is used up",
        arguments=(_REFERENCE, _RECEIVER, _OTP, *_PARAMS, _DATE_TIME),
        read=_read_verify_otp,
    ),
    "send-sms": Command(summary="Send a text message", arguments=_SMS_ARGUMENTS, read=_read_message),
    "send-message": Command(
        summary="Send a text message, or an e-mail if the receiver is an address",
        arguments=_SMS_ARGUMENTS,
        read=_read_message,
    ),
    "send-email": Command(summary="Send an e-mail", arguments=_MESSAGE_ARGUMENTS, read=_read_message),
    "send-mail": Command(
        summary="Send an e-mail (older name)", arguments=_MESSAGE_ARGUMENTS, read=_read_message
    ),
    "block-msisdn": Command(
        summary="Block a number: it gets no message from any modem",
        arguments=(_RECEIVER, _DATE_TIME),
        read=_read_block,
    ),
    "unblock-msisdn": Command(
        summary="Let a blocked number receive messages again",
        arguments=(_RECEIVER, _DATE_TIME),
        read=_read_block,
    ),
    "get-modem-list": Command(
        summary="List the modems and their state", arguments=(_DATE_TIME,), read=_read_list_modems
    ),
    "request-ussd": Command(
        summary="Dial a USSD code through one modem, or reply to its menu",
        arguments=(_MODEM_ID, _USSD_CODE, _DATE_TIME),
        read=_read_ussd,
    ),
    "cancel-ussd": Command(
        summary="End the USSD session of a modem, if one is open",
        arguments=(_MODEM_ID, _DATE_TIME),
        read=_read_cancel_ussd,
    ),
    "echo": Command(summary="Return the request itself", arguments=(), read=_read_echo),
}
