"""The pages of e-mail accounts, of a test of one, of an e-mail by hand, and of the local SMTP server."""

import re
from dataclasses import replace

import pytest

from otppi.mail.settings import STARTTLS, EmailAccountSettings, EmailSettings
from otppi.model.events import MailAccountChanged
from otppi.model.mail import MailState
from otppi.submission.settings import SubmissionSettings
from otppi.web import mail_words
from otppi.web.words import words_for
from tests.mail_server import PASSWORD, USER, MailServer
from tests.ports import free_port

EVIL = '"><script>alert(1)</script>'
RECEIVER = "pembeli@example.com"


@pytest.fixture
def server():
    with MailServer(STARTTLS) as one:
        yield one


def accounts(pages):
    return pages.gateway.store.items(EmailAccountSettings)


def filled(server, **changes):
    """What a browser sends of the form, filled in."""
    return {
        "name": "toko",
        "active": "on",
        "host": "127.0.0.1",
        "port": str(server.port),
        "security": STARTTLS,
        "auth": "on",
        "sender_address": USER,
        "password": PASSWORD,
        "tls_verify": "on",
        "ca_certificate": server.ca,
        "limit_per_day": "500",
        **changes,
    }


def added(pages, owner, server, **changes):
    answer = owner.post("/email/new", filled(server, **changes))
    assert answer.status == 303, answer.visible
    pages.wait_until(pages.gateway.mail.accounts)
    return next(iter(accounts(pages)))


def test_an_account_is_added_tested_changed_switched_off_and_removed(pages, owner, viewer, server):
    assert "There is no e-mail account yet" in owner.get("/email").visible
    path = f"/email/{added(pages, owner, server)}"
    listed = owner.get("/email").visible
    assert "The account toko is saved." in listed
    assert "toko Ready" in listed
    assert "1 account may send 500 messages a day; 0 sent today." in listed

    tested = owner.follow(owner.post(f"{path}/test", {"address": RECEIVER}))
    assert re.search(
        rf"took the message in [\d.]+ seconds\. Look into the mailbox of {RECEIVER}", tested.visible
    )
    assert [one.receivers for one in server.messages] == [(RECEIVER,)]

    form = owner.get(path)
    assert PASSWORD not in form.text
    assert 'placeholder="unchanged"' in form.text
    assert owner.post(path, filled(server, name="toko 2", password="", limit_per_day="0")).status == 303
    ((_, kept),) = accounts(pages).items()
    assert (kept.name, kept.password, kept.limit_per_day) == ("toko 2", PASSWORD, 0)
    assert "1 account may send any number of messages a day" in owner.get("/email").visible
    assert PASSWORD not in owner.get("/audit").text

    like = owner.get(f"/email/new?like={path.rpartition('/')[2]}")
    assert [like.value_of(name) for name in ("host", "port", "name", "sender_address")] == [
        "127.0.0.1",
        str(server.port),
        "",
        "",
    ]
    seen = viewer.get("/email")
    assert "toko 2" in seen.visible
    assert "/email/new" not in seen.text
    assert viewer.get(f"{path}/test").status == 403
    assert "is switched off" in owner.follow(owner.post(f"{path}/switch")).visible
    assert not accounts(pages)[path.rpartition("/")[2]].active
    assert "The account is removed." in owner.follow(owner.post(f"{path}/remove")).visible
    assert not accounts(pages)
    assert owner.get(path).status == 400
    assert owner.get(f"{path}/test").status == 404


def test_a_mistake_stands_beside_its_field_and_saves_nothing(pages, owner, server):
    for changes, says in (
        ({"sender_address": "toko"}, "must be an e-mail address"),
        ({"name": "m0"}, "another account or a modem has this name"),
        ({"security": "none"}, "choose STARTTLS or SSL, or allow sending unencrypted"),
        ({"password": ""}, "is needed, or switch authentication off"),
        ({"port": "0"}, "must be 1 to 65535"),
        ({"ca_certificate": "none"}, "certificate"),
    ):
        answer = owner.post("/email/new", filled(server, **changes))
        assert answer.status in (400, 422)
        assert says in answer.visible
        assert "is-invalid" in answer.text
        assert PASSWORD not in answer.text
        assert not accounts(pages)


def test_a_known_server_is_filled_in(owner):
    offered = owner.get("/email/new")
    for preset, port, security in (("gmail-587", "587", "starttls"), ("gmail-465", "465", "ssl")):
        assert f'href="/email/new?preset={preset}"' in offered.text
        form = owner.get(f"/email/new?preset={preset}")
        assert (form.value_of("host"), form.value_of("port")) == ("smtp.gmail.com", port)
        assert f'<option value="{security}" selected' in form.text
        assert "an app password" in form.visible
    assert owner.get("/email/new?preset=nobody").value_of("host") == ""


def test_a_refusal_is_told_in_the_words_of_the_server_with_what_to_do(pages, owner, operator, server):
    path = f"/email/{added(pages, owner, server, name=EVIL[:60])}"
    server.on("AUTH", "535 5.7.8 Username and Password not accepted. gsmtp", always=True)
    refused = operator.post(f"{path}/test", {"address": RECEIVER})
    assert refused.status == 422
    assert "535 5.7.8 Username and Password not accepted. gsmtp" in refused.visible
    assert "Make an app password, enter it as the password of the account" in refused.visible
    assert refused.value_of("address") == RECEIVER
    for address in ("", "pembeli"):
        answer = operator.post(f"{path}/test", {"address": address})
        assert answer.status == 400
        assert "is not an e-mail address" in answer.visible
        assert "is-invalid" in answer.text
    needs_attention = "needs attention: Gmail does not take this password"
    pages.wait_until(lambda: needs_attention in owner.get("/live?after=0").text)
    for page in ("/email", "/monitor", "/reports", "/", f"{path}/test"):
        shown = owner.get(page)
        assert "<script>alert" not in shown.text, page
    assert re.search(r"Needs attention .* 535 5\.7\.8", owner.get("/email").visible)
    assert "0 of 1 ready" in owner.get("/").visible


def test_an_email_by_hand_is_sent_once_and_told_apart_in_monitor_and_reports(pages, owner, operator, server):
    account = added(pages, owner, server)
    assert 'href="/email/send"' in operator.get("/send").text
    form = {"number": RECEIVER, "subject": "Pesanan", "text": "Sudah dikirim.", "reference": "page-1"}
    for _ in range(2):
        sent = operator.follow(operator.post("/email/send", form))
        assert "A mail server took the message, through toko." in sent.visible
    (kept,) = server.messages
    assert kept.parsed["Subject"] == "Pesanan"
    pages.wait_until(lambda: "p•••@example.com" in owner.get("/monitor").visible)
    monitor = owner.get("/monitor")
    assert 'data-node="modem:email"' in monitor.text
    assert "1 of 1 ready" in monitor.visible
    pages.wait_until(lambda: "p•••@example.com" in owner.get("/reports").visible)
    assert re.search(r"p•••@example\.com sent no report toko E-mail", owner.get("/reports").visible)
    assert f'value="{account}"' in owner.get("/reports").text
    assert "p•••@example.com" in owner.get("/reports?channel=email").visible
    assert "No message fits." in owner.get("/reports?channel=sms").visible
    assert "1 of 500 today" in owner.get("/email").visible


def test_an_address_on_the_page_for_sms_is_sent_an_email(pages, owner, operator, server):
    added(pages, owner, server)
    form = {"number": RECEIVER, "text": "halo", "modem": "", "reference": "page-1"}
    answer = operator.post("/send", form)
    visible = answer.visible if answer.status == 200 else operator.follow(answer).visible
    assert "A mail server took the message, through toko." in visible
    assert len(server.messages) == 1


def test_what_cannot_be_sent_by_hand_says_why(pages, owner, server):
    refused = owner.post("/email/send", {"number": "081200000001", "text": "x"})
    assert refused.status == 422
    assert "is not an e-mail address" in refused.visible
    assert "is-invalid" in refused.text
    none = owner.post("/email/send", {"number": RECEIVER, "text": "x"})
    assert "no e-mail account active Add an account, or switch one on." in none.visible
    added(pages, owner, server)
    server.on("RCPT", "550 5.1.1 no such user here")
    answer = owner.post("/email/send", {"number": RECEIVER, "text": "Sudah dikirim."})
    assert answer.status == 422
    assert "550 5.1.1 no such user here" in answer.visible
    assert "check both addresses" in answer.visible
    assert "Sudah dikirim." in answer.text


def test_the_common_settings_are_saved_and_reset(pages, owner):
    saved = owner.follow(owner.post("/email", {"email.subject": "Kabar", "drawn.email.subject": "Message"}))
    assert "Saved." in saved.visible
    assert pages.gateway.store.get(EmailSettings).subject == "Kabar"
    assert owner.post("/email", {"email.idle_s": "-1"}).status in (400, 422)
    assert owner.post("/email/reset", {"section": "email"}).status == 303
    assert pages.gateway.store.get(EmailSettings) == EmailSettings()


def test_the_local_server_is_set_up_and_tells_programs_what_to_enter(pages, owner, viewer):
    assert "switched off" in owner.get("/smtp").visible
    port = free_port()
    wanted = {
        "smtp.active": "on",
        "smtp.server_address": "127.0.0.1",
        "smtp.server_port": str(port),
        "smtp.require_tls": "on",
        "smtp.delivery": "direct",
    }
    assert owner.post("/smtp", {**wanted, "smtp.server_port": "0"}).status in (400, 422)
    assert not pages.gateway.store.get(SubmissionSettings).active
    assert owner.post("/smtp", wanted).status == 303
    pages.wait_until(lambda: "State listening" in owner.get("/smtp").visible)
    shown = owner.get("/smtp").visible
    assert (
        f"Server 127.0.0.1 Port {port} Encryption STARTTLS User name and password those of an API user: shop"
        in shown
    )
    assert "Many of them refuse mail from a small device" in shown
    seen = viewer.get("/smtp")
    assert "listening" in seen.visible
    assert "smtp.server_port" not in seen.text
    assert "Many of them refuse mail from a small device" in seen.visible
    assert "They may go unencrypted, and no certificate is checked." in seen.visible
    assert "No e-mail account is switched on" not in seen.visible
    assert owner.post("/smtp", {**wanted, "smtp.require_tls": ""}).status == 303
    for who in (owner, viewer):
        assert "Encryption STARTTLS (or none)" in who.get("/smtp").visible


def test_an_address_of_old_settings_that_is_none_does_not_break_the_page(pages, owner, monkeypatch):
    old = replace(SubmissionSettings(), server_address="dead")
    get = pages.gateway.store.get
    monkeypatch.setattr(
        pages.gateway.store, "get", lambda section: old if section is SubmissionSettings else get(section)
    )
    assert "Server dead Port 25" in owner.get("/smtp").visible


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("the server refuses the user name or the password: 535 5.7.3 no", "Check user name and password"),
        ("the server cannot be reached: [Errno 111] Connection refused", "Check host and port"),
        ("the server cannot be reached: [Errno -2] Name or service not known", "how the host is written"),
        ("the server does not offer STARTTLS at this port", "587 goes with STARTTLS"),
        ("x: certificate verify failed: self-signed certificate", "does not trust the certificate"),
        ("the account has sent as much as it may in a day: 550 5.4.5 Daily", "send no more for now"),
        ("the server refuses the receiver: 550 5.1.1 no such user", "check both addresses"),
        ("the server refuses the receiver: 450 4.2.0 greylisted", "check both addresses"),
        ("the server refuses the message: 451 4.3.0 later", "in a few minutes"),
        ("it does not answer in time", "Check host and port"),
        (
            "the server takes no login here; choose another encryption or port, or no authentication",
            "587 goes with",
        ),
        ("all connections of the account are in use", "in a few minutes"),
        ("something new", "Check host, port, encryption"),
    ],
)
def test_every_kind_of_reason_has_its_advice(reason, says):
    assert says in mail_words.advice(reason)


def test_twenty_accounts_are_summed_up():
    one = {"active": True, "limit_per_day": 500, "sent_today": 6}
    switched_off = {"active": False, "limit_per_day": 500, "sent_today": 400}
    told = mail_words.daily_sum(words_for("en"), [one] * 20 + [switched_off])
    assert told == "20 accounts may send 10,000 messages a day; 120 sent today."


def test_only_an_account_that_needs_somebody_is_told_to_open_pages(pages, owner):
    for number, state in enumerate((MailState.RESTING, MailState.READY, MailState.FAILED)):
        event = MailAccountChanged(
            account_id="a", account_name=f"toko-{number}", state=state, reason="the server says: no"
        )
        pages.gateway.bus.publish(event)
    pages.wait_until(lambda: "toko-2 needs attention: the server says: no" in owner.get("/live?after=0").text)
    told = owner.get("/live?after=0").text
    assert "toko-0" not in told
    assert "toko-1" not in told
