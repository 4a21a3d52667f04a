"""E-mail through a whole gateway: codes, messages, the next account, and the next channel."""

import re

import pytest

from otppi.mail.settings import PLAIN, EmailAccountSettings
from tests.gateway_under_test import USER, Sim
from tests.mail_server import END, PASSWORD, Fault, MailServer
from tests.mail_server import USER as ACCOUNT

PERSON, PHONE = "person@example.com", "081200000001"


@pytest.fixture
def server():
    with MailServer(PLAIN) as one:
        yield one


@pytest.fixture
def post(gateway, server):
    """A gateway with one e-mail account and, where a test wants them, modems."""

    def start(*accounts, modems=(), **options):
        one = gateway(modems=modems, **options)
        for number, port in enumerate(accounts or (server.port,)):
            add_account(one, number, port)
        return one

    return start


def add_account(one, number, port, **changes):
    values = {
        "name": f"kantor {number}",
        "host": "127.0.0.1",
        "port": port,
        "security": PLAIN,
        "allow_insecure": True,
        "sender_address": ACCOUNT,
        "password": PASSWORD,
        "timeout_s": 5,
        **changes,
    }
    one.gateway.store.put(EmailAccountSettings, f"a{number}", values)
    one.wait_until(lambda: f"a{number}" in {status.id for status in one.gateway.mail.accounts()})


def plain(kept):
    return kept.parsed.get_body(("plain",)).get_content()


def test_a_code_by_email_is_sent_once_and_verified(post, server, caplog):
    one = post()
    answer = one.call("request-otp", reference="r1", receiver=PERSON, message="Your code is %s")
    assert (answer.code, answer.json["data"]["channel"]) == ("0000", "email")
    (kept,) = server.messages
    assert kept.receivers == (PERSON,)
    code = re.search(r"[0-9]{10}", plain(kept))[0]
    assert kept.parsed["Subject"] == "Your verification code"
    again = one.call("request-otp", reference="r1", receiver=PERSON, message="Your code is %s")
    assert again.code == "1201"
    wrong = one.call("verify-otp", reference="r1", receiver="other@example.com", otp=code)
    right = one.call("verify-otp", reference="r1", receiver=PERSON.upper(), otp=code)
    assert (wrong.code, right.code) == ("1202", "0000")
    told = str([record.__dict__ for record in caplog.records])
    assert code not in told
    assert PERSON not in told


@pytest.mark.parametrize("command", ["send-email", "send-mail", "send-message"])
def test_every_command_that_takes_an_address_answers_as_the_old_product_did(post, server, command):
    one = post()
    answer = one.call(command, "/api/email", receiver=PERSON, subject="Pesanan", message="siap <b>ya</b>")
    assert answer.json["command"] == command
    assert (answer.code, answer.json["message"]) == ("0000", "The message was sent successfuly")
    (kept,) = server.messages
    assert kept.parsed["Subject"] == "Pesanan"
    assert "siap ya" in plain(kept)


def test_the_same_message_again_is_answered_and_not_sent(post, server):
    one = post()
    first, second = (
        one.call("send-email", receiver=PERSON, subject="s", message="halo", id=7) for _ in range(2)
    )
    assert first.json == second.json
    assert len(server.messages) == 1


def test_accounts_take_turns_until_each_has_sent_its_share(post, server):
    one = post(server.port, server.port)
    for number in range(2):
        add_account(one, number, server.port, limit_per_day=2)
    codes = [one.call("send-email", receiver=PERSON, message="halo").code for _ in range(5)]
    assert codes == ["0000"] * 4 + ["1302"]
    listed = one.gateway._mail_desk.list()
    assert [(row["sent_today"], row["left_today"]) for row in listed] == [(2, 0), (2, 0)]


def test_an_account_that_fails_rests_and_the_next_one_takes_the_message(post, server, free_port):
    one = post(free_port(), server.port)
    codes = [one.call("send-email", receiver=PERSON, message="halo").code for _ in range(3)]
    assert codes == ["0000"] * 3
    states = {row["name"]: row["state"] for row in one.gateway._mail_desk.list()}
    assert states == {"kantor 0": "resting", "kantor 1": "ready"}


def test_a_message_whose_fate_is_unknown_is_not_sent_again_and_a_code_is(post, server):
    one = post(server.port, server.port)
    server.on(END, Fault.CLOSED)
    assert one.call("send-email", receiver=PERSON, message="halo").code == "1408"
    assert len(server.messages) == 1
    server.on(END, Fault.CLOSED)
    one.gateway.mail.apply({})  # no rest is left
    one.gateway.mail.apply(one.gateway.store.items(EmailAccountSettings))
    assert one.call("request-otp", reference="r", receiver=PERSON, message="%s").code == "0000"
    assert len(server.messages) == 3


def test_without_an_account_the_answer_is_that_of_the_old_product(gateway):
    answer = gateway(modems=()).call("send-email", receiver=PERSON, message="halo")
    assert (answer.code, answer.json["error"]) == ("1102", "no e-mail account active")


def test_a_code_that_no_modem_can_send_goes_by_email_and_is_verified_with_the_number(post, server):
    one = post()
    answer = one.call(
        "request-otp",
        reference="r1",
        receiver=PHONE,
        message="Your code is %s",
        web_host="example.com",
        fallback=[{"receiver": PERSON, "after_s": 5}],
    )
    data = answer.json["data"]
    assert (answer.code, data["channel"], data["fallback"]) == ("0000", "email", 1)
    assert data["receiver"] == PHONE
    text = plain(server.messages[0])
    assert "@example.com" not in text  # the line for browsers is for SMS alone
    code = re.search(r"[0-9]{10}", text)[0]
    by_address = one.call("verify-otp", reference="r1", receiver=PERSON, otp=code)
    by_number = one.call("verify-otp", reference="r1", receiver="+62" + PHONE[1:], otp=code)
    assert (by_address.code, by_number.code) == ("1202", "0000")


def test_an_email_that_fails_goes_on_by_sms_and_a_blocked_number_is_passed_over(post, free_port):
    one = post(free_port(), modems=(Sim(),))
    one.call("block-msisdn", "/api/block", receiver="081200000002")
    answer = one.call(
        "send-message",
        receiver=PERSON,
        message="halo",
        fallback=[{"receiver": "081200000002"}, {"receiver": PHONE}],
    )
    assert (answer.code, answer.json["data"]["fallback"]) == ("0000", 2)
    assert one.texts() == ["halo"]
    first = one.call("send-sms", receiver=PHONE, message="hai", fallback=[{"receiver": PERSON}])
    assert (first.json["data"]["channel"], first.json["data"]["fallback"]) == ("sms", 0)


def test_another_subject_is_another_message(post, server):
    one = post()
    for subject in ("satu", "dua"):
        assert one.call("send-email", receiver=PERSON, subject=subject, message="halo", id=1).code == "0000"
    assert [kept.parsed["Subject"] for kept in server.messages] == ["satu", "dua"]


def test_a_code_that_may_have_come_stays_good_though_the_next_account_refuses(post, server):
    one = post(server.port, server.port)
    server.on(END, Fault.CLOSED, "550 5.1.1 no such user")
    answer = one.call("request-otp", reference="r", receiver=PERSON, message="%s")
    assert answer.code == "1408"
    code = plain(server.messages[0]).strip()
    assert one.call("verify-otp", reference="r", receiver=PERSON, otp=code).code == "0000"


def test_while_every_account_rests_the_caller_is_told_to_come_again(post, free_port):
    one = post(free_port())
    codes = [one.call("send-email", receiver=PERSON, message="halo") for _ in range(2)]
    assert [answer.code for answer in codes] == ["1503", "1503"]
    assert "nothing listens" in codes[0].json["error"]
    assert codes[0].json["data"]["retry_after"] >= 1


def test_a_text_that_breaks_html_is_sent_and_never_logged(post, server, caplog):
    one = post()
    answer = one.call("request-otp", reference="r", receiver=PERSON, message="<b>Kode</b> <![%s]")
    assert answer.code == "0000"
    code = re.search(r"[0-9]{10}", server.messages[0].content.decode())[0]
    assert code not in str([record.__dict__ for record in caplog.records])


def test_what_a_modem_has_taken_is_waited_for_and_not_given_to_the_next(post, server):
    one = post(modems=(Sim(submit_s=2.0),))
    answer = one.call(
        "send-sms", receiver=PHONE, message="halo", fallback=[{"receiver": PERSON, "after_s": 1}]
    )
    assert (answer.code, answer.json["data"]["fallback"]) == ("0000", 0)
    assert server.messages == []


def test_a_code_that_a_modem_is_slow_with_goes_by_email_and_the_first_is_heard_if_that_fails(post, server):
    one = post(modems=(Sim(submit_s=2.0),))
    options = {"receiver": PHONE, "message": "%s", "fallback": [{"receiver": PERSON, "after_s": 1}]}
    answer = one.call("request-otp", reference="r1", **options)
    assert (answer.code, answer.json["data"]["fallback"]) == ("0000", 1)
    one.wait_until(lambda: len(one.texts()) == 1)
    server.on("RCPT", "550 5.1.1 no such user")
    answer = one.call("request-otp", reference="r2", **options)
    assert (answer.code, answer.json["data"]["fallback"]) == ("0000", 0)
    assert one.texts()[1:]
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("fallback", "field"),
    [
        ("person@example.com", "data.fallback"),
        ([{"receiver": PERSON}] * 6, "data.fallback"),
        ([{"after_s": 3}], "data.fallback[0]"),
        ([{"receiver": "nobody"}], "data.fallback[0].receiver"),
        ([{"receiver": "a\ud800@example.com"}], "data.fallback[0].receiver"),
        ([{"receiver": "a" * 250 + "@example.com"}], "data.fallback[0].receiver"),
        ([{"receiver": PERSON, "after_s": 0}], "data.fallback[0].after_s"),
        ([{"receiver": PERSON, "after_s": True}], "data.fallback[0].after_s"),
    ],
)
def test_a_fallback_that_cannot_be_is_refused_by_name(gateway, fallback, field):
    answer = gateway(modems=()).call("send-sms", receiver=PHONE, message="halo", fallback=fallback)
    assert (answer.code, answer.json["field"]) == ("1400", field)


def test_reports_tell_emails_from_sms_and_have_no_whole_address(post, server):
    one = post()
    server.on("RCPT", f"550 5.1.1 <{PERSON}>: no such user")
    refused = one.call("send-email", receiver=PERSON, message="halo")
    assert (refused.code, "no such user" in refused.json["error"]) == ("1102", True)
    one.wait_until(lambda: one.gateway._traffic.recent()["messages"])
    (row,) = one.gateway._traffic.recent()["messages"]
    assert (row["channel"], row["number"], row["modem"]) == ("email", "p•••@example.com", "kantor 0")
    assert PERSON not in str(row)
    assert row["user"] == USER
