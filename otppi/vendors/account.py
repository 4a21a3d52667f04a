"""One account at a vendor, in the two dialects of its interface.

Names and forms are those of the vendor's published description: `getbalance`, `sendsms` and `getreport` with account
and password (V1), or with account, time and signature under the same names with V2 behind them.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urlencode

from otppi.lib.clock import Clock
from otppi.model.number import Number
from otppi.vendors import wire
from otppi.vendors.settings import V2, VendorRouteSettings
from otppi.vendors.statuses import DONE, trouble_of
from otppi.vendors.trouble import VendorTrouble
from otppi.work.standing import Hold

MOST_IDS = 200
_MOST_BYTES = 1023
_EAST_OF_GREENWICH_S = 8 * 3600
# A vendor may write a number with or without its country code; the last digits are the same.
_TELLING_DIGITS = 8
# Some vendors write the array of their answer as a text.
_PAIR = re.compile(r"(\w+)\W+(\w+)")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a vendor says of a message that it took."""

    id: int
    is_delivered: bool  # else it has failed


class Account:
    """Asks the vendor; every method may be called from any thread, and waits for the answer."""

    def __init__(self, settings: VendorRouteSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock

    def send(self, number: Number, text: str, leaving: Callable[[], None]) -> int | None:
        """Send a text; returns the id that the vendor knows the message by, None if that is no number.

        Args:
            number: The receiver.
            text: The text.
            leaving: Called just before the first byte of the request leaves.

        Raises:
            VendorTrouble: It was not sent, or nobody knows.
        """
        if number.is_short_code:
            raise VendorTrouble("a vendor sends to no short code", Hold.NO)
        if len(text.encode()) > _MOST_BYTES:
            raise VendorTrouble("the text is too long for the vendor", Hold.NO)
        document = self._ask("sendsms", {"numbers": number.digits, "content": text}, leaving)
        for digits, message_id in _pairs(document.get("array")):
            if digits[-_TELLING_DIGITS:] == number.digits[-_TELLING_DIGITS:]:
                return int(message_id) if message_id.isdecimal() else None
        if document.get("success") == 0 and document.get("fail"):
            raise VendorTrouble("the vendor does not take this number", Hold.NO)
        reason = "the vendor did not say what became of it: the number is not in its answer"
        raise VendorTrouble(reason, Hold.MOMENT, may_have_left=True)

    def balance(self) -> Decimal:
        """Ask how much money is left, gifts of the vendor included.

        Raises:
            VendorTrouble: There is no answer that says it.
        """
        document = self._ask("getbalance", {})
        try:
            left = Decimal(str(document["balance"])) + Decimal(str(document.get("gift", 0)))
        except (KeyError, InvalidOperation):
            left = Decimal("NaN")
        if not left.is_finite():
            raise VendorTrouble("the vendor did not say what is left", Hold.NO)
        return left

    def reports(self, ids: Sequence[int]) -> list[Report]:
        """Ask what became of messages, at most `MOST_IDS`; returns those whose end is known.

        Raises:
            VendorTrouble: There is no answer.
        """
        document = self._ask("getreport", {"ids": ",".join(map(str, ids))})
        rows = document.get("array")
        return list(_reports(rows if isinstance(rows, list) else []))

    @cached_property
    def _context(self) -> SSLContext | None:
        # Reading what the system trusts takes longer than a message.
        return wire.tls_context(self.settings) if self.settings.address.scheme == "https" else None

    def _ask(
        self, function: str, fields: Mapping[str, str], leaving: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        if not self.settings.secret:
            raise VendorTrouble("its password or key is not set", Hold.PERSON)
        document = wire.ask(self.settings, self._context, self._target(function, fields), leaving)
        try:
            status = int(document["status"])
        except (KeyError, TypeError, ValueError, OverflowError):
            reason = "the vendor did not say what became of it: its answer has no status"
            raise VendorTrouble(reason, Hold.MOMENT, may_have_left=True) from None
        if status != DONE:
            raise trouble_of(status)
        return document

    def _target(self, function: str, fields: Mapping[str, str]) -> str:
        settings = self.settings
        proof = {"password": settings.secret}
        if settings.dialect == V2:
            function += "V2"
            at = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._clock.wall_s() + _EAST_OF_GREENWICH_S))
            proof = {"sign": signature(settings.account, settings.secret, at), "datetime": at}
        query = urlencode({"account": settings.account, **proof, **fields}, quote_via=quote, safe=",")
        return f"{settings.address.path.rstrip('/')}/{function}?{query}"


def signature(account: str, key: str, at: str) -> str:
    """Return what proves an account in the dialect V2 at a time such as 20261121120000, of the zone GMT+8."""
    return hashlib.md5(f"{account}{key}{at}".encode(), usedforsecurity=False).hexdigest()


def _pairs(array: object) -> Iterator[tuple[str, str]]:
    """Return numbers and ids."""
    for row in array if isinstance(array, list) else [array]:
        match row:
            case [number, message_id, *_]:
                yield str(number), str(message_id)
            case str() if pair := _PAIR.search(row):
                yield pair[1], pair[2]


def _reports(rows: Sequence[object]) -> Iterator[Report]:
    for row in rows:
        match row:
            case [message_id, _, _, status, *_] if str(message_id).isdecimal() and str(status) in ("0", "1"):
                yield Report(id=int(str(message_id)), is_delivered=str(status) == "0")
