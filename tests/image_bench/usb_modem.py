"""A USB modem with several serial ports, of which one leads to a simulated modem.

QEMU's own serial adapter is a converter, behind which may be anything. This is a modem by its numbers, and the kernel
takes it as one. It is played to QEMU's usb-redir by this process, in the protocol of usbredir (USB Network Redirection
0.7); what is named there without a word here is as in chapter 9 of USB 2.0.
"""

import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

VENDOR, PRODUCT = 0x12D1, 0x1506
# Class, subclass and protocol of its interfaces. Huawei's own order: calls, signalling, commands.
_KINDS = ((0xFF, 1, 1), (0xFF, 1, 3), (0xFF, 1, 2))
_AT_PORT = 2
_STRINGS = ("HUAWEI Technology", "HUAWEI Mobile")  # no serial number: all its like are alike

_SUCCESS, _CANCELLED, _STALL = 0, 1, 4
_HIGH_SPEED = 2
# Version of the device, size of packets, 64 bits for ids, 32 bits for lengths: without these QEMU's xHCI refuses it.
_ABILITIES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6
_FIRST_HEADER, _HEADER = struct.Struct("<III"), struct.Struct("<IIQ")
_CONTROL_HEADER, _BULK_HEADER = struct.Struct("<BBBBHHH"), struct.Struct("<BBHIH")
_CONTROL_TYPE, _BULK_TYPE, _NO_TYPE = 0, 2, 255
_PACKET = 512
_IN = 0x80
_RESTART = b"AT+CFUN=1,1\r"
_AWAY_S = 3.0  # while a modem that starts anew is off the bus
_LONGEST_MEMORY = 4096


class Packet(IntEnum):
    """What is said to QEMU or by it."""

    HELLO = 0
    CONNECT = 1
    DISCONNECT = 2
    INTERFACES = 4
    ENDPOINTS = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION = 8
    SET_ALTERNATIVE = 9
    GET_ALTERNATIVE = 10
    ALTERNATIVE = 11
    CANCEL = 21
    CONTROL = 100
    BULK = 101


class UsbModem:
    """Plugged in by the constructor, pulled by `close`; plays on a thread of its own."""

    def __init__(self, redirection: Path, line: Path) -> None:
        """Connect to the socket of QEMU's usb-redir, and let the port for commands lead to a terminal."""
        self.configurations: list[int] = []  # what the kernel chose, in order; 0 is none
        self.on_unconfigured: Callable[[], None] = lambda: None  # the kernel's driver has let go of it
        self.leaves_at_restart = False  # the bus, as a modem does that hears the command that starts it anew
        self._line = os.open(line, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._qemu = socket.socket(socket.AF_UNIX)
        self._qemu.connect(str(redirection))
        self._received = b""
        self._is_greeted = False
        self._heard, self._said = b"", b""
        self._reads: dict[int, deque[tuple[int, int]]] = {}  # id and size of each, by endpoint
        self._comes_back_at_s: float | None = None
        self._stopping = os.eventfd(0)
        self._thread = threading.Thread(target=self._play, name="usb-modem", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; QEMU's side is for the machine to pull."""
        os.eventfd_write(self._stopping, 1)
        self._thread.join()
        self._qemu.close()
        os.close(self._line)
        os.close(self._stopping)

    def _play(self) -> None:
        version = b"otppi bench".ljust(64, b"\0")
        self._qemu.sendall(_FIRST_HEADER.pack(Packet.HELLO, 68, 0) + version + struct.pack("<I", _ABILITIES))
        with suppress(OSError):  # QEMU is gone, or the modem's terminal
            while self._wait():
                pass

    def _wait(self) -> bool:
        rest_s = None
        if self._comes_back_at_s is not None:
            rest_s = max(0.0, self._comes_back_at_s - time.monotonic())
        ready, _, _ = select.select([self._qemu, self._line, self._stopping], [], [], rest_s)
        if self._stopping in ready:
            return False
        if self._comes_back_at_s is not None and time.monotonic() >= self._comes_back_at_s:
            self._comes_back_at_s = None
            self._come()
        if self._line in ready:
            self._said = (self._said + os.read(self._line, _LONGEST_MEMORY))[-_LONGEST_MEMORY:]
            self._speak()
        if self._qemu in ready:
            if not (data := self._qemu.recv(65536)):
                return False
            self._received += data
            while self._take():
                pass
        return True

    def _take(self) -> bool:
        header = _HEADER if self._is_greeted else _FIRST_HEADER
        if len(self._received) < header.size:
            return False
        kind, length, id_ = header.unpack_from(self._received)
        end = header.size + length
        if len(self._received) < end:
            return False
        body, self._received = self._received[header.size : end], self._received[end:]
        if self._is_greeted:
            self._answer(kind, id_, body)
        else:
            self._is_greeted = True
            self._come()
        return True

    def _send(self, kind: int, body: bytes = b"", id_: int = 0) -> None:
        self._qemu.sendall(_HEADER.pack(kind, len(body), id_) + body)

    def _come(self) -> None:
        count = len(_KINDS)
        kinds = (bytes(column).ljust(32, b"\0") for column in zip(*_KINDS, strict=True))
        numbers = bytes(range(count)).ljust(32, b"\0")
        self._send(Packet.INTERFACES, struct.pack("<I", count) + numbers + b"".join(kinds))
        types, interfaces, sizes = [_NO_TYPE] * 32, [0] * 32, [0] * 32
        for place in (0, 16):  # the endpoints that go out, then those that come in
            types[place], sizes[place] = _CONTROL_TYPE, 64
            for number in range(count):
                at = place + 1 + number
                types[at], interfaces[at], sizes[at] = _BULK_TYPE, number, _PACKET
        self._send(
            Packet.ENDPOINTS, bytes(types) + bytes(32) + bytes(interfaces) + struct.pack("<32H", *sizes)
        )
        self._send(Packet.CONNECT, struct.pack("<BBBBHHH", _HIGH_SPEED, 0, 0, 0, VENDOR, PRODUCT, 0x0100))

    def _leave(self) -> None:
        self._send(Packet.DISCONNECT)
        self._reads.clear()
        self._said = b""
        self._comes_back_at_s = time.monotonic() + _AWAY_S

    def _answer(self, kind: int, id_: int, body: bytes) -> None:
        match kind:
            case Packet.SET_CONFIGURATION:
                self._configure(body[0])
                self._send(Packet.CONFIGURATION, bytes((_SUCCESS, body[0])), id_)
            case Packet.GET_CONFIGURATION:
                self._send(Packet.CONFIGURATION, bytes((_SUCCESS, *(self.configurations or [0])[-1:])), id_)
            case Packet.SET_ALTERNATIVE | Packet.GET_ALTERNATIVE:
                self._send(Packet.ALTERNATIVE, bytes((_SUCCESS, body[0], 0)), id_)
            case Packet.CONTROL:
                self._control(id_, body)
            case Packet.BULK:
                self._transfer(id_, body)
            case Packet.CANCEL:
                self._cancel(id_)

    def _configure(self, number: int) -> None:
        self.configurations.append(number)
        if number == 0:
            self.on_unconfigured()

    def _control(self, id_: int, body: bytes) -> None:
        endpoint, request, kind, _, value, index, length = _CONTROL_HEADER.unpack_from(body)
        data: bytes | None = b""
        if kind & _IN:
            data = _descriptor(value >> 8, value & 0xFF) if (kind, request) == (0x80, 6) else None
            data = data[:length] if data is not None else None
            length = len(data or b"")
        status = _STALL if data is None else _SUCCESS
        header = _CONTROL_HEADER.pack(endpoint, request, kind, status, value, index, length)
        self._send(Packet.CONTROL, header + (data or b""), id_)

    def _transfer(self, id_: int, body: bytes) -> None:
        endpoint, _, low, stream, high = _BULK_HEADER.unpack_from(body)
        if endpoint & _IN:
            self._reads.setdefault(endpoint, deque()).append((id_, high << 16 | low))
            self._speak()
            return
        self._send(Packet.BULK, _BULK_HEADER.pack(endpoint, _SUCCESS, low, stream, high), id_)
        if endpoint == _AT_PORT + 1:
            self._hear(body[_BULK_HEADER.size :])

    def _hear(self, data: bytes) -> None:
        os.write(self._line, data)
        heard = self._heard + data
        self._heard = heard[-len(_RESTART) + 1 :]
        if self.leaves_at_restart and _RESTART in heard:
            self._leave()

    def _speak(self) -> None:
        endpoint = _AT_PORT + 1 | _IN
        reads = self._reads.get(endpoint)
        while reads and self._said:
            id_, size = reads.popleft()
            data, self._said = self._said[:size], self._said[size:]
            self._send(Packet.BULK, _BULK_HEADER.pack(endpoint, _SUCCESS, len(data), 0, 0) + data, id_)

    def _cancel(self, id_: int) -> None:
        for endpoint, reads in self._reads.items():
            for read in [read for read in reads if read[0] == id_]:
                reads.remove(read)
                self._send(Packet.BULK, _BULK_HEADER.pack(endpoint, _CANCELLED, 0, 0, 0), id_)


def _descriptor(kind: int, number: int) -> bytes | None:
    match kind, number:
        case 1, 0:
            numbers = (VENDOR, PRODUCT, 0x0100, 1, 2, 0, 1)
            return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, *numbers)
        case 2, 0:
            parts = b"".join(_interface(place, kind) for place, kind in enumerate(_KINDS))
            return struct.pack("<BBHBBBBB", 9, 2, 9 + len(parts), len(_KINDS), 1, 0, 0x80, 250) + parts
        case 3, 0:
            return struct.pack("<BBH", 4, 3, 0x0409)  # English
        case 3, _ if number <= len(_STRINGS):
            text = _STRINGS[number - 1].encode("utf-16-le")
            return bytes((2 + len(text), 3)) + text
    return None


def _interface(number: int, kind: tuple[int, int, int]) -> bytes:
    ends = (struct.pack("<BBBBHB", 7, 5, number + 1 | direction, 2, _PACKET, 0) for direction in (0, _IN))
    return struct.pack("<BBBBBBBBB", 9, 4, number, 0, 2, *kind, 0) + b"".join(ends)
