import pytest

from otppi.lib.bus import Bus
from otppi.model.errors import HostUnreachable
from otppi.services.wifi_country import apply_country
from otppi.settings.store import SettingsStore
from otppi.system.network import radio
from otppi.system.network.settings import WlanSettings


def test_the_country_of_the_settings_goes_to_the_radio(tmp_path, monkeypatch):
    SettingsStore(tmp_path, (WlanSettings,), Bus()).update(WlanSettings, {"country": "de"})
    monkeypatch.setattr(radio, "_IW", "/bin/true")
    assert apply_country(tmp_path) == "DE"


def test_a_board_without_iw_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(radio, "_IW", "/nowhere/iw")
    with pytest.raises(HostUnreachable):
        apply_country(tmp_path)
    assert list(tmp_path.iterdir()) == []
