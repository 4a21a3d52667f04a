import importlib.util
import os
import subprocess
import sys
import threading
import time

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from otppi.model.errors import HostUnreachable
from otppi.system.buzzer.gpio import GpioSpeaker, lgpio_factory
from otppi.system.buzzer.tune import Tune
from tests import needs


@pytest.fixture
def factory():
    made = MockFactory(pin_class=MockPWMPin)
    yield made
    made.close()


@pytest.fixture
def speaker(factory):
    made = GpioSpeaker(lambda: 26, make_factory=lambda: factory)
    yield made
    made.close()


def test_a_tone_is_a_square_wave_of_its_frequency_and_then_the_pin_is_free(factory, speaker, monkeypatch):
    frequencies = []
    set_frequency = MockPWMPin._set_frequency
    monkeypatch.setattr(
        MockPWMPin, "_set_frequency", lambda pin, hz: (frequencies.append(hz), set_frequency(pin, hz))[1]
    )
    pin = factory.pin(26)

    began_s = time.monotonic()
    speaker.tone(261.63, 0.05)

    assert 0.05 <= time.monotonic() - began_s < 1
    assert frequencies[0] == 261.63
    assert frequencies[-1] is None
    # The pin floats again as an input after its square wave.
    assert [state.state for state in pin.states][-2:] == [0.5, 0.0]
    assert pin.function == "input"


def test_silence_touches_no_pin(factory, speaker):
    speaker.tone(0.0, 0.01)
    assert not factory.pins


def test_another_pin_is_taken_from_the_next_tone_on(factory):
    pins = iter((26, 17))
    speaker = GpioSpeaker(lambda: next(pins), make_factory=lambda: factory)
    speaker.tone(440.0, 0.001)
    speaker.tone(440.0, 0.001)
    assert set(factory.pins) == {factory.pin(26).info, factory.pin(17).info}
    speaker.close()


def test_close_ends_a_tone_and_all_that_would_follow(factory, speaker):
    sounding = threading.Thread(target=speaker.tone, args=(440.0, 60.0))
    sounding.start()
    deadline_s = time.monotonic() + 5
    while not factory.pins and time.monotonic() < deadline_s:
        time.sleep(0.005)
    speaker.close()
    sounding.join(5)
    assert not sounding.is_alive()
    with pytest.raises(HostUnreachable, match="closed"):
        speaker.tone(440.0, 60.0)


def test_a_pin_that_cannot_sound_is_no_buzzer(factory):
    taken = MockFactory()  # its pins know no PWM
    speaker = GpioSpeaker(lambda: 26, make_factory=lambda: taken)
    with pytest.raises(HostUnreachable, match="no buzzer"):
        speaker.tone(440.0, 60.0)
    speaker.close()


def test_a_board_without_gpio_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("LG_WD", str(tmp_path))
    if any(name.startswith("gpiochip") for name in os.listdir("/dev")):
        pytest.skip("NOT SHOWN HERE: needs a machine without GPIO")
    before = os.getcwd()
    speaker = GpioSpeaker(lambda: 26, make_factory=lambda: lgpio_factory(tmp_path))
    assert speaker.missing() == "this board has no GPIO"
    with pytest.raises(HostUnreachable):
        speaker.tone(440.0, 60.0)
    assert os.getcwd() == before


def test_a_missing_library_is_named(tmp_path):
    (tmp_path / "gpiochip0").touch()
    speaker = GpioSpeaker(lambda: 26, make_factory=lambda: None, devices=tmp_path)
    is_there = importlib.util.find_spec("lgpio") is not None
    assert speaker.missing() == ("" if is_there else "the library lgpio is not installed")


def test_the_alert_sounds_on_a_board(tmp_path, monkeypatch):
    monkeypatch.setenv("LG_WD", str(tmp_path))
    needs.device("/dev/gpiochip0")
    needs.module("lgpio")
    speaker = GpioSpeaker(lambda: 26, make_factory=lambda: lgpio_factory(tmp_path))
    for tone in Tune.ALERT.tones(tempo=80, octave=-2):
        speaker.tone(*tone)
    speaker.close()


def test_loading_lgpio_makes_its_pipe_where_it_may_and_leaves_the_process_where_it_is(tmp_path):
    (tmp_path / "lgpio.py").write_text(
        # What importing the real one does first: it moves to the folder of its pipe.
        "import os; os.chdir(os.environ['LG_WD']); open('pipe', 'w').close(); raise OSError('no chip')"
    )
    (tmp_path / "work").mkdir()
    code = (
        "import contextlib, os, pathlib; from otppi.system.buzzer.gpio import lgpio_factory; before = os.getcwd()\n"
        f"with contextlib.suppress(OSError): lgpio_factory(pathlib.Path({str(tmp_path / 'work')!r}))\n"
        "assert os.getcwd() == before"
    )
    search = os.pathsep.join([str(tmp_path), os.getcwd()])
    env = {name: value for name, value in os.environ.items() if name != "LG_WD"} | {"PYTHONPATH": search}
    done = subprocess.run([sys.executable, "-c", code], env=env, timeout=30)
    assert done.returncode == 0
    assert (tmp_path / "work" / "pipe").exists()


def test_the_libraries_are_not_loaded_before_the_first_tone():
    code = (
        "import sys; from otppi.system.buzzer import bell, gpio; "
        "gpio.GpioSpeaker(lambda: 26, make_factory=lambda: None).missing(); "
        "sys.exit('gpiozero' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
