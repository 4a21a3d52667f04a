"""Calls over a real bus."""

import pytest

from otppi.model.errors import HostRefused, HostUnreachable
from otppi.system import dbus

_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


def test_an_answer_comes_back_as_plain_values(system_bus):
    assert dbus.call(*_BUS, "GetNameOwner", "s", ("org.freedesktop.DBus",)) == ["org.freedesktop.DBus"]
    assert "Features" in dbus.get_properties(*_BUS)
    assert isinstance(dbus.get_property(*_BUS, "Features"), list)


def test_a_service_that_is_not_there_is_unreachable(system_bus):
    with pytest.raises(HostUnreachable, match=r"org\.example\.Nobody"):
        dbus.call("org.example.Nobody", "/", "org.example.Nobody", "Hello")


def test_a_refusal_keeps_its_name(system_bus):
    with pytest.raises(HostRefused) as refused:
        dbus.call(*_BUS, "NoSuchMethod")
    assert refused.value.name == "UnknownMethod"


def test_without_a_bus_it_is_unreachable(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(HostUnreachable):
        dbus.call(*_BUS, "ListNames")
