"""Where each modem of the settings is plugged in now, and which of them has which port for itself."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from otppi.model.ports import UsbId
from otppi.modems.transport import PortGone


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a modem is; without a node it is nowhere."""

    node: str
    stick: str = ""  # the USB device that it is, by its name in /sys/bus/usb/devices
    usb: UsbId | None = None
    why: str = ""  # this node, or none


class Whereabouts:
    """Says where to look for a modem; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: Mapping[str, Place] = {}
        # By modem: the port that it opened last and that was not gone since, and who opened it.
        self._claims: dict[str, tuple[str, object]] = {}

    def of(self, modem_id: str) -> Place | None:
        """Return where a modem is; None if nobody knows better than its settings."""
        return self._places.get(modem_id)

    def settle(self, places: Mapping[str, Place]) -> frozenset[str]:
        """Take what is known now in place of all that was; returns the modems that have another node."""
        with self._lock:
            before, self._places = self._places, dict(places)
        return frozenset(
            modem_id for modem_id, place in places.items() if _node(before, modem_id) != place.node
        )

    @property
    def claims(self) -> Mapping[str, str]:
        """The ports of our own modems, by modem; also of one that hangs and is about to be opened anew."""
        with self._lock:
            return {modem_id: port for modem_id, (port, _) in self._claims.items()}

    def claim(self, modem_id: str, port: str, owner: object) -> None:
        """Take a port for a modem; `owner` is who works with it.

        Raises:
            PortGone: Another modem of ours has it, or an earlier owner has not let go of this one.
        """
        with self._lock:
            for one, (taken, other) in self._claims.items():
                if port == taken and one != modem_id:
                    raise PortGone("another modem of the settings has the port")
                if one == modem_id and other is not owner:
                    raise PortGone("what was asked of it before the change is not done yet")
            self._claims[modem_id] = port, owner

    def release(self, modem_id: str, owner: object) -> None:
        """Give the port of a modem back: it is gone, or it is not the modem's own."""
        with self._lock:
            if self._claims.get(modem_id, ("", None))[1] is owner:
                del self._claims[modem_id]


def _node(places: Mapping[str, Place], modem_id: str) -> str:
    return places[modem_id].node if modem_id in places else ""
