"""The API of an SMS vendor, so that programs written for it can send through this device."""

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Final

import bottle

from otppi.api import vendor_request
from otppi.api.vendor_request import Asked, Refused, Status
from otppi.api.vendor_settings import MOST_NUMBERS, VendorApiSettings
from otppi.gateway.accounts import ApiAccounts, SwitchedOff
from otppi.gateway.door import Door
from otppi.gateway.inbox import Inbox
from otppi.gateway.limits import Rule, SlidingLimit
from otppi.gateway.policy import SmsSettings
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.gateway.vendor_book import VendorBook
from otppi.gateway.vendor_messages import DOOR, CreditUsedUp, State, VendorMessages
from otppi.lib.clock import Clock
from otppi.lib.faults import fault
from otppi.model.errors import (
    BadRequest,
    Busy,
    NumberBlocked,
    OutcomeUnknown,
    QuotaUsedUp,
    TooManyRequests,
    Unauthorized,
)
from otppi.model.inbox import InboxMessage
from otppi.model.number import Number
from otppi.model.requests import Origin
from otppi.model.sms_text import code_text

log = logging.getLogger(__name__)

# Reports and balances must find a thread while messages wait for modems.
THREADS_KEPT_FREE: Final = 8
_SIGNATURE_LIFE_S: Final = 1800.0
_MOST_READ: Final = 100
_MINUTE_S: Final = 60.0
# Where not one message of a request was sent for the same reason; for all others it is the platform's fault.
_WHY_NONE: Mapping[str, Status] = {
    BadRequest.code: Status.PARAMETER,
    NumberBlocked.code: Status.NUMBER_ABNORMAL,
    QuotaUsedUp.code: Status.TOTAL_LIMIT,
    Busy.code: Status.TOO_OFTEN,
}

Document = dict[str, Any]


class VendorApi:
    """Turns requests of the dialect into messages for the door: always status 200, and a JSON object."""

    def __init__(
        self,
        *,
        door: Door,
        log_in: ApiAccounts,
        accounts: Callable[[], Mapping[str, VendorAccount]],
        settings: Callable[[], VendorApiSettings],
        sms: Callable[[], SmsSettings],
        messages: VendorMessages,
        book: VendorBook,
        inbox: Inbox,
        sim_balance: Callable[[], Decimal | None],
        clock: Clock,
        threads: int,
    ) -> None:
        """Take the parts; `sim_balance` is what is left on all SIMs together, None where nobody knows."""
        self._door = door
        self._log_in = log_in
        self._accounts = accounts
        self._settings = settings
        self._sms = sms
        self._messages = messages
        self._book = book
        self._inbox = inbox
        self._sim_balance = sim_balance
        self._clock = clock
        self._places = _Places(requests=threads - THREADS_KEPT_FREE, messages=MOST_NUMBERS)
        self._frequency = _Frequency(clock)

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes of both versions."""
        calls: Mapping[str, Callable[[Asked], Document]] = {
            "getbalance": self._balance,
            "sendsms": self._send,
            "getreport": self._report,
            "getsms": self._read,
        }
        for name, call in calls.items():
            app.route(f"/{name}", ["GET", "POST"], partial(self._serve, call, is_signed=False))
            app.route(f"/{name}V2", ["GET", "POST"], partial(self._serve, call, is_signed=True))

    def _serve(self, call: Callable[[Asked], Document], *, is_signed: bool) -> bottle.HTTPResponse:
        try:
            document = call(self._asked(is_signed=is_signed))
        except Refused as error:
            document = {"status": error.status}
        except Exception as error:  # noqa: BLE001 - logged without its text
            log.error("a request failed", extra={"fields": {"door": DOOR, **fault(error)}})  # noqa: TRY400
            document = {"status": Status.PLATFORM}
        headers = {"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store"}
        return bottle.HTTPResponse(json.dumps(document), headers=headers)

    def _asked(self, *, is_signed: bool) -> Asked:
        """Read the request and let its sender in."""
        environ = bottle.request.environ
        # The server's text holds the bytes of the address (PEP 3333).
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        fields = vendor_request.read_fields(query, environ["wsgi.input"].read())
        account, address = fields.get("account", ""), str(environ.get("REMOTE_ADDR", ""))
        rights = self._accounts().get(account)
        if rights is not None and not rights.admits(address):
            raise Refused(Status.ADDRESS)
        try:
            if is_signed:
                self._log_in.check_proof(account, address, is_right=vendor_request.proves(rights, fields))
            else:
                self._log_in.check(account, fields.get("password", ""), address)
        except SwitchedOff:
            raise Refused(Status.LOCKED) from None
        except Unauthorized:
            raise Refused(Status.LOGIN) from None
        except TooManyRequests:
            raise Refused(Status.TOO_OFTEN) from None
        if rights is None:
            raise Refused(Status.LOGIN)
        if is_signed:
            self._refuse_old(vendor_request.signed_at_s(fields))
        self._frequency.take(account, address, self._settings().requests_per_minute)
        token = fields.get("datetime", "") if is_signed else ""
        return Asked(account=account, rights=rights, address=address, fields=fields, token=token)

    def _refuse_old(self, at_s: float) -> None:
        # A clock that nobody vouches for cannot judge; the signature itself was right.
        is_known = self._clock.wall_is_trusted()
        if is_known and abs(self._clock.wall_s() - at_s) > _SIGNATURE_LIFE_S:
            raise Refused(Status.TIME_OVER)

    def _balance(self, asked: Asked) -> Document:
        if asked.rights.credit:
            left: Decimal | None = Decimal(max(0, asked.rights.credit - self._book.sent(asked.account)))
        else:
            left = self._sim_balance()
        if left is None:
            raise Refused(Status.PLATFORM)
        return {"status": Status.OK, "balance": f"{left:.6f}", "gift": "0.000000"}

    def _send(self, asked: Asked) -> Document:
        settings, sms = self._settings(), self._sms()
        content = vendor_request.read_content(asked.fields)
        numbers, abnormal = vendor_request.read_numbers(asked.fields, sms.country_code, settings.most_numbers)
        text = vendor_request.replaced(content, settings.replacements)
        parts = _parts(text, sms.max_parts)
        with self._places.taken(len(numbers)):
            try:
                ids = self._messages.begin(
                    asked.account,
                    [one.digits for one in numbers],
                    content,
                    token=asked.token,
                    repeat_s=settings.repeat_s,
                    parts=parts,
                    credit=asked.rights.credit,
                )
            except CreditUsedUp:
                raise Refused(Status.BALANCE) from None
            failures = self._send_all(asked, text, numbers, ids)
        accepted = [
            [int(number.digits), one]
            for number, one, failure in zip(numbers, ids, failures, strict=True)
            if not failure
        ]
        return {
            "status": Status.OK if accepted else _why_none(failures),
            "array": accepted,
            "success": len(accepted),
            "fail": len(numbers) - len(accepted) + abnormal,
        }

    def _send_all(
        self, asked: Asked, text: str, numbers: Sequence[Number], ids: Sequence[int]
    ) -> Sequence[str]:
        """Send to all numbers at once and wait; returns the code of each that surely was not sent."""
        send = partial(self._send_one, asked, text)
        if len(numbers) == 1:
            return [send(numbers[0], ids[0])]
        with ThreadPoolExecutor(len(numbers), "vendor:send") as pool:
            return list(pool.map(send, numbers, ids))

    def _send_one(self, asked: Asked, text: str, number: Number, message_id: int) -> str:
        """Send one message and wait for its outcome; returns a code if it surely was not sent."""
        data: Document = {
            "receiver": number.digits if number.is_short_code else f"+{number.digits}",
            "message": text,
            "id": str(message_id),
        }
        if life_s := asked.rights.life_s:
            now_s = self._clock.wall_s()
            data |= {"date_time": now_s, "expiration": now_s + life_s}
        origin = Origin(door=DOOR, user=asked.account, address=asked.address, tag=str(message_id))
        answer = self._door.answer({"command": "send-sms", "data": data}, origin)
        code = "" if answer.error is None else answer.error.code
        if not code:
            self._messages.sent(message_id, str(answer.document["data"]["message_id"]))
        failure = "" if code == OutcomeUnknown.code else code
        self._messages.answered(message_id, is_failed=bool(failure))
        return failure

    def _report(self, asked: Asked) -> Document:
        ids = vendor_request.read_ids(asked.fields)
        found = self._messages.report(asked.account, ids)
        states = [one.state for one in found]
        return {
            "status": Status.OK,
            "array": [[one.id, int(one.number), vendor_request.stamp(one.at_s), one.state] for one in found],
            "success": states.count(State.SENT),
            "fail": states.count(State.FAILED),
            "unsent": 0,
            "sending": states.count(State.SENDING),
            "nofound": len(ids) - len(found),
        }

    def _read(self, asked: Asked) -> Document:
        if not asked.rights.reads_inbox:
            raise Refused(Status.NO_RIGHT)
        unread = self._book.take_unread(asked.account, self._inbox.ids(), _MOST_READ)
        try:
            found = [message for one in unread if (message := self._inbox.message(one)) is not None]
        except Exception:
            self._book.give_back(asked.account, unread)
            raise
        rows = [
            _row(one, message) for one, message in zip(self._book.new_ids(len(found)), found, strict=True)
        ]
        self._book.save_if_due()
        return {"status": Status.OK, "cnt": len(rows), "array": rows}


class _Places:
    """How many requests may wait for modems at once, and for how many messages together."""

    def __init__(self, *, requests: int, messages: int) -> None:
        self._requests = requests
        self._messages = messages
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, messages: int) -> Iterator[None]:
        with self._lock:
            if self._requests < 1 or self._messages < messages:
                raise Refused(Status.TOO_OFTEN)
            self._requests -= 1
            self._messages -= messages
        try:
            yield
        finally:
            with self._lock:
                self._requests += 1
                self._messages += messages


class _Frequency:
    """How often accounts and addresses may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts, self._addresses = SlidingLimit(), SlidingLimit()

    def take(self, account: str, address: str, most: int) -> None:
        wanted = ((self._accounts, account.encode()), (self._addresses, address.encode()))
        with self._lock:
            now = self._clock.boot_s()
            for limit, _ in wanted:
                limit.set_rules(Rule(most, _MINUTE_S))
            if any(limit.wait_s(key, now) > 0 for limit, key in wanted):
                raise Refused(Status.TOO_OFTEN)
            for limit, key in wanted:
                limit.take(key, now)


def _parts(text: str, most: int) -> int:
    try:
        parts = code_text(text).part_count
    except ValueError:
        raise Refused(Status.CONTENT_LONG) from None
    if parts > most:
        raise Refused(Status.CONTENT_LONG)
    return parts


def _why_none(failures: Collection[str]) -> Status:
    reasons = {_WHY_NONE.get(code, Status.PLATFORM) for code in failures}
    return reasons.pop() if len(reasons) == 1 else Status.PLATFORM


def _row(row_id: int, message: InboxMessage) -> list[Any]:
    sender, at = message.sender.text, message.sent_at or message.received_at
    digits = sender.removeprefix("+")
    number: int | str = int(digits) if digits.isdecimal() else sender
    return [row_id, number, vendor_request.stamp(at.timestamp()), message.text]
