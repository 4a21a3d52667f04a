"""E-mail from the booted device to a server on the far side of the Ethernet cable, and by its own SMTP server."""

import re
import smtplib
import ssl
from email.message import EmailMessage

import pytest

from otppi.mail.settings import PLAIN
from tests.image_bench.machine import OUTSIDE
from tests.image_bench.rest import RestCaller
from tests.mail_server import PASSWORD as ACCOUNT_PASSWORD
from tests.mail_server import USER as ACCOUNT
from tests.mail_server import MailServer

pytestmark = pytest.mark.short

USER, PASSWORD = "post", "correct horse battery"
SMTP, OUTSIDE_PORT = 25, 2525
PERSON = "person@example.com"
READY_S = 60.0


@pytest.fixture(scope="module")
def server(machine):
    """A mail server outside, and an account there."""
    machine.run(f"printf '{PASSWORD}\\n' | otppi api-user add {USER} --password-stdin")
    with MailServer(PLAIN) as one:
        machine.serve_outside(OUTSIDE_PORT, one.port)
        machine.run(
            f"printf '{ACCOUNT_PASSWORD}' | otppi settings add email_accounts office name Office host {OUTSIDE} "
            f"port {OUTSIDE_PORT} security {PLAIN} allow_insecure true sender_address {ACCOUNT} "
            "password --value-stdin"
        )
        machine.wait_for("otppi mail list | grep -P '^Office\\tready'", limit_s=READY_S)
        yield one
    machine.run("otppi settings reset smtp; otppi settings remove email_accounts office")


def test_a_code_goes_by_email_when_no_modem_can_send_it(machine, server):
    answer = RestCaller(machine, USER, PASSWORD).call(
        "request-otp",
        reference="mail-1",
        receiver="081200000001",
        message="Your code is %s",
        fallback=[{"receiver": PERSON, "after_s": 5}],
    )
    assert (answer["response_code"], answer["data"]["channel"]) == ("0000", "email")
    code = re.search(r"\b\d{6}\b", server.messages[-1].parsed.get_body(("plain",)).get_content())[0]
    told = machine.run("journalctl -b --no-pager").said
    assert "email sent" in told
    assert code not in told
    assert PERSON not in told
    verified = RestCaller(machine, USER, PASSWORD).call(
        "verify-otp", reference="mail-1", receiver="081200000001", otp=code
    )
    assert verified["response_code"] == "0000"


def test_programs_hand_over_mail_at_port_25_which_the_firewall_opens_for_them(machine, server):
    machine.run("otppi settings set smtp.active true")
    machine.wait_for("otppi mail server | grep -P '\\tlistens$'", limit_s=READY_S)
    before = len(server.messages)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", PERSON, "Pesanan"
    mail.set_content("siap")
    unverified = ssl._create_unverified_context()  # noqa: S323 - the device's certificate is its own
    with smtplib.SMTP("127.0.0.1", machine.ports[SMTP], timeout=60) as client:
        client.starttls(context=unverified)
        client.login(USER, PASSWORD)
        client.send_message(mail)
    (kept,) = server.messages[before:]
    assert (kept.sender, kept.receivers) == (ACCOUNT, (PERSON,))
    assert "siap" in kept.parsed.get_content()
