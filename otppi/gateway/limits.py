"""How often codes may be asked for: exact sliding windows per receiver, user and address."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otppi.gateway.journal import Journal, Record
from otppi.gateway.otp import OtpSettings
from otppi.lib.clock import Clock
from otppi.lib.keyfile import keyed_hash
from otppi.model.errors import TooManyRequests

_HOUR_S = 3600.0
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Rule:
    """So many within any window of that length; a limit of 0 is no limit."""

    limit: int
    window_s: float


class SlidingLimit:
    """Remembers the moments at which each key was taken, and judges them by rules that may change meanwhile.

    Every method may be called from any thread; to ask and take in one step is the caller's to guard. Beyond
    `capacity` keys the one longest untouched is forgotten, because a full limiter that refuses everybody is
    the outage it is there to prevent.
    """

    def __init__(self, *rules: Rule, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._lock = threading.RLock()
        self._moments: dict[bytes, deque[float]] = {}  # in the order of the last take, but for those put back
        self.set_rules(*rules)

    def set_rules(self, *rules: Rule) -> None:
        """Judge by these rules from now on; what was forgotten under shorter ones stays forgotten."""
        with self._lock:
            self._rules = tuple(rule for rule in rules if rule.limit > 0)
            self._longest_s = max((rule.window_s for rule in self._rules), default=0.0)
            if not self._rules:
                self._moments.clear()

    def wait_s(self, key: bytes, now: float) -> float:
        """Return how long until this key may be taken; 0 if now."""
        with self._lock:
            moments = self._moments.get(key, ())
            full = [rule for rule in self._rules if len(moments) >= rule.limit]
            # The limit-th newest moment decides: when it leaves the window there is room.
            return max(0.0, max((moments[-rule.limit] + rule.window_s for rule in full), default=now) - now)

    def take(self, key: bytes, now: float) -> bool:
        """Count one; False if no rule is on, and then nothing is kept."""
        with self._lock:
            if not self._rules:
                return False
            moments = self._moments.pop(key, None) or deque()
            while moments and moments[0] + self._longest_s <= now:
                moments.popleft()
            moments.append(now)
            self._moments[key] = moments
            self._forget_old(now)
            return True

    def give_back(self, key: bytes, moment: float) -> None:
        """Undo the take of that moment, if it is still known."""
        with self._lock:
            moments = self._moments.get(key)
            if moments is None or moment not in moments:
                return
            moments.remove(moment)
            if not moments:
                del self._moments[key]

    def moments(self, now: float) -> list[tuple[bytes, float]]:
        """Return every take that still counts; taking them anew in this order rebuilds the memory."""
        with self._lock:
            return [
                (key, moment)
                for key, moments in self._moments.items()
                for moment in moments
                if now < moment + self._longest_s
            ]

    def _forget_old(self, now: float) -> None:
        while self._moments:
            key, moments = next(iter(self._moments.items()))
            if len(self._moments) <= self._capacity and now < moments[-1] + self._longest_s:
                return
            del self._moments[key]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What `RateLimits.take` counted, for giving it back."""

    receiver_hash: bytes
    moment: float


class RateLimits:
    """Stands in front of `request-otp`; every method may be called from any thread.

    Receivers, users and addresses are kept as keyed hashes only. The limit per receiver survives a restart;
    the others look back one minute and do not.
    """

    def __init__(
        self, settings: Callable[[], OtpSettings], key: bytes, clock: Clock, journal: Journal
    ) -> None:
        self._settings = settings
        self._key = key
        self._clock = clock
        self._journal = journal
        self._receivers = SlidingLimit()
        self._users = SlidingLimit()
        self._addresses = SlidingLimit()
        self._follow_settings()
        journal.register("limits", self._replay, self._live)

    def take(self, receiver_key: str, user: str, address: str) -> Taken:
        """Count one request against all three limits, or against none.

        An empty user or address has no limit.

        Raises:
            TooManyRequests: Names the limit that is used up; of several, the one that lasts longest.
        """
        receiver_hash = self._hash("receiver", receiver_key)
        with self._journal.lock:
            self._follow_settings()
            now = self._clock.boot_s()
            wanted = [("receiver", self._receivers, receiver_hash)]
            if user:
                wanted.append(("user", self._users, self._hash("user", user)))
            if address:
                wanted.append(("address", self._addresses, self._hash("address", address)))
            wait_s, scope = max((limit.wait_s(key, now), scope) for scope, limit, key in wanted)
            if wait_s > 0:
                raise TooManyRequests(scope, wait_s)
            for scope, limit, key in wanted:
                if limit.take(key, now) and scope == "receiver":
                    self._journal.append("limits", [key.hex(), now])
        return Taken(receiver_hash=receiver_hash, moment=now)

    def give_back(self, taken: Taken) -> None:
        """Undo the count for the receiver: the code surely did not reach anybody.

        A network that was gone for ten minutes must not shut people out for ten more. User and address stay
        counted: their limits guard the device, which had the work.
        """
        with self._journal.lock:
            self._receivers.give_back(taken.receiver_hash, taken.moment)
            self._journal.append("limits", [taken.receiver_hash.hex(), taken.moment, "given back"])

    def _follow_settings(self) -> None:
        settings = self._settings()
        self._receivers.set_rules(
            Rule(settings.receiver_limit, settings.receiver_window_s),
            Rule(settings.receiver_hour_limit, _HOUR_S),
        )
        self._users.set_rules(Rule(settings.user_limit, _MINUTE_S))
        self._addresses.set_rules(Rule(settings.address_limit, _MINUTE_S))

    def _hash(self, scope: str, name: str) -> bytes:
        return keyed_hash(self._key, "rate limit", scope, name)

    def _replay(self, written: Record) -> None:
        receiver_hash, moment = bytes.fromhex(written[0]), float(written[1])
        if len(written) > 2:
            self._receivers.give_back(receiver_hash, moment)
        else:
            self._receivers.take(receiver_hash, moment)

    def _live(self) -> Iterator[Record]:
        for receiver_hash, moment in self._receivers.moments(self._clock.boot_s()):
            yield [receiver_hash.hex(), moment]
