import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from otppi.model.errors import Busy, TooManyRequests, Unauthorized
from otppi.wsbroker import logins
from otppi.wsbroker.logins import Logins
from otppi.wsbroker.passwords import PasswordFile
from otppi.wsbroker.request import Credentials
from tests.wsbroker.running import HTPASSWD

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def looked_at(monkeypatch) -> list[bytes]:
    """The passwords that cost a slow hash."""
    seen: list[bytes] = []
    real = logins.is_right

    def look(clear: bytes, stored: str) -> bool:
        seen.append(clear)
        return real(clear, stored)

    monkeypatch.setattr(logins, "is_right", look)
    return seen


@pytest.fixture
def run(htpasswd: Path, clock) -> Callable[[Callable[[Logins], Coroutine[None, None, None]]], None]:
    def run(story):
        async def told() -> None:
            made = Logins(PasswordFile(htpasswd), clock.boot_s)
            try:
                await story(made)
            finally:
                made.close()

        asyncio.run(told())

    return run


def right(user: str = "shop") -> Credentials:
    return Credentials(user, user.encode())


WRONG = Credentials("shop", b"wrong")


@pytest.mark.parametrize("user", ["shop", "device", "other"])
def test_each_form_lets_its_user_in_whose_password_is_his_name(run, user):
    """As the PHP client has it."""

    async def story(made):
        assert await made.check(right(user), HERE)
        with pytest.raises(Unauthorized):
            await made.check(Credentials(user, b"other than that"), HERE)

    run(story)


def test_a_right_password_costs_one_hash_in_a_while(run, looked_at, clock):
    async def story(made):
        for _ in range(20):
            await made.check(right(), HERE)
        await made.check(right(), THERE)
        assert looked_at == [b"shop"]
        clock.advance(301)
        await made.check(right(), HERE)
        assert looked_at == [b"shop", b"shop"]

    run(story)


def test_of_many_at_once_with_one_password_one_is_looked_at(run, looked_at):
    async def story(made):
        await asyncio.gather(*(made.check(right(), HERE) for _ in range(200)))
        assert looked_at == [b"shop"]

    run(story)


def test_of_many_guesses_at_once_only_the_first_are_looked_at(run, looked_at):
    async def story(made):
        guesses = (made.check(Credentials("shop", str(n).encode()), HERE) for n in range(30))
        ends = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(end) for end in ends] == [Unauthorized] * 5 + [TooManyRequests] * 25
        assert len(looked_at) == 5

    run(story)


def test_who_comes_when_too_many_wait_is_sent_away(run):
    async def story(made):
        guesses = (made.check(Credentials(f"user {n}", b"x"), f"192.0.2.{n}") for n in range(60))
        ends = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(end) for end in ends] == [Unauthorized] * 32 + [Busy] * 28

    run(story)


def test_a_guesser_waits_longer_each_time(run, clock):
    async def story(made):
        waits = []
        for number in range(13):
            with pytest.raises(Unauthorized):
                await made.check(WRONG, HERE)
            if number >= 4:
                with pytest.raises(TooManyRequests) as refused:
                    await made.check(right("device"), HERE)
                waits.append(refused.value.retry_after_s)
                clock.advance(waits[-1])
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    run(story)


def test_guessing_from_elsewhere_keeps_nobody_out_who_was_in(run, clock):
    async def story(made):
        await made.check(right(), HERE)
        for address in (f"203.0.113.{n}" for n in range(5)):
            with pytest.raises(Unauthorized):
                await made.check(WRONG, address)
        with pytest.raises(TooManyRequests, match="user"):
            await made.check(WRONG, THERE)
        clock.advance(301)  # the password has to be looked at once more
        for address in (f"203.0.114.{n}" for n in range(9)):
            with pytest.raises((Unauthorized, TooManyRequests)):
                await made.check(WRONG, address)
        await made.check(right(), HERE)

    run(story)


def test_somebody_unknown_takes_as_long_as_somebody_known(run, looked_at):
    async def story(made):
        for user in ("shop", "nobody"):
            with pytest.raises(Unauthorized, match="user name or password is wrong"):
                await made.check(Credentials(user, b"wrong"), HERE)
        assert looked_at == [b"wrong", b"wrong"]

    run(story)


def test_a_user_cannot_come_in_by_the_password_of_another(run):
    async def story(made):
        with pytest.raises(Unauthorized):
            await made.check(Credentials("nobody", b"shop"), HERE)

    run(story)


def test_a_changed_password_is_not_remembered(tmp_path, clock):
    file = tmp_path / "htpasswd"
    file.write_text(HTPASSWD)

    async def story() -> None:
        made = Logins(PasswordFile(file), clock.boot_s)
        before = await made.check(right(), HERE)
        file.write_text(HTPASSWD.replace("device:", "shop:").split("\n", 1)[1])
        with pytest.raises(Unauthorized):
            await made.check(right(), HERE)
        assert await made.check(Credentials("shop", b"device"), HERE) != before
        made.close()

    asyncio.run(story())


def test_a_client_that_goes_while_it_is_looked_at_does_no_harm(run):
    async def story(made):
        asked = asyncio.create_task(made.check(WRONG, HERE))
        await asyncio.sleep(0)
        asked.cancel()
        await made.check(right(), HERE)

    run(story)


def test_nothing_secret_can_be_read_off_what_is_remembered(run):
    async def story(made):
        await made.check(right("device"), HERE)
        assert b"device" not in b"".join(made._remembered)

    run(story)
