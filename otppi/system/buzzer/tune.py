"""The language of tunes: words such as `8c#2`, a quaver of C sharp, and `16-`, a short rest."""

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

LOWEST_HZ, HIGHEST_HZ = 20.0, 10_000.0  # what people hear, and what the PWM of lgpio can do
LONGEST_TUNE_S = 30.0
_WORD = re.compile(r"([1-9][0-9]?)(?:([A-Ga-g]#?)([0-9])|[-Pp])")
_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_A4_HZ = 440.0
_A = _NOTES.index("A")


class BadTune(ValueError):
    """The text is no tune."""


class Tone(NamedTuple):
    """One sound; 0 Hz is silence."""

    frequency_hz: float
    duration_s: float


class Tune(Enum):
    """Every tune of the device."""

    ALERT = "alert"
    DISCONNECT = "disconnect"
    RESET_DONE = "reset done"
    RESET_REFUSED = "reset refused"
    TEST = "test"

    def tones(self, *, tempo: int, octave: int) -> tuple[Tone, ...]:
        """Return what is to be sounded; see `read`."""
        return read(TONES[self], tempo=tempo, octave=octave)


TONES: Mapping[Tune, str] = MappingProxyType(
    {
        Tune.ALERT: "8c2 4c2 16- 8c2 4c2",
        Tune.DISCONNECT: "8c2 4c2 16- 8c2 4c2",
        Tune.RESET_DONE: "8c2 8e2 8g2 4c3",
        Tune.RESET_REFUSED: "4e2 4c2 2g1",
        Tune.TEST: "16c2 16d2 6e2 8d2 8c2 4d2 4g2 32- 6c2 8c2 8b1 16a1 4b1 4e2 32- "
        "6a1 6b1 6c2 6g1 6b1 8c2 6d2 6e2 8c2 4d2",
    }
)


def read(text: str, *, tempo: int, octave: int) -> tuple[Tone, ...]:
    """Return the tones of a text.

    Args:
        text: Words of `<length><note><octave>` or `<length>-`; a length of 4 is a crotchet.
        tempo: Crotchets in a minute.
        octave: Added to the octave of every note; with -2, c2 is middle C.

    Raises:
        BadTune: A word cannot be read, a note cannot be sounded, or the whole is too long.
    """
    tones = tuple(_tone(word, tempo, octave) for word in text.split())
    if sum(tone.duration_s for tone in tones) > LONGEST_TUNE_S:
        raise BadTune(f"a tune may last {LONGEST_TUNE_S:g} s")
    return tones


def _tone(word: str, tempo: int, octave: int) -> Tone:
    match = _WORD.fullmatch(word)
    if match is None:
        raise BadTune(f"{word[:8]!r} is neither a note nor a rest")
    length, note, note_octave = match.groups()
    duration_s = 240.0 / (tempo * int(length))
    if note is None:
        return Tone(0.0, duration_s)
    steps_from_a4 = _NOTES.index(_known(note)) - _A + 12 * (int(note_octave) + octave)
    frequency_hz = _A4_HZ * 2 ** (steps_from_a4 / 12)
    if not LOWEST_HZ <= frequency_hz <= HIGHEST_HZ:
        raise BadTune(f"{word!r} would be {frequency_hz:.0f} Hz")
    return Tone(frequency_hz, duration_s)


def _known(note: str) -> str:
    if note.upper() not in _NOTES:
        raise BadTune(f"there is no note {note!r}")
    return note.upper()
