"""Which port is chosen, and the words for it."""

from pathlib import Path

import pytest

from otppi.lib.wakeup import Wakeup
from otppi.model.ports import SerialPort, Stick, UsbId, port_named, stick_at
from otppi.modems.ports import candidates, left_out, why_without_port
from otppi.modems.probe import find
from otppi.modems.transport import SerialLine, SerialTransport
from otppi.sim.faults import Faults
from otppi.sim.line import SimModems
from tests.modems.far_end import FarEnd


def stick(usb, *interfaces, driver="option", classes=()):
    vendor, product = (int(part, 16) for part in usb.split(":"))
    ports = []
    for index, one in enumerate(interfaces):
        number, kind = one if isinstance(one, tuple) else (one, None)
        ports.append(
            SerialPort(node=f"/dev/ttyUSB{index}", interface=number, interface_kind=kind, driver=driver)
        )
    return Stick(
        place="1-1",
        usb=UsbId(vendor=vendor, product=product),
        ports=tuple(ports),
        interface_classes=frozenset(classes),
    )


HUAWEI = [(0, (255, 1, 1)), (1, (255, 1, 3)), (2, (255, 1, 2)), (3, (255, 1, 0x14))]


@pytest.mark.parametrize(
    ("one", "interfaces", "why"),
    [
        (stick("2c7c:0125", 0, 1, 2, 3), [2, 3], "2c7c:0125 is a Quectel EC25 modem that takes"),
        (stick("1e0e:9001", 0, 1, 2, 3, 4), [2, 3], "takes commands at interface 2"),
        (stick("19d2:0031", 0, 1, 3), [3, 1], "takes commands at interface 3"),
        (stick("1546:1102", 0, 2, 4, 6, driver="cdc_acm"), [0, 2, 4], "takes commands at interface 0"),
        (stick("12d1:1506", *HUAWEI), [2, 0, 1], "Huawei marks interface 2 as one for commands"),
        (stick("12d1:1001", 0, 1, 2), [2, 0, 1], "usually take commands at interface 2"),
        (stick("1199:6856", 1, 0), [1, 0], "what interface 1 is for is not known"),
        (stick("05c6:9000", 0), [0], "its driver, option, is one for modems"),
        (stick("1546:01a8", 0, driver="cdc_acm"), [], ""),
        (stick("2c7c:0125", 0, 1), [], ""),  # still showing itself: the right ones are to come
        (stick("2341:0043", (0, (2, 2, 0)), driver="cdc_acm"), [], ""),  # an Arduino
    ],
)  # fmt: skip
def test_the_likeliest_port_is_first_and_says_why(one, interfaces, why):
    chosen = candidates(one)
    assert [choice.port.interface for choice in chosen] == interfaces
    assert not any(choice.only_if_named for choice in chosen)
    assert why in (chosen[0].why if chosen else "")
    rest = left_out(one)
    assert len(chosen) + len(rest) == len(one.ports)
    assert all(choice.why for choice in rest)


def test_ports_for_other_things_say_what_they_are_for():
    assert [choice.why.partition("; ")[2] for choice in left_out(stick("2c7c:0125", 0, 1, 2, 3))] == [
        "interface 0 is for diagnostics",
        "interface 1 is for satellite positions",
    ]


@pytest.mark.parametrize(
    "one",
    [
        stick("1a86:7523", 0, driver="ch341"),
        stick("067b:2303", 0, driver="pl2303"),
        stick("2341:8036", (0, (2, 2, 1)), driver="cdc_acm"),
        stick_at("/dev/ttyAMA0"),
    ],
)
def test_where_anything_may_be_behind_it_the_owner_must_name_the_port(one):
    (choice,) = candidates(one)
    assert choice.only_if_named
    assert choice.why


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (stick("12d1:14db", classes=[0x02, 0x0A]), "HiLink"),
        (stick("12d1:14dc", classes=[0x02, 0x0A, 0x08]), "HiLink"),
        (stick("19d2:1405", classes=[0xE0, 0x0A]), "HiLink"),
        (stick("12d1:1f01", classes=[0x08]), "usb_modeswitch"),
        (stick("2c7c:0125", classes=[0xFF]), "without a serial port"),
    ],
)
def test_a_modem_without_a_port_is_explained(one, words):
    assert words in why_without_port(one)
    assert candidates(one) == ()


@pytest.mark.parametrize(
    "one", [stick("0781:5581", classes=[0x08]), stick("2c7c:0125", 2), stick_at("/dev/ttyS0")]
)
def test_what_is_no_modem_or_has_a_port_needs_no_words(one):
    assert why_without_port(one) == ""


def test_settings_may_name_a_port_in_every_way():
    links = ("/dev/serial/by-id/usb-HUAWEI-if02-port0", "/dev/serial/by-path/pci-0-usb-0:1:1.2-port0")
    port = SerialPort(node="/dev/ttyUSB2", links=links)
    one = Stick(place="1-1", ports=(SerialPort(node="/dev/ttyUSB1"), port))
    for name in ("/dev/ttyUSB2", "ttyUSB2", *links):
        assert port_named([stick_at("/dev/ttyS0"), one], name) == (one, port)
    assert port_named([one], "ttyUSB3") is None
    assert port_named([one], "") is None


# With real ports.


@pytest.fixture
def modems(tmp_path):
    with SimModems(tmp_path / "ports") as modems:
        yield modems


def on(*paths, usb="12d1:1001"):
    whole = stick(usb, *range(len(paths)))
    ports = [
        SerialPort(node=str(Path(path).resolve()), interface=port.interface, driver=port.driver)
        for port, path in zip(whole.ports, paths, strict=True)
    ]
    return Stick(place="1-1", usb=whole.usb, ports=tuple(ports))


def test_the_first_port_that_answers_is_the_one_and_tells_who_is_there(modems):
    mute, line = modems.add("mute", faults=Faults(hung=True)), modems.add("m0", "huawei", pin="1234")
    one = on(line.path, mute.path, mute.path)
    found = find(one, candidates(one), SerialLine())
    assert found.port == one.ports[0]
    assert found.family.name == "Huawei"
    assert (found.identity.model, found.identity.imei) == ("E173", "004999010000002")
    assert found.why == "Huawei modems usually take commands at interface 0; it answered"
    assert line.offences == []
    assert line.card.pin_tries_left == 3


def test_a_stick_where_nothing_answers_is_told_with_the_reason(modems):
    line = modems.add("mute", faults=Faults(hung=True))
    one = on(line.path, usb="1199:6856")
    found = find(one, candidates(one), SerialLine())
    assert found.family is None
    assert found.problem == "nothing there answers to AT"
    assert find(one, [], SerialLine()) is None


def test_a_port_for_other_things_is_sent_no_byte(modems):
    lines = [modems.add(f"m{number}", "quectel") for number in range(4)]
    one = on(*(line.path for line in lines), usb="2c7c:0125")
    assert find(one, candidates(one), SerialLine()).port.interface == 2
    assert [line.bytes_in > 0 for line in lines] == [False, False, True, False]


def test_a_port_that_is_held_is_not_touched():
    far, wakeup = FarEnd(), Wakeup()
    holder = SerialTransport(far.path, SerialLine(), wakeup)
    one = on(far.path, usb="1199:6856")
    found = find(one, candidates(one), SerialLine())
    assert found.problem == "another program holds the port"
    holder.close()
    wakeup.close()
    far.close()
