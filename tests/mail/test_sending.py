"""Accounts at a real SMTP server: what becomes of a message at every stage, and of the account."""

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from otppi.contracts.mail import MailRefused, OutgoingMail, Relayed, Written
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.lib.deadline import Deadline
from otppi.lib.logfmt import LogfmtFormatter
from otppi.mail.accounts import MailAccounts
from otppi.mail.settings import PLAIN, SSL, STARTTLS, EmailAccountSettings, EmailSettings
from otppi.model.errors import Busy, OtpPiError, OutcomeUnknown, SendFailed
from otppi.model.events import MailAccountChanged
from otppi.model.mail import DIRECT, MailState
from tests.broker_servers.certificates import certificates
from tests.mail_server import END, GREETING, PASSWORD, USER, Fault, MailServer
from tests.ports import free_port

GMAIL = "https://support.google.com/mail/?p=BadCredentials x-20020a05600c - gsmtp"


class Rig:
    """Accounts at servers; only how long an account rests and a connection waits is the test's."""

    def __init__(self, clock):
        self.clock, self.heard, self.idle_s = clock, [], 30
        self.bus = Bus()
        self.bus.subscribe("test", self.heard.append, MailAccountChanged)
        self.servers = []
        self.accounts = MailAccounts(
            settings=lambda: EmailSettings(sender_name="Toko", idle_s=self.idle_s),
            device_name=lambda: "otppi",
            bus=self.bus,
            clock=clock,
        )

    def server(self, security=PLAIN, **options):
        one = MailServer(security, **options)
        one.start()
        self.servers.append(one)
        return one

    def apply(self, server, security=PLAIN, **changes):
        values = {
            "name": "main",
            "host": "localhost",
            "port": server.port,
            "security": security,
            "sender_address": USER,
            "password": PASSWORD,
            "ca_certificate": server.ca,
            "allow_insecure": True,
            "timeout_s": 5,
        }
        self.settings = EmailAccountSettings(**values | changes)
        self.accounts.apply({"a1": self.settings})

    def send(self, text="halo", *, within_s=10, address="budi@example.org", before_submit=lambda: None):
        mail = OutgoingMail(
            address=address, body=Written(subject="Kode", text=text), message_id=f"id{time.monotonic_ns()}"
        )
        self.accounts.send("a1", mail, Deadline.after(SystemClock(), within_s), before_submit)

    def fails(self, kind=SendFailed, **options):
        """Send what does not arrive; returns the reason."""
        with pytest.raises(kind) as error:
            self.send(**options)
        assert type(error.value) is kind or kind in (SendFailed, OutcomeUnknown)
        assert not (kind is SendFailed and isinstance(error.value, MailRefused))
        return str(error.value)

    @property
    def status(self):
        return self.accounts.accounts()[0]

    @property
    def state(self):
        return self.status.state

    def rest_s(self):
        """How long the account rests."""
        rested_s = 0.0
        while self.state is not MailState.READY:
            self.clock.advance(0.5)
            rested_s += 0.5
        return rested_s

    def close(self):
        self.accounts.stop()
        self.bus.stop()
        for one in self.servers:
            one.stop()


@pytest.fixture
def rig(clock):
    one = Rig(clock)
    yield one
    one.close()


@pytest.mark.parametrize("security", [PLAIN, STARTTLS, SSL])
def test_a_message_arrives(rig, security):
    server = rig.server(security)
    rig.apply(server, security)
    rig.send("Kode Anda 123456\n.\n..titik")
    (message,) = server.messages
    assert (message.sender, message.receivers, message.user) == (USER, ("budi@example.org",), USER)
    assert message.parsed["From"] == "Toko <toko@example.com>"
    plain = message.parsed.get_body(("plain",)).get_content()
    assert plain.replace("\r\n", "\n") == "Kode Anda 123456\n.\n..titik\n"
    assert rig.state is MailState.READY


def test_a_burst_needs_one_login(rig):
    server = rig.server(STARTTLS)
    rig.apply(server, STARTTLS)
    for _ in range(20):
        rig.send()
    assert (len(server.messages), server.connections, server.logins) == (20, 1, 1)


def test_so_many_connections_as_are_allowed_are_open_at_once(rig):
    server = rig.server()
    rig.apply(server, connections=3)
    server.on("MAIL", Fault.SILENT, Fault.SILENT, Fault.SILENT)
    with ThreadPoolExecutor(12) as hands:
        sent = [hands.submit(rig.send) for _ in range(24)]
        assert server.is_silent.wait(5)
        while not all(one.done() for one in sent):
            server.go_on()
            threading.Event().wait(0.02)
    assert [one.exception() for one in sent] == [None] * 24
    assert (len(server.messages), server.most_at_once) == (24, 3)


def test_whoever_gets_no_connection_in_time_is_told_and_the_account_does_not_rest(rig):
    server = rig.server()
    rig.apply(server, connections=1)
    server.on("MAIL", Fault.SILENT)
    with ThreadPoolExecutor(1) as hands:
        first = hands.submit(rig.send)
        assert server.is_silent.wait(5)
        assert rig.status.is_busy
        assert rig.fails(Busy, within_s=0.1) == "all connections of the account are in use"
        server.go_on()
        first.result(5)
    assert (rig.state, rig.status.is_busy) == (MailState.READY, False)


def test_whoever_waited_for_a_connection_does_not_try_a_server_that_rests_by_now(rig):
    server = rig.server()
    rig.apply(server, connections=1)
    server.on("MAIL", Fault.SILENT)
    server.on("RCPT", "421 4.3.0 no", always=True)
    with ThreadPoolExecutor(4) as hands:
        first = hands.submit(rig.fails)
        assert server.is_silent.wait(5)
        waiting = [hands.submit(rig.fails) for _ in range(3)]
        server.go_on()
        assert {one.result(5) for one in [first, *waiting]} == {rig.status.reason}
    assert server.connections == 1


def test_another_way_to_log_in_is_used_where_the_server_has_no_other(rig):
    server = rig.server(auth_exclude_mechanism=["PLAIN"])
    rig.apply(server)
    rig.send()
    assert server.messages[0].user == USER


def test_a_server_without_logins_gets_none(rig):
    server = rig.server(wants_login=False)
    rig.apply(server, auth=False, password="")
    rig.send()
    assert (server.messages[0].user, server.logins) == ("", 0)


def test_a_wrong_password_fails_the_account_and_the_password_is_in_no_reason(rig):
    server = rig.server()
    rig.apply(server, password="rahasia sekali")
    server.on(
        "AUTH", '502 Command "AUTH PLAIN AHRva29AZXhhbXBsZS5jb20AcmFoYXNpYSBzZWthbGk=" or rahasia sekali'
    )
    assert rig.fails() == (
        'the server refuses the user name or the password: 502 Command "AUTH PLAIN •••" or •••'
    )
    assert rig.state is MailState.FAILED
    rig.clock.advance(901)
    assert rig.fails().endswith("535 5.7.8 Authentication credentials invalid")
    assert rig.rest_s() == pytest.approx(900, abs=1)


@pytest.mark.parametrize(
    ("stage", "reply", "words"),
    [
        (
            "AUTH",
            f"535-5.7.8 Username and Password not accepted. Go to\r\n535 5.7.8  {GMAIL}",
            "an app password",
        ),
        (
            "AUTH",
            f"534-5.7.9 Application-specific password required.\r\n534 5.7.9 {GMAIL}",
            "an app password",
        ),
        ("AUTH", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "Microsoft"),
        ("AUTH", "504 5.5.4 unknown", "refuses the user name"),
        ("MAIL", "530 5.7.0 Authentication required", "wants a user name"),
        (END, "553 Relaying disallowed as toko@example.com", "not one of this account"),
        (END, "550 5.4.6 Unusual sending activity detected.", "unblock it"),
    ],
)
def test_what_only_a_person_can_mend_fails_the_account(rig, stage, reply, words):
    server = rig.server()
    rig.apply(server)
    server.on(stage, reply)
    reason = rig.fails()
    assert words in reason
    assert (rig.state, rig.status.reason) == (MailState.FAILED, reason)
    assert rig.rest_s() == pytest.approx(900, abs=1)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (GREETING, "421 4.7.0 Try again later, closing connection."),
        (GREETING, "554 5.7.1 no"),
        ("STARTTLS", "454 4.7.0 TLS not available"),
        ("AUTH", "454 4.7.0 Temporary authentication failure"),
        ("MAIL", "421 4.3.0 Temporary System Problem."),
        ("MAIL", "451 4.3.0 no"),
        ("MAIL", "550 5.1.8 Access denied, bad outbound sender"),
        ("RCPT", "550 5.7.1 <budi@example.org>: Relay access denied"),
        ("RCPT", "550 relay not permitted"),
        ("RCPT", "550 5.1.7 bad sender"),
        ("RCPT", "550 5.7.1 Authentication required"),
        ("RCPT", "554 5.7.1 <budi@example.org>: Recipient address rejected: not logged in"),
        ("RCPT", "450 4.2.1 Peak SMTP relay limit exceeded for customer"),
        ("RCPT", "451 4.7.1 hourly sending limit exceeded"),
        ("DATA", "451 4.3.0 no"),
        ("DATA", "503 5.5.1 no"),
        (END, "452 4.3.1 Insufficient system storage"),
    ],
)
def test_trouble_of_the_account_rests_it_for_a_moment(rig, stage, reply):
    server = rig.server(STARTTLS)
    rig.apply(server, STARTTLS)
    server.on(stage, reply)
    reason = rig.fails()
    assert "budi@" not in reason
    assert (rig.state, server.messages) == (MailState.RESTING, [])
    assert rig.fails() == rig.status.reason == reason  # nobody is asked meanwhile
    assert rig.rest_s() <= 3
    rig.send()


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (END, "550-5.4.5 Daily user sending limit exceeded.\r\n550 5.4.5 Learn more - gsmtp"),
        (END, "550 5.7.1 Daily SMTP relay limit exceeded for customer."),
        ("RCPT", "452 4.5.3 Daily message quota exceeded"),
        ("AUTH", "454 4.7.0 Too many login attempts, please try again later."),
    ],
)
def test_an_account_that_has_sent_its_share_rests_for_an_hour(rig, stage, reply):
    server = rig.server()
    rig.apply(server)
    server.on(stage, reply)
    rig.fails()
    assert rig.state is MailState.RESTING
    assert rig.rest_s() == pytest.approx(3600, abs=1)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("RCPT", "550 5.1.1 <Budi@example.org>: no such user"),
        ("RCPT", "550 no such user"),
        ("RCPT", "551 not here"),
        ("RCPT", "553 5.1.3 bad address"),
        ("RCPT", "553 bad address"),
        *(("RCPT", f"{code} 5.1.3 <x@b..c>: domain missing or malformed") for code in range(500, 505)),
        *(("RCPT", f"{code} domain missing or malformed") for code in range(500, 505)),
        ("RCPT", "552 5.2.2 the message quota of the mailbox is used up"),
        (END, "501 5.1.3 bad address"),
        ("RCPT", "552 5.2.2 The email account that you tried to reach is over quota"),
        ("RCPT", "550 5.4.1 Recipient address rejected: Access denied"),
        (END, "550 5.1.1 no such user"),
        (END, "554 5.6.0 the message cannot be read"),
    ],
)
def test_a_refused_receiver_is_no_fault_of_the_account(rig, stage, reply):
    server = rig.server()
    rig.apply(server)
    server.on(stage, reply)
    reason = rig.fails(MailRefused)
    assert reply[:3] in reason
    assert "udi@example" not in reason
    rig.send()
    assert (rig.state, server.connections, len(server.messages)) == (MailState.READY, 1, 1)


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 No such mailbox: Budi.Santoso at example.org",
        "550 5.1.1 budi.santoso: user unknown",
        "550 5.1.1 <budi.santoso@example.org> (budi.santoso) unknown",
    ],
)
def test_what_a_server_says_names_no_receiver(rig, reply):
    server = rig.server()
    rig.apply(server)
    server.on("RCPT", reply)
    reason = rig.fails(MailRefused, address="budi.santoso@example.org")
    assert "santoso" not in reason.lower()
    assert "b•••" in reason


def test_a_short_name_is_not_looked_for_in_the_words_of_a_server(rig):
    server = rig.server()
    rig.apply(server)
    server.on("RCPT", "550 5.1.1 no such user, and nobody else", "550 5.1.1 no such userx: user")
    assert rig.fails(MailRefused, address="no@example.org").endswith("no such user, and nobody else")
    assert rig.fails(MailRefused, address="user@example.org").endswith("no such userx: u•••")


def test_neither_code_nor_address_is_in_any_log_or_reason(rig, caplog):
    caplog.set_level(logging.DEBUG)
    server = rig.server()
    rig.apply(server)
    odd = ("<b>Kode</b> <![730114]", "<b>a</b> <!doctype 730114 <a href='730114", f"<b>&#730114{'9' * 5000};")
    for text in odd:
        rig.send(text, address="budi.santoso@example.org")
    assert len(server.messages) == len(odd)
    said = []
    server.on("RCPT", "550 5.1.1 budi.santoso: unknown", "451 4.3.0 <budi.santoso@example.org> later")
    server.on(END, "554 5.7.1 no", Fault.CLOSED)
    while rig.state is MailState.READY:
        with pytest.raises(OtpPiError) as refused:
            rig.send(odd[0], address="budi.santoso@example.org")
        said.append(repr(refused.value))
    assert len(said) == 4
    said += [LogfmtFormatter().format(one) for one in caplog.records if one.name.startswith("otppi.")]
    assert any("changed state" in one for one in said)
    assert not [one for one in said if "santoso" in one or "730114" in one]


def test_the_name_of_a_receiver_is_not_taken_for_what_a_server_means(rig):
    server = rig.server()
    rig.apply(server)
    server.on("RCPT", "550 5.1.2 <budi@daily-limit.example>: no server for daily-limit.example")
    assert "refuses the receiver" in rig.fails(MailRefused, address="budi@daily-limit.example")
    assert rig.state is MailState.READY


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("RCPT", "450 4.2.0 Greylisted, try again"),
        ("RCPT", "450 4.2.1 the daily limit of the mailbox is reached"),
        ("RCPT", "451 4.7.1 Greylisting in action"),
        ("RCPT", "452 4.2.2 over quota"),
        ("RCPT", "450 mailbox busy"),
        ("MAIL", "552 5.3.4 message too large"),
        (END, "552 5.3.4 message too large"),
        (END, "554 no, and I do not say why"),
        ("RCPT", "550 5.7.1 <budi@example.org>: Recipient address rejected: Access denied"),
        ("RCPT", "550 5.7.129 only for members"),
        ("RCPT", "553 5.7.1 policy"),
        ("RCPT", "501 5.7.1 policy"),
        (END, "554 5.7.1 policy"),
        (END, "550 5.7.0 blocked for its content"),
    ],
)
def test_what_passes_or_another_server_may_take_leaves_the_account_ready(rig, stage, reply):
    server = rig.server()
    rig.apply(server)
    server.on(stage, reply)
    rig.fails()
    rig.send()
    assert (rig.state, server.connections, len(server.messages)) == (MailState.READY, 1, 1)


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        *((stage, Fault.CLOSED) for stage in (GREETING, "EHLO", "AUTH", "MAIL", "RCPT", "DATA")),
        *((stage, Fault.SILENT) for stage in (GREETING, "AUTH", "DATA")),
    ],
)
def test_what_breaks_before_the_final_dot_was_surely_not_sent(rig, stage, fault):
    server = rig.server()
    rig.apply(server, timeout_s=1)
    server.on(stage, fault)
    left, began_s = [], time.monotonic()
    reason = rig.fails(before_submit=lambda: left.append(1))
    assert reason == ("the server hung up" if fault is Fault.CLOSED else "it does not answer in time")
    assert time.monotonic() - began_s < 5
    assert (rig.state, server.messages, left) == (MailState.RESTING, [], [])


@pytest.mark.parametrize("fault", [Fault.CLOSED, Fault.SILENT])
def test_what_breaks_after_the_final_dot_may_have_been_sent(rig, fault):
    server = rig.server()
    rig.apply(server, timeout_s=1)
    server.on(END, fault)
    left = []
    rig.fails(OutcomeUnknown, within_s=1.2, before_submit=lambda: left.append(1))
    assert (rig.state, len(server.messages), left) == (MailState.RESTING, 1, [1])
    assert rig.status.rest_s == pytest.approx(rig.rest_s(), abs=0.6)
    assert rig.status.rest_s == 0


def test_a_server_that_was_not_given_time_to_answer_is_not_at_fault(rig):
    server = rig.server()
    rig.apply(server)
    server.on("RCPT", Fault.SILENT)
    rig.fails(within_s=0.2)
    assert rig.state is MailState.READY
    server.go_on()
    rig.send()
    server.on(END, Fault.SILENT)
    rig.fails(OutcomeUnknown, within_s=0.5)
    assert rig.state is MailState.READY


def test_what_a_slow_name_server_takes_is_no_time_for_the_server_to_answer(rig, monkeypatch):
    asked = socket.getaddrinfo

    def slow(*place, **options):
        time.sleep(0.7)  # as long as the message may wait, but for a moment
        return asked(*place, **options)

    server = rig.server()
    rig.apply(server, timeout_s=1)
    server.on(GREETING, Fault.SILENT)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert rig.fails(within_s=0.9) == "it does not answer in time"
    assert rig.state is MailState.READY


def test_what_stops_the_content_from_leaving_leaves_nothing_behind(rig):
    server = rig.server()
    rig.apply(server)

    def stop():
        raise SendFailed("it is too late")

    assert rig.fails(before_submit=stop) == "it is too late"
    rig.send()
    assert (rig.state, server.connections, len(server.messages)) == (MailState.READY, 2, 1)


@pytest.mark.parametrize("how", ["dropped", "refused", "closed", "silent"])
def test_a_connection_that_died_meanwhile_is_replaced_and_the_message_arrives_once(rig, how):
    server = rig.server()
    rig.apply(server, timeout_s=1)
    rig.send("satu")
    match how:
        case "dropped":
            server.drop()
        case "refused":
            server.on("MAIL", "421 4.4.2 Timeout")
        case "closed":
            server.on("MAIL", Fault.CLOSED)
        case "silent":
            server.on("MAIL", Fault.SILENT)
    rig.send("dua")
    assert (len(server.messages), server.connections) == (2, 2)
    assert rig.state is MailState.READY


def test_a_connection_is_closed_when_nobody_needs_it_any_more(rig):
    server = rig.server()
    rig.apply(server)
    rig.send()
    rig.clock.advance(29)
    rig.send()
    assert server.connections == 1
    rig.clock.advance(31)
    rig.accounts.apply(
        {"a1": rig.settings}
    )  # wakes the thread: the clock of the test moved, not the machine's
    assert server.wait_for(lambda: "QUIT" in server.commands)
    rig.send()
    assert server.connections == 2


def test_a_connection_is_not_kept_if_the_owner_wants_none(rig):
    server = rig.server()
    rig.apply(server)
    rig.idle_s = 0
    rig.send()
    rig.send()
    assert (server.connections, server.logins) == (2, 2)


def test_rests_grow_while_nothing_goes_well(rig):
    server = rig.server()
    rig.apply(server)
    server.on("MAIL", "451 4.3.0 no", always=True)
    rests_s = []
    for _ in range(10):
        rig.fails()
        rests_s.append(rig.rest_s())
    assert rests_s[0] <= 3 < rests_s[4] < 60
    assert 240 <= rests_s[-1] <= 361
    server.on("MAIL")
    rig.send()
    server.on("DATA", "451 4.3.0 no")
    rig.fails()
    assert rig.rest_s() <= 3


def test_the_bus_hears_how_the_account_stands(rig):
    server = rig.server()
    rig.apply(server)
    server.on("MAIL", "451 4.3.0 no")
    reason = rig.fails()
    rig.rest_s()
    rig.send()
    rig.bus.stop()
    assert [(one.account_id, one.account_name, one.state, one.reason) for one in rig.heard] == [
        ("a1", "main", MailState.READY, ""),
        ("a1", "main", MailState.RESTING, reason),
        ("a1", "main", MailState.READY, ""),
    ]


def test_encryption_is_never_left_out(rig):
    server = rig.server(PLAIN)
    rig.apply(server, STARTTLS)
    assert rig.fails() == "the server does not offer STARTTLS at this port"
    assert (rig.state, server.logins) == (MailState.FAILED, 0)
    assert server.wait_for(lambda: server.commands == ["EHLO [127.0.0.1]", "QUIT"])


@pytest.mark.parametrize("security", [STARTTLS, SSL])
def test_a_certificate_that_nobody_vouches_for_is_refused(rig, security):
    server = rig.server(security)
    rig.apply(server, security, ca_certificate=certificates().foreign_ca.pem)
    assert rig.fails().startswith("the certificate of the server is not trusted: ")
    assert (rig.state, server.logins) == (MailState.FAILED, 0)
    rig.apply(server, security, ca_certificate="", tls_verify=False)
    rig.send()
    assert server.logins == 1


def test_a_certificate_of_another_name_is_refused(rig):
    server = rig.server(SSL)
    rig.apply(server, SSL, host="127.1")
    assert "Hostname mismatch" in rig.fails()


def test_what_a_server_said_before_it_encrypted_is_not_believed(rig):
    server = rig.server(STARTTLS)
    rig.apply(server, STARTTLS)
    server.on("STARTTLS", "220 go ahead\r\n250-evil\r\n250 AUTH PLAIN")
    assert rig.fails() == "the server said something before it encrypted"
    assert server.logins == 0


def test_a_port_that_begins_without_tls_says_so(rig):
    server = rig.server(PLAIN)
    rig.apply(server, SSL)
    assert "another port or encryption may be right" in rig.fails()


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is no SMTP server"),
        (b"220-" + b"x" * 20_000, "what answers there is no SMTP server"),
        (b"220-x\r\n" * 300, "what answers there is no SMTP server"),
    ],
)
def test_what_is_no_mail_server_is_found_out(rig, greeting, reason):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rig.accounts.apply(
            {
                "a1": EmailAccountSettings(
                    name="main",
                    host="127.0.0.1",
                    port=listener.getsockname()[1],
                    security=PLAIN,
                    allow_insecure=True,
                    auth=False,
                    sender_address=USER,
                )
            }
        )
        with ThreadPoolExecutor(1) as hands:
            told = hands.submit(rig.fails)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
                assert told.result(5) == reason


def test_a_server_that_drips_does_not_hold_anybody_for_longer_than_the_message_may_wait(rig):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rig.accounts.apply(
            {
                "a1": EmailAccountSettings(
                    name="main",
                    host="127.0.0.1",
                    port=listener.getsockname()[1],
                    security=PLAIN,
                    allow_insecure=True,
                    auth=False,
                    sender_address=USER,
                )
            }
        )
        with ThreadPoolExecutor(1) as hands:
            began_s = time.monotonic()
            told = hands.submit(rig.fails, within_s=0.5)
            connection, _ = listener.accept()
            with connection:
                while not told.done():
                    connection.sendall(b"2")
                    threading.Event().wait(0.1)
            assert told.result() == "it does not answer in time"
            assert time.monotonic() - began_s < 3


def test_a_server_that_is_not_there(rig):
    rig.accounts.apply(
        {
            "a1": EmailAccountSettings(
                name="main",
                host="127.0.0.1",
                port=free_port(),
                security=STARTTLS,
                sender_address=USER,
                password="x",
            )
        }
    )
    assert rig.fails() == "the server cannot be reached: nothing listens at that address and port"
    assert rig.state is MailState.RESTING


def test_an_address_of_other_letters_needs_a_server_that_takes_it(rig):
    server = rig.server()
    rig.apply(server)
    rig.send(address="büdi@example.org")
    assert server.messages[0].receivers == ("büdi@example.org",)
    assert any(one.endswith("SMTPUTF8") for one in server.commands)
    other = rig.server(enable_SMTPUTF8=False)
    rig.apply(other)
    assert "letters other than those of ASCII" in rig.fails(MailRefused, address="büdi@example.org")
    assert (rig.state, other.messages) == (MailState.READY, [])


def test_no_address_brings_another_command(rig):
    server = rig.server()
    rig.apply(server)
    for address in ("a@example.org>\r\nRCPT TO:<b@example.org", "a@example.org> SIZE=1"):
        rig.fails(MailRefused, address=address)
    assert not any("RCPT" in one for one in server.commands)


def test_what_an_application_wrote_goes_out_from_the_account(rig):
    server = rig.server()
    rig.apply(server)
    body = Relayed(
        sender="app@intern.example", content=b"From: App <app@intern.example>\r\n\r\n\xff\r\n.x\r\n"
    )
    mail = OutgoingMail(address="budi@example.org", body=body, message_id="id1")
    rig.accounts.send("a1", mail, Deadline.after(SystemClock(), 10), lambda: None)
    (message,) = server.messages
    assert message.sender == USER
    assert message.content.startswith(
        b"From: App <toko@example.com>\r\nReply-To: App <app@intern.example>\r\n"
    )
    assert message.content.endswith(b"\r\n\r\n\xff\r\n.x\r\n")
    assert any("BODY=8BITMIME" in one for one in server.commands)


def test_other_settings_end_a_rest_and_open_connections(rig):
    server = rig.server()
    rig.apply(server, password="wrong")
    rig.fails()
    assert rig.state is MailState.FAILED
    rig.apply(server)
    rig.send()
    rig.apply(server, limit_per_day=100)
    rig.send()
    assert server.connections == 3


def test_a_test_goes_out_past_a_rest_and_ends_it(rig):
    server = rig.server()
    rig.apply(server)
    server.on("MAIL", "451 4.3.0 no", "451 4.3.0 still no")
    rig.fails()
    with pytest.raises(SendFailed, match="still no"):
        rig.accounts.test("a1", rig.settings, "budi@example.org")
    assert rig.state is MailState.RESTING
    rig.accounts.test("a1", rig.settings, "budi@example.org")
    assert rig.state is MailState.READY
    assert server.messages[0].parsed["Subject"] == "Test from otppi"


def test_a_test_of_settings_that_are_not_at_work_changes_nothing(rig):
    server = rig.server()
    rig.apply(server, active=False)
    rig.accounts.test("a1", rig.settings, "budi@example.org")
    server.on("AUTH", "535 5.7.8 no")
    with pytest.raises(SendFailed):
        rig.accounts.test("new", rig.settings, "budi@example.org")
    assert (rig.state, rig.status.reason, rig.heard) == (MailState.OFF, "not active", [])
    assert server.wait_for(lambda: server.commands.count("QUIT") == 2)


def test_what_is_not_there_sends_nothing(rig):
    mail = OutgoingMail(address="budi@example.org", body=Written(subject="", text="x"), message_id="id1")
    for account_id in ("a1", DIRECT):
        with pytest.raises(SendFailed):
            rig.accounts.send(account_id, mail, Deadline.after(SystemClock(), 1), lambda: None)


def test_the_end_closes_connections_and_the_thread(rig):
    server = rig.server()
    rig.apply(server)
    rig.send()
    assert "mail" in [one.name for one in threading.enumerate()]
    rig.accounts.stop()
    assert server.wait_for(lambda: "QUIT" in server.commands)
    assert "mail" not in [one.name for one in threading.enumerate()]
    assert rig.accounts.died() == ()
