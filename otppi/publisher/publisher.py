"""The calls of an application: one method for each command of the gateway."""

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from otppi.gateway import answers
from otppi.gateway.otp import IssuedOtp, Params
from otppi.gateway.otp_message import check_template, fill
from otppi.model.errors import BadRequest, OtpError, OtpPiError, RequestError
from otppi.publisher.answer import PUBLISHED, Answer, ModemList, UssdReply
from otppi.publisher.codes import OwnCodes
from otppi.publisher.configuration import configured
from otppi.publisher.errors import CodesUnavailable, PublisherError
from otppi.publisher.transport import Transport

A = TypeVar("A", bound=Answer)

_LIFE_S = 300
_AFTER_S = 30.0


class Publisher:
    """Has a gateway send messages, over whatever transport; may be used from any thread, and after a fork.

    Every method returns the `Answer` of the gateway, refusals included, and raises `PublisherError` when there is none:
    its `is_unknown` says whether the message may be on its way nevertheless.

    Over a broker an answer is awaited only where it is asked for (`wait_for_answer`, here or in the call) or is all
    that a call is for; else the answer says that the message is published (`code` 1111, `is_answered` False).
    """

    def __init__(
        self, transport: Transport, *, codes: OwnCodes | None = None, wait_for_answer: bool = False
    ) -> None:
        """Take the way to the gateway; with `codes` one-time passwords are made and checked on this side."""
        self._transport = transport
        self._codes = codes
        self._wait_for_answer = wait_for_answer

    @classmethod
    def from_ini(cls, path: str | Path) -> "Publisher":
        """Make one from an ini file such as OTP-Publisher has; raises ConfigurationError."""
        found = configured(Path(path))
        return cls(found.transport, codes=found.codes, wait_for_answer=found.wait_for_answer)

    def create_otp(
        self,
        receiver: str,
        reference: str,
        lifetime_s: int = _LIFE_S,
        message_format: str = "Your code is %s",
        params: Sequence[str] = (),
        subject: str = "",
        id: str = "",
        *,
        wait_for_answer: bool | None = None,
        fallback: Sequence[str] = (),
        after_s: float = _AFTER_S,
    ) -> Answer:
        """Make a code and send it.

        Args:
            receiver: A number, or an e-mail address.
            reference: Names the transaction; the same one verifies the code.
            lifetime_s: How long the code is valid.
            message_format: The text with one `%s`, where the code goes; `%%` is a percent sign.
            params: At most four texts that must be the same when the code is verified.
            subject: Of an e-mail.
            id: The caller's name for the message; one is made if it is empty.
            wait_for_answer: Over a broker, whether to wait for the outcome.
            fallback: Numbers or addresses that it goes to, in this order, if it does not get through to the receiver;
                the code is verified with the receiver all the same.
            after_s: How long it may wait to be taken for one of them before the next is tried.
        """
        fields = {"id": _id(id), "reference": reference.strip(), "receiver": receiver.strip()}
        if self._codes is not None:
            return self._create_own(
                self._codes,
                fields,
                lifetime_s,
                message_format,
                _four(params),
                {"subject": subject, **_next(fallback, after_s)},
                wait_for_answer,
            )
        data = _lasting(lifetime_s, **fields, message=message_format, subject=subject, **_named(params))
        return self._ask(Answer, "request-otp", data | _next(fallback, after_s), wait_for_answer)

    def verify_otp(self, receiver: str, otp: str, reference: str, params: Sequence[str] = ()) -> Answer:
        """Check the code that a person typed; a right one is used up. Over a broker this waits for the answer."""
        fields = {"reference": reference.strip(), "receiver": receiver.strip()}
        if self._codes is None:
            data = _dated(**fields, otp=otp, **_named(params))
            return self._ask(Answer, "verify-otp", data, True)
        echo = _dated(**fields)
        try:
            self._codes.verify(fields["reference"], fields["receiver"], _four(params), otp)
        except (RequestError, OtpError) as error:
            return _refusal("verify-otp", error, echo)
        return Answer(command="verify-otp", code=answers.SUCCESS, data=echo)

    def send_sms(
        self,
        receiver: str,
        message: str,
        *,
        lifetime_s: int = _LIFE_S,
        fallback: Sequence[str] = (),
        after_s: float = _AFTER_S,
        id: str = "",
        wait_for_answer: bool | None = None,
    ) -> Answer:
        """Send a text message; the same id, receiver and text again is a repeat, which is not sent again.

        `fallback` names numbers or addresses that it goes to if it does not get through, as in `create_otp`.
        """
        data = _lasting(lifetime_s, id=_id(id), receiver=receiver, message=message)
        return self._ask(Answer, "send-sms", data | _next(fallback, after_s), wait_for_answer)

    def send_email(
        self,
        receiver: str,
        subject: str,
        message: str,
        *,
        lifetime_s: int = _LIFE_S,
        fallback: Sequence[str] = (),
        after_s: float = _AFTER_S,
        id: str = "",
        wait_for_answer: bool | None = None,
    ) -> Answer:
        """Send an e-mail; repeats are recognised as with `send_sms`."""
        data = _lasting(lifetime_s, id=_id(id), receiver=receiver, message=message, subject=subject)
        return self._ask(Answer, "send-email", data | _next(fallback, after_s), wait_for_answer)

    def send_message(
        self,
        receiver: str,
        message: str,
        *,
        subject: str = "",
        lifetime_s: int = _LIFE_S,
        fallback: Sequence[str] = (),
        after_s: float = _AFTER_S,
        id: str = "",
        wait_for_answer: bool | None = None,
    ) -> Answer:
        """Send a text message, or an e-mail if the receiver is an address; repeats as with `send_sms`."""
        data = _lasting(lifetime_s, id=_id(id), receiver=receiver, message=message, subject=subject)
        return self._ask(Answer, "send-message", data | _next(fallback, after_s), wait_for_answer)

    def block(self, receiver: str, *, wait_for_answer: bool | None = None) -> Answer:
        """Block a number: no modem sends to it any more."""
        return self._ask(Answer, "block-msisdn", _dated(receiver=receiver), wait_for_answer)

    def unblock(self, receiver: str, *, wait_for_answer: bool | None = None) -> Answer:
        """Let a blocked number receive messages again."""
        return self._ask(Answer, "unblock-msisdn", _dated(receiver=receiver), wait_for_answer)

    def modem_list(self) -> ModemList:
        """List the modems of the gateway and their state; always waits."""
        return self._ask(ModemList, "get-modem-list", _dated(), True)

    def request_ussd(self, modem_id: str, ussd_code: str) -> UssdReply:
        """Dial a code such as *888#, or reply to a menu that a code has opened; always waits."""
        data = _dated(ussd_code=ussd_code, modem_id=modem_id)
        return self._ask(UssdReply, "request-ussd", data, True)

    def _create_own(
        self,
        codes: OwnCodes,
        fields: Mapping[str, str],
        lifetime_s: int,
        message_format: str,
        params: Params,
        more: Mapping[str, Any],
        wait_for_answer: bool | None,
    ) -> Answer:
        reference = fields["reference"]
        try:
            check_template(message_format)
            if not reference:
                raise BadRequest("data.reference", "is empty")
            issued = codes.issue(reference, fields["receiver"], params, lifetime_s)
        except RequestError as error:
            return _refusal("request-otp", error, {})
        data = _lasting(
            int(issued.life_s),
            id=fields["id"],
            receiver=fields["receiver"],
            message=fill(message_format, issued.code),
        )
        try:
            answer = self._ask(Answer, "send-message", {**data, **more}, wait_for_answer)
        except PublisherError as error:
            if not error.is_unknown:
                _forget(codes, reference, issued)
            raise
        if not (answer.is_success or answer.is_unknown):
            _forget(codes, reference, issued)
        return answer

    def _ask(self, kind: type[A], command: str, data: Mapping[str, Any], wait_for_answer: bool | None) -> A:
        waits = self._wait_for_answer if wait_for_answer is None else wait_for_answer
        document = self._transport.send({"command": command, "data": data}, wants_answer=waits)
        if document is None:
            return kind(
                command=command, code=PUBLISHED, data={"date_time": data["date_time"]}, is_answered=False
            )
        return kind.from_document(document, command=command)


def _forget(codes: OwnCodes, reference: str, issued: IssuedOtp) -> None:
    with suppress(CodesUnavailable):  # nobody knows the code, and it dies by itself
        codes.revoke(reference, issued)


def _id(given: str) -> str:
    # Without one, two equal texts within a second would be taken for a repeat.
    return given or secrets.token_hex(8)


def _dated(**fields: str) -> dict[str, Any]:
    return {"date_time": int(time.time()), **fields}


def _lasting(lifetime_s: int, **fields: str) -> dict[str, Any]:
    data = _dated(**fields)
    return {**data, "expiration": data["date_time"] + lifetime_s}


def _next(fallback: Sequence[str], after_s: float) -> dict[str, Any]:
    if not fallback:
        return {}
    return {"fallback": [{"receiver": one, "after_s": after_s} for one in fallback]}


def _four(params: Sequence[str]) -> Params:
    if len(params) > 4:
        raise ValueError("there are at most four params")
    one, two, three, four = (*(str(param).strip() for param in params), "", "", "", "")[:4]
    return one, two, three, four


def _named(params: Sequence[str]) -> dict[str, str]:
    return {f"param{number}": value for number, value in enumerate(_four(params), 1)}


def _refusal(command: str, error: OtpPiError, echo: Mapping[str, Any]) -> Answer:
    return Answer.from_document(answers.failure(command, error, echo), command=command)
