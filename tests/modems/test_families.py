"""The families as data, and how a modem is told to be of one."""

import re

import pytest

from otppi.model.ports import UsbId
from otppi.modems.families import FAMILIES, family_of, family_on_usb
from otppi.modems.families.generic import GENERIC


def usb(text):
    vendor, product = text.split(":")
    return UsbId(vendor=int(vendor, 16), product=int(product, 16))


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("12d1:140c", "Huawei"),
        ("12d1:1506", "Huawei"),
        ("19d2:0031", "ZTE"),
        ("19d2:ffff", "ZTE"),
        ("1e0e:9001", "SIMCom SIM7600"),
        ("2c7c:0125", "Quectel EC25"),
        ("05c6:9090", "Quectel EC25"),
        ("05c6:908b", "u-blox"),
        ("05c6:90b2", "u-blox"),
        ("1199:9071", "Sierra Wireless"),
        ("114f:1234", "Wavecom"),
        ("1546:1102", "u-blox"),
    ],
)
def test_a_usb_id_names_the_family(device, name):
    assert family_on_usb(usb(device)).name == name


@pytest.mark.parametrize("device", ["1a86:7523", "067b:2303", "05c6:9000", "0403:6001"])
def test_converters_and_ids_of_many_makers_say_nothing(device):
    assert family_on_usb(usb(device)) is None


# Answers to AT+CGMI and AT+CGMM of public logs and manuals.
@pytest.mark.parametrize(
    ("manufacturer", "model", "name"),
    [
        ("huawei", "E1752", "Huawei"),
        ("ZTE INCORPORATED", "MF627", "ZTE"),
        ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "SIMCom SIM7600"),
        ("SIMCOM_Ltd", "SIMCOM_SIM800L", "SIMCom SIM800"),
        ("SIMCOM_Ltd", "SIMCOM_SIM900", "SIMCom SIM800"),
        ("Quectel", "EC25", "Quectel EC25"),
        ("Quectel_Ltd", "Quectel_M35", "Quectel M26"),
        ("Quectel_Ltd", "M26", "Quectel M26"),
        ("WAVECOM MODEM", "MULTIBAND  900E  1800", "Wavecom"),
        ("Sierra Wireless", "SL8084TR Product", "Wavecom"),
        ("Sierra Wireless, Incorporated", "MC7455", "Sierra Wireless"),
        ("u-blox", "SARA-U201", "u-blox"),
        ("SIEMENS", "TC35i", "generic"),
        ("", "", "generic"),
    ],
)
def test_words_name_the_family_where_usb_does_not(manufacturer, model, name):
    assert family_of(None, manufacturer, model).name == name
    assert family_of(usb("1a86:7523"), manufacturer, model).name == name


def test_the_usb_id_goes_before_words():
    assert family_of(usb("12d1:1001"), "SIMCOM", "SIM800").name == "Huawei"


@pytest.mark.parametrize("family", [*FAMILIES, GENERIC], ids=lambda family: family.name)
def test_a_family_can_be_worked_with(family):
    commands = [*family.init, *family.init_with_sim, *family.restarts, *family.indications]
    questions = [family.pin_tries, *([family.iccid] if family.iccid else [])]
    commands += [question.command for question in questions]
    assert all(re.fullmatch(r"AT[+^!][A-Z0-9]+[ -~]*", command) for command in commands)
    # Nothing that writes to a SIM, sends or dials.
    assert not any(re.search(r"CMGW|CMGS|CMGD|CPWD|ATD|&W|CIMEI|EGMR|SIMEI", command) for command in commands)
    assert all(question.prefix.endswith(":") for question in questions)
    assert "pin" in family.pin_tries.pattern.groupindex
    assert family.imei_write == "" or family.imei_write.count("{imei}") == 1
    assert family.answer_limit_s is None or 30 <= family.answer_limit_s <= 180
    for layout in family.layouts.values():
        assert not set(layout.at) & set(layout.other)


def test_no_two_families_claim_the_same_device():
    vendors = [vendor for family in FAMILIES for vendor in family.usb_vendors]
    devices = [device for family in FAMILIES for device in (*family.layouts, *family.products)]
    assert len(vendors) == len(set(vendors))
    assert len(devices) == len(set(devices))
