"""Name servers of the operator, told to a real service object on a real bus."""

import json
import subprocess
from ipaddress import IPv4Address

import pytest

from otppi.system.mobile.names import NameServers, read_servers
from tests import needs

_RESOLVED = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager")
_METHODS = [
    ("SetLinkDNS", "ia(iay)", "", ""),
    ("SetLinkLLMNR", "is", "", ""),
    ("SetLinkMulticastDNS", "is", "", ""),
]


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", ("192.0.2.1", "192.0.2.2")),
        ("", ()),
        ("nameserver 127.0.0.1\nnameserver 0.0.0.0\nnameserver 999.1.1.1\n", ()),
        ("search example.net\nnameserver 192.0.2.1; rm\nnameserver 192.0.2.3", ("192.0.2.3",)),
        ("nameserver 192.0.2.1\n" * 9, ("192.0.2.1",) * 3),
    ],
)
def test_what_pppd_writes_is_read_and_nothing_else(text, servers):
    assert tuple(map(str, read_servers(text))) == servers


@pytest.fixture
def resolved(system_bus, tmp_path):
    """A service that notes what it is told; python-dbusmock, as there is no systemd-resolved to spare."""
    needs.programs("python3")
    program = (
        "import sys, json, dbus, dbusmock; from gi.repository import GLib;"
        "from dbus.mainloop.glib import DBusGMainLoop;"
        "DBusGMainLoop(set_as_default=True); bus = dbus.SystemBus();"
        "name = dbus.service.BusName(sys.argv[1], bus);"
        "mock = dbusmock.mockobject.DBusMockObject(bus, sys.argv[2], sys.argv[3], {}, logfile=sys.argv[4]);"
        "mock.AddMethods(sys.argv[3], [tuple(one) for one in json.loads(sys.argv[5])]);"
        "print('ready', flush=True); GLib.MainLoop().run()"
    )
    log = tmp_path / "calls"
    arguments = [*_RESOLVED, str(log), json.dumps(_METHODS)]
    service = subprocess.Popen(
        ["/usr/bin/python3", "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert service.stdout.readline() == "ready\n"
    yield log
    service.kill()
    service.wait(10)
    service.stdout.close()


def test_the_resolver_is_told_once_for_each_connection(resolved, tmp_path):
    written = tmp_path / "resolv.conf"
    written.write_text("nameserver 192.0.2.1\n")
    address = [IPv4Address("192.0.2.9")]
    names = NameServers(written=written, address_of=lambda _: address[0], index_of=lambda _: 7)
    names.look()
    names.look()
    assert resolved.read_text().count("SetLinkDNS 7") == 1
    assert "SetLinkMulticastDNS 7" in resolved.read_text()
    address[0] = None
    names.look()
    address[0] = IPv4Address("192.0.2.10")
    names.look()
    assert resolved.read_text().count("SetLinkDNS") == 2


def test_without_a_resolver_it_is_said_once_and_tried_again(system_bus, tmp_path, caplog):
    written = tmp_path / "resolv.conf"
    written.write_text("nameserver 192.0.2.1\n")
    names = NameServers(written=written, address_of=lambda _: IPv4Address("192.0.2.9"), index_of=lambda _: 7)
    names.look()
    names.look()
    assert len(caplog.records) == 1


def test_without_a_connection_nothing_is_asked(tmp_path):
    names = NameServers(written=tmp_path / "none", address_of=lambda _: None, index_of=lambda _: 7)
    names.look()
