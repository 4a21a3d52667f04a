"""Mobile internet: how one modem dials, and what operators want of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class MobileLink:
    """A modem that is kept for mobile internet, and how it dials."""

    modem_id: str
    modem_name: str
    device: str  # /dev/ttyUSB0
    baud_rate: int
    apn: str  # empty leaves it to the modem
    username: str
    password: str = field(repr=False)
    init_commands: tuple[str, ...]  # AT commands before the number is dialled
    dial_command: str  # ATD, ATDT or ATDP
    dial_number: str
    reconnects: bool  # dials again when the link ended

    @property
    def is_gsm(self) -> bool:
        """Whether it dials as GSM, UMTS and LTE modems do (3GPP TS 27.007, 10.2); CDMA has #777."""
        return self.dial_number.startswith("*")
