"""Messages that a simulated modem receives: its stores, and what it says of them (3GPP TS 27.005, 3.4 and 4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otppi.model.network_pdu import tpdu_octets
from otppi.sim.at_line import split_arguments

_ROOM = 20  # messages; as many old SIMs have
_MTI_MASK, _MTI_STATUS_REPORT = 0x03, 0x02
_UNREAD, _READ, _ALL = 0, 1, 4

_NO_SUCH_INDEX = "+CMS ERROR: 321"
_NOTHING_TO_ACKNOWLEDGE = "+CMS ERROR: 340"


@dataclass
class _Stored:
    pdu: str
    status: int = _UNREAD


class MessageStore:
    """Places for messages, counted from 1."""

    def __init__(self, room: int = _ROOM) -> None:
        self.room = room
        self._messages: dict[int, _Stored] = {}

    def __len__(self) -> int:
        """Return how many places are taken."""
        return len(self._messages)

    def put(self, pdu: str) -> int | None:
        """Store a message in the first free place; None if there is none."""
        free = next((index for index in range(1, self.room + 1) if index not in self._messages), None)
        if free is not None:
            self._messages[free] = _Stored(pdu)
        return free

    def take(self, index: int) -> tuple[str, int] | None:
        """Return a message and its status, and count it as read; None if the place is free."""
        message = self._messages.get(index)
        if message is None:
            return None
        status, message.status = message.status, _READ
        return message.pdu, status

    def with_status(self, status: int) -> list[int]:
        """Return the places of messages with this status, or of all."""
        return [index for index, one in sorted(self._messages.items()) if status in (one.status, _ALL)]

    def delete(self, index: int) -> bool:
        """Free a place; False if it was free."""
        return self._messages.pop(index, None) is not None


class Mail:
    """The stores of one modem, and what the network still keeps for it."""

    def __init__(self, on_card: MessageStore, registers: Callable[[], Mapping[str, str]]) -> None:
        """Start with empty stores but for the card's.

        Args:
            on_card: The store of the SIM.
            registers: What `AT+CNMI`, `AT+CPMS` and `AT+CSMS` were set to.
        """
        self.held: list[str] = []  # at the network
        self._registers = registers
        self._stores = {"SM": on_card, "ME": MessageStore(), "SR": MessageStore()}
        self._waits_for_acknowledgement = False

    def power_up(self) -> None:
        """Start anew; what is stored stays stored."""
        self._waits_for_acknowledgement = False

    def bring(self) -> list[str]:
        """Take from the network what there is room for; return the lines that the modem says of it."""
        said: list[str] = []
        while self.held:
            lines = self._take(self.held[0])
            if lines is None:
                break
            said += lines
            del self.held[0]
        return said

    def fill(self) -> list[tuple[str, int, int]]:
        """Return name, used places and all places of the three chosen stores."""
        return [(name, len(self._store(name)), self._store(name).room) for name in self._chosen]

    def listed(self, arguments: str) -> tuple[list[str], str]:
        """Carry out `AT+CMGL`; returns the lines and the final result."""
        store, lines = self._store(self._chosen[0]), list[str]()
        for index in store.with_status(_number(arguments)):
            if (message := store.take(index)) is not None:
                lines += [f"+CMGL: {index},{message[1]},,{tpdu_octets(message[0])}", message[0]]
        return lines, "OK"

    def read(self, arguments: str) -> tuple[list[str], str]:
        """Carry out `AT+CMGR`."""
        message = self._store(self._chosen[0]).take(_number(arguments))
        if message is None:
            return [], _NO_SUCH_INDEX
        return [f"+CMGR: {message[1]},,{tpdu_octets(message[0])}", message[0]], "OK"

    def delete(self, arguments: str) -> tuple[list[str], str]:
        """Carry out `AT+CMGD`."""
        index, *flag = arguments.split(",")
        store = self._store(self._chosen[0])
        if flag and flag[0] != "0":
            for one in store.with_status(_READ if flag[0] == "1" else _ALL):
                store.delete(one)
            return [], "OK"
        return [], "OK" if store.delete(_number(index)) else _NO_SUCH_INDEX

    def acknowledge(self, _: str) -> tuple[list[str], str]:
        """Carry out `AT+CNMA`."""
        if not self._waits_for_acknowledgement:
            return [], _NOTHING_TO_ACKNOWLEDGE
        self._waits_for_acknowledgement = False
        return [], "OK"

    @property
    def _chosen(self) -> list[str]:
        stores = split_arguments(self._registers()["+CPMS"])
        return [*stores, *[stores[-1]] * (3 - len(stores))]

    def _store(self, name: str) -> MessageStore:
        return self._stores.get(name, self._stores["SM"])  # MT is both; the card's comes first

    def _take(self, pdu: str) -> list[str] | None:
        """Return what is said of a message; None if it must stay at the network for now."""
        routes = [int(value) for value in self._registers()["+CNMI"].split(",")]
        _, messages, _, reports = (*routes, 0, 0, 0, 0)[:4]
        octets = bytes.fromhex(pdu)
        is_report = octets[1 + octets[0]] & _MTI_MASK == _MTI_STATUS_REPORT
        if is_report and reports == 0:
            return []
        if is_report and reports == 1:
            return self._show(f"+CDS: {tpdu_octets(pdu)}\r\n{pdu}")
        if not is_report and messages == 2:
            return self._show(f"+CMT: ,{tpdu_octets(pdu)}\r\n{pdu}")
        name, notice = ("SR", "+CDSI") if is_report else (self._chosen[2], "+CMTI")
        index = self._store(name).put(pdu)
        if index is None:
            return None
        return [f'{notice}: "{name}",{index}'] if is_report or messages else []

    def _show(self, line: str) -> list[str] | None:
        if self._waits_for_acknowledgement:
            return None
        self._waits_for_acknowledgement = self._registers()["+CSMS"] == "1"
        return [line]


def _number(arguments: str) -> int:
    first = arguments.partition(",")[0]
    return int(first) if first else 0
