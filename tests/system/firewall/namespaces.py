"""Network namespaces of a test: a device with the interfaces wlan0 and eth0, and somebody at the end of each."""

import ctypes
import errno
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests import needs

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

AP4, AP6 = "192.168.0.11", "fd00:a::11"
LAN4, LAN6 = "10.7.0.2", "fd00:7::2"
PHONE4, PHONE6 = "192.168.0.50", "fd00:a::50"
OFFICE4, OFFICE6 = "10.7.0.9", "fd00:7::9"


class Namespace:
    """One namespace; what is called by `call` runs in it, on one thread, with all processes and sockets it makes."""

    def __init__(self, name: str) -> None:
        self.name = f"otppi-{os.getpid()}-{name}"
        subprocess.run(["ip", "netns", "add", self.name], check=True, timeout=20)
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)
        self.run("ip", "link", "set", "lo", "up")

    def _enter(self) -> None:
        fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)

    def call(self, function: Callable[..., T], *args, **kwargs) -> T:
        return self._thread.submit(function, *args, **kwargs).result(60)

    def run(self, *command: str, text: str = "") -> str:
        def run() -> str:
            done = subprocess.run(
                [needs.program(command[0]), *command[1:]],
                input=text,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            return done.stdout

        return self.call(run)

    def sysctl(self, **values: str) -> None:
        for name, value in values.items():
            path = Path("/proc/sys/net") / name.replace("__", "/")
            self.call(path.write_text, value)

    def sockets(self, number: int, family: int, kind: int, source: str = "") -> list[socket.socket]:
        def make() -> list[socket.socket]:
            made = [socket.socket(family, kind) for _ in range(number)]
            for one in made:
                one.setblocking(False)
                if source:
                    one.bind((source, 0))
            return made

        return self.call(make)

    def remove(self) -> None:
        self._thread.shutdown()
        subprocess.run(["ip", "netns", "delete", self.name], check=True, timeout=20)


class Place:
    """Device, phone on its access point and office on its Ethernet."""

    def __init__(self) -> None:
        needs.root()
        needs.programs("ip", "iptables-restore", "ip6tables-restore", "iptables-save")
        self._made: list[Namespace] = []
        self._closing: list[Callable[[], None]] = []
        try:
            self.device = self._namespace("device")
            self.phone = self._namespace("phone")
            self.office = self._namespace("office")
            self._wire("wlan0", self.phone, (AP4, AP6), (PHONE4, PHONE6))
            self._wire("eth0", self.office, (LAN4, LAN6), (OFFICE4, OFFICE6))
        except BaseException:
            self.close()
            raise

    def _namespace(self, name: str) -> Namespace:
        one = Namespace(name)
        self._made.append(one)
        one.sysctl(ipv6__conf__all__accept_dad="0", ipv6__conf__default__accept_dad="0")
        return one

    def _wire(self, name: str, other: Namespace, here: tuple[str, str], there: tuple[str, str]) -> None:
        self.device.run(
            *("ip", "link", "add", name, "type", "veth", "peer", "name", "up0", "netns", other.name)
        )
        for space, interface, addresses in ((self.device, name, here), (other, "up0", there)):
            for address in addresses:
                width = 64 if ":" in address else 24
                space.run("ip", "address", "add", f"{address}/{width}", "dev", interface)
            space.run("ip", "link", "set", interface, "up")
        for address in here:
            other.run("ip", "-6" if ":" in address else "-4", "route", "add", "default", "via", address)

    def listen(self, *ports: int, where: Namespace | None = None) -> None:
        """Accept connections on TCP ports, of both families, until the end of the test."""
        listeners = (where or self.device).sockets(len(ports), socket.AF_INET6, socket.SOCK_STREAM)
        stop_read, stop_write = os.pipe()
        for one, port in zip(listeners, ports, strict=True):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind(("::", port))
            one.listen(4096)

        def accept() -> None:
            while True:
                readable, _, _ = select.select([stop_read, *listeners], [], [])
                if stop_read in readable:
                    return
                for one in readable:
                    while True:
                        try:
                            one.accept()[0].close()
                        except OSError:
                            break

        thread = threading.Thread(target=accept)
        thread.start()

        def end() -> None:
            os.write(stop_write, b"x")
            thread.join(10)
            for one in listeners:
                one.close()
            os.close(stop_read)
            os.close(stop_write)

        self._closing.append(end)

    def close(self) -> None:
        for end in reversed(self._closing):
            end()
        for one in reversed(self._made):
            one.remove()


def connects(
    who: Namespace, address: str, port: int, *, times: int = 1, wait_s: float = 0.6, source: str = ""
) -> int:
    """Return how many of so many attempts are answered in time, all begun at once.

    The time is shorter than the second after which a system asks again, so an attempt that was dropped counts as
    not answered.
    """
    return len(answered(begun(who, address, port, times=times, source=source), wait_s))


def begun(
    who: Namespace, address: str, port: int, *, times: int = 1, source: str = ""
) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = who.sockets(times, family, socket.SOCK_STREAM, source)
    for one in made:
        assert one.connect_ex((address, port)) == errno.EINPROGRESS
    return made


def answered(sockets: Iterable[socket.socket], wait_s: float) -> list[float]:
    """Close the sockets, and return for each one that was connected in time after how many seconds."""
    waiting = {one.fileno(): one for one in sockets}
    poll, took, start = select.poll(), [], time.monotonic()
    for fd in waiting:
        poll.register(fd, select.POLLOUT)
    left = set(waiting)
    while left and (rest := start + wait_s - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            left.discard(fd)
            if waiting[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                took.append(time.monotonic() - start)
    for one in waiting.values():
        one.close()
    return took


def hears(device: Namespace, who: Namespace, address: str, port: int, *, interface: str = "") -> bool:
    """Say whether a datagram to this address of the device arrives; multicast groups are joined."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    (ear,), (mouth,) = (one.sockets(1, family, socket.SOCK_DGRAM) for one in (device, who))
    with ear, mouth:
        ear.bind(("", port))
        to: tuple[object, ...] = (address, port)
        if interface:
            index = device.call(socket.if_nametoindex, interface)
            group = socket.inet_pton(family, address)
            if family == socket.AF_INET:
                request = group + bytes(4) + index.to_bytes(4, "little")
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                ear.setsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + index.to_bytes(4, "little")
                )
                to = (address, port, 0, who.call(socket.if_nametoindex, "up0"))
        if address == "255.255.255.255":
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        mouth.sendto(b"x", to)
        return bool(select.select([ear], [], [], 0.5)[0])


def pings(who: Namespace, address: str) -> bool:
    """Say whether one echo request is answered."""
    is_ipv6 = ":" in address
    who.sysctl(ipv4__ping_group_range="0 0")
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if is_ipv6 else socket.IPPROTO_ICMP
    with who.call(socket.socket, family, socket.SOCK_DGRAM, protocol) as mouth:
        mouth.sendto(bytes([128 if is_ipv6 else 8, *bytes(7)]), (address, 0))
        return bool(select.select([mouth], [], [], 0.8)[0])
