"""The demo's mailbox, with real conversations in SMTP and HTTP."""

import http.client
import smtplib
import socket
import stat
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest

from otppi.sim.delivered_email import parts_of
from otppi.sim.magic import ADDRESS_MEANINGS, MagicAddress
from otppi.sim.mailbox import Mailbox

RECEIVER = "person@example.com"
HOSTILE = (
    '</iframe></pre>"\'><script>alert(1)</script><img src="http://192.0.2.1/seen.png" onerror="alert(1)">'
)


@pytest.fixture
def mailbox(tmp_path, free_port):
    with Mailbox(tmp_path / "mail", smtp_port=free_port(), page_port=free_port(), slow_s=0.01) as one:
        yield one


def written(subject="Your code", text="Your OTP is 123456", html=None):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "otp@example.com", RECEIVER, subject
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


def send(mailbox, *messages, receiver=RECEIVER):
    with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=10) as client:
        for message in messages:
            client.send_message(message, to_addrs=[receiver])


def get(mailbox, path="/", host=None):
    connection = http.client.HTTPConnection(mailbox.page.removeprefix("http://").rstrip("/"), timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and their text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def test_what_is_sent_is_listed_newest_first_and_can_be_opened(mailbox):
    assert "Nothing has come yet" in get(mailbox)[1]
    send(mailbox, written(), written("Kode Anda ✓", "Kode 654321", "<b>Kode</b> 654321"))
    answer, page = get(mailbox)
    assert answer.status == 200
    listed = Elements(page)
    assert listed.text.index("Kode Anda ✓") < listed.text.index("Your code")
    assert listed.text.count(f"To {RECEIVER}") == 2
    assert f"{mailbox.emails[0].at:%Y-%m-%d %H:%M:%S}" in listed.text
    assert {"http-equiv": "refresh", "content": "3"} in listed.all("meta")
    newest = next(one["href"] for one in listed.all("a"))
    opened = Elements(get(mailbox, newest)[1])
    assert "Kode 654321" in opened.text
    assert f"To: {RECEIVER}" in opened.text
    assert [frame["srcdoc"].strip() for frame in opened.all("iframe")] == ["<b>Kode</b> 654321"]
    assert get(mailbox, "/3")[0].status == get(mailbox, "/../etc/passwd")[0].status == 404


def test_every_email_is_a_file_of_its_receiver_that_others_cannot_read(mailbox, tmp_path):
    send(mailbox, written())
    (file,) = (tmp_path / "mail" / RECEIVER).iterdir()
    assert "123456" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.unlink()
    assert get(mailbox, "/1")[0].status == 404


def test_a_receiver_cannot_leave_the_folder(mailbox, tmp_path):
    for address in ("../../etc@example.com", '".."', "..", "a/b@example.com"):
        with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=10) as client:
            client.sendmail("otp@example.com", [address], b"Subject: x\r\n\r\nx\r\n")
    assert {file.parents[1] for file in tmp_path.rglob("*.eml")} == {tmp_path / "mail"}
    assert len(mailbox.emails) == 4


def test_nothing_of_a_hostile_email_becomes_part_of_a_page(mailbox):
    send(mailbox, written(HOSTILE, HOSTILE, HOSTILE))
    for path in ("/", "/1"):
        answer, page = get(mailbox, path)
        shown = Elements(page)
        assert not [name for name, _ in shown.elements if name in ("script", "img", "base", "object")]
        assert "<script>alert(1)</script>" in shown.text
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
        assert "-src" not in policy.replace("default-src", "").replace("style-src", "")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (frame,) = shown.all("iframe")
    assert frame["sandbox"] == ""
    assert frame["srcdoc"].strip() == HOSTILE


def test_the_page_of_somebody_else_reads_nothing(mailbox):
    send(mailbox, written())
    answer, page = get(mailbox, "/1", host="evil.example.com")
    assert answer.status == 421
    assert "123456" not in page
    assert get(mailbox, "/1", host="localhost:8025")[0].status == 200


def test_a_hundred_are_kept(mailbox):
    send(mailbox, *(written(f"Number {count}") for count in range(1, 104)))
    assert [email.subject for email in mailbox.emails] == [f"Number {count}" for count in range(103, 3, -1)]
    assert len(Elements(get(mailbox)[1]).all("li")) == 100
    assert get(mailbox, "/3")[0].status == 404
    assert get(mailbox, "/4")[0].status == 200


def test_a_port_that_somebody_has_is_passed_over(mailbox, tmp_path):
    page_port = int(mailbox.page.rstrip("/").rpartition(":")[2])
    with Mailbox(tmp_path / "other", smtp_port=mailbox.smtp_port, page_port=page_port) as other:
        assert other.smtp_port > mailbox.smtp_port
        send(other, written("For the other"))
        assert "For the other" in get(other)[1]
    assert not mailbox.emails
    with socket.create_server((other.host, other.smtp_port)):
        pass  # given back at the end


def test_magic_addresses_misbehave(mailbox):
    def refusal(address):
        with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) as caught:
            send(mailbox, written(), receiver=address)
        refused = caught.value
        return (
            refused.smtp_code
            if isinstance(refused, smtplib.SMTPDataError)
            else refused.recipients[address][0]
        )

    assert [refusal(one) for one in (MagicAddress.UNKNOWN, MagicAddress.BUSY, "Full@example.com")] == [
        550,
        451,
        552,
    ]
    assert not mailbox.emails
    send(mailbox, written("late"), receiver=MagicAddress.SLOW)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(mailbox, written("no answer"), receiver=MagicAddress.SILENT)
    assert [email.subject for email in mailbox.emails] == ["no answer", "late"]
    assert ADDRESS_MEANINGS.keys() == set(MagicAddress)


def test_who_logs_in_needs_the_demos_password(mailbox):
    with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("demo", "wrong")
        assert client.login("demo", "demo")[0] == 235


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=nobody-knows\r\n\r\n\xff",
        b"Subject: =?x?q?=FF?= =?utf-8?b?!!!?=\r\nContent-Type: ;;\r\nContent-Disposition: \"\r\n\r\nx",
        b"Content-Type: multipart/alternative\r\n\r\n--x\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner",
    ],
)  # fmt: skip
def test_what_is_hardly_an_email_is_shown_nevertheless(mailbox, content):
    with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=10) as client:
        client.sendmail("otp@example.com", [RECEIVER], content)
    assert get(mailbox)[0].status == get(mailbox, "/1")[0].status == 200


def test_an_attachment_is_not_the_text():
    message = written(text="The text")
    message.add_attachment("attached", filename="a.txt")
    assert parts_of(bytes(message)).plain == "The text\n"
    assert parts_of(bytes(message)).html is None
