"""Received messages and reports: taken from a modem, handed over, and only then deleted from its SIM."""

import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from otppi.contracts.received import MessageSink, ReceivedPart, ReceivedReport, ReportSink
from otppi.model.errors import HostError
from otppi.model.pdu import PduError
from otppi.model.received_pdu import Delivered, Party, StatusReport, decode_received
from otppi.modems import parse
from otppi.modems.channel import AtRefused, Channel
from otppi.modems.families.family import Family, Sweep
from otppi.modems.parse import Listed, StoredAt, StoreFill

log = logging.getLogger(__name__)

_LIST_LIMIT_S: Final = 30.0
_READ_LIMIT_S: Final = 10.0
_MOST_HEARD: Final = 500
_LONGEST_UNREADABLE: Final = 512  # hexadecimal digits; no PDU is so long


class Reading:
    """What one modem remembers of messages that came; used by its thread alone.

    A message is deleted from the SIM once `MessageSink.keep` has returned. One that could not be kept, read or deleted
    stays where it is, and the next sweep finds it.
    """

    def __init__(self, modem_id: str, messages: MessageSink, reports: ReportSink) -> None:
        self._modem_id = modem_id
        self._messages = messages
        self._reports = reports
        self._heard: list[str] = []
        self._sim = modem_id
        self._family = Family(name="")
        self._store = ""
        self._must_acknowledge = False

    def set_up(self, channel: Channel, family: Family, iccid: str) -> None:
        """Let the modem store messages on the SIM, or wherever its family does, and say so.

        Called when the SIM is open. A modem that refuses says nothing by itself, and its messages are found by sweeps.

        Raises:
            NoAnswer, PortGone: As for `Channel.command`.
        """
        self._family, self._sim = family, iccid or self._modem_id
        self._must_acknowledge = self._acknowledges(channel)
        self._choose(channel, family.store, for_new_ones=True)
        for command in family.indications:
            with contextlib.suppress(AtRefused):
                channel.command(command)
                return
        log.info("a modem does not tell of messages by itself", extra={"fields": {"modem": self._modem_id}})

    def hear(self, line: str) -> bool:
        """Take a line that came by itself; True if it is about a message or report. Does not use the channel."""
        if not line.startswith(("+CMTI:", "+CDSI:", "+CMT:", "+CDS:")):
            return False
        # What is too much is found by the next sweep, or comes again if it was not stored.
        if len(self._heard) < _MOST_HEARD:
            self._heard.append(line)
        return True

    @property
    def sim(self) -> str:
        """What the SIM is known by: its ICCID, or the modem's id."""
        return self._sim

    @property
    def has_news(self) -> bool:
        """Whether something was heard that `attend` is to take."""
        return bool(self._heard)

    def attend(self, channel: Channel) -> None:
        """Take what was heard of.

        Raises:
            NoAnswer, PortGone: As for `Channel.command`; what was heard is found by the next sweep.
        """
        heard, self._heard = self._heard, []
        brought = [pdu for line in heard if (pdu := parse.brought_pdu(line)) is not None]
        if brought and self._hand_over(brought) and self._must_acknowledge:
            with contextlib.suppress(AtRefused):
                channel.command("AT+CNMA")
        notices = [notice for line in heard if (notice := parse.stored_at(line)) is not None]
        for store in dict.fromkeys(notice.store for notice in notices):
            self._fetch(channel, store, [notice for notice in notices if notice.store == store])

    def sweep(self, channel: Channel) -> StoreFill | None:
        """Take all messages from the store; return how full it is now, None if the modem does not say.

        Raises:
            NoAnswer, PortGone: As for `Channel.command`.
        """
        self._choose(channel, self._family.store)
        before = _fill(channel)
        if before is not None and before.used == 0:
            return before
        self._take(channel, self._all(channel, before))
        return _fill(channel)

    def _acknowledges(self, channel: Channel) -> bool:
        """Ask for the service in which nothing has to be acknowledged; True if the modem keeps to the other."""
        if _service(channel) != 1:
            return False
        with contextlib.suppress(AtRefused):
            channel.command("AT+CSMS=0", expect="+CSMS:")
        return _service(channel) == 1

    def _choose(self, channel: Channel, store: str, *, for_new_ones: bool = False) -> bool:
        if store == self._store and not for_new_ones:
            return True
        forms = [f'"{store}","{store}","{store}"'] if for_new_ones else []
        for form in (*forms, f'"{store}"'):
            with contextlib.suppress(AtRefused):
                channel.command(f"AT+CPMS={form}", expect="+CPMS:", timeout_s=_READ_LIMIT_S)
                self._store = store
                return True
        return False

    def _fetch(self, channel: Channel, store: str, notices: Sequence[StoredAt]) -> None:
        if self._choose(channel, store):
            found = [message for notice in notices for message in _read(channel, notice.index)]
            self._take(channel, found)

    def _all(self, channel: Channel, fill: StoreFill | None) -> list[Listed]:
        if self._family.sweep is Sweep.LIST:
            with contextlib.suppress(AtRefused):
                return parse.listed(channel.command("AT+CMGL=4", expect="+CMGL:", timeout_s=_LIST_LIMIT_S))
        found: list[Listed] = []
        if fill is not None:
            for index in range(self._family.first_index, self._family.first_index + fill.total):
                if len(found) >= fill.used:
                    break
                found += _read(channel, index)
        return found

    def _take(self, channel: Channel, found: Iterable[Listed]) -> None:
        """Hand messages over and delete them."""
        whole = [_made_sure(channel, message) for message in found if message.was_received]
        messages = [message for message in whole if message is not None]
        if messages and self._hand_over([message.pdu for message in messages]):
            indexes = {message.index for message in messages}
            if len(indexes) < len(messages):
                return  # a digit of an index was lost on the line; the next sweep sees clearer
            for index in indexes:
                try:
                    channel.command(f"AT+CMGD={index}", timeout_s=_READ_LIMIT_S)
                except AtRefused as error:
                    # It is found again, and recognised as one that was handed over.
                    fields = {"modem": self._modem_id, "reason": str(error)}
                    log.warning("a message cannot be deleted from the SIM", extra={"fields": fields})

    def _hand_over(self, pdus: Sequence[str]) -> bool:
        understood = [_understood(pdu) for pdu in pdus]
        for one in understood:
            if isinstance(one, StatusReport):
                self._reports.report(ReceivedReport(modem_id=self._modem_id, sim=self._sim, report=one))
        parts = [
            ReceivedPart(modem_id=self._modem_id, sim=self._sim, message=one)
            for one in understood
            if isinstance(one, Delivered)
        ]
        if parts:
            try:
                self._messages.keep(parts)
            except HostError as error:
                fields = {"modem": self._modem_id, "reason": str(error)}
                log.warning("messages stay on the SIM", extra={"fields": fields})
                return False
        return True


def _understood(pdu: str) -> Delivered | StatusReport:
    try:
        return decode_received(pdu)
    except PduError:
        # As data, so that nobody can fill a SIM with what is left there because it cannot be read.
        return Delivered(sender=Party(""), text=pdu[:_LONGEST_UNREADABLE].upper(), is_data=True)


def _read(channel: Channel, index: int) -> list[Listed]:
    with contextlib.suppress(AtRefused):  # nothing is there
        lines = channel.command(f"AT+CMGR={index}", expect="+CMGR:", timeout_s=_READ_LIMIT_S)
        return parse.listed(lines, index)
    return []


def _made_sure(channel: Channel, message: Listed) -> Listed | None:
    """Read a message again whose length is not what was said; if it is the same it is so, else nothing is sure."""
    if message.is_whole:
        return message
    again = _read(channel, message.index)
    return again[0] if again and (again[0].is_whole or again[0].pdu == message.pdu) else None


def _service(channel: Channel) -> int | None:
    with contextlib.suppress(AtRefused):
        for line in channel.command("AT+CSMS?", expect="+CSMS:"):
            return parse.message_service(line)
    return None


def _fill(channel: Channel) -> StoreFill | None:
    with contextlib.suppress(AtRefused):
        for line in channel.command("AT+CPMS?", expect="+CPMS:", timeout_s=_READ_LIMIT_S):
            if (fill := parse.store_fill(line)) is not None:
                return fill
    return None
