"""Received messages, kept until their owner has done with them."""

import errno
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from otppi.contracts.received import ReceivedPart
from otppi.gateway.inbox_file import InboxFile
from otppi.gateway.inbox_line import part_id, part_line
from otppi.lib.atomicfile import private_folder
from otppi.lib.bus import Bus
from otppi.lib.clock import EARLIEST_PLAUSIBLE_WALL_S, Clock
from otppi.lib.threads import died
from otppi.model.errors import HostError
from otppi.model.events import SmsReceived
from otppi.model.inbox import InboxFill, InboxMessage, InboxPage
from otppi.settings.fields import boolean, integer
from otppi.settings.section import Section

log = logging.getLogger(__name__)

_FILE = "messages.jsonl"
# All that is kept has this size at most, whatever the settings say, and the file twice that: a flood of messages fills
# neither the disk nor the memory. It is some 20,000 messages.
_MOST_BYTES: Final = 8 << 20
_SWEEP_EVERY_S: Final = 60.0
_DAY_S: Final = 86_400.0
_HANDLED_REMEMBERED: Final = 2000


class InboxSettings(Section, key="inbox", title="Inbox"):
    """What becomes of received messages."""

    keep_messages: bool = boolean(
        title="Keep received messages",
        default=True,
        help="Off, received messages are taken from the SIM and forgotten at once, so that no broker and no page can "
        "show their texts; those that were kept stay.",
    )
    retention_days: int = integer(
        title="Keep for",
        default=90,
        minimum=1,
        maximum=3650,
        unit="days",
        help="Older messages are deleted, read or not.",
    )
    max_messages: int = integer(
        title="Keep at most",
        default=5000,
        minimum=10,
        maximum=20_000,
        help="With more messages the oldest are deleted, read or not.",
    )
    incomplete_after_min: int = integer(
        title="Show incomplete messages after",
        default=120,
        minimum=5,
        maximum=10_080,
        unit="min",
        help="A long message that lacks parts is shown without them after so long. Networks try again within minutes "
        "at first and every hour or so later; a part that comes after that is still joined.",
    )


class Inbox:
    """Implements `MessageSink`; every method may be called from any thread, and waits for the disk.

    Messages are in one file, readable by the gateway's user alone; in memory is only where they stand in it. Sweeps
    run on the thread `inbox`.
    """

    def __init__(self, folder: Path, settings: Callable[[], InboxSettings], bus: Bus, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._lock = threading.Lock()
        self._file: InboxFile | None = None  # opened when it is first needed
        self._is_failing = False
        self._handled: dict[str, None] = {}  # parts and messages, since the service started
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    @property
    def is_on(self) -> bool:
        """Whether what comes now is kept."""
        return self._settings().keep_messages

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the file."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            self._close()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def keep(self, parts: Sequence[ReceivedPart]) -> None:
        """See `MessageSink`."""
        received_s = self._clock.wall_s()
        by_id = {part_id(part, received_s): part for part in parts}
        with self._lock:
            news = self._keep(by_id, received_s) if self._settings().keep_messages else self._pass_by(by_id)
            self._remember([*by_id, *(one.message_id for one in news)])
        self._tell(news)

    def page(self, *, offset: int = 0, count: int = 50, search: str = "") -> InboxPage:
        """Return messages, newest first; with a search those whose sender or text has it, in any case.

        Raises:
            HostError: The disk does not give them.
        """
        with self._opened() as file:
            ids = [one_id for one_id, stored in reversed(file.messages.items()) if stored.is_shown]
            if not search:
                read = (file.read(one_id) for one_id in ids[offset : offset + count])
                return InboxPage(messages=tuple(one for one in read if one is not None), total=len(ids))
            wanted, found, total = _Search(search), list[InboxMessage](), 0
            for one_id in ids:
                message = file.read(one_id)
                if message is not None and wanted.fits(message):
                    if offset <= total < offset + count:
                        found.append(message)
                    total += 1
        return InboxPage(messages=tuple(found), total=total)

    def message(self, message_id: str) -> InboxMessage | None:
        """Return one message, if it is there.

        Raises:
            HostError: The disk does not give it.
        """
        with self._opened() as file:
            return file.read(message_id) if message_id in file.messages else None

    def ids(self) -> list[str]:
        """Return the ids of all messages that are shown, oldest first.

        Raises:
            HostError: The disk does not give them.
        """
        with self._opened() as file:
            return [one_id for one_id, stored in file.messages.items() if stored.is_shown]

    def delete(self, message_ids: Sequence[str]) -> int:
        """Delete messages; their texts are gone from the file when this returns.

        Returns:
            How many of them there were.

        Raises:
            HostError: Some may be there still.
        """
        with self._opened() as file:
            return file.erase(message_ids)

    def mark_read(self, message_ids: Sequence[str], *, is_read: bool = True) -> None:
        """Note that somebody has read them, or wants to be reminded of them.

        Raises:
            HostError: It could not be noted.
        """
        with self._opened() as file:
            file.mark_read(message_ids, is_read=is_read)

    def for_backup(self) -> list[str]:
        """Return everything that is kept, as lines that only `restore` reads.

        Raises:
            HostError: It cannot be read.
        """
        with self._opened() as file:
            return [line.decode("ascii") for line in file.kept_lines()]

    def restore(self, lines: Sequence[str]) -> int:
        """Add the messages of a backup that are not here; returns how many they are.

        Raises:
            ValueError: They are damaged; nothing has changed.
            HostError: They cannot be kept; nothing has changed.
        """
        with self._lock:
            try:
                with self._checked() as file:
                    count = file.merge(line.encode("ascii") for line in lines)
            except (TypeError, KeyError, AttributeError) as error:
                raise ValueError("a line is none of a backup") from error
            finally:
                self._close()
        return count

    def fill(self) -> InboxFill:
        """Count what there is.

        Raises:
            HostError: It cannot be read.
        """
        with self._opened() as file:
            return InboxFill(
                messages=len(file.messages),
                unread=sum(stored.is_shown and not stored.is_read for stored in file.messages.values()),
                bytes=file.bytes,
            )

    def sweep(self) -> None:
        """Do what is due by time: delete what is too old, show what stays incomplete.

        Raises:
            HostError: The disk does not let it.
        """
        settings, now_s = self._settings(), self._clock.wall_s()
        with self._opened() as file:
            if self._clock.wall_is_trusted():
                file.erase(_older_than(file, now_s - settings.retention_days * _DAY_S))
            limit_s = settings.incomplete_after_min * 60
            waiting = [(one_id, file.messages[one_id]) for one_id in file.incomplete()]
            # A message of the future came before the clock was set.
            late = [
                one_id
                for one_id, stored in waiting
                if not stored.is_shown and not 0 <= now_s - stored.received_s < limit_s
            ]
            file.mark_shown(late)
            news = _news(file, late)
        self._tell(news)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.sweep()
            except HostError:
                pass  # it was logged, and is tried again
            except Exception:
                log.exception("the inbox could not be swept")
            self._stop.wait(_SWEEP_EVERY_S)

    def _keep(self, by_id: Mapping[str, ReceivedPart], received_s: float) -> list[SmsReceived]:
        with self._checked() as file:
            lines = [
                part_line(part, one_id, received_s) for one_id, part in by_id.items() if not file.has(one_id)
            ]
            again = [one_id for one_id in by_id if file.has(one_id)]
            told = [*self._untold(file, again), *(file.add(lines) if lines else ())]
            news = _news(file, dict.fromkeys(told))
            file.erase(_surplus(file, self._settings().max_messages))
        return news

    def _untold(self, file: InboxFile, part_ids: Sequence[str]) -> list[str]:
        """Return messages that the SIM still had, and of which nothing was told since the service started.

        The power may have gone between keeping and telling, so such a one is told of, perhaps for the second time.
        """
        messages = {file.message_with(one_id) for one_id in part_ids if one_id not in self._handled}
        return [
            one_id
            for one_id in messages
            if one_id is not None and one_id not in self._handled and file.messages[one_id].is_shown
        ]

    def _pass_by(self, by_id: Mapping[str, ReceivedPart]) -> list[SmsReceived]:
        """Say that something came, once for each message, and keep nothing of it."""
        news = []
        for one_id, part in by_id.items():
            concat = part.message.concat
            if one_id not in self._handled and (concat is None or concat.number == 1):
                news.append(
                    SmsReceived(
                        message_id="",
                        modem_id=part.modem_id,
                        masked_sender=part.message.sender.masked,
                        parts=concat.total if concat is not None else 1,
                    )
                )
        return news

    def _remember(self, ids: Iterable[str]) -> None:
        self._handled.update(dict.fromkeys(ids))
        while len(self._handled) > _HANDLED_REMEMBERED:
            del self._handled[next(iter(self._handled))]

    def _tell(self, news: Sequence[SmsReceived]) -> None:
        for one in news:
            self._bus.publish(one)

    @contextmanager
    def _opened(self) -> Iterator[InboxFile]:
        with self._lock, self._checked() as file:
            yield file

    @contextmanager
    def _checked(self) -> Iterator[InboxFile]:
        """Give the file; after a failure of the disk it is opened and read anew.

        Raises:
            HostError: The disk failed.
        """
        try:
            if self._file is None:
                private_folder(self._folder)
                self._file = InboxFile(self._folder / _FILE)
            yield self._file
        except OSError as error:
            self._close()
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            if not self._is_failing:
                self._is_failing = True
                log.error("received messages cannot be kept or read", extra={"fields": {"reason": reason}})  # noqa: TRY400
            raise HostError(f"received messages cannot be kept or read: {reason}") from error
        self._is_failing = False

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


class _Search:
    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        # Who looks for 0812… means +62812….
        self._digits = text.lstrip("+0") if text.lstrip("+").isdigit() else ""

    def fits(self, message: InboxMessage) -> bool:
        sender = message.sender.text.casefold()
        if self._digits and self._digits in sender:
            return True
        return self._text in sender or self._text in message.text.casefold()


def _older_than(file: InboxFile, oldest_s: float) -> list[str]:
    # What came while the clock was not set has no age.
    return [
        one_id
        for one_id, stored in file.messages.items()
        if EARLIEST_PLAUSIBLE_WALL_S <= stored.received_s < oldest_s
    ]


def _surplus(file: InboxFile, most: int) -> list[str]:
    """Return the oldest messages that must go for there to be room."""
    surplus: list[str] = []
    count, size = len(file.messages), file.bytes
    for one_id, stored in file.messages.items():
        if count <= most and size <= _MOST_BYTES:
            break
        surplus.append(one_id)
        count, size = count - 1, size - stored.bytes
    return surplus


def _news(file: InboxFile, message_ids: Iterable[str]) -> list[SmsReceived]:
    messages = (file.read(one_id) for one_id in message_ids)
    return [
        SmsReceived(
            message_id=message.id,
            modem_id=message.modem_id,
            masked_sender=message.sender.masked,
            parts=message.parts,
            is_complete=not message.missing,
        )
        for message in messages
        if message is not None
    ]
