"""An application's mail on its whole way: sendmail, Exim, the local SMTP server, an e-mail account, its server."""

import pytest

from otppi.mail.settings import PLAIN, EmailAccountSettings
from otppi.submission.settings import SubmissionSettings
from tests import mail_server
from tests.broker_servers.certificates import certificates
from tests.gateway_under_test import PASSWORD, USER
from tests.submission.exim import Exim

SENDER, RECEIVER = "app@app.example.org", "person@example.com"
MESSAGE = f"From: {SENDER}\nTo: {RECEIVER}\nSubject: Faktur\n\nHalo\n.\n.titik\n"


@pytest.fixture
def server():
    with mail_server.MailServer(PLAIN) as one:
        yield one


@pytest.fixture
def device(gateway, free_port, tmp_path):
    folder = tmp_path / "gateway0" / "state" / "tls"
    folder.mkdir(parents=True)
    (folder / "tls.crt").write_text(certificates().server.pem)
    (folder / "tls.key").write_text(certificates().server.key_pem)
    one = gateway(modems=())
    port = free_port()
    one.gateway.store.update(
        SubmissionSettings, {"active": True, "server_address": "127.0.0.1", "server_port": port}
    )
    one.smtp_port = port
    one.wait_until(lambda: one.gateway._smtp_server.show()["listening"])
    return one


@pytest.fixture
def exim(device):
    one = Exim(device.smtp_port, USER, PASSWORD, certificates().ca.pem)
    yield one
    one.close()


def add_account(device, server):
    values = {
        "name": "kantor",
        "host": "127.0.0.1",
        "port": server.port,
        "security": PLAIN,
        "allow_insecure": True,
        "sender_address": mail_server.USER,
        "password": mail_server.PASSWORD,
    }
    device.gateway.store.put(EmailAccountSettings, "kantor", values)
    device.wait_until(lambda: device.gateway.mail.accounts())


def test_what_cannot_be_handed_on_now_stays_with_the_application_and_arrives_once(device, server, exim):
    exim.send(SENDER, RECEIVER, MESSAGE)
    assert "451 4.0.0 no e-mail account active" in exim.log
    assert exim.kept == 1
    add_account(device, server)
    exim.try_again()
    exim.try_again()
    assert exim.kept == 0
    (kept,) = server.messages
    assert kept.receivers == (RECEIVER,)
    assert kept.user == mail_server.USER
    assert kept.parsed["Subject"] == "Faktur"
    assert kept.content.endswith(b"\r\n\r\nHalo\r\n.\r\n.titik\r\n")


def test_what_is_refused_for_good_comes_back_to_its_sender(device, server, exim):
    add_account(device, server)
    server.on("RCPT", "550 5.1.1 no such user")
    exim.send(SENDER, RECEIVER, MESSAGE)
    assert exim.kept == 0
    (bounce,) = server.messages
    assert bounce.receivers == (SENDER,)
    assert b"550 5.1.1 no such user" in bounce.content


def test_two_receivers_each_get_it_in_a_turn_of_their_own(device, server, exim):
    add_account(device, server)
    exim.send(SENDER, f"{RECEIVER}, other@example.com", MESSAGE)
    exim.try_again()
    assert exim.kept == 0
    assert sorted(kept.receivers for kept in server.messages) == [("other@example.com",), (RECEIVER,)]
