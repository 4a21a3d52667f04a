import threading
from datetime import time

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from otppi.lib.bus import Bus
from otppi.model.checks import Level
from otppi.model.errors import HostUnreachable
from otppi.model.events import (
    BalanceLow,
    BrokerLost,
    MessageFinished,
    ModemStateChanged,
    Outcome,
    RequestAnswered,
    ResetByStick,
)
from otppi.model.modems import ModemState
from otppi.system.buzzer.bell import Bell
from otppi.system.buzzer.gpio import GpioSpeaker
from otppi.system.buzzer.settings import BellSettings
from otppi.system.buzzer.tune import Tune

NOON, NIGHT = time(12), time(23, 30)


class Recorder:
    """A speaker that takes no time; `playing` is set while it waits for `go_on`."""

    def __init__(self):
        self.tones = []
        self.error = None
        self.playing, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def tone(self, frequency_hz, duration_s):
        if self.error:
            raise self.error
        self.tones.append((frequency_hz, duration_s))
        self.playing.set()
        assert self.go_on.wait(10)


class Device:
    def __init__(self, **settings):
        self.bus, self.speaker = Bus(), Recorder()
        self.settings = BellSettings(**settings)
        self.at, self.now_s, self.lacks = NOON, 0.0, ""
        self.bell = Bell(
            self.bus,
            settings=lambda: self.settings,
            speaker=self.speaker,
            missing=lambda: self.lacks,
            local_time=lambda: self.at,
            monotonic_s=lambda: self.now_s,
        )
        self.bell.start()

    def heard(self, *events):
        """Publish events, end the bus, and return the tunes that were played."""
        for event in events:
            self.bus.publish(event)
        self.bus.stop()
        return tunes(self.speaker.tones)


def tunes(tones):
    known = {tune.tones(tempo=80, octave=-2): tune.name for tune in reversed(Tune)}
    found = []
    while tones:
        notes, name = next(
            (notes, name) for notes, name in known.items() if tuple(tones[: len(notes)]) == notes
        )
        found.append(name)
        tones = tones[len(notes) :]
    return found


def sms(outcome, door="rest", **more):
    return MessageFinished(
        message_id="a",
        modem_id="1",
        modem_name="m",
        door=door,
        user="shop",
        masked_number="62",
        parts=1,
        outcome=outcome,
        **more,
    )


LOW = BalanceLow(modem_id="1", modem_name="m", amount="900", valid_until="", reason="little is left")


def modem(state):
    return ModemStateChanged(modem_id="1", modem_name="m", state=state)


@pytest.mark.parametrize(
    ("event", "played"),
    [
        (sms(Outcome.FAILED), ["ALERT"]),
        (sms(Outcome.UNKNOWN), ["ALERT"]),
        (sms(Outcome.FAILED, door="mqtt"), ["ALERT"]),
        (sms(Outcome.SENT), []),
        (sms(Outcome.SENT, late=True), []),
        (sms(Outcome.FAILED, door="cli"), []),
        (RequestAnswered(door="rest", command="send-sms", code="1101", duration_s=0), ["ALERT"]),
        (RequestAnswered(door="cli", command="send-sms", code="1101", duration_s=0), []),
        (RequestAnswered(door="rest", command="verify-otp", code="1202", duration_s=0), []),
        (modem(ModemState.FAILED), ["ALERT"]),
        (LOW, ["ALERT"]),
        (modem(ModemState.HUNG), []),
        (BrokerLost(broker="amqp"), ["ALERT"]),  # the same melody
        (BrokerLost(broker="nobody"), []),
        (ResetByStick(sections=("Modems",)), ["RESET_DONE"]),
        (ResetByStick(sections=(), refusal="wrong VERIFY"), ["RESET_REFUSED"]),
    ],
)
def test_what_rings(event, played):
    assert Device().heard(event) == played


@pytest.mark.parametrize(
    ("settings", "event"),
    [
        ({"sms_failure": False}, sms(Outcome.FAILED)),
        ({"modem_failure": False}, modem(ModemState.FAILED)),
        ({"balance_low": False}, LOW),
        ({"redis_disconnected": False}, BrokerLost(broker="redis")),
    ],
)
def test_what_is_switched_off_does_not_ring(settings, event):
    assert Device(**settings).heard(event) == []


def test_a_storm_of_failures_rings_once_and_a_lost_broker_is_heard_beside_it():
    storm = [sms(Outcome.FAILED) for _ in range(200)]
    assert len(Device().heard(*storm, BrokerLost(broker="ws"), *storm)) == 2


def test_after_a_pause_it_rings_again():
    device = Device()
    device.bell._hear(sms(Outcome.FAILED))
    device.now_s = 29.9
    device.bell._hear(sms(Outcome.FAILED))
    device.now_s = 30.0
    device.bell._hear(sms(Outcome.FAILED))
    assert device.heard() == ["ALERT", "ALERT"]


def test_in_quiet_hours_only_the_reset_and_the_test_are_heard():
    device = Device()
    device.at = NIGHT
    device.bell.test()
    done = ResetByStick(sections=("Modems",))
    assert device.heard(sms(Outcome.FAILED), BrokerLost(broker="ws"), done) == ["TEST", "RESET_DONE"]


def test_while_the_clock_is_not_to_be_trusted_no_hour_is_quiet():
    device = Device(quiet_from="00:00", quiet_until="23:59")
    device.at = None
    assert device.heard(sms(Outcome.FAILED)) == ["ALERT"]


def test_a_test_that_waits_is_not_queued_again_and_one_after_it_is_played():
    device = Device()
    device.speaker.go_on.clear()
    device.bus.publish(sms(Outcome.FAILED))
    assert device.speaker.playing.wait(5)
    for _ in range(5):
        device.bell.test()
    device.speaker.go_on.set()
    assert device.heard() == ["ALERT", "TEST"]


def test_hush_ends_the_tune_and_not_the_next():
    device = Device()
    device.speaker.go_on.clear()
    device.bell.test()
    assert device.speaker.playing.wait(5)
    device.bell.hush()
    device.speaker.go_on.set()
    device.bus.publish(sms(Outcome.FAILED))
    device.bus.stop()
    assert len(device.speaker.tones) == 1 + len(Tune.ALERT.tones(tempo=80, octave=-2))


def test_stop_ends_the_tune_and_all_that_wait():
    device = Device()
    device.speaker.go_on.clear()
    device.bell.test()
    assert device.speaker.playing.wait(5)
    device.bell.stop()
    device.bus.publish(ResetByStick(sections=("Modems",)))
    device.speaker.go_on.set()
    device.bus.stop()
    assert len(device.speaker.tones) == 1


def test_an_absent_buzzer_is_green_and_the_test_says_why():
    device = Device()
    device.lacks = "this board has no GPIO"
    (check,) = device.bell.checks()
    assert (check.level, check.finding) == (Level.GREEN, "no buzzer found: this board has no GPIO")
    with pytest.raises(HostUnreachable, match="no GPIO"):
        device.bell.test()
    assert device.heard(sms(Outcome.FAILED)) == []


def test_a_buzzer_that_fails_is_logged_once_and_named_until_it_sounds_again(caplog):
    caplog.set_level("INFO")
    device = Device()
    device.speaker.error = HostUnreachable("there is no buzzer: pin taken")
    for _ in range(3):
        device.bell._hear(BrokerLost(broker="ws"))
        device.now_s += 60
    assert [record.message for record in caplog.records] == ["the buzzer does not sound"]
    assert "pin taken" in next(iter(device.bell.checks())).finding
    device.speaker.error = None
    device.bell._hear(BrokerLost(broker="ws"))
    assert next(iter(device.bell.checks())).finding == "at GPIO 26, quiet from 22:00 until 06:00"
    device.bus.stop()


def test_the_alert_on_a_pin_of_gpiozero(clock):
    factory = MockFactory(pin_class=MockPWMPin)
    bus, speaker = Bus(), GpioSpeaker(lambda: 26, make_factory=lambda: factory)
    pin = factory.pin(26)
    bell = Bell(
        bus,
        settings=lambda: BellSettings(tempo=300),
        speaker=speaker,
        missing=lambda: "",
        local_time=lambda: NOON,
    )
    bell.start()
    bus.publish(sms(Outcome.FAILED))
    bus.stop()
    speaker.close()
    assert [state.state for state in pin.states].count(0.5) == 4  # the notes of the alert; its rest is silent
    factory.close()
