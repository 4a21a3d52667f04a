from datetime import time

import pytest

from otppi.system.buzzer.settings import BellSettings


@pytest.mark.parametrize(
    ("begin", "end", "at", "quiet"),
    [
        ("22:00", "06:00", "21:59", False),
        ("22:00", "06:00", "22:00", True),
        ("22:00", "06:00", "00:00", True),
        ("22:00", "06:00", "05:59", True),
        ("22:00", "06:00", "06:00", False),
        ("12:00", "13:00", "12:30", True),
        ("12:00", "13:00", "23:00", False),
        ("08:00", "08:00", "08:00", False),
        ("", "", "03:00", False),
    ],
)
def test_quiet_hours_may_go_over_midnight(begin, end, at, quiet):
    settings = BellSettings(quiet_from=begin, quiet_until=end)
    assert settings.is_quiet(time.fromisoformat(at)) is quiet


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"quiet_from": "22:00", "quiet_until": ""}, {"quiet_until"}),
        ({"quiet_from": "", "quiet_until": "06:00"}, {"quiet_from"}),
        ({"quiet_from": "24:00"}, {"quiet_from"}),
        ({"quiet_from": "7:00"}, {"quiet_from"}),
        ({"gpio_pin": 2}, {"gpio_pin"}),
        ({"gpio_pin": "28"}, {"gpio_pin"}),
        ({"octave": 3, "tempo": 20}, {"octave", "tempo"}),
        ({"sms_failure": 2}, {"sms_failure"}),
    ],
)
def test_what_cannot_be_is_refused(raw, wrong):
    settings, errors = BellSettings.parse(raw)
    assert settings is None
    assert set(errors) == wrong


def test_the_old_words_for_off_and_tone_are_read():
    settings, errors = BellSettings.parse({"sms_failure": 0, "ws_disconnected": "1", "gpio_pin": 26})
    assert not errors
    assert (settings.sms_failure, settings.ws_disconnected, settings.pin) == (False, True, 26)


def test_every_broker_has_a_switch_and_an_unknown_one_is_silent():
    off = BellSettings(mqtt_disconnected=False)
    brokers = ("amqp", "mqtt", "redis", "stomp", "activemq", "ws")
    assert [broker for broker in brokers if not off.rings_for(broker)] == ["mqtt"]
    assert not off.rings_for("nobody")
