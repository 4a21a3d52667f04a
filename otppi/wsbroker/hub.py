"""Who gets which message: all on its topic but the sender, and whoever comes a little late."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

# What one topic, and all together, may remember; what is oldest on a topic that takes more goes first. All of a topic
# fits into what may wait for one client (`limits.Limits`).
_MOST_BYTES, _MOST_BYTES_OF_ALL = 2 * 1024 * 1024, 16 * 1024 * 1024
# What it costs to remember a message, besides its content.
_OVERHEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Message:
    """What one client sent, unchanged; `data` is UTF-8 if it is text."""

    data: bytes
    is_text: bool


class Member(Protocol):
    """One connection to one topic, as the hub sees it.

    Attributes:
        topic: What it is about.
        user: The account; who comes back is known by it.
        since_s: When it could first be given a message.
        has_spoken: Whether it has sent something itself; the hub says so.
    """

    topic: str
    user: str
    since_s: float
    has_spoken: bool

    def give(self, message: Message) -> int:
        """Send it a message and return the place in all that it was sent; never waits."""
        ...

    def has_taken(self, place: int) -> bool:
        """Whether everything up to that place has come to the other side."""
        ...


@dataclass(slots=True)
class _Kept:
    at_s: float
    message: Message
    sender: Member
    given: list[tuple[Member, int]] = field(default_factory=list)

    @property
    def cost(self) -> int:
        return len(self.message.data) + _OVERHEAD_BYTES


@dataclass(slots=True)
class _Topic:
    members: dict[Member, None] = field(default_factory=dict)  # in the order in which they came
    kept: deque[_Kept] = field(default_factory=deque)  # the oldest first
    kept_bytes: int = 0


class Hub:
    """Passes messages on. It opens no socket, asks no clock and belongs to one thread.

    A message goes to all members of its topic but the sender. It is also kept for a few seconds, for those who
    come a moment too late: who asked for an answer on a topic and is not there yet when it comes, and who was
    there and lost the connection. The rule:

    * A newcomer is given what was sent after `since_s`, like everybody else.
    * Of what was sent before it is given what no connection of the same user has taken. So who comes back gets
      what it missed, and nobody gets anything twice. Taken is what the other side's machine has acknowledged; what
      was written to a connection that was dead already is not.
    * Who sends on a topic is a publisher there. It is given nothing that was sent before it came, and what was
      passed on to it does not count as taken: a publisher that uses the consumer's account, and may still be
      connected while the consumer is away, shall not use up what is meant for that one.

    The price: a client that both sends and listens on one topic is given again what it had if it comes back within
    that time. And of two consumers with one account, one that was away misses what the other took; an account for
    each is better.
    """

    def __init__(self, memory_s: float) -> None:
        """Take for how long messages are kept."""
        self._memory_s = memory_s
        self._topics: defaultdict[str, _Topic] = defaultdict(_Topic)
        self._kept_bytes = 0

    def join(self, newcomer: Member, now: float) -> int:
        """Give a newcomer what it is late for, and from now on what is sent; return how many messages that was."""
        topic = self._topics[newcomer.topic]
        self._forget(topic, lambda kept: kept.at_s <= now - self._memory_s)
        late = [kept for kept in topic.kept if _is_for(newcomer, kept)]
        for kept in late:
            kept.given.append((newcomer, newcomer.give(kept.message)))
        topic.members[newcomer] = None
        return len(late)

    def leave(self, member: Member) -> None:
        """Send no more to a member; one that never joined may leave as well."""
        self._topics[member.topic].members.pop(member, None)
        self._drop_if_empty(member.topic)

    def publish(self, sender: Member, message: Message, now: float) -> int:
        """Pass a message on; return to how many."""
        sender.has_spoken = True
        topic = self._topics[sender.topic]
        kept = _Kept(now, message, sender)
        # A list, as a member that is too slow may leave while it is given something.
        kept.given = [(one, one.give(message)) for one in list(topic.members) if one is not sender]
        self._keep(topic, kept)
        self._drop_if_empty(sender.topic)
        return len(kept.given)

    def forget(self, now: float) -> None:
        """Forget what has been kept long enough; to be called now and then."""
        for name, topic in list(self._topics.items()):
            self._forget(topic, lambda kept: kept.at_s <= now - self._memory_s)
            self._drop_if_empty(name)

    def _keep(self, topic: _Topic, kept: _Kept) -> None:
        topic.kept.append(kept)
        topic.kept_bytes += kept.cost
        self._kept_bytes += kept.cost
        self._forget(topic, lambda _: topic.kept_bytes > _MOST_BYTES or self._kept_bytes > _MOST_BYTES_OF_ALL)

    def _forget(self, topic: _Topic, is_enough: Callable[[_Kept], bool]) -> None:
        while topic.kept and is_enough(topic.kept[0]):
            cost = topic.kept.popleft().cost
            topic.kept_bytes -= cost
            self._kept_bytes -= cost

    def _drop_if_empty(self, name: str) -> None:
        topic = self._topics[name]
        if not topic.members and not topic.kept:
            del self._topics[name]


def _is_for(newcomer: Member, kept: _Kept) -> bool:
    if kept.sender is newcomer:
        return False
    if kept.at_s >= newcomer.since_s:
        return True
    if newcomer.has_spoken:
        return False
    return not any(
        one.user == newcomer.user and not one.has_spoken and one.has_taken(place) for one, place in kept.given
    )
