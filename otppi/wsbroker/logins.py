"""Who may come in: passwords are looked at once, and guessing is slow."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from otppi.lib.growingwaits import GrowingWaits
from otppi.model.errors import Busy, TooManyRequests, Unauthorized
from otppi.wsbroker.passwords import PasswordFile, is_right
from otppi.wsbroker.request import Credentials

_REMEMBERED_S = 300.0
_MOST_REMEMBERED = 4096
# A user who mistypes is not slowed; who guesses gets a minute each, as at the admin pages.
_FREE_TRIES, _LONGEST_WAIT_S = 5, 60.0
# Each waits for one slow hash; beyond that even the right password of somebody new would come too late.
_MOST_WAITING = 32
_Keys = Sequence[tuple[str, bytes]]
_Value = TypeVar("_Value")


class Logins:
    """Checks user names and passwords, on the thread of the event loop.

    Clients open a connection for each message, so a right password is remembered for a while, by a keyed hash. The
    slow hash itself is made on one thread of its own, one at a time; of many connections with the same password at
    once one waits for it and all others for that.

    Wrong passwords make an address and a user name wait. Where a user has come in from before, only guesses of
    his own password from there count against him: nobody can lock him out from elsewhere.
    """

    def __init__(self, file: PasswordFile, now: Callable[[], float]) -> None:
        """Take the accounts, and a clock that never jumps."""
        self._file = file
        self._now = now
        self._key = secrets.token_bytes(32)
        self._remembered: dict[
            bytes, tuple[str, float]
        ] = {}  # keyed hash: what is stored, until when; oldest first
        self._came_from: dict[bytes, None] = {}  # user and address, the one longest away first
        self._waits = GrowingWaits(free=_FREE_TRIES, longest_s=_LONGEST_WAIT_S)
        self._looks: dict[bytes, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "passwords")

    def close(self) -> None:
        """End the thread, without what waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def check(self, given: Credentials, address: str) -> str:
        """Let a user in and return the hash that is stored for him, by which a change can be seen.

        Raises:
            Unauthorized: The user name or the password is wrong.
            TooManyRequests: Too many wrong ones came from this address, or with this user name.
            Busy: Too many wait already.
        """
        digest = self._keyed(given.user, given.password)
        stored = self._file.accounts().get(given.user, "")
        if not self._is_remembered(digest, stored):
            look = self._looks.get(digest)
            if look is None:
                look = self._start_look(given, digest, address)
            await asyncio.shield(look)
        self._note_where(given.user, address)
        return stored

    def _start_look(self, given: Credentials, digest: bytes, address: str) -> asyncio.Task[None]:
        if len(self._looks) >= _MOST_WAITING:
            raise Busy("too many passwords are being checked", retry_after_s=1.0)
        look = self._looks[digest] = asyncio.create_task(self._look(given, digest, address))
        look.add_done_callback(lambda done: self._end_look(digest, done))
        return look

    def _end_look(self, digest: bytes, done: asyncio.Task[None]) -> None:
        del self._looks[digest]
        if not done.cancelled():
            done.exception()  # the client that it was for may be gone, and then nobody else asks for it

    async def _look(self, given: Credentials, digest: bytes, address: str) -> None:
        keys = self._keys(given.user, address)
        async with self._turn:
            # Inside: of many guesses at once, those behind the last one that is allowed are not looked at.
            self._refuse_guessing(keys)
            accounts = self._file.accounts()
            stored = accounts.get(given.user, "")
            # Without such an account the time of another one's hash is taken: that tells nobody which names there are.
            compared = stored or next(iter(accounts.values()), "")
            loop = asyncio.get_running_loop()
            is_theirs = await loop.run_in_executor(self._thread, is_right, given.password, compared)
        if not stored or not is_theirs:
            self._waits.count(keys, self._now())
            raise Unauthorized("user name or password is wrong")
        self._remember(digest, stored)

    def _refuse_guessing(self, keys: _Keys) -> None:
        wait_s, scope = self._waits.longest(keys, self._now())
        if wait_s > 0:
            raise TooManyRequests(scope, wait_s)

    def _keys(self, user: str, address: str) -> _Keys:
        both = self._keyed(user, address.encode())
        if both in self._came_from:
            return [("user", both)]
        return [("address", address.encode()), ("user", self._keyed(user, b""))]

    def _note_where(self, user: str, address: str) -> None:
        _put_last(self._came_from, self._keyed(user, address.encode()), None)

    def _remember(self, digest: bytes, stored: str) -> None:
        _put_last(self._remembered, digest, (stored, self._now() + _REMEMBERED_S))

    def _is_remembered(self, digest: bytes, stored: str) -> bool:
        known, until_s = self._remembered.get(digest, ("", 0.0))
        return bool(stored) and known == stored and self._now() < until_s

    def _keyed(self, user: str, more: bytes) -> bytes:
        named = user.encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, len(named).to_bytes(4, "big") + named + more, hashlib.sha256)


def _put_last(places: dict[bytes, _Value], key: bytes, value: _Value) -> None:
    places.pop(key, None)
    places[key] = value
    if len(places) > _MOST_REMEMBERED:
        del places[next(iter(places))]
