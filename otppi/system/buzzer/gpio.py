"""A passive buzzer at a pin of the board, by gpiozero on lgpio."""

import importlib.util
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from otppi.model.errors import HostUnreachable

log = logging.getLogger(__name__)

_HALF = 0.5  # a square wave


class GpioSpeaker:
    """Implements `Speaker`; one thread sounds tones, any may close it.

    The libraries are loaded with the first tone: most devices have no buzzer, and they take 8 MB. Between two
    tones the pin is an input, so nothing hums and the buzzer draws no current.
    """

    def __init__(
        self, pin: Callable[[], int], *, make_factory: Callable[[], Any], devices: Path = Path("/dev")
    ) -> None:
        """Make a speaker that has touched nothing yet.

        Args:
            pin: The GPIO number, asked for at every tone.
            make_factory: What gives gpiozero its pins; see `lgpio_factory`.
            devices: Where the chips of the board are.
        """
        self._pin = pin
        self._make_factory = make_factory
        self._devices = devices
        self._factory: Any = None
        self._closed = threading.Event()
        self._lock = threading.Lock()  # held while a tone sounds, so that its pin outlives it

    def missing(self) -> str:
        """Return what there is not of what a tone needs, or nothing; cheap, and loads no library."""
        if not any(self._devices.glob("gpiochip*")):
            return "this board has no GPIO"
        if importlib.util.find_spec("lgpio") is None:
            return "the library lgpio is not installed"
        return ""

    def tone(self, frequency_hz: float, duration_s: float) -> None:
        """See `Speaker`; ends early when the speaker is closed."""
        if not frequency_hz:
            self._closed.wait(duration_s)
            return
        with self._lock:
            device = self._sounding(frequency_hz)
            try:
                self._closed.wait(duration_s)
            finally:
                device.close()

    def close(self) -> None:
        """Fall silent and give the pins back; no tone sounds after that."""
        self._closed.set()
        with self._lock:
            factory, self._factory = self._factory, None
            if factory is not None:
                factory.close()

    def _sounding(self, frequency_hz: float) -> Any:  # noqa: ANN401 - a type of gpiozero, not loaded here
        if self._closed.is_set():
            raise HostUnreachable("the buzzer is closed")
        try:
            from gpiozero import PWMOutputDevice

            if self._factory is None:
                self._factory = self._make_factory()
            return PWMOutputDevice(
                self._pin(), initial_value=_HALF, frequency=frequency_hz, pin_factory=self._factory
            )
        except Exception as error:
            # gpiozero, lgpio, the import and the kernel each have errors of their own, and all mean the same here.
            raise HostUnreachable(f"there is no buzzer: {str(error) or type(error).__name__}") from error


def lgpio_factory(work_dir: Path | None) -> Any:  # noqa: ANN401 - a type of gpiozero, not loaded here
    """Load lgpio and return what gives gpiozero its pins.

    Args:
        work_dir: Where lgpio may make its pipe, as it does on being imported; None for the present folder, which
            is / for a service, and closed to it.
    """
    if work_dir is not None:
        os.environ.setdefault("LG_WD", str(work_dir))
    before = os.getcwd()
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    finally:
        # With its pipe in place lgpio has moved the whole process into that folder.
        with suppress(OSError):
            os.chdir(before)
    return LGPIOFactory()
