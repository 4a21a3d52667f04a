"""What a log may say of an error that nobody foresaw."""

import traceback
from pathlib import Path

_PLACES = 6


def fault(error: BaseException) -> dict[str, object]:
    """Return kind and way of an error, but not its text, which may quote a request with the code in it.

    The way is where it was raised, and from where that was called: `compose.py:112 < account.py:90`.
    """
    frames = list(traceback.walk_tb(error.__traceback__))[-_PLACES:]
    places = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in reversed(frames)]
    return {"error": type(error).__name__, "at": " < ".join(places)}
