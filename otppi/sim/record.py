"""What the simulated network was given: parts, and the messages they make."""

import threading
import time
from dataclasses import dataclass, field

from otppi.model.pdu import Concat, Submitted
from otppi.sim.modem import Taken


@dataclass(frozen=True, kw_only=True)
class SentSms:
    """One part that reached the network."""

    modem: str
    at_s: float  # CLOCK_MONOTONIC
    reference: int  # TP-MR
    submitted: Submitted = field(repr=False)

    @property
    def number(self) -> str:
        """The receiver's digits."""
        return self.submitted.number

    @property
    def text(self) -> str:
        """The text of this part."""
        return self.submitted.text

    @property
    def concat(self) -> Concat | None:
        """Which part of a long message it is; None if it is a whole one."""
        return self.submitted.concat


@dataclass(frozen=True, kw_only=True)
class SentMessage:
    """A message as its receiver sees it."""

    modem: str
    at_s: float  # when the last missing part came, CLOCK_MONOTONIC
    number: str = field(repr=False)
    text: str = field(repr=False)
    parts: int = 1


class Assembler:
    """Joins the parts that one SIM sent, as a phone does (3GPP TS 23.040, 9.2.3.24.1)."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int, int], dict[int, str]] = {}

    def add(self, sms: SentSms) -> SentMessage | None:
        """Take a part; return the message if it is complete now."""
        if sms.concat is None:
            return SentMessage(modem=sms.modem, at_s=sms.at_s, number=sms.number, text=sms.text)
        key = (sms.number, sms.concat.reference, sms.concat.total)
        texts = self._open.setdefault(key, {})
        texts[sms.concat.number] = sms.text
        if len(texts) < sms.concat.total:
            return None
        del self._open[key]
        joined = "".join(texts[number] for number in sorted(texts))
        return SentMessage(modem=sms.modem, at_s=sms.at_s, number=sms.number, text=joined, parts=len(texts))


class Record:
    """What was sent through one modem; written by one thread, read and waited for by any."""

    def __init__(self, modem: str, changed: threading.Condition) -> None:
        """Make an empty record; `changed` may be shared by several, so that one can wait for their sum."""
        self._modem = modem
        self.changed = changed
        self._sent: list[SentSms] = []
        self._messages: list[SentMessage] = []
        self._assembler = Assembler()

    def add(self, taken: Taken) -> SentMessage | None:
        """Note a part as sent now; return the message that it completes."""
        sms = SentSms(
            modem=self._modem, at_s=time.monotonic(), reference=taken.reference, submitted=taken.submitted
        )
        message = self._assembler.add(sms)
        with self.changed:
            self._sent.append(sms)
            if message is not None:
                self._messages.append(message)
            self.changed.notify_all()
        return message

    @property
    def sent(self) -> list[SentSms]:
        """All parts so far, in order."""
        return self._sent.copy()

    @property
    def messages(self) -> list[SentMessage]:
        """All complete messages so far, in order."""
        return self._messages.copy()

    def __len__(self) -> int:
        """Return the number of parts so far."""
        return len(self._sent)


def wait_for_sent(records: list[Record], count: int, timeout_s: float) -> None:
    """Wait until records that share their `changed` have so many parts together.

    Raises:
        TimeoutError: They do not in time.
    """
    changed = records[0].changed
    with changed:
        if not changed.wait_for(lambda: sum(map(len, records)) >= count, timeout_s):
            raise TimeoutError(f"{sum(map(len, records))} of {count} SMS were sent within {timeout_s} s")
