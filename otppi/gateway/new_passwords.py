"""What a new password of an administrator may not be (NIST SP 800-63B-4, 3.1.1.2; ASVS 5.0, 6.2.4)."""

import re

from otppi.lib.passwords import LONGEST_PASSWORD
from otppi.model.errors import BadRequest

# The published lists of the commonest passwords are long, but ten characters cut off nearly all of their first
# thousands. What remains is a common word with digits and signs around it, so a few words say more than a long list.
_COMMON = frozenset(
    """
    abcdefghij abcdefghijkl admin administrator asdfghjkl bismillah bismillahirrahmanirrahim changeme default football
    gateway iloveyou indonesia jakarta katasandi letmein login monkey merdeka opensesame orangepi otppi passphrase
    password passwordpassword passwort princess qwerty qwertyqwerty qwertyuiop qazwsxedc qwerasdf rahasia raspberry
    raspberrypi root sayang sayangku sayangkamu secret selamat sunshine superman superuser telkomsel test testing user
    username welcome zxcvbnm
    """.split()  # noqa: SIM905 - fifty lines otherwise
)
_COUNTED = "01234567890123456789"
_SHORTEST = 10
_FEWEST_DIFFERENT = 4


def refuse_weak(user: str, clear: str) -> None:
    """Refuse what a guesser would try first; everything else of ten characters is allowed.

    Raises:
        BadRequest: Says why, and does not repeat the password.
    """
    if reason := _weakness(user, clear):
        raise BadRequest("password", reason)


def _weakness(user: str, clear: str) -> str:
    if len(clear) < _SHORTEST:
        return f"must have at least {_SHORTEST} characters"
    if len(clear) > LONGEST_PASSWORD:
        return f"must not be longer than {LONGEST_PASSWORD} characters"
    low = clear.casefold()
    if len(set(low)) < _FEWEST_DIFFERENT or low in _COUNTED or low[::-1] in _COUNTED:
        return "repeats a few characters or counts; others try that first"
    word = _letters(low)
    if low == user.casefold() or (word and word == _letters(user.casefold())):
        return "is the user name, with or without digits"
    if word in _COMMON:
        return "is a very common word, with or without digits; others try that first"
    return ""


def _letters(text: str) -> str:
    return re.sub(r"[\W\d_]+", "", text)
