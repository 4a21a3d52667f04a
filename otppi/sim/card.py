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
    pin: str = ""  # none: the card does not ask for it, and it is 0000
    puk: str = "12345678"
    number: str = ""  # its own, if it knows it


class SimCard:
    """A card that locks itself after three wrong PINs, and for good after ten wrong PUKs."""

    def __init__(self, card_print: CardPrint) -> None:
        self.printed = card_print
        self.messages = MessageStore()
        self.sms_center = '"+6280000000000",145'
        self._pin = card_print.pin or "0000"
        self.asks_for_pin = bool(card_print.pin)
        self.pin_tries_left = _PIN_TRIES
        self.puk_tries_left = _PUK_TRIES
        self._is_verified = False

    @property
    def is_open(self) -> bool:
        """Whether it gives what it holds."""
        return self.pin_tries_left > 0 and (self._is_verified or not self.asks_for_pin)

    @property
    def state(self) -> str:
        """The word for `+CPIN:` (3GPP TS 27.007, 8.3)."""
        if self.pin_tries_left == 0:
            return "SIM PUK"
        return "READY" if self.is_open else "SIM PIN"

    def power_up(self) -> None:
        """Ask for the PIN again; tries that were used up stay used up."""
        self._is_verified = False

    def enter_pin(self, pin: str) -> bool:
        """Try a PIN (TS 51.011, 8.9); False if it was wrong or a PUK is wanted."""
        if self.pin_tries_left == 0:
            return False
        is_right = pin == self._pin
        self.pin_tries_left = _PIN_TRIES if is_right else self.pin_tries_left - 1
        self._is_verified |= is_right
        return is_right

    def change_pin(self, pin: str, new_pin: str) -> bool:
        """Give it a new PIN (8.10); False as for `enter_pin`."""
        if is_right := self.enter_pin(pin):
            self._pin = new_pin
        return is_right

    def ask_for_pin(self, pin: str, *, asks: bool) -> bool:
        """Let it ask for its PIN after power-up, or not (8.11 and 8.12); False as for `enter_pin`."""
        if is_right := self.enter_pin(pin):
            self.asks_for_pin = asks
        return is_right

    def enter_puk(self, puk: str, new_pin: str) -> bool:
        """Unblock the card and give it a new PIN (8.13); False if the PUK was wrong or tried too often."""
        if self.puk_tries_left == 0:
            return False
        if puk != self.printed.puk:
            self.puk_tries_left -= 1
            return False
        self._pin, self._is_verified = new_pin, True
        self.pin_tries_left, self.puk_tries_left = _PIN_TRIES, _PUK_TRIES
        return True
