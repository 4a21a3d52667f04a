"""Names come from a DNS server of the test's, and go to the test's mail server in the place of the internet's."""

from collections.abc import Callable, Iterator

import dns.rcode
import pytest

from otppi.contracts.mail import MailRefused, OutgoingMail, Relayed, Written
from otppi.lib.clock import SystemClock
from otppi.lib.deadline import Deadline
from otppi.mail.direct import Direct, is_public
from otppi.mail.settings import STARTTLS
from otppi.model.errors import OutcomeUnknown, SendFailed
from tests.dns_server import DnsServer
from tests.mail_server import END, Fault, MailServer

CLOCK = SystemClock()
CONTENT = b"Received: from app\r\nSubject: hi\r\nBcc: other@example.com\r\n\r\n.Hello\r\n"
# 127.0.0.1 is the mail server, at the others nothing listens.
RECORDS = {
    ("example.com", "MX"): ["20 second.example.com.", "10 first.example.com."],
    ("first.example.com", "A"): ["127.0.0.2"],
    ("second.example.com", "A"): ["127.0.0.1"],
    ("implicit.example.com", "A"): ["127.0.0.1"],
    ("null.example.com", "MX"): ["0 ."],
    ("away.example.com", "MX"): ["10 none.example.com."],
    ("partly.example.com", "MX"): [
        "10 none.example.com.",
        "20 broken.example.com.",
        "30 second.example.com.",
    ],
    ("unclear.example.com", "MX"): ["10 broken.example.com."],
    "broken.example.com": dns.rcode.SERVFAIL,
    "silent.example.com": None,
    ("slow.example.com", "MX"): [f"{number} slow-{number}.example.com." for number in range(60)],
    **{f"slow-{number}.example.com": None for number in range(60)},
    ("huge.example.com", "MX"): [f"{number} none-{number}.example.com." for number in range(60)],
    ("twice.example.com", "MX"): ["10 second.example.com.", "20 implicit.example.com."],
    ("many.example.com", "A"): [f"127.0.1.{number}" for number in range(1, 20)],
    ("alias.example.com", "CNAME"): ["example.com."],
}


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with DnsServer(RECORDS) as one:
        yield one


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer(wants_login=False) as one:
        yield one


class Sender:
    def __init__(self, names: DnsServer, server: MailServer) -> None:
        self.tried: list[str] = []
        self.submitted = 0
        self._direct = Direct(
            helo=lambda: "otppi.example.com",
            clock=CLOCK,
            resolver=names.resolver,
            port=server.port,
            may_reach=lambda address: not self.tried.append(address),
        )

    def __call__(self, address: str, content: bytes = CONTENT, *, within_s: float = 20) -> None:
        mail = OutgoingMail(
            address=address, body=Relayed(sender="app@example.org", content=content), message_id="id1"
        )
        self._direct.send(mail, Deadline.after(CLOCK, within_s), self._submit)

    def _submit(self) -> None:
        self.submitted += 1


@pytest.fixture
def send(names, server) -> Callable[..., None]:
    return Sender(names, server)


def test_the_preferred_server_is_tried_first_and_then_the_next(send, server):
    send("x@example.com")
    assert send.tried == ["127.0.0.2", "127.0.0.1"]
    (kept,) = server.messages
    assert (kept.sender, kept.receivers) == ("app@example.org", ("x@example.com",))
    assert server.commands[0] == "EHLO otppi.example.com"
    assert send.submitted == 1


def test_what_every_message_has_is_added_where_it_is_missing_and_hidden_receivers_stay_hidden(send, server):
    send("x@implicit.example.com")
    own = CONTENT.replace(
        b"Bcc: other@example.com", b"Message-ID: <own@app>\r\nDate: Mon, 1 Jan 2029 00:00:00 +0000"
    )
    send("x@implicit.example.com", own)
    added, kept = server.messages
    assert added.content.startswith(
        b"Received: from app\r\nSubject: hi\r\nMessage-ID: <id1@otppi.example.com>\r\nDate: "
    )
    assert added.content.endswith(b"\r\n\r\n.Hello\r\n")
    assert b"Bcc" not in added.content
    assert kept.content == own


def test_a_domain_without_mx_takes_mail_at_its_address(send, names):
    send("x@implicit.example.com")
    assert send.tried == ["127.0.0.1"]
    assert ("implicit.example.com", "MX") in names.asked


def test_servers_without_an_address_are_passed_over(send, server):
    send("x@partly.example.com")
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("absent.example.com", "does not exist"),
        ("null.example.com", "takes no e-mail"),
        ("away.example.com", "have no address"),
        ("192.0.2.1", "at an address"),
        ("[127.0.0.1]", "at an address"),
        ("[IPv6:::1]", "at an address"),
        ("x..example.com", "does not exist"),
        (f"{'x' * 64}.example.com", "does not exist"),
    ],
)
def test_where_nobody_takes_mail_it_is_refused_for_good(send, domain, reason):
    with pytest.raises(MailRefused, match=reason):
        send(f"x@{domain}")
    assert send.tried == []


@pytest.mark.parametrize("domain", ["broken.example.com", "silent.example.com", "unclear.example.com"])
def test_what_nobody_could_say_now_is_not_for_good(send, domain):
    with pytest.raises(SendFailed, match="cannot be looked up now") as caught:
        send(f"x@{domain}", within_s=0.5)
    assert not isinstance(caught.value, MailRefused)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", END])
def test_a_refusal_for_good_ends_it_and_is_told_in_the_servers_words(send, server, stage):
    server.on(stage, "550 5.7.1 we know no such device")
    with pytest.raises(MailRefused, match=r"550 5\.7\.1 we know no such device"):
        send("x@twice.example.com")
    assert server.connections == 1


@pytest.mark.parametrize("stage", ["GREETING", "MAIL", "RCPT", "DATA", END])
def test_after_a_refusal_for_now_the_next_server_is_tried(send, server, stage):
    server.on(stage, "450 4.2.0 greylisted")
    send("x@twice.example.com")
    assert len(server.messages) == 1


def test_when_all_refuse_for_now_the_mail_may_be_sent_later(send, server):
    server.on("RCPT", "450 4.2.0 greylisted", always=True)
    with pytest.raises(SendFailed, match=r"450 4\.2\.0 greylisted") as caught:
        send("x@twice.example.com")
    assert not isinstance(caught.value, MailRefused)
    assert server.connections == 2


def test_who_falls_silent_after_the_whole_message_may_have_it_so_nobody_else_gets_it(send, server):
    server.on(END, Fault.CLOSED)
    with pytest.raises(OutcomeUnknown):
        send("x@twice.example.com")
    assert len(server.messages) == 1
    assert server.connections == 1


def test_no_more_than_a_few_addresses_are_tried(send):
    with pytest.raises(SendFailed, match="nothing listens"):
        send("x@many.example.com")
    assert len(send.tried) == 9  # of the ninth it is only asked whether it may be


def test_the_wait_ends_in_time(send, server):
    server.on("GREETING", Fault.SILENT)
    with pytest.raises(SendFailed, match="does not answer in time"):
        send("x@implicit.example.com", within_s=0.3)
    server.go_on()


def test_no_name_is_looked_up_when_the_time_is_over_and_never_more_than_a_few(send, names):
    with pytest.raises(SendFailed, match="cannot be looked up now"):
        send("x@slow.example.com", within_s=0.3)
    assert {name for name, _ in names.asked if name.startswith("slow-")} == {"slow-0.example.com"}
    with pytest.raises(MailRefused, match="have no address"):
        send("x@huge.example.com")
    assert len({name for name, _ in names.asked if name.startswith("none-")}) == 8


def test_encryption_is_used_where_it_is_offered_and_done_without_where_it_fails(names):
    with MailServer(STARTTLS, wants_login=False) as server:
        send = Sender(names, server)
        send("x@implicit.example.com")
        assert server.commands.count("STARTTLS") == 1
        server.on("STARTTLS", "454 4.7.0 not now")
        send("x@implicit.example.com")
        assert server.commands.count("STARTTLS") == 2
        assert len(server.messages) == 2


def test_whoever_owns_a_domain_cannot_make_the_device_talk_to_its_own_network(names, server):
    direct = Direct(helo=lambda: "otppi.local", clock=CLOCK, resolver=names.resolver, port=server.port)
    body = Relayed(sender="", content=CONTENT)
    mail = OutgoingMail(address="x@twice.example.com", body=body, message_id="id1")
    with pytest.raises(MailRefused, match="not of the internet"):
        direct.send(mail, Deadline.after(CLOCK, 5), lambda: None)
    assert server.connections == 0


PUBLIC = ("8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808")
NEAR = (
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.0.11 169.254.1.1 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 240.0.0.1 "
    "::1 :: fe80::1 fd00::1 ff02::1 ::ffff:192.168.0.11 2002:c0a8:b::1 64:ff9b::c0a8:b 192.0.2.1 2001:db8::1 "
    "fec0::1 192.88.99.1"
)


@pytest.mark.parametrize(
    ("address", "is_so"), [*((a, True) for a in PUBLIC), *((a, False) for a in NEAR.split())]
)
def test_only_addresses_of_the_internet_are_public(address, is_so):
    assert is_public(address) is is_so


def test_what_a_caller_wrote_needs_an_account(names, server):
    direct = Direct(helo=lambda: "otppi.local", clock=CLOCK, resolver=names.resolver, port=server.port)
    body = Written(subject="hi", text="Hello")
    with pytest.raises(MailRefused, match="finished"):
        direct.send(
            OutgoingMail(address="x@example.com", body=body, message_id="id1"),
            Deadline.after(CLOCK, 5),
            lambda: None,
        )
