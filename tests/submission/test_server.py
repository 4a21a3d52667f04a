"""A real client against the real server; only what is behind it, the accounts, is the test's."""

import asyncio
import errno
import logging
import smtplib
import socket
import ssl
import struct
import threading
import tracemalloc
from base64 import b64encode

import pytest

from otppi.contracts.mail import MailRefused
from otppi.gateway.accounts import ApiUser
from otppi.lib.passwords import hash_password
from otppi.model.errors import (
    BadRequest,
    Busy,
    MessageExpired,
    NoEmailAccount,
    OutcomeUnknown,
    QuotaUsedUp,
    SendFailed,
)
from otppi.submission.desk import Desk
from otppi.submission.terms import Tally, Terms
from otppi.wsgi.server import PortUnavailable
from tests.broker_servers.certificates import certificates
from tests.gateway_under_test import GatewayUnderTest
from tests.submission.conftest import PASSWORD, USER

MESSAGE = b"Subject: hi\r\n\r\nHello\r\n"


def test_a_message_is_handed_on_as_it_is_after_a_line_that_says_where_it_came_from(client, onward):
    content = "Subject: Halo\r\n\r\n.dot\r\n..dots\r\n\r\nSelamat ☀\r\n".encode()
    one = client().logged_in()
    refused = one.sendmail("a@example.com", ["x@example.com"], content, mail_options=["BODY=8BITMIME"])
    assert refused == {}
    ((origin, mail, address),) = onward.taken
    assert (origin.door, origin.user, origin.address) == ("smtp", USER, "127.0.0.1")
    assert (mail.sender, address) == ("a@example.com", "x@example.com")
    assert onward.contents == [content]
    received = b"Received: from [127.0.0.1] ([127.0.0.1])\r\n\tby otppi.local (OTP-Pi) with ESMTPSA;\r\n"
    assert mail.content.startswith(received)


def test_one_connection_carries_many_messages_and_bounces(client, onward):
    one = client().logged_in()
    # The parameter is of RFC 4954; Postfix sends it to whoever it logs in to.
    assert one.say("MAIL FROM:<> AUTH=<>", "RCPT TO:<x@example.com>")[1].startswith("250 ")
    assert one.data(MESSAGE) == (250, b"2.0.0 handed on as id1")
    one.sendmail("a@example.com", ["y@example.com"], MESSAGE)
    assert [(mail.sender, address) for _, mail, address in onward.taken] == [
        ("", "x@example.com"),
        ("a@example.com", "y@example.com"),
    ]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "plain"])
def test_users_of_the_api_log_in(client, mechanism):
    one = client().encrypt()
    one.ehlo()
    one.user, one.password = USER, PASSWORD
    answer = one.auth_login if mechanism == "LOGIN" else one.auth_plain
    assert one.auth(mechanism, answer)[0] == 235


COMMANDS = ("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA", "VRFY x", "EXPN x", "HELP")


def test_without_encryption_nothing_is_taken_and_no_password_either(client, onward):
    one = client()
    one.ehlo()
    assert not one.has_extn("auth")
    replies = one.say(*COMMANDS, "AUTH PLAIN AHRva28AeA==")
    assert {reply[:3] for reply in replies} == {"530"}
    assert onward.taken == []


def test_without_a_login_nothing_is_taken_though_the_owner_does_without_encryption(serve, client, onward):
    one = client(serve(requires_tls=False))
    one.ehlo()
    replies = one.say(*COMMANDS)
    assert [reply[:3] for reply in replies] == ["530", "530", "530", "502", "502", "530"]
    assert one.login(USER, PASSWORD)[0] == 235
    one.sendmail("a@example.com", ["x@example.com"], MESSAGE)
    assert b" with ESMTPA;" in onward.taken[0][1].content


def test_a_login_over_the_open_line_counts_no_more_when_tls_is_on(serve, client):
    one = client(serve(requires_tls=False))
    one.login(USER, PASSWORD)
    one.encrypt()
    one.ehlo()
    assert one.say("MAIL FROM:<a@example.com>") == ["530 5.7.0 Authentication required"]


@pytest.mark.parametrize("who", [(USER, "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)])
def test_who_is_wrong_or_switched_off_stays_out_and_has_to_call_again(client, who):
    one = client().encrypt()
    one.ehlo()
    login = b64encode("\0".join(("", *who)).encode()).decode()
    refusal = "535 5.7.8 Authentication credentials invalid"
    assert one.say(*[f"AUTH PLAIN {login}"] * 3) == [refusal] * 3
    assert one.reply() == "421 4.7.0 too many wrong logins"
    assert one.is_hung_up()


def test_an_address_that_guesses_is_told_to_wait_and_a_known_user_comes_in_all_the_same(
    serve, client, accounts
):
    server = serve()
    client(server).logged_in()
    for number in range(20):
        with pytest.raises(Exception, match="wrong"):
            accounts.check("nobody", f"guess {number}", "127.0.0.1")
    one = client(server).encrypt()
    one.ehlo()
    (reply,) = one.say("AUTH PLAIN AG5vYm9keQB4eHh4eHh4eA==")
    assert reply.startswith("454 4.7.0 too many requests for this address, try again in ")
    client(server).logged_in()


def test_a_line_that_is_too_long_is_a_wrong_login_and_not_in_the_log(client, caplog):
    one = client().encrypt()
    one.ehlo()
    for _ in range(3):
        assert one.docmd("AUTH LOGIN")[0] == 334
        assert one.docmd("A" * 4000) == (500, b"5.5.6 the line is too long")
    assert one.reply() == "421 4.7.0 too many wrong logins"
    assert one.is_hung_up()
    assert caplog.records == []


def test_who_got_another_password_meanwhile_has_to_log_in_again(serve, client, users, accounts, onward):
    one = client(serve()).logged_in()
    assert one.content(MESSAGE + b".\r\n").startswith("250 ")
    users.put(ApiUser, USER, {"password": hash_password("another password")})
    one.mail("a@example.com")
    one.rcpt("x@example.com")
    over = "421 4.7.0 the account was switched off or has another password, log in again"
    assert one.say("DATA") == [over]
    assert one.is_hung_up()
    assert len(onward.taken) == 1


def test_a_password_that_was_changed_while_it_was_looked_at_lets_nobody_in(serve, client, users, accounts):
    def log_in(user, clear, address):
        accounts.check(user, clear, address)
        if users.items(ApiUser)[user].password == old:
            users.put(ApiUser, user, {"password": hash_password("another password")})

    old = users.items(ApiUser)[USER].password
    one = client(serve(log_in=log_in)).encrypt()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        one.login(USER, PASSWORD)


def test_a_slow_look_at_a_password_keeps_nobody_waiting(serve, client):
    may_end = threading.Event()
    server = serve(log_in=lambda *_: not may_end.wait(20))
    slow, quick = client(server).encrypt(), client(server)
    slow.ehlo()
    slow.putcmd("AUTH PLAIN AHRva28AeA==")
    assert quick.noop()[0] == 250
    may_end.set()
    assert slow.reply().startswith("235 ")


def test_each_receiver_has_a_turn_of_its_own(client, onward):
    one = client().logged_in()
    refused = one.sendmail("a@example.com", ["x@example.com", "y@example.com"], MESSAGE)
    assert refused == {"y@example.com": (452, b"4.5.3 one receiver at a time")}
    assert one.sendmail("a@example.com", list(refused), MESSAGE) == {}
    assert [address for _, _, address in onward.taken] == ["x@example.com", "y@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "x",
        "x@",
        "@example.com",
        '"a b"@example.com',
        "x@[192.0.2.1]",
        "x\0@example.com",
        "ä@example.com",
        "a@[ ",
        "\\@",
    ],
)
def test_what_is_no_address_is_no_receiver(client, address):
    one = client().logged_in()
    one.mail("a@example.com")
    one.putcmd(f"RCPT TO:<{address}>") if address.isascii() else one.send(f"RCPT TO:<{address}>\r\n".encode())
    assert one.reply()[:3] in ("501", "553")


def test_addresses_beyond_ascii_are_taken_from_who_says_so(client, onward):
    one = client().logged_in()
    one.send("MAIL FROM:<ä@example.com> SMTPUTF8\r\nRCPT TO:<ö@example.com>\r\n".encode())
    assert [one.reply()[:3], one.reply()[:3]] == ["250", "250"]
    assert one.data(MESSAGE)[0] == 250
    ((_, mail, address),) = onward.taken
    assert (mail.sender, address) == ("ä@example.com", "ö@example.com")
    assert b" with UTF8SMTPSA;" in mail.content


def test_what_is_too_large_is_refused_by_its_size_and_by_its_content(serve, client, onward):
    one = client(serve(max_message_bytes=20_000)).logged_in()
    assert one.esmtp_features["size"] == "20000"
    assert one.say("MAIL FROM:<a@example.com> SIZE=20001")[0].startswith("552 ")
    assert one.content(b"x\r\n" * 7000 + b".\r\n").startswith("552 5.3.4 ")
    assert one.content(b"x\r\n" * 6000 + b".\r\n").startswith("250 ")
    assert len(onward.taken) == 1


@pytest.mark.parametrize(("length", "code"), [(998, "250"), (1000, "554"), (9000, "554")])
def test_a_line_may_have_a_thousand_octets(client, length, code):
    assert client().logged_in().content(b"x" * length + b"\r\n.\r\n").startswith(f"{code} ")


def test_a_message_may_be_empty_or_end_with_dots(client, onward):
    one = client().logged_in()
    assert one.content(b".\r\n").startswith("250 ")
    assert one.content(b"..\r\n...\r\n\r\n.\r\n").startswith("250 ")
    assert onward.contents == [b"", b".\r\n..\r\n\r\n"]


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\r.\r", b"\r\r\n.\r\r\n", b"\r\n\0.\n"],
)
def test_no_command_is_smuggled_behind_a_line_that_another_server_would_take_for_the_end(client, onward, end):
    one = client().logged_in()
    hidden = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nevil\r\n.\r\n"
    assert one.content(b"Subject: x\r\n\r\nx" + end + hidden).startswith("550 5.5.2 ")
    # Had anything of it been a command, its reply would be here.
    assert one.say("NOOP") == ["250 OK"]
    assert onward.taken == []


def test_what_came_before_tls_counts_for_nothing(client):
    one = client()
    one.ehlo()
    one.send(b"STARTTLS\r\nEHLO evil.example.com\r\nMAIL FROM:<evil@example.com>\r\n")
    assert one.getreply()[0] == 220
    context = ssl.create_default_context(cadata=certificates().ca.pem)
    one.sock, one.file = context.wrap_socket(one.sock, server_hostname="127.0.0.1"), None
    assert one.say("MAIL FROM:<a@example.com>") == ["503 Error: send HELO first"]


def test_tls_is_switched_on_once(client):
    one = client().logged_in()
    assert one.say("STARTTLS") == ["503 5.5.1 TLS is on already"]


def test_a_program_that_speaks_another_language_gets_nowhere(client, onward):
    one = client()
    one.send(b"POST / HTTP/1.1\r\n" + b"Host: x\r\n" * 10)
    assert {one.reply() for _ in range(11)} == {"530 Must issue a STARTTLS command first"}
    assert onward.taken == []


def test_more_than_the_settings_allow_waits_for_the_minute_to_end(serve, client, clock):
    tally = Tally()
    one = client(serve(messages_per_minute=2, tally=tally)).logged_in()
    for _ in range(2):
        one.sendmail("a@example.com", ["x@example.com"], MESSAGE)
        clock.advance(10)
    with pytest.raises(smtplib.SMTPDataError) as caught:
        one.sendmail("a@example.com", ["x@example.com"], MESSAGE)
    assert caught.value.smtp_code == 451
    assert caught.value.smtp_error == b"4.7.1 too many messages from this user, try again in 40 s"
    clock.advance(40)
    one.sendmail("a@example.com", ["x@example.com"], MESSAGE)
    assert (tally.accepted, tally.refused) == (3, 1)


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (BadRequest("receiver", "is none"), "554 5.0.0 receiver: is none"),
        (MailRefused("550 5.1.1 no\r\nsuch \x00user"), "554 5.0.0 550 5.1.1 no such  user"),
        (NoEmailAccount(), "451 4.0.0 no e-mail account active"),
        (QuotaUsedUp(90.2), "451 4.0.0 the quota of the SIM is used up, try again in 91 s"),
        (Busy("too many wait", 3), "451 4.0.0 too many wait, try again in 3 s"),
        (SendFailed("the server is away"), "451 4.0.0 the server is away"),
        (MessageExpired("its life is over"), "451 4.0.0 its life is over"),
        (
            OutcomeUnknown("no answer"),
            "554 5.4.2 it may have been sent, so do not repeat it by yourself: no answer",
        ),
        (
            ZeroDivisionError("ours"),
            "554 5.4.2 it may have been sent, so do not repeat it by yourself: internal error",
        ),
        (SendFailed("x" * 2000), "451 4.0.0 " + "x" * 450),
    ],
)
def test_the_reply_says_what_came_of_it(client, onward, error, reply):
    onward.errors.append(error)
    one = client().logged_in()
    assert one.content(MESSAGE + b".\r\n") == reply
    assert one.content(MESSAGE + b".\r\n") == "250 2.0.0 handed on as id2"


def test_more_than_memory_allows_is_told_so_at_once(serve, client, onward):
    server = serve(max_message_bytes=25 * 1024 * 1024)
    onward.may_answer.clear()
    waiting = [client(server).logged_in() for _ in range(2)]
    for one in waiting:
        one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
        one.send(MESSAGE + b".\r\n")
        assert onward.was_asked.acquire(timeout=20)
    third = client(server).logged_in()
    replies = third.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
    assert replies[-1] == "451 4.3.2 too many messages are in hand, try again in a moment"
    onward.may_answer.set()
    assert {one.reply()[:3] for one in waiting} == {"250"}
    assert third.content(MESSAGE + b".\r\n").startswith("250 ")


def test_twenty_clients_at_once_are_served_and_one_more_of_the_same_address_is_not(serve, client, onward):
    server = serve()
    onward.may_answer.clear()
    clients = [client(server).logged_in() for _ in range(20)]
    for one in clients:
        one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
        one.send(MESSAGE + b".\r\n")
    for _ in clients:
        assert onward.was_asked.acquire(timeout=20)
    assert server.connections == 20
    with pytest.raises(smtplib.SMTPConnectError, match="421"):
        client(server)
    onward.may_answer.set()
    assert {one.reply()[:3] for one in clients} == {"250"}


def test_strangers_do_not_keep_others_out(serve, client):
    server = serve()
    known = client(server, "127.0.0.2").logged_in()
    strangers = [client(server, f"127.0.0.{3 + number % 3}") for number in range(59)]
    one = client(server).logged_in()
    assert strangers[0].reply() == "421 4.3.2 too many connections, try again in a moment"
    assert strangers[0].is_hung_up()
    assert server.connections == 60
    for who in (known, one):
        assert who.content(MESSAGE + b".\r\n").startswith("250 ")
    assert strangers[1].noop()[0] == 250


class _Caller:
    is_stranger = True

    def __init__(self, address: str) -> None:
        self.address = address


def test_who_has_a_network_of_ipv6_is_counted_as_one_caller(accounts, clock):
    terms = Terms(name="x", software="x", requires_tls=True, max_message_bytes=1024, messages_per_minute=1)
    desk = Desk(
        terms, log_in=accounts.check, stored_hash=str, relay=lambda *_: None, clock=clock, tally=Tally()
    )
    callers = [_Caller(f"2001:db8::{number:x}") for number in range(1, 22)]
    for one in (*callers, other := _Caller("2001:db8:0:1::1"), four := _Caller("192.0.2.1")):
        desk.came(one)
    assert not desk.has_room_for(callers[-1])
    assert desk.has_room_for(other)
    assert desk.has_room_for(four)


def test_a_server_that_cannot_begin_says_so_and_gives_the_port_back(pair, serve, monkeypatch):
    def full() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", full)
        with pytest.raises(PortUnavailable, match="Too many open files"):
            serve()


def test_a_client_that_breaks_off_in_the_content_leaves_nothing(serve, client, onward):
    server = serve(max_message_bytes=25 * 1024 * 1024)  # so that there is room for two
    for _ in range(3):
        one = client(server).logged_in()
        one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
        one.send(b"Subject: x\r\n\r\nhalf of it\r\n.\r")
        _break(one)
    assert client(server).logged_in().content(MESSAGE + b".\r\n").startswith("250 ")
    assert onward.contents == [MESSAGE]


def test_a_client_that_breaks_off_after_it_does_not_stop_what_is_on_its_way(serve, client, onward):
    server = serve(max_message_bytes=25 * 1024 * 1024)
    onward.may_answer.clear()
    for _ in range(2):
        one = client(server).logged_in()
        one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
        one.send(MESSAGE + b".\r\n")
        assert onward.was_asked.acquire(timeout=20)
        _break(one)
    other = client(server).logged_in()
    # Both are still in hand, so there is no room.
    assert other.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")[2].startswith("451 ")
    onward.may_answer.set()
    assert _when_there_is_room(other).startswith("354 ")
    assert len(onward.taken) == 2


def _when_there_is_room(client) -> str:
    reply = "451 "
    while reply.startswith("451 "):
        *_, reply = client.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
    return reply


def _break(client) -> None:
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_who_does_not_log_in_or_falls_silent_is_let_go(serve, client):
    stranger = client(serve(login_s=0.1))
    assert stranger.reply() == "421 4.7.0 log in sooner"
    assert stranger.is_hung_up()
    silent = client(serve(silence_s=0.3)).logged_in()
    assert silent.reply() == "421 4.4.2 nothing came for too long"
    sending = client(serve(silence_s=0.3)).logged_in()
    assert sending.content(b"half of it\r\n") == "421 4.4.2 nothing came for too long"


def test_who_leaves_or_falls_silent_while_tls_begins_takes_no_room(serve, client):
    server = serve(login_s=0.2)
    leaving, silent = client(server), client(server)
    for one in (leaving, silent):
        one.ehlo()
        assert one.docmd("STARTTLS")[0] == 220
    _break(leaving)
    assert silent.is_hung_up()
    GatewayUnderTest.wait_until(lambda: server.connections == 0)


def test_at_the_stop_messages_in_hand_get_their_answer_and_others_a_goodbye(serve, client, onward):
    server = serve()
    idle, busy = client(server).logged_in(), client(server).logged_in()
    onward.may_answer.clear()
    busy.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
    busy.send(MESSAGE + b".\r\n")
    assert onward.was_asked.acquire(timeout=20)
    server.stop_listening()
    assert idle.reply().startswith("421 4.3.2 ")
    with pytest.raises(ConnectionRefusedError):
        client(server)
    onward.may_answer.set()
    server.stop(10)
    assert busy.reply() == "250 2.0.0 handed on as id1"
    assert busy.reply().startswith("421 4.3.2 ")
    assert server.died() == ()


def test_a_message_that_does_not_end_in_time_does_not_hold_up_the_stop(serve, client, onward, caplog):
    server = serve()
    one = client(server).logged_in()
    onward.may_answer.clear()
    one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
    one.send(MESSAGE + b".\r\n")
    assert onward.was_asked.acquire(timeout=20)
    server.stop(0.05)
    assert "messages were cut off" in caplog.text
    assert one.is_hung_up()


def test_a_message_of_many_lines_is_in_memory_a_few_times_and_not_once_for_each_line(serve, client, onward):
    one = client(serve()).logged_in()
    content = b"\r\n" * 100_000
    one.say("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA")
    tracemalloc.start()
    try:
        one.sock.sendall(content)
        one.sock.sendall(b".\r\n")
        assert one.reply().startswith("250 ")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert onward.contents == [content]
    assert most < 5 * len(content)  # kept line by line it would be more than thirty times as much


def test_logs_hold_nothing_that_a_client_said(client, onward, caplog):
    caplog.set_level(logging.DEBUG)
    one = client().encrypt()
    one.ehlo()
    one.say("AUTH CRAM-MD5 c2VjcmV0", "c2VjcmV0LXBhc3N3b3Jk", "MAIL FROM:<secret@example.com>")
    one.login(USER, PASSWORD)
    onward.errors.append(SendFailed("secret reason"))
    one.mail("secret-sender@example.com")
    one.rcpt("secret-receiver@example.com")
    one.data(b"Subject: secret subject\r\n\r\nsecret text\r\n")
    for secret in ("secret", "c2VjcmV0", PASSWORD, "AHRva28A"):
        assert secret not in caplog.text
