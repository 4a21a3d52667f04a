"""The SIM card of a simulated modem."""

from dataclasses import dataclass

from otppi.sim.mail import MessageStore

_PIN_TRIES = 3
_PUK_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class CardPrint:
    """What is stored on the card and never changes."""

    iccid: str
    imsi: str
    operator: str
    pin: str = ""  # none: the card does not ask for one
    puk: str = "12345678"


class SimCard:
    """A card that locks itself after three wrong PINs, and for good after ten wrong PUKs."""

    def __init__(self, card_print: CardPrint) -> None:
        self.printed = card_print
        self.messages = MessageStore()
        self._pin = card_print.pin
        self.pin_tries_left = _PIN_TRIES
        self.puk_tries_left = _PUK_TRIES
        self.is_open = not self._pin

    @property
    def state(self) -> str:
        """The word for `+CPIN:` (3GPP TS 27.007, 8.3)."""
        if self.pin_tries_left == 0:
            return "SIM PUK"
        return "READY" if self.is_open else "SIM PIN"

    def power_up(self) -> None:
        """Ask for the PIN again; tries that were used up stay used up."""
        self.is_open = not self._pin and self.pin_tries_left > 0

    def enter_pin(self, pin: str) -> bool:
        """Try a PIN; False if it was wrong or a PUK is wanted."""
        if self.pin_tries_left == 0:
            return False
        self.is_open = pin == self._pin
        self.pin_tries_left = _PIN_TRIES if self.is_open else self.pin_tries_left - 1
        return self.is_open

    def enter_puk(self, puk: str, new_pin: str) -> bool:
        """Unblock the card and give it a new PIN; False if the PUK was wrong or tried too often."""
        if self.puk_tries_left == 0:
            return False
        if puk != self.printed.puk:
            self.puk_tries_left -= 1
            return False
        self._pin, self.is_open = new_pin, True
        self.pin_tries_left, self.puk_tries_left = _PIN_TRIES, _PUK_TRIES
        return True
