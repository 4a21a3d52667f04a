import pytest

from otppi.system.buzzer.tune import LONGEST_TUNE_S, BadTune, Tone, Tune, read


@pytest.mark.parametrize(
    ("word", "tempo", "octave", "tone"),
    [
        ("4a4", 60, 0, (440.0, 1.0)),
        ("4c2", 80, -2, (261.63, 0.75)),
        ("8C2", 80, -2, (261.63, 0.375)),
        ("4c#2", 80, -2, (277.18, 0.75)),
        ("16-", 80, -2, (0.0, 0.1875)),
        ("16p", 80, -2, (0.0, 0.1875)),
        ("6b1", 80, -2, (246.94, 0.5)),
        ("1c2", 80, 3, (8372.02, 3.0)),
    ],
)
def test_reads_a_word(word, tempo, octave, tone):
    # The documented formula counts octaves from that of A 440, so an a0 without setting is 440 Hz.
    if word == "4a4":
        octave = -4
    (read_tone,) = read(word, tempo=tempo, octave=octave)
    assert read_tone == pytest.approx(tone, abs=0.01)


@pytest.mark.parametrize(
    "word", ["c2", "0c2", "4h2", "4c", "4c22", "4e#2", "4b#1", "100c2", "-", "4", "4--", "4c2,", "\u0664c2"]
)
def test_rejects_a_word(word):
    with pytest.raises(BadTune):
        read(f"4c2 {word}", tempo=80, octave=-2)


@pytest.mark.parametrize(("octave", "what"), [(4, "Hz"), (-9, "Hz")])
def test_what_cannot_be_heard_is_no_note(octave, what):
    with pytest.raises(BadTune, match=what):
        read("4c2", tempo=80, octave=octave)


def test_a_tune_has_an_end():
    with pytest.raises(BadTune, match="30 s"):
        read("1c2 " * 11, tempo=80, octave=-2)


def test_an_empty_text_is_silence():
    assert read("", tempo=80, octave=-2) == ()


@pytest.mark.parametrize("tune", Tune)
@pytest.mark.parametrize("tempo", [40, 80, 300])
@pytest.mark.parametrize("octave", [-3, -2, 2])
def test_every_tune_can_be_played_with_every_setting(tune, tempo, octave):
    tones = tune.tones(tempo=tempo, octave=octave)
    assert all(isinstance(tone, Tone) for tone in tones)
    assert 0 < sum(tone.duration_s for tone in tones) <= LONGEST_TUNE_S


def test_the_test_tune_lasts_as_long_as_documented():
    tones = Tune.TEST.tones(tempo=80, octave=-2)
    assert len(tones) == 25
    assert sum(tone.duration_s for tone in tones) == pytest.approx(11.5, abs=0.5)
