import math

import pytest

from otppi.gateway.commands import COMMANDS, Commands
from otppi.gateway.otp import OtpSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.model.errors import BadRequest, MessageExpired, UnknownCommand
from otppi.model.number import Number
from otppi.model.requests import EmailAddress, Origin

ORIGIN = Origin(door="rest", user="shop")
NOW = 1_800_000_000


@pytest.fixture
def parse(clock):
    def parse(command, general=None, **data):
        commands = Commands(
            general=lambda: general or GeneralSettings(),
            sms=SmsSettings,
            otp=OtpSettings,
            clock=clock,
        )
        return commands.parse({"command": command, "data": data}, ORIGIN)

    return parse


def sms(parse, **data):
    return parse("send-sms", **{"receiver": "081200000001", "message": "x", **data})


def otp(parse, **data):
    return parse("request-otp", **{"receiver": "081200000001", "message": "%s", "reference": "r", **data})


@pytest.mark.parametrize(
    ("data", "life_s"),
    [
        ({}, math.inf),
        ({"expiration": NOW + 60}, 60),
        ({"expiration": str(NOW + 60)}, 60),
        ({"expiration": (NOW + 60) * 1000}, 60),
        ({"expiration": NOW + 60, "date_time": 1}, 60),
        ({"date_time": NOW}, 300),
        ({"date_time": (NOW - 100) * 1000}, 200),
        ({"date_time": "yesterday"}, math.inf),
        ({"expiration": ""}, math.inf),
    ],
)
def test_the_life_of_a_message(parse, data, life_s):
    assert sms(parse, **data).life.remaining_s == life_s


@pytest.mark.parametrize("data", [{"expiration": NOW}, {"expiration": NOW - 1}, {"date_time": NOW - 301}])
def test_an_expired_message_is_refused_unless_the_owner_says_otherwise(parse, data):
    with pytest.raises(MessageExpired):
        sms(parse, **data)
    assert sms(parse, general=GeneralSettings(drop_expired=False), **data).life.remaining_s == math.inf


@pytest.mark.parametrize(
    ("data", "life_s"),
    [
        ({}, 300),
        ({"date_time": 1}, 300),
        ({"expiration": NOW + 60}, 60),
        ({"expiration": NOW + 6000}, 600),
    ],
)
def test_the_life_of_a_code(parse, data, life_s):
    assert otp(parse, **data).life.remaining_s == life_s


def test_without_a_trusted_clock_a_life_is_counted_from_the_senders_time(parse, clock):
    clock.trusted = False
    clock.wall = 0
    assert sms(parse, expiration=NOW + 60, date_time=NOW).life.remaining_s == 60
    assert sms(parse, expiration=NOW + 60).life.remaining_s == 300
    assert otp(parse, expiration=NOW + 60, date_time=NOW).life.remaining_s == 60
    assert otp(parse, expiration=NOW + 60).life.remaining_s == 300
    assert sms(parse, date_time=NOW).life.remaining_s == 300


def test_a_clock_jump_neither_kills_nor_revives_a_message(parse, clock):
    life = sms(parse, expiration=NOW + 60).life
    clock.wall += 1_000_000
    assert life.remaining_s == 60
    clock.wall -= 2_000_000
    clock.boot += 61
    assert life.expired


@pytest.mark.parametrize("value", ["soon", True, [], {}, -1, 1e16, "1e400", "nan"])
def test_what_is_no_time_is_refused(parse, value):
    with pytest.raises(BadRequest) as caught:
        sms(parse, expiration=value)
    assert caught.value.field == "data.expiration"


@pytest.mark.parametrize(
    ("data", "token"),
    [
        ({}, ""),
        ({"id": 7}, "7"),
        ({"id": "a", "reference": "b", "date_time": NOW}, "a"),
        ({"reference": "b", "date_time": NOW}, "b"),
        ({"date_time": NOW}, str(NOW)),
        ({"id": 0, "date_time": NOW}, "0"),
    ],
)
def test_what_names_a_repeat(parse, data, token):
    assert sms(parse, **data).repeat_token == token


def test_who_may_receive_what(parse):
    mail = "someone@example.com"
    assert parse("send-message", receiver=mail, message="x").receiver == EmailAddress(address=mail)
    assert parse("send-message", receiver="0812-0000-0001", message="x").receiver == Number("6281200000001")
    for command, receiver in (
        ("send-sms", mail),
        ("send-email", "081200000001"),
        ("send-mail", "a@b@c"),
        ("block-msisdn", mail),
        ("send-message", "a b@example.com"),
    ):
        with pytest.raises(BadRequest) as caught:
            parse(command, receiver=receiver, message="x")
        assert caught.value.field == "data.receiver"


@pytest.mark.parametrize("code", ["*888#", "*123*4#", "#31#", "+62", "2", "Rahasia 1"])
def test_ussd_codes(parse, code):
    assert parse("request-ussd", modem_id="m", ussd_code=code).ussd_code == code


@pytest.mark.parametrize("code", ["", '*1#"', "*1\r#", "*1#;+CMGD=1", "é", "*" * 183])
def test_what_is_no_ussd_code(parse, code):
    with pytest.raises(BadRequest):
        parse("request-ussd", modem_id="m", ussd_code=code)


@pytest.mark.parametrize("name", ["", None, 5, ["echo"]])
def test_a_missing_command_is_named(parse, name):
    with pytest.raises(BadRequest, match="command"):
        parse(name)


@pytest.mark.parametrize("name", ["Echo", "send-SMS", "set-gpio-value", "__class__"])
def test_an_unknown_command_is_said_to_be_unknown(parse, name):
    with pytest.raises(UnknownCommand):
        parse(name)


def test_no_request_shows_its_secrets(parse):
    shown = repr(otp(parse, message="zebra %s", reference="tiger", param1="lion"))
    assert not any(word in shown for word in ("zebra", "tiger", "lion", "81200000001"))


def test_every_command_has_words_for_people():
    for name, command in COMMANDS.items():
        assert command.summary[0].isupper(), name
        for argument in command.arguments:
            assert argument.help.endswith("."), (name, argument.name)
