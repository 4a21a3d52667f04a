import pytest

from otppi.api.settings import ApiSettings
from otppi.gateway.accounts import Administrator
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.lib.bus import Bus
from otppi.model.errors import SettingsError
from otppi.model.events import ResetByStick, SettingsChanged
from otppi.services.folders import StateFolder
from otppi.services.resetting import Extra, Resets, forget_certificate, keystore, reset_flags, reset_sections
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.paths import ONLY
from otppi.settings.store import SettingsStore
from otppi.system.network.settings import DhcpSettings, EthernetSettings, WlanSettings
from otppi.web.settings import AdminSettings
from tests.settings.test_resetfile import FLAGS


@pytest.fixture
def store(tmp_path):
    store = SettingsStore(tmp_path, SECTIONS, None)
    watch_over(store)
    return store


def test_every_flag_of_the_manual_resets_its_section_or_is_named(store, tmp_path):
    store.update(SmsSettings, {"country_code": "49"})
    store.put(Administrator, "owner", {"password": "long enough"})
    done = reset_flags(FLAGS, store, keystore(StateFolder(tmp_path)))
    assert set(done.done) == set(FLAGS)
    assert done.failed == {}
    known = {section.reset_flag for section in SECTIONS} | {"RESET_KEYSTORE"}
    assert set(done.without) == set(FLAGS) - known
    assert {"Sending SMS", "Administrators", "REST API", "Modems", "Certificate"} <= set(done.sections)
    assert store.get(SmsSettings).country_code == "62"
    assert not store.items(Administrator)
    assert not [path for path in (tmp_path / "settings").iterdir() if path.name.startswith(("sms", "admins"))]


def test_what_has_no_flag_stays(store):
    store.update(SmsSettings, {"country_code": "49"})
    store.update(GeneralSettings, {"device_name": "Shop"})
    store.update(AdminSettings, {"http_port": 9999})
    assert reset_flags(["RESET_API"], store, {}).sections == ("Admin pages", "REST API", "Vendor API")
    assert store.get(SmsSettings).country_code == "49"
    assert store.get(GeneralSettings).device_name == "Shop"
    assert store.get(AdminSettings).http_port == 8888


def test_a_name_from_outside_touches_nothing(store, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = reset_flags(["RESET_FUTURE", "RESET_X"], store, {})
    assert (done.sections, done.without) == ((), ("RESET_FUTURE", "RESET_X"))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_section_that_is_refused_does_not_stop_the_others(store):
    def refuse(_, new):
        raise SettingsError({"api": "is refused"})

    store.update(ApiSettings, {"http_port": 9000})
    store.update(SmsSettings, {"country_code": "49"})
    store.guard(ApiSettings, refuse)
    done = reset_flags(["RESET_API", "RESET_SMS", "RESET_FUTURE"], store, {})
    assert done.sections == ("Admin pages", "Vendor API", "Sending SMS")
    assert done.failed["REST API"] == "api: is refused"
    assert done.done == ("RESET_FUTURE", "RESET_SMS")
    assert store.get(SmsSettings).country_code == "62"
    assert store.get(ApiSettings).http_port == 9000


def test_a_section_that_the_disk_refuses_does_not_stop_the_others(store, tmp_path):
    store.update(ApiSettings, {"http_port": 9000})
    store.update(SmsSettings, {"country_code": "49"})
    (tmp_path / "settings" / ".api.json.new").mkdir()  # in the way of writing and of removing
    done = reset_flags(["RESET_API", "RESET_SMS"], store, {})
    assert done.sections == ("Admin pages", "Vendor API", "Sending SMS")
    assert "could not be saved" in done.failed["REST API"]
    assert SettingsStore(tmp_path, SECTIONS, None).get(SmsSettings).country_code == "62"


def test_an_extra_that_fails_is_named_and_its_flag_stays_open(store):
    def fail():
        raise OSError(5, "Input/output error")

    done = reset_flags(["RESET_KEYSTORE", "RESET_SMS"], store, {"RESET_KEYSTORE": Extra("Certificate", fail)})
    assert done.failed == {"Certificate": "Input/output error"}
    assert done.done == ("RESET_SMS",)


def test_factory_values_that_fit_only_each_other_come_in_some_order(store):
    def fit(_, new):
        # As a lease range fits only the address that it belongs to.
        if new.http_port == 8899 and store.get(SmsSettings).country_code != "62":
            raise SettingsError({"api": "does not fit"})

    store.update(ApiSettings, {"http_port": 9000})
    store.update(SmsSettings, {"country_code": "49"})
    store.guard(ApiSettings, fit)
    assert reset_flags(["RESET_API", "RESET_SMS"], store, {}).failed == {}
    assert store.get(ApiSettings).http_port == 8899


def test_factory_values_that_fit_only_together_come_together(store):
    store.update(AdminSettings, {"http_port": 9000})
    store.update(ApiSettings, {"http_port": 8888})
    store.update(AdminSettings, {"http_port": 8899})
    # Each alone would take the present port of the other.
    assert reset_sections(store, [ApiSettings, AdminSettings]) == {}
    assert (store.get(ApiSettings).http_port, store.get(AdminSettings).http_port) == (8899, 8888)


def test_an_access_point_in_another_network_is_reset_with_its_leases(store):
    wlan, dhcp = WlanSettings(address="10.9.8.1/24"), DhcpSettings(ranges=("10.9.8.20 - 10.9.8.90",))
    store.replace({WlanSettings: {ONLY: wlan}, DhcpSettings: {ONLY: dhcp}})
    done = reset_flags(["RESET_WLAN"], store, {})
    assert (done.failed, done.sections) == ({}, (WlanSettings.title, DhcpSettings.title))
    assert (store.get(WlanSettings), store.get(DhcpSettings)) == (WlanSettings(), DhcpSettings())


def test_an_access_point_beside_a_static_ethernet_gets_back_its_name_and_passphrase(store):
    store.replace(
        {
            WlanSettings: {
                ONLY: WlanSettings(address="192.168.50.11/24", passphrase="forgotten by its owner")
            },
            EthernetSettings: {ONLY: EthernetSettings(method="static", address="192.168.0.50/24")},
            DhcpSettings: {ONLY: DhcpSettings(domain_name="x.lan")},
        }
    )
    done = reset_flags(["RESET_WLAN"], store, {})
    assert (done.failed, done.sections) == ({}, (WlanSettings.title, "its address stays 192.168.50.11/24"))
    assert store.get(WlanSettings) == WlanSettings(address="192.168.50.11/24")
    assert store.get(DhcpSettings).domain_name == "x.lan"


def test_leases_that_fit_any_access_point_stay_as_they_are(store):
    store.update(WlanSettings, {"ssid": "Shop"})
    store.update(DhcpSettings, {"default_lease_s": 900})
    assert reset_flags(["RESET_WLAN"], store, {}).sections == (WlanSettings.title,)
    assert store.get(DhcpSettings).default_lease_s == 900


def test_the_certificate_goes_key_first_and_a_missing_one_is_fine(tmp_path):
    state = StateFolder(tmp_path)
    forget_certificate(state)
    state.certificate.mkdir()
    for name in ("tls.crt", "tls.key", "tls.crt.previous"):
        (state.certificate / name).write_text("x")
    renewed = []
    keystore(state, lambda: renewed.append(list(state.certificate.iterdir())))["RESET_KEYSTORE"].reset()
    assert renewed == [[]]


def test_changes_are_told_on_the_bus_and_the_result_when_it_is_asked_for(tmp_path):
    bus, heard = Bus(), []
    bus.subscribe("test", heard.append, SettingsChanged, ResetByStick)
    store = SettingsStore(tmp_path, SECTIONS, bus)
    store.update(SmsSettings, {"country_code": "49"})
    resets = Resets(store, {}, bus)
    assert resets.apply(["RESET_SMS"])["sections"] == ("Sending SMS",)
    resets.report(["Sending SMS"], "")
    bus.stop()
    assert heard == [SettingsChanged(section="sms")] * 2 + [ResetByStick(sections=("Sending SMS",))]
