"""What goes to a server, read again by the parser of the standard library."""

import email
import email.policy
import time
import tracemalloc
from datetime import datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otppi.contracts.mail import MailRefused, OutgoingMail, Relayed, Written
from otppi.mail.compose import composed
from otppi.mail.settings import EmailAccountSettings

ACCOUNT = EmailAccountSettings(
    name="main", host="mail.example.com", sender_address="toko@example.com", password="x" * 16
)
AT = datetime(2026, 11, 21, 10, 15, 17, tzinfo=timezone(timedelta(hours=7)))


def made(body, *, account=ACCOUNT, address="budi@example.org", sender_name="Toko", subject="Message"):
    mail = OutgoingMail(address=address, body=body, message_id="0123456789abcdef")
    return composed(mail, account, sender_name=sender_name, subject=subject, at=AT)


def read(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def written(text, subject="Halo", **changes):
    return read(made(Written(subject=subject, text=text), **changes))


def relayed(content, sender="app@intern.example"):
    return made(Relayed(sender=sender, content=content))


def parts(message):
    assert message.get_content_type() == "multipart/alternative"
    return [
        (one.get_content_type(), one.get_content_charset(), one.get_content().replace("\r\n", "\n"))
        for one in message.iter_parts()
    ]


def test_a_plain_text_goes_out_as_text_and_as_a_page():
    message = written("Kode Anda 123456 <rahasia> & jangan dibagi\nTerima kasih")
    (plain, _, text), (html, _, page) = parts(message)
    assert (plain, html) == ("text/plain", "text/html")
    assert text == "Kode Anda 123456 <rahasia> & jangan dibagi\nTerima kasih\n"
    assert "123456 &lt;rahasia&gt; &amp; jangan dibagi<br>\nTerima kasih\n" in page


def test_the_header_says_who_when_and_that_a_machine_wrote_it():
    message = written("halo")
    assert str(message["From"]) == "Toko <toko@example.com>"
    assert [one.addr_spec for one in message["To"].addresses] == ["budi@example.org"]
    assert message["Date"].datetime == AT
    assert message["Message-ID"] == "<0123456789abcdef@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"


def test_a_page_goes_out_as_it_is_and_as_the_text_in_it():
    page = (
        "<html><head><title>no</title><style>p {}</style></head><body><h1>Toko</h1><p>Kode:\n <b>123456</b></p>"
        '<ul><li>satu</li><li>dua</li></ul>a<br>b <a href="https://example.com/x">lihat</a> &amp; selesai</body></html>'
    )
    (_, _, text), (_, _, kept) = parts(written(page))
    assert kept.rstrip("\n") == page
    assert text == "Toko\n\nKode: 123456\n\n- satu\n- dua\na\nb lihat (https://example.com/x) & selesai\n"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<div>a</div>\n<div>b</div><table><tr><td>c</td><td>d</td></tr></table>", "a\nb\nc d"),
        ("<b>Kode</b> <![123456]", "Kode <![123456]"),
        (
            "<p>1 &lt; 2 &amp;amp; &#x1F511;&nbsp;&copy=3 &#0; &unknown;</p>",
            "1 < 2 &amp; 🔑 &copy=3 \ufffd &unknown;",
        ),
        ("<b>" + "&#" + "9" * 5000 + ";</b>", "&#" + "9" * 5000 + ";"),
        ("<b>a</b><!-- <p>no</p> --><SCRIPT>if (1<2) no()</script >b<style>no", "ab"),
        ("<head><meta charset=utf-8><body>a<section class=x>b</section><o:p>c</o:p>", "abc"),
        ("<a href=https://example.com/?a=1&amp;b=2>lihat</a>", "lihat (https://example.com/?a=1&b=2)"),
        ("<a class='x' HREF='https://example.com'>https://example.com</a>", "https://example.com"),
        ("<b>Halo</b> <a", "Halo <a"),
    ],
)
def test_the_text_of_a_page_is_what_a_person_reads_of_it(page, text):
    assert parts(written(page))[0][2] == f"{text}\n"


MARKS = (
    "<b>",
    "<b ",
    "<",
    "</",
    "<!",
    "<!--",
    "<![",
    "<![CDATA[",
    "<?",
    "</scr",
    "<script>",
    "<style",
    "<a href='",
)
LETTERS = ("&", "&#", "&#x", "9", "x", " ", "\n", "-", ">", "]", "=", '"', "/", "\ud800", "\0", "\f", "é")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MARKS + LETTERS), max_size=20).map("".join))
def test_no_text_is_too_odd_to_be_sent(text):
    assert len(parts(written(f"<b>Halo</b>{text}"))) == 2


@pytest.mark.parametrize(
    "piece", [*MARKS, "<b <b ", "&#", "/", "x", "</a ", "<!doctype ", "<br>", "<a href='x'>"]
)
def test_how_long_it_takes_grows_no_faster_than_the_text(piece):
    text = "<b>" + piece * (200_000 // len(piece)) + "<b "
    began_s = time.thread_time()
    made(Written(subject="", text=text))
    assert time.thread_time() - began_s < 0.5


@pytest.mark.parametrize("text", ["a < b > c", "use <name> and <123456>", "budi <budi@example.org>", "1<2"])
def test_angle_brackets_alone_make_no_page(text):
    assert parts(written(text))[0][2] == f"{text}\n"


def test_letters_of_all_scripts_arrive_and_only_ascii_is_on_the_way():
    content = made(
        Written(subject="Kode rahasia für Ünal 🔑 " * 6, text="Größe 你好 🔑\n" * 30),
        sender_name="Toko “Ünal”, 你好 " * 4,
    )
    assert content.isascii()
    message = read(content)
    assert message["Subject"] == ("Kode rahasia für Ünal 🔑 " * 6).strip()
    # The newer parser puts blanks between encoded words of a name.
    sender = str(make_header(decode_header(email.message_from_bytes(content)["From"])))
    assert parseaddr(sender.replace(",", "")) == (("Toko “Ünal” 你好 " * 4).strip(), "toko@example.com")
    assert next(text for _, _, text in parts(message)) == "Größe 你好 🔑\n" * 30
    assert [charset for _, charset, _ in parts(message)] == ["utf-8", "utf-8"]
    assert max(len(line) for line in content.split(b"\r\n")) <= 100


def test_a_long_message_id_is_not_folded():
    address = "toko@" + "sub." * 20 + "example.com"
    account = EmailAccountSettings(name="long", host="mail.example.com", sender_address=address, password="x")
    message = written("halo", account=account)
    assert message["Message-ID"] == f"<0123456789abcdef@{'sub.' * 20}example.com>"


def test_a_message_without_a_subject_has_that_of_the_settings():
    assert written("halo", subject="")["Subject"] == "Message"
    assert written("halo", subject=" \r\n ")["Subject"] == "Message"


def test_an_address_of_other_letters_is_in_the_header_as_it_is():
    assert "\r\nTo: <büdi@example.org>\r\n".encode() in made(
        Written(subject="", text="halo"), address="büdi@example.org"
    )


@settings(max_examples=60, deadline=None)
@given(subject=st.text(max_size=120), name=st.text(max_size=120), text=st.text(max_size=200))
def test_nobody_can_add_a_line_to_the_header(subject, name, text):
    content = made(Written(subject=subject, text=text), sender_name=name)
    message = read(content)
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type")
    }
    assert [one.addr_spec for one in message["From"].addresses] == ["toko@example.com"]
    assert [one.addr_spec for one in message["To"].addresses] == ["budi@example.org"]
    assert len(parts(message)) == 2
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")


APPLICATION = b"""\
Received: from app by intern\r
From: =?utf-8?q?Toko_=C3=9Cnal?= <app@intern.example>\r
Sender: daemon@intern.example\r
To: budi@example.org\r
BCC: rahasia@example.org,\r
\tlagi@example.org\r
Subject: Laporan\r
  harian\r
DKIM-Signature: v=1; a=rsa-sha256;\r
 b=abc\r
X-Odd : kept  as is\r
\r
Isi \xfc\xff\x00 tetap\r
\r
.satu titik\r
"""


def test_what_an_application_wrote_comes_from_the_account_and_is_otherwise_as_it_was():
    content = relayed(APPLICATION)
    head, _, body = content.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"From: =?utf-8?q?Toko_=C3=9Cnal?= <toko@example.com>",
        b"Reply-To: =?utf-8?q?Toko_=C3=9Cnal?= <app@intern.example>",
        b"Message-ID: <0123456789abcdef@example.com>",
        b"Date: Sat, 21 Nov 2026 10:15:17 +0700",
        b"Received: from app by intern",
        b"To: budi@example.org",
        b"Subject: Laporan",
        b"  harian",
        b"X-Odd : kept  as is",
    ]
    assert body == APPLICATION.partition(b"\r\n\r\n")[2]


def test_what_an_application_says_itself_is_not_said_again():
    content = relayed(
        b"date: Fri, 20 Nov 2026 10:00:00 +0000\r\nMESSAGE-ID: <1@x>\r\nReply-to: bagian@example.org\r\n"
        b"From: app@intern.example\r\n\r\nx\r\n"
    )
    assert content == (
        b"From: <toko@example.com>\r\ndate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMESSAGE-ID: <1@x>\r\n"
        b"Reply-to: bagian@example.org\r\n\r\nx\r\n"
    )


@pytest.mark.parametrize(
    ("sender", "name", "replies"),
    [
        (b'"Toko, \\"Satu\\"" <app@intern.example>', b'"Toko, \\"Satu\\""', "app@intern.example"),
        (b"app@intern.example", b"", "app@intern.example"),
        (b"Toko <toko@example.com>", b"Toko", None),
        (b"A <a@intern.example>, B <b@intern.example>", b"", "a@intern.example>, B <b@intern.example>"),
        (b"Toko\r\n <app@intern.example>", b"Toko", "app@intern.example"),
        (b"MAILER-DAEMON", b"", None),
    ],
)
def test_the_name_of_an_application_is_kept_and_answers_go_to_it(sender, name, replies):
    content = relayed(b"From: " + sender + b"\r\n\r\nx\r\n")
    assert content.startswith(b"From: " + (name + b" " if name else b"") + b"<toko@example.com>\r\n")
    answers_go_to = read(content)["Reply-To"]
    assert answers_go_to is None if replies is None else replies in str(answers_go_to)


def test_bare_line_ends_of_an_application_are_made_right():
    content = relayed(b"From: a@intern.example\nSubject: x\n\nsatu\rdua\n.\ntiga")
    assert content.endswith(b"Subject: x\r\n\r\nsatu\r\ndua\r\n.\r\ntiga\r\n")


def test_a_message_without_a_header_gets_one():
    head, _, body = relayed(b"\r\nhalo\r\n").partition(b"\r\n\r\n")
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")] == [b"From", b"Message-ID", b"Date"]
    assert body == b"halo\r\n"


@pytest.mark.parametrize(
    "content", [b"From: a@b.example\r\n\r\n" + b"x" * 999 + b"\r\n", b"halo dunia\r\n", b"From a@b\r\n\r\nx"]
)
def test_what_no_server_takes_is_refused(content):
    with pytest.raises(MailRefused):
        relayed(content)


@pytest.mark.parametrize("length", [2, 76])
def test_an_applications_message_is_in_memory_a_few_times_and_not_once_for_each_line(length):
    line = b"a" * length + b"\r\n"
    content = b"Subject: x\r\n\r\n" + line * (1024 * 1024 // len(line))
    tracemalloc.start()
    try:
        sent = relayed(content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent.endswith(line * 100)
    assert most < 6 * len(content)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200))
def test_the_text_of_an_application_keeps_every_byte_but_bare_line_ends(body):
    sent = relayed(b"From: a@intern.example\r\n\r\n" + body).partition(b"\r\n\r\n")[2]
    assert sent.replace(b"\r\n", b"\n").rstrip(b"\n") == body.replace(b"\r\n", b"\n").replace(
        b"\r", b"\n"
    ).rstrip(b"\n")
