#!/usr/bin/python3
"""Stands where the device has its programs: tries everything once and says what the unit's restrictions let pass.

Prints one line of JSON: the deeds that succeeded. As `serve` and `ws-broker` it then behaves like a service.
"""

import ctypes
import errno
import json
import mmap
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable

SOURCE, SITE = "/usr/lib/otppi/source", "/usr/lib/otppi/site"
IMPORTS = (
    "bottle",
    "cheroot",
    "click",
    "cryptography.hazmat.bindings._rust",
    "dbus",
    "dbus_next",
    "gpiozero",
    "pyudev",
    "serial",
    "smbus2",
    "otppi.services.gateway",
)
USB_DRIVER = tuple(f"/sys/bus/usb/drivers/usb/{file}" for file in ("bind", "unbind", "new_id"))
RULES = "*filter\n:OTPPI - [0:0]\n-A OTPPI -p tcp -m multiport --dports 80,443 -j ACCEPT\nCOMMIT\n"


def write(folder: str) -> None:
    path = f"{folder}/.probe-{os.getpid()}"
    with open(path, "w"):
        pass
    os.unlink(path)


def read(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
        return
    with open(path) as file:
        if not file.read(1):
            raise OSError("empty: what systemd puts in the place of what is hidden")


def as_owner(do: Callable[[], object]) -> None:
    if os.geteuid() != 0:
        raise OSError("not root")
    owner = pwd.getpwnam("otppi")
    groups = os.getgroups()
    os.setgroups(os.getgrouplist("otppi", owner.pw_gid))
    os.setegid(owner.pw_gid)
    os.seteuid(owner.pw_uid)
    try:
        do()
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def open_device(path: str, flags: int) -> None:
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        # Only the unit's list of devices and the file's mode say these; the rest is the (absent) hardware's.
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOENT):
            raise


def send_to_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))


def ask_the_bus() -> None:
    with socket.socket(socket.AF_UNIX) as bus:
        bus.connect("/run/dbus/system_bus_socket")


def listen_on(port: int) -> None:
    socket.create_server(("127.0.0.1", port)).close()


def run(*command: str, text: str = "") -> None:
    subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=20)


def read_log() -> None:
    done = subprocess.run(["journalctl", "--quiet", "--lines=1"], capture_output=True, timeout=20)
    if not done.stdout:
        raise OSError("no line of the log")


def write_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def system_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def mount() -> None:
    os.makedirs("/run/otppi-reset/probe", exist_ok=True)
    system_call("mount", b"probe", b"/run/otppi-reset/probe", b"tmpfs", 1 | 2 | 4 | 8, None)
    with open("/run/otppi-reset/mounted", "w") as file:
        file.write("while this exists the mount is there")


def import_all() -> None:
    sys.path[:0] = [SOURCE, SITE]
    for name in IMPORTS:
        __import__(name)


def name_who_holds_a_port() -> None:
    from otppi.lib.holders import holders

    if "sh" not in holders("/run/port"):
        raise OSError("not named")


DEEDS: dict[str, Callable[[], object]] = {
    "import the libraries": import_all,
    **{
        f"write {folder}": lambda folder=folder: write(folder)
        for folder in (
            "/boot",
            "/boot/firmware",
            "/data/system/ssh",
            "/etc",
            "/etc/NetworkManager/dnsmasq-shared.d",
            "/run",
            "/run/issue.d",
            "/run/lock",
            "/run/otppi",
            "/run/otppi-firewall",
            "/run/otppi-first-boot",
            "/run/otppi-mobile",
            "/run/otppi-reset",
            "/run/systemd/timesyncd.conf.d",
            "/usr/lib",
            "/var/lib",
            "/var/lib/otppi",
        )
    },
    **{
        f"read {path}": lambda path=path: read(path)
        for path in (
            "/boot/firmware/otppi.toml",
            "/data/system/ssh/authorized_keys",
            "/etc/NetworkManager/system-connections/secret",
            "/etc/shadow",
            "/proc/meminfo",
            "/proc/sys/kernel/random/boot_id",
            "/run/otppi-reset/sticks.json",
            "/sys/class",
            "/var/lib/otppi/secret",
        )
    },
    **{
        f"open {path} to write": lambda path=path: os.close(os.open(path, os.O_WRONLY)) for path in USB_DRIVER
    },
    "read what it was given": lambda: read(os.environ.get("CREDENTIALS_DIRECTORY", "/absent") + "/accounts"),
    "see other processes": lambda: os.stat("/proc/1/stat"),
    "name who holds a port": name_who_holds_a_port,
    "use IPv4": lambda: socket.socket(socket.AF_INET).close(),
    "use IPv6": lambda: socket.socket(socket.AF_INET6).close(),
    "use netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
    "use raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "use local sockets": lambda: socket.socket(socket.AF_UNIX).close(),
    "send a packet": send_to_loopback,
    "listen on port 443": lambda: listen_on(443),
    "reach D-Bus": ask_the_bus,
    "load iptables rules": lambda: run("iptables-restore", "--noflush", text=RULES),
    "load ip6tables rules": lambda: run("ip6tables-restore", "--noflush", text=RULES),
    "read the log": read_log,
    "open a serial port": lambda: open_device("/dev/ttyS0", os.O_RDWR),
    "open the clock chip's bus": lambda: open_device("/dev/i2c-1", os.O_RDWR),
    "open a disk": lambda: open_device("/dev/loop0", os.O_RDONLY),
    "open a screen": lambda: open_device("/dev/vcs", os.O_RDWR),
    "mount": mount,
    "write code": write_code,
    "unshare mounts": lambda: system_call("unshare", 0x00020000),
    "make a namespace": lambda: system_call("unshare", 0x04000000),
    "change the root": lambda: os.chroot("/usr"),
    "write /var/lib/otppi as its owner": lambda: as_owner(lambda: write("/var/lib/otppi")),
    "read /var/lib/otppi/secret as its owner": lambda: as_owner(lambda: read("/var/lib/otppi/secret")),
    "open a serial port as the owner": lambda: as_owner(lambda: open_device("/dev/ttyS0", os.O_RDWR)),
}


def can(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except (OSError, ImportError, subprocess.SubprocessError):
        return False
    return True


def serve() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        while True:
            time.sleep(20)
            systemd.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])


def main() -> None:
    print(json.dumps(sorted(name for name, deed in DEEDS.items() if can(deed))), flush=True)
    if "serve" in sys.argv or "ws-broker" in sys.argv:
        serve()
    if "reset-watch" in sys.argv or "dial" in sys.argv:
        time.sleep(3600)


main()
