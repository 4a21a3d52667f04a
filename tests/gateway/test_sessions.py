from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.rights import Role
from otppi.gateway.sessions import Sessions


class Desk:
    def __init__(self, clock, **limits):
        self.clock = clock
        self.accounts = {name: Administrator(password=f"hash of {name}") for name in ("ann", "bob")}
        self.sessions = Sessions(lambda: self.accounts, clock, **limits)

    def open(self, user="ann", agent="Firefox"):
        return self.sessions.open(user, "192.0.2.1", agent)

    def change(self, **values):
        self.accounts["ann"] = Administrator(**{"password": "hash of ann", **values})


@pytest.fixture
def desk(clock):
    return Desk(clock)


def test_a_session_is_found_by_its_token_only(desk):
    token = desk.open()
    session = desk.sessions.find(token)
    assert (session.user, session.role, session.language, session.address) == (
        "ann",
        Role.OWNER,
        "",
        "192.0.2.1",
    )
    assert len(token) >= 43
    for other in ("", session.id, session.csrf, token[:-1], "é", "\udcff"):
        assert desk.sessions.find(other) is None


def test_tokens_are_not_kept_and_not_shown(desk):
    token = desk.open()
    assert token not in repr(vars(desk.sessions))
    assert desk.sessions.find(token).csrf not in repr(desk.sessions.find(token))


def test_every_session_has_secrets_of_its_own(desk):
    sessions = [desk.sessions.find(desk.open()) for _ in range(3)]
    assert len({one.id for one in sessions} | {one.csrf for one in sessions}) == 6


def test_an_idle_session_ends_and_a_used_one_goes_on(desk):
    used, idle = desk.open(), desk.open()
    for _ in range(3):
        desk.clock.advance(1000)
        assert desk.sessions.find(used) is not None
    assert desk.sessions.find(idle) is None


def test_no_session_outlives_its_absolute_limit(desk):
    token = desk.open()
    for _ in range(43):
        desk.clock.advance(1000)
        assert desk.sessions.find(token) is not None
    desk.clock.advance(200)
    assert desk.sessions.find(token) is None


@pytest.mark.parametrize(
    "change",
    [{"password": "another hash"}, {"totp_secret": "A" * 32}, {"active": False}, {"blocked": True}],
)
def test_a_session_ends_with_what_it_was_opened_by(desk, change):
    token, other = desk.open(), desk.open("bob")
    desk.change(**change)
    assert desk.sessions.find(token) is None
    assert desk.sessions.of("ann") == ()
    assert desk.sessions.find(other) is not None


def test_a_session_ends_with_its_account(desk):
    token = desk.open()
    del desk.accounts["ann"]
    assert desk.sessions.find(token) is None


def test_another_role_counts_at_once(desk):
    token = desk.open()
    desk.change(role="viewer", language="id")
    session = desk.sessions.find(token)
    assert (session.role, session.language) == (Role.VIEWER, "id")


def test_the_session_that_changed_the_password_goes_on_and_all_others_end(desk):
    own, other, of_bob = desk.open(), desk.open(), desk.open("bob")
    csrf = desk.sessions.find(own).csrf
    desk.change(password="another hash")
    assert desk.sessions.find(own) is None  # a page that asked in the moment between
    desk.sessions.close_others("ann", own)
    assert desk.sessions.find(own).csrf == csrf
    assert desk.sessions.find(other) is None
    assert desk.sessions.find(of_bob) is not None


def test_nobody_keeps_a_session_of_somebody_else(desk):
    of_ann, of_bob = desk.open(), desk.open("bob")
    desk.sessions.close_others("ann", of_bob)
    assert desk.sessions.find(of_ann) is None
    assert desk.sessions.find(of_bob).user == "bob"


def test_sessions_are_listed_and_closed_one_by_one(desk):
    first, second = desk.open(), desk.open(agent="Chromium")
    assert [one.agent for one in desk.sessions.of("ann")] == ["Firefox", "Chromium"]
    (session, _) = desk.sessions.of("ann")
    assert not desk.sessions.close_by_id("bob", session.id)
    assert desk.sessions.close_by_id("ann", session.id)
    assert not desk.sessions.close_by_id("ann", session.id)
    assert desk.sessions.find(first) is None
    desk.sessions.close(second)
    desk.sessions.close(second)
    assert desk.sessions.of("ann") == ()


def test_the_one_longest_unused_makes_room(clock):
    desk = Desk(clock, most=3)
    tokens = [desk.open() for _ in range(3)]
    desk.sessions.find(tokens[0])
    tokens.append(desk.open())
    assert [desk.sessions.find(token) is not None for token in tokens] == [True, False, True, True]


def test_what_a_browser_calls_itself_is_cut_and_has_no_control_characters(desk):
    session = desk.sessions.find(desk.open(agent="A\x1b[31m\r\n" + "x" * 1000))
    assert session.agent.startswith("A[31mx")
    assert len(session.agent) <= 200


def test_many_threads_may_open_find_and_close(clock):
    desk = Desk(clock, most=20)

    def work(user):
        for _ in range(100):
            token = desk.open(user)
            assert desk.sessions.find(token).user == user
            desk.sessions.of(user)
            desk.sessions.close(token)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, ["ann", "bob"] * 3))
    assert desk.sessions.of("ann") == desk.sessions.of("bob") == ()
