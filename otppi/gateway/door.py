"""From a JSON object to a JSON object: what every door does with a request, written once."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from otppi.contracts.mail import Relayed
from otppi.gateway import answers
from otppi.gateway.commands import Commands
from otppi.gateway.dispatcher import Dispatcher
from otppi.lib.bus import Bus
from otppi.lib.faults import fault
from otppi.model.errors import BadRequest, Busy, OtpPiError, OutcomeUnknown
from otppi.model.events import RequestAnswered
from otppi.model.requests import EmailAddress, Origin, Request
from otppi.model.results import MailReceipt

log = logging.getLogger(__name__)

# One request of the array dialect may hold so many others.
_MOST_INNER_REQUESTS = 100


@dataclass(frozen=True)
class Answer:
    """The object for the wire, and the error that it describes, if it is one."""

    document: Mapping[str, Any] = field(repr=False)
    error: OtpPiError | None = None
    inner: "tuple[Answer, ...]" = field(default=(), repr=False)  # to each request of a list, in their order


class Door:
    """Answers documents; called on the threads that serve callers, and waits as long as the request takes."""

    def __init__(
        self, commands: Commands, dispatcher: Dispatcher, bus: Bus, longest_list_s: Callable[[], float]
    ) -> None:
        self._commands = commands
        self._dispatcher = dispatcher
        self._bus = bus
        self._longest_list_s = longest_list_s

    def answer(self, document: object, origin: Origin) -> Answer:
        """Answer any JSON value; never raises for what it holds."""
        if isinstance(document, Mapping) and isinstance(document.get("data"), list):
            return self._answer_all(document, origin)
        began_s = time.monotonic()
        command, answer = self._answer_one(document, origin)
        self._bus.publish(
            RequestAnswered(
                door=origin.door,
                command=command,
                code=str(answer.document.get("response_code", answers.SUCCESS)),
                duration_s=time.monotonic() - began_s,
            )
        )
        return answer

    def relay(self, origin: Origin, mail: Relayed, address: str, *, directly: bool) -> MailReceipt:
        """Hand on a finished e-mail; waits for the server's answer.

        Raises:
            OtpPiError: It was not, or not surely, sent.
        """
        began_s, code = time.monotonic(), OutcomeUnknown.code
        try:
            receipt = self._dispatcher.relay(origin, mail, EmailAddress(address=address), directly=directly)
            code = answers.SUCCESS
        except OtpPiError as error:
            code = error.code
            raise
        else:
            return receipt
        finally:
            self._bus.publish(
                RequestAnswered(
                    door=origin.door, command="relay", code=code, duration_s=time.monotonic() - began_s
                )
            )

    def _answer_all(self, document: Mapping[str, Any], origin: Origin) -> Answer:
        """Answer the array dialect: `data` is a list of requests, each is answered in its place."""
        inner = document["data"]
        if len(inner) > _MOST_INNER_REQUESTS:
            error = BadRequest("data", f"holds more than {_MOST_INNER_REQUESTS} requests")
            return Answer(answers.failure(_name(document), error), error)
        # One caller holds its thread for one wait, however many requests it brings.
        until_s = time.monotonic() + self._longest_list_s()
        all_answers = tuple(
            self._refuse_nesting(one)
            or self._refuse_late(one, until_s)
            or self.answer(one, _within(origin, position))
            for position, one in enumerate(inner)
        )
        first_error = next((answer.error for answer in all_answers if answer.error), None)
        return Answer(
            {
                "command": _name(document),
                "response_code": first_error.code if first_error else answers.SUCCESS,
                "data": [answer.document for answer in all_answers],
            },
            first_error,
            all_answers,
        )

    def _refuse_late(self, document: object, until_s: float) -> Answer | None:
        if time.monotonic() >= until_s:
            error = Busy("the requests before it in the list took too long", retry_after_s=1.0)
            return Answer(answers.failure(_name(document), error), error)
        return None

    def _refuse_nesting(self, document: object) -> Answer | None:
        if isinstance(document, Mapping) and isinstance(document.get("data"), list):
            error = BadRequest("data", "lists cannot be nested")
            return Answer(answers.failure(_name(document), error), error)
        return None

    def _answer_one(self, document: object, origin: Origin) -> tuple[str, Answer]:
        request: Request | None = None
        try:
            if not isinstance(document, Mapping):
                raise BadRequest("", "the request must be a JSON object")
            request = self._commands.parse(document, origin)
            result = self._dispatcher.handle(request)
            return request.command, Answer(answers.success(request, result))
        except OtpPiError as error:
            # The name of an unknown command is the caller's text: shown to the caller, not to metrics.
            known = request.command if request else ""
            return known, Answer(
                answers.failure(known or _name(document), error, request.echo if request else None), error
            )
        except Exception as error:  # noqa: BLE001 - logged without its text
            # A fault of ours. Whether a modem had been given something is not known here, so nothing is promised.
            log.error("a request failed", extra={"fields": {"door": origin.door, **fault(error)}})  # noqa: TRY400
            unknown = OutcomeUnknown("internal error")
            known = request.command if request else ""
            return known, Answer(answers.failure(known or _name(document), unknown), unknown)


def _within(origin: Origin, position: int) -> Origin:
    """Return the origin of one request of a list: each is a message of its own."""
    if origin.arrival is None:
        return origin
    return replace(origin, arrival=replace(origin.arrival, token=f"{origin.arrival.token} {position}"))


def _name(document: object) -> str:
    name = document.get("command") if isinstance(document, Mapping) else None
    return name[:64] if isinstance(name, str) else ""
