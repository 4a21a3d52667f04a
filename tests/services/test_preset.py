import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otppi.gateway.accounts import Administrator
from otppi.lib.passwords import hash_password
from otppi.model.errors import SettingsError
from otppi.services import preset_file
from otppi.services.preset import LONGEST_BYTES, NAMES, Preset, apply, parse
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.store import SettingsStore
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.born import born
from otppi.system.network.settings import EthernetSettings, NetworkSettings, WlanSettings

HASH = hash_password("correct horse")
# The other half is nobody's.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/ bob"
FULL = f"""\
ssid = "Toko Jaya"
passphrase = "kuda yang benar"
setup_secret = "lusab-babad-gutih"
country = "SG"
hostname = "kasir"
time_zone = "Asia/Makassar"
ssh_key = "{KEY}"

[ethernet]
address = "10.1.2.3/24"
gateway = "10.1.2.1"
dns = ["10.1.2.1", "9.9.9.9"]

[administrator]
name = "ann"
password = "{HASH}"
"""


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def born_file(state):
    return state / "keys" / "born.json"


def store_of(state):
    store = SettingsStore(state, SECTIONS, None)
    watch_over(store)
    return store


def mistakes(text):
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SettingsError) as caught:
        parse(data)
    return caught.value.errors


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / "settings").glob("*.json")}


def test_everything_that_can_be_preset_reaches_its_setting(state, born_file):
    secrets = apply(parse(FULL.encode()), store_of(state), born_file)
    assert (secrets.ssid, secrets.passphrase) == ("Toko Jaya", "kuda yang benar")
    assert secrets.setup_secret == "lusab-babad-gutih"
    store = store_of(state)
    wlan, ethernet = store.get(WlanSettings), store.get(EthernetSettings)
    # Born with it, so that a reset of the access point goes back to it.
    assert (wlan.ssid, wlan.passphrase, wlan.country) == ("", "", "SG")
    assert store.get(NetworkSettings).hostname == "kasir"
    assert store.get(ClockSettings).time_zone == "Asia/Makassar"
    assert (ethernet.method, ethernet.address, ethernet.gateway) == ("static", "10.1.2.3/24", "10.1.2.1")
    assert (ethernet.dns1, ethernet.dns2) == ("10.1.2.1", "9.9.9.9")
    assert store.items(Administrator)["ann"].password == HASH
    assert {entry.port for entry in store.items(OpenPort).values()} == {"22"}
    assert [key.line for key in parse(FULL.encode()).ssh_keys] == [KEY]


def test_doing_it_again_changes_nothing(state, born_file):
    for _ in range(2):
        apply(parse(FULL.encode()), store_of(state), born_file)
        written = files(state)
    assert files(state) == written


def test_a_device_that_is_born_keeps_its_label_and_takes_the_rest_as_settings(state, born_file):
    first = born(born_file)
    assert apply(parse(FULL.encode()), store_of(state), born_file) == first
    wlan = store_of(state).get(WlanSettings)
    assert (wlan.ssid, wlan.passphrase) == ("Toko Jaya", "kuda yang benar")
    assert born(born_file) == first


def test_other_administrators_and_settings_stay(state, born_file):
    store = store_of(state)
    store.put(Administrator, "bob", {"password": "correct horse"})
    store.update(WlanSettings, {"channel": 6})
    apply(parse(FULL.encode()), store, born_file)
    assert set(store.items(Administrator)) == {"ann", "bob"}
    assert store.get(WlanSettings).channel == 6


def test_what_does_not_fit_the_settings_changes_nothing(state, born_file):
    clash = parse(b'country = "SG"\n[ethernet]\naddress = "192.168.0.20/24"\n')
    with pytest.raises(SettingsError) as caught:
        apply(clash, store_of(state), born_file)
    assert caught.value.errors
    assert not born_file.exists()
    assert store_of(state).get(WlanSettings).country == "ID"


def test_all_mistakes_are_told_at_once_and_no_value_is_repeated():
    found = mistakes(
        'ssid = "x"\npassphrase = "s3cret"\ncontry = "ID"\ntime_zone = "Asia/Bogor"\nhostname = 5\n'
        'ssh_key = "ssh-ed25519 AAAA"\naddress = "10.0.0.1"\n'
        '[ethernet]\ngateway = "10.1.2.1"\ndns = ["999.1.1.1"]\n[administrator]\npassword = "correct horse"\n'
    )
    assert found["contry"] == "there is no such name; did you mean country?"
    assert found["address"] == "there is no such name; did you mean ethernet.address?"
    assert found["hostname"] == "must be text in quotes"
    assert "scrypt$" in found["administrator.password"]
    assert "in the clear" in found["administrator.password"]
    assert found["administrator.name"].startswith("is required")
    assert found["ethernet.address"].startswith("is required")
    assert "damaged" in found["ssh_key"]
    assert set(found) == {
        *("passphrase", "contry", "time_zone", "hostname", "ssh_key", "address", "ethernet.address"),
        *("ethernet.dns", "administrator.name", "administrator.password"),
    }
    assert not any(word in str(found) for word in ("s3cret", "correct horse", "AAAA"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"#" * (LONGEST_BYTES + 1), "larger than"),
        ('ssid = "Toko"'.encode("utf-16"), "not UTF-8"),
        (b"ssid = Toko", "not TOML"),
        (b"x = " + b"[" * 5000, "not TOML"),
        (b"x = " + b"9" * 5000, "not TOML"),
        (b'ssid = "a"\nssid = "b"', "not TOML"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(data, reason):
    assert reason in mistakes(data)["otppi.toml"]


@pytest.mark.parametrize(
    "line",
    [
        'ssid = "a\\u2028b"',
        f'ssid = "{"é" * 17}"',
        'passphrase = "short"',
        'passphrase = "not ascii é"',
        "passphrase = 12345678",
        'setup_secret = "short"',
        'setup_secret = "with a space in it"',
        'country = "Indonesia"',
        'hostname = "localhost"',
        'ethernet = "10.0.0.1"',
        "[[ethernet]]",
        '[ethernet]\ndns = ["1.1.1.1", "2.2.2.2", "3.3.3.3"]',
        "[ethernet]\ndns = [1]",
        f'[administrator]\nname = "a:b"\npassword = "{HASH}"',
        f'[administrator]\nname = "a"\npassword = "sha256${"0" * 64}"',
        'ssh_key = "none"',
        f"ssh_key = 'command=\"reboot\" {KEY}'",
        f'ssh_key = "{KEY}\\n{OTHER_KEY}"',
        f'ssh_key = ["{KEY}", "AAAA"]',
        f'ssh_key = ["{KEY}", 1]',
        'ssh_key = [""]',
    ],
)
def test_a_bad_value_is_refused(line):
    assert len(mistakes(line)) == 1


def test_a_name_from_the_file_cannot_write_on_the_screen():
    (name,) = mistakes(b'"\\u001b[2J' + b"x" * 100 + b'" = 1')
    assert name.isprintable()
    assert len(name) <= 40


def test_a_file_of_comments_or_of_empty_values_asks_for_nothing():
    for text in ("", "# nothing\n", '\ufeffssid = ""\r\n[ethernet]\r\ndns = []\r\n'):
        assert parse(text.encode()).is_empty


def test_several_keys_may_log_in_and_a_name_tells_them_apart():
    wanted = parse(f'ssh_key = ["{KEY}", "{OTHER_KEY}"]'.encode())
    assert [key.comment for key in wanted.ssh_keys] == ["ann", "bob"]
    assert parse(wanted.as_toml().encode()) == wanted


@pytest.mark.parametrize("text", ['ssh_key = ""', "ssh_key = []"])
def test_no_key_is_an_order_and_not_nothing(text, state, born_file):
    assert parse(b"").ssh_keys is None
    off = parse(text.encode())
    assert not off.is_empty
    assert off.ssh_keys == ()
    store = store_of(state)
    store.put(OpenPort, "tcp5000", {"port": "5000"})
    apply(parse(FULL.encode()), store, born_file)
    assert len(store.items(OpenPort)) == 3
    apply(off, store, born_file)
    assert set(store.items(OpenPort)) == {"tcp5000"}


def test_the_note_says_what_was_applied_and_no_secret():
    note = parse(FULL.encode()).note()
    assert parse(note.encode()).is_empty
    for word in ("Toko Jaya", "10.1.2.3/24", "ann", KEY, "passphrase", "administrator.password"):
        assert word in note
    for secret in ("kuda yang benar", "lusab-babad-gutih", HASH):
        assert secret not in note


LEAVES = st.one_of(st.text(max_size=70), st.integers(), st.booleans(), st.lists(st.text(max_size=20)))
KEYS = st.one_of(st.sampled_from(NAMES), st.text(min_size=1, max_size=12))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    with suppress(SettingsError):
        parse(data)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, LEAVES, max_size=6))
def test_any_names_and_values_are_read_or_refused_and_what_is_read_can_be_written(document):
    try:
        read = parse(Preset(given=document).as_toml().encode())
    except SettingsError as error:
        names = error.errors
    else:
        names = read.given
        assert parse(read.as_toml().encode()) == read
        assert parse(read.note().encode()).is_empty
    assert all(name.isprintable() for name in names)


@settings(max_examples=60, deadline=None)
@given(ssid=st.text(min_size=1, max_size=32), passphrase=st.text(min_size=8, max_size=63))
def test_a_device_is_born_with_what_was_accepted(tmp_path_factory, ssid, passphrase):
    try:
        wanted = parse(Preset(given={"ssid": ssid, "passphrase": passphrase}).as_toml().encode())
    except SettingsError:
        return
    secrets = born(tmp_path_factory.mktemp("born") / "born.json", wanted.born)
    assert {name: getattr(secrets, name) for name in wanted.born} == dict(wanted.born)
    assert tomllib.loads(wanted.as_toml())["passphrase"] == passphrase


def test_a_file_under_a_wrong_name_is_noticed(tmp_path):
    assert preset_file.read(tmp_path) is None
    (tmp_path / "otppi.toml.txt").write_text(FULL)
    with pytest.raises(SettingsError, match=r"otppi\.toml\.txt: has the wrong name"):
        preset_file.read(tmp_path)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_file_is_not_read(tmp_path, make):
    make(tmp_path / "otppi.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        preset_file.read(tmp_path)
