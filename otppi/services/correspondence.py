"""What is done with received messages and delivery reports: told in the log, shown to the owner, read for balances."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otppi.gateway.inbox import Inbox
from otppi.model.errors import BadRequest, HostError, ModemUnavailable, NoModemAvailable, QuotaUsedUp
from otppi.model.events import DeliveryReported, SmsReceived
from otppi.model.inbox import InboxMessage
from otppi.model.modems import ModemStatus, is_another_sim
from otppi.services.balance import Balances

log = logging.getLogger(__name__)

_OFFER = "; let any modem send it, from its own number"


class Correspondence:
    """The inbox as the command line and the bus see it; every method may be called from any thread."""

    def __init__(
        self,
        inbox: Inbox,
        balances: Balances,
        modems: Callable[[], Sequence[ModemStatus]],
        send: Callable[..., dict[str, Any]],
    ) -> None:
        """Take the parts; `send` is `Gateway.send_by_hand`."""
        self._inbox = inbox
        self._balances = balances
        self._modems = modems
        self._send = send

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls that the command line may make."""
        return {
            "inbox.list": self.list,
            "inbox.show": self.show,
            "inbox.reply": self.reply,
            "inbox.delete": self.delete,
            "inbox.mark": self.mark,
        }

    def list(self, search: str, offset: int, count: int) -> dict[str, Any]:
        """Return messages, newest first, and how many there are.

        `unread` counts all that nobody has read; `is_kept` says whether what comes now is kept.
        """
        page = self._inbox.page(offset=offset, count=count, search=search)
        names = self._names()
        return {
            "messages": [_as_json(message, names) for message in page.messages],
            "total": page.total,
            "unread": self._inbox.fill().unread,
            "is_kept": self._inbox.is_on,
        }

    def show(self, message_id: str) -> dict[str, Any]:
        """Return one message, which counts as read from then on."""
        message = self._message(message_id)
        self._inbox.mark_read([message_id])
        return _as_json(message, self._names())

    def reply(
        self, message_id: str, text: str, any_modem: bool, reference: str = "", by: str = ""
    ) -> dict[str, Any]:
        """Send a text to the sender of a message, from the number that he wrote to; the answer is that of the API.

        The same reply with the same reference is a repeat: it gets the first outcome, and nothing is sent again.
        """
        message = self._message(message_id)
        if not _has_number(message):
            raise BadRequest("", "its sender gave no number, only a name, so nobody can reply to it")
        if any_modem:
            return self._send(message.sender.text, text, reference=reference, by=by)
        modem = self._modem_that_got(message)
        answer = self._send(message.sender.text, text, modem, reference=reference, by=by)
        if answer["response_code"] in (NoModemAvailable.code, QuotaUsedUp.code):
            answer["error"] += _OFFER
        return answer

    def delete(self, message_ids: Sequence[str]) -> int:
        """Delete messages; returns how many of them there were."""
        return self._inbox.delete(message_ids)

    def mark(self, message_ids: Sequence[str], is_read: bool) -> None:
        """Note that somebody has read messages, or wants to be reminded of them."""
        self._inbox.mark_read(message_ids, is_read=is_read)

    def take(self, event: SmsReceived | DeliveryReported) -> None:
        """Take news from the bus."""
        name = self._names().get(event.modem_id, event.modem_id)
        if isinstance(event, DeliveryReported):
            fields = {
                "message_id": event.message_id,
                "modem": name,
                "to": event.masked_number,
                "outcome": event.outcome.value,
            }
            log.info("sms reported", extra={"fields": fields})
            return
        log.info(
            "sms received",
            extra={"fields": {"modem": name, "from": event.masked_sender, "parts": event.parts}},
        )
        if event.message_id and event.is_complete:
            self._read_balance(event)

    def _read_balance(self, event: SmsReceived) -> None:
        try:
            message = self._inbox.message(event.message_id)
        except HostError:
            return  # the inbox has logged it
        # Operators write under a name or a short code; a person's number has the plus.
        if message is not None and not message.is_data and not message.sender.text.startswith("+"):
            self._balances.take_message(event.modem_id, message.text)

    def _message(self, message_id: str) -> InboxMessage:
        message = self._inbox.message(message_id)
        if message is None:
            raise BadRequest("id", "there is no such message")
        return message

    def _modem_that_got(self, message: InboxMessage) -> str:
        """Return the id of the modem that has the SIM now; where one of them does not tell, of the modem itself."""
        found = [modem for modem in self._modems() if _has_sim_of(modem, message)]
        if not found:
            raise ModemUnavailable(f"the SIM that got it is in no modem now{_OFFER}")
        # A modem that was pulled out is still known with its last SIM.
        return max(found, key=lambda modem: modem.is_ready).id

    def _names(self) -> Mapping[str, str]:
        return {modem.id: modem.name for modem in self._modems()}


def _has_number(message: InboxMessage) -> bool:
    return bool(message.sender.text) and not message.sender.is_name


def _has_sim_of(modem: ModemStatus, message: InboxMessage) -> bool:
    iccid = modem.identity.iccid
    if iccid and message.sim != message.modem_id:
        return not is_another_sim(message.sim, iccid)
    return modem.id == message.modem_id


def _as_json(message: InboxMessage, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": message.id,
        "modem": names.get(message.modem_id, message.modem_id),
        "sender": message.sender.text,
        "has_number": _has_number(message),
        "text": message.text,
        "is_data": message.is_data,
        "sent_at": message.sent_at.isoformat() if message.sent_at is not None else None,
        "received_at": message.received_at.isoformat(),
        "parts": message.parts,
        "missing": list(message.missing),
        "is_read": message.is_read,
    }
