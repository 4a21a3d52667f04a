"""What became of the messages of the vendor API, for its reports; and which of them come for the second time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from otppi.gateway.journal import Journal, Record
from otppi.gateway.vendor_book import VendorBook
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.model.events import DeliveryReported, MessageFinished, Outcome
from otppi.model.received_pdu import ReportOutcome

DOOR: Final = "vendor"

_KIND: Final = "vendor_messages"
_KEPT_S: Final = 3 * 86_400.0
_SWEEP_EVERY_S: Final = 60.0
_HASH_BYTES: Final = 16
_PAD_BYTES: Final = 8  # for the 15 digits of the longest number
# For so long the time of a signature is accepted: from half an hour before it to half an hour after.
_SIGNED_REPEAT_S: Final = 3600.0
_UNDELIVERED = frozenset({ReportOutcome.EXPIRED, ReportOutcome.FAILED})


class State(IntEnum):
    """What the vendor's reports say of a message."""

    SENT = 0
    SENDING = -1  # nobody knows yet, or ever
    FAILED = 1  # the network says that it was not delivered


class CreditUsedUp(Exception):
    """The account may not send so much any more."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A line of a report."""

    id: int
    number: str = field(repr=False)
    at_s: float  # wall clock
    state: State


@dataclass(slots=True, eq=False, repr=False)
class _Message:
    id: int
    account: str
    number: str  # digits
    key: bytes
    token: str
    parts: int
    began_boot_s: float
    at_s: float  # wall clock: when it came into its state
    state: State = State.SENDING
    sent_as: str = ""  # what a delivery report calls it
    askers: int = 0  # who wait for its outcome


class VendorMessages:
    """Every method may be called from any thread.

    Messages are kept for three days; beyond `capacity` the oldest is forgotten. What a restart of the service finds in
    the journal has the number under a pad that only the key of the device makes. No text is kept, only a keyed hash.
    """

    def __init__(
        self, book: VendorBook, key: bytes, clock: Clock, journal: Journal, capacity: int = 20_000
    ) -> None:
        self._book = book
        self._key = key
        self._clock = clock
        self._journal = journal
        self._capacity = capacity
        self._messages: dict[int, _Message] = {}  # by id, the oldest first
        self._by_key: dict[bytes, int] = {}  # the youngest of each
        self._by_sent_as: dict[str, int] = {}
        self._next_sweep_boot_s = 0.0
        journal.register(_KIND, self._replay, self._live)

    def begin(
        self,
        account: str,
        numbers: Sequence[str],
        content: str,
        *,
        token: str,
        repeat_s: float,
        parts: int,
        credit: int,
    ) -> list[int]:
        """Return the id of the message to each number: a repeat has that of the first.

        It is one if the account sent the same text to the same number less than `repeat_s` ago, or signed it with the
        same token. A message that surely was not sent is forgotten, and so never repeated.

        Args:
            account: Who sends.
            numbers: Digits of the receivers, each once.
            content: The text as it came.
            token: What the account signed with its request; empty if it did not.
            repeat_s: For how long the same again is a repeat.
            parts: How many parts each message has.
            credit: How many parts the account may send in all; 0 is no limit.

        Raises:
            CreditUsedUp: It is too much for the account; nothing has begun.
        """
        with self._journal.lock:
            self._sweep()
            keys = [self._hash(account, number, content) for number in numbers]
            earlier = [self._earlier(key, token, repeat_s) for key in keys]
            fresh = earlier.count(None)
            if credit and self._book.sent(account) + fresh * parts > credit:
                raise CreditUsedUp
            if fresh:
                self._book.count(account, fresh * parts)
            new_ids = iter(self._book.new_ids(fresh))
            begun = [
                message or self._new(next(new_ids), account, number, key, token, parts)
                for number, key, message in zip(numbers, keys, earlier, strict=True)
            ]
            for message in begun:
                message.askers += 1
            return [message.id for message in begun]

    def sent(self, message_id: int, sent_as: str) -> None:
        """Note that a message was sent, and what a delivery report will call it."""
        with self._journal.lock:
            message = self._messages.get(message_id)
            if message is not None and message.state is State.SENDING:
                message.state, message.sent_as, message.at_s = State.SENT, sent_as, self._clock.wall_s()
                self._keep(message)

    def answered(self, message_id: int, *, is_failed: bool) -> None:
        """Note that one who began a message has its outcome; call it once for each id of `begin`.

        A message that surely was not sent is forgotten, and its parts are given back to the account.
        """
        with self._journal.lock:
            message = self._messages.get(message_id)
            if message is None:
                return
            message.askers -= 1
            # Whoever repeats it now may be sending it afresh.
            if is_failed and not message.askers and message.state is State.SENDING:
                self._book.count(message.account, -message.parts)
                self._forget(message)

    def report(self, account: str, ids: Iterable[int]) -> list[Told]:
        """Return what is known of messages of this account."""
        with self._journal.lock:
            found = (self._messages.get(one) for one in ids)
            return [
                Told(id=message.id, number=message.number, at_s=message.at_s, state=message.state)
                for message in found
                if message is not None and message.account == account
            ]

    def take(self, event: MessageFinished | DeliveryReported) -> None:
        """Hear of a late confirmation, or of a delivery report."""
        if isinstance(event, DeliveryReported):
            self._take_report(event)
        elif event.door == DOOR and event.tag and event.outcome is Outcome.SENT:
            self.sent(int(event.tag), event.message_id)

    def _take_report(self, event: DeliveryReported) -> None:
        with self._journal.lock:
            message = self._messages.get(self._by_sent_as.get(event.message_id, 0))
            if message is not None:
                message.state = State.FAILED if event.outcome in _UNDELIVERED else State.SENT
                message.at_s = self._clock.wall_s()
                self._keep(message)

    def _earlier(self, key: bytes, token: str, repeat_s: float) -> _Message | None:
        message = self._messages.get(self._by_key.get(key, 0))
        if message is None:
            return None
        age_s = self._clock.boot_s() - message.began_boot_s
        is_same = age_s < repeat_s or (token and token == message.token and age_s < _SIGNED_REPEAT_S)
        return message if is_same else None

    def _new(
        self, message_id: int, account: str, number: str, key: bytes, token: str, parts: int
    ) -> _Message:
        began_boot_s, at_s = self._clock.boot_s(), self._clock.wall_s()
        message = _Message(message_id, account, number, key, token, parts, began_boot_s, at_s)
        self._by_key[key] = message_id
        self._keep(message)
        while len(self._messages) > self._capacity:
            self._forget(next(iter(self._messages.values())))
        return message

    def _keep(self, message: _Message) -> None:
        self._place(message)
        self._journal.append(_KIND, self._as_written(message))

    def _place(self, message: _Message) -> None:
        self._messages[message.id] = message
        if message.sent_as:
            self._by_sent_as[message.sent_as] = message.id

    def _forget(self, message: _Message) -> None:
        self._remove(message)
        self._journal.append(_KIND, [message.id])

    def _remove(self, message: _Message) -> None:
        del self._messages[message.id]
        self._by_sent_as.pop(message.sent_as, None)
        if self._by_key.get(message.key) == message.id:
            del self._by_key[message.key]

    def _sweep(self) -> None:
        now = self._clock.boot_s()
        if now < self._next_sweep_boot_s:
            return
        self._next_sweep_boot_s = now + _SWEEP_EVERY_S
        for message in list(self._messages.values()):
            if now < message.began_boot_s + _KEPT_S:
                return
            self._forget(message)

    def _hash(self, account: str, number: str, content: str) -> bytes:
        return keyed_hash(self._key, "vendor_message", account, number, content)[:_HASH_BYTES]

    def _padded(self, message_id: int, number: int) -> int:
        """Hide a number, or show it again; an id comes but once, and so does its pad."""
        pad = keyed_hash(self._key, "vendor_number", str(message_id))[:_PAD_BYTES]
        return number ^ int.from_bytes(pad, "big")

    def _as_written(self, message: _Message) -> Record:
        return [
            message.id,
            message.account,
            self._padded(message.id, int(message.number)),
            message.key.hex(),
            message.token,
            message.parts,
            message.began_boot_s,
            message.at_s,
            message.state,
            message.sent_as,
        ]

    def _replay(self, written: Record) -> None:
        if len(written) == 1:
            self._remove(self._messages[int(written[0])])
            return
        message_id, account, padded, key, token, parts, began_boot_s, at_s, state, sent_as = written
        message = _Message(
            int(message_id),
            account,
            str(self._padded(int(message_id), int(padded))),
            bytes.fromhex(key),
            token,
            int(parts),
            float(began_boot_s),
            float(at_s),
            State(state),
            sent_as,
        )
        self._by_key[message.key] = max(message.id, self._by_key.get(message.key, 0))
        self._place(message)

    def _live(self) -> Iterator[Record]:
        return map(self._as_written, self._messages.values())
