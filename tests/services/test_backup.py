import base64
import hashlib
import json
import os
import zlib
from datetime import datetime

import pytest

from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.lib.secretbox import passphrase_key, seal_bytes, unseal_bytes
from otppi.model.errors import BadRequest, HostError, SettingsError
from otppi.modems.settings import ModemSettings
from otppi.services.backup import Backup, DamagedBackup
from otppi.services.folders import StateFolder
from otppi.services.sections import SECTIONS, watch_over
from otppi.services.whole_change import ChangeBefore
from otppi.settings.export import WrongPassphrase
from otppi.settings.store import SettingsStore
from otppi.system.network.settings import WlanSettings
from otppi.wsgi.tls import ensure_certificate
from tests.gateway.test_inbox import parts
from tests.services.test_cli import otppi
from tests.services.test_network import Desk

PASSPHRASE = "correct horse battery"
SECRETS = ("47114711", "wifi-geheim", "PRIVATE KEY")


class Device:
    def __init__(self, folder):
        self.state = StateFolder.prepared(folder)
        self.store = SettingsStore(folder, SECTIONS, None)
        watch_over(self.store)
        self.clock = SystemClock()
        self.inbox = Inbox(self.state.inbox, lambda: self.store.get(InboxSettings), Bus(), self.clock)
        self.renewals = 0
        self.backup = Backup(
            state=self.state,
            store=self.store,
            inbox=self.inbox,
            clock=self.clock,
            renewed=self.renewed,
        )

    def renewed(self):
        self.renewals += 1

    def receive(self, *texts):
        for text in texts:
            self.inbox.keep(parts(text, "+628120000001"))

    def texts(self):
        return [one.text for one in self.inbox.page().messages]

    def content(self):
        return {section: dict(self.store.items(section)) for section in SECTIONS}

    def files(self):
        """Return all that would survive a power cut, but for keys, which are born when they are first needed."""
        return {
            path.relative_to(self.state.path): path.read_bytes()
            for path in self.state.path.rglob("*")
            if path.is_file() and path.parent != self.state.keys
        }


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Certificate and key, by their names."""
    folder = tmp_path_factory.mktemp("pair")
    ensure_certificate(folder, ["localhost"])
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def device(tmp_path, pair):
    device = Device(tmp_path / "one")
    device.store.update(GeneralSettings, {"device_name": "Shop / Bandung"})
    device.store.update(WlanSettings, {"ssid": "Shop", "passphrase": "wifi-geheim"})
    device.store.put(ModemSettings, "m1", {"name": "first", "port": "ttyUSB0", "sim_pin": "47114711"})
    device.store.put(Administrator, "ann", {"password": "correct horse"})
    device.store.put(ApiUser, "shop", {"password": "battery staple"})
    device.state.certificate.mkdir()
    for name, text in pair.items():
        (device.state.certificate / name).write_text(text)
    device.state.reports.mkdir()
    (device.state.reports / "2026-05-01.jsonl").write_text('["row of May"]\n')
    return device


@pytest.fixture
def other(tmp_path):
    other = Device(tmp_path / "two")
    other.store.put(Administrator, "bob", {"password": "another horse"})
    other.store.put(ModemSettings, "m9", {"name": "ninth", "port": "ttyUSB9"})
    other.state.certificate.mkdir()
    (other.state.certificate / "tls.crt").write_text("OTHER")
    (other.state.certificate / "own.pem").write_text("OWN")
    return other


def raw(made):
    return base64.b64decode(made["content"])


def as_content(data):
    return base64.b64encode(data).decode()


def test_everything_goes_to_another_device(device, other, pair):
    device.receive("first text", "second text")
    made = device.backup.make(PASSPHRASE, with_messages=True)
    assert made["name"].startswith("otppi-backup-Shop-Bandung-2")
    assert made["name"].endswith(".otppi")
    done = other.backup.restore(made["content"], PASSPHRASE, with_network=True)
    assert other.content() == device.content()
    assert sorted(other.texts()) == ["first text", "second text"]
    certificate = {path.name: path.read_text() for path in other.state.certificate.iterdir()}
    assert certificate == pair
    assert (other.state.certificate / "tls.key").stat().st_mode & 0o077 == 0
    assert (other.state.reports / "2026-05-01.jsonl").read_text() == '["row of May"]\n'
    assert other.renewals == 1
    assert done["messages"] == 2
    assert done["sessions_end"]
    assert done["network_changed"]
    assert set(done["removed"]) == {"admins.bob", "modems.m9"}
    assert not (other.state.path / "change-before").exists()


def test_nothing_of_it_can_be_read_in_the_file(device):
    device.receive("a text of somebody")
    data = raw(device.backup.make(PASSPHRASE, with_messages=True))
    for clear in (*SECRETS, "scrypt$", "a text of somebody", "Bandung", "ann", "row of May"):
        assert clear.encode() not in data


def test_what_was_born_on_the_device_is_not_in_it(device):
    device.store.set_path("modems.m1.sim_pin", "47114712")  # makes the key of secrets
    device.state.born.parent.mkdir(exist_ok=True)
    device.state.born.write_text('{"passphrase": "born-on-device"}')
    opened = device.backup.make(PASSPHRASE, with_messages=True)
    unpacked = json.dumps(Opened(opened).document)
    assert "47114712" in unpacked
    assert "born-on-device" not in unpacked
    for key in device.state.keys.glob("*.key"):
        assert base64.b64encode(key.read_bytes()).decode() not in unpacked
        assert key.read_bytes().hex() not in unpacked


class Opened:
    """A backup as it is inside, to be changed and closed again."""

    def __init__(self, made):
        head, _, rest = raw(made).partition(b"\n")
        self.head = head.decode()
        self.key = passphrase_key(PASSPHRASE, base64.b64decode(json.loads(head)["salt"]))
        self.document = json.loads(zlib.decompress(unseal_bytes(self.key, rest[:-32], self.head)))

    def closed(self, packed=None):
        packed = packed or zlib.compress(json.dumps(self.document).encode())
        file = f"{self.head}\n".encode() + seal_bytes(self.key, packed, self.head)
        return as_content(file + hashlib.sha256(file).digest())


def test_reading_says_what_is_in_it_and_changes_nothing(device, other):
    device.receive("first text", "second text")
    made = device.backup.make(PASSPHRASE, with_messages=True)
    before = other.files()
    found = other.backup.read(made["content"], PASSPHRASE)
    assert other.files() == before
    assert (found["device_name"], found["messages"], found["days_of_reports"]) == ("Shop / Bandung", 2, 1)
    assert datetime.fromisoformat(found["made_at"]).tzinfo is not None
    assert found["certificate"]
    sections = {one["key"]: one for one in found["sections"]}
    assert sections["modems"] == {
        "key": "modems",
        "title": "Modems",
        "items": 1,
        "is_network": False,
        "changes": True,
    }
    assert sections["wlan"]["is_network"]
    assert sections["sms"] == {
        "key": "sms",
        "title": "Sending SMS",
        "items": None,
        "is_network": False,
        "changes": False,
    }
    assert not any(secret in json.dumps(found) for secret in SECRETS[:2])


def test_without_a_tick_there_are_no_messages_in_it(device, other):
    device.receive("first text")
    made = device.backup.make(PASSPHRASE)
    assert other.backup.read(made["content"], PASSPHRASE)["messages"] is None
    other.backup.restore(made["content"], PASSPHRASE)
    assert other.texts() == []
    assert not other.state.reports.exists()


def test_the_network_stays_unless_it_is_asked_for(device, other):
    made = device.backup.make(PASSPHRASE)
    assert not other.backup.restore(made["content"], PASSPHRASE)["network_changed"]
    assert other.store.get(WlanSettings) == WlanSettings()
    assert other.store.get(GeneralSettings).device_name == "Shop / Bandung"


def test_only_the_parts_that_are_named_are_restored(device, other):
    made = device.backup.make(PASSPHRASE)
    done = other.backup.restore(made["content"], PASSPHRASE, sections=["general"])
    assert done["changed"] == ["general"]
    assert not done["sessions_end"]
    assert list(other.store.items(Administrator)) == ["bob"]
    assert (other.state.certificate / "tls.crt").read_text() == "OTHER"
    with pytest.raises(BadRequest, match="colours"):
        other.backup.restore(made["content"], PASSPHRASE, sections=["general", "colours"])


def test_restoring_what_is_there_changes_nothing(device):
    device.receive("first text")
    made = device.backup.make(PASSPHRASE, with_messages=True)
    before = device.files()
    done = device.backup.restore(made["content"], PASSPHRASE, with_network=True)
    assert (done["changed"], done["messages"], done["sessions_end"]) == ([], 0, False)
    assert device.files() == before
    assert device.renewals == 0


def test_messages_join_those_that_are_there_in_their_order_and_deleted_ones_come_back(device):
    device.receive("first text", "second text")
    device.inbox.mark_read([device.inbox.page(search="first").messages[0].id])
    made = device.backup.make(PASSPHRASE, with_messages=True)
    device.inbox.delete([one.id for one in device.inbox.page(search="first").messages])
    device.receive("a", "b", "third text")
    there = {one.text for one in device.inbox.page().messages}
    device.inbox.delete([one.id for one in device.inbox.page().messages if one.text in ("a", "b")])
    assert "first text" not in there
    done = device.backup.restore(made["content"], PASSPHRASE, sections=["messages"])
    assert done["messages"] == 1
    messages = device.inbox.page().messages
    assert messages[0].text == "third text"
    assert {one.text: one.is_read for one in messages} == {
        "third text": False,
        "second text": False,
        "first text": True,
    }
    device.receive("a")  # what was deleted by its owner does not come again from the SIM
    assert "a" not in device.texts()


@pytest.mark.parametrize("passphrase", ["", "short", "123456789"])
def test_a_short_passphrase_is_refused(device, passphrase):
    with pytest.raises(WrongPassphrase, match="at least 10 characters"):
        device.backup.make(passphrase)


def test_a_wrong_passphrase_is_said_to_be_wrong(device, other):
    made = device.backup.make(PASSPHRASE)
    before = other.files()
    for call in (other.backup.read, other.backup.restore):
        with pytest.raises(WrongPassphrase, match="is not the one"):
            call(made["content"], "correct horse batterie")
    assert other.files() == before


def test_a_damaged_file_is_said_to_be_damaged_wherever_it_is(device, other):
    data = raw(device.backup.make(PASSPHRASE))
    before = other.files()
    for at in (0, 5, data.index(b"salt") + 12, data.index(b"\n") + 1, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(DamagedBackup):
            other.backup.restore(as_content(bytes(damaged)), PASSPHRASE)
    for cut in (0, 1, 40, len(data) - 1, len(data) - 40):
        with pytest.raises(DamagedBackup):
            other.backup.restore(as_content(data[:cut]), PASSPHRASE)
    assert other.files() == before


@pytest.mark.parametrize(
    "content",
    ["", "?", "bm8gYmFja3Vw", as_content(b"PK\x03\x04"), as_content(b'{"format": "otppi-backup"}\n')],
)
def test_what_is_no_backup_is_refused(other, content):
    with pytest.raises(DamagedBackup):
        other.backup.read(content, PASSPHRASE)


def test_a_newer_release_is_named(device, other):
    made = device.backup.make(PASSPHRASE)
    opened = Opened(made)
    opened.head = opened.head.replace('"version": 1', '"version": 2')
    with pytest.raises(DamagedBackup, match="newer release"):
        other.backup.read(opened.closed(), PASSPHRASE)


def test_a_bomb_and_names_that_lead_elsewhere_are_refused(device, other):
    opened = Opened(device.backup.make(PASSPHRASE, with_messages=True))
    bomb = zlib.compress(b" " * (64 << 20))
    assert len(bomb) < 1 << 20
    with pytest.raises(DamagedBackup):
        other.backup.read(opened.closed(bomb), PASSPHRASE)
    for change in (
        {"certificate": {"../tls.key": "AAAA"}},
        {"certificate": {".hidden": "AAAA"}},
        {"certificate": {"other.pem": "AAAA"}},
        {"sent": {"../2026-05-01.jsonl": ""}},
        {"sent": {"settings.json": ""}},
        {"messages": [1]},
        {"messages": ["1"]},
        {"messages": ["[" * 100_000]},
        {"settings": []},
        {"settings": {"sections": 1}},
    ):
        crafted = Opened(device.backup.make(PASSPHRASE))
        crafted.document |= change
        before = other.files()
        with pytest.raises(DamagedBackup):
            other.backup.restore(crafted.closed(), PASSPHRASE)
        assert other.files() == before


def test_nesting_without_end_is_damage(device, other):
    opened = Opened(device.backup.make(PASSPHRASE))
    with pytest.raises(DamagedBackup):
        other.backup.read(opened.closed(zlib.compress(b"[" * 100_000)), PASSPHRASE)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "own.pem"])
def test_a_certificate_with_which_no_server_starts_is_refused_and_the_rest_can_be_restored(
    device, other, name
):
    crafted = Opened(device.backup.make(PASSPHRASE))
    crafted.document["certificate"][name] = as_content(b"no certificate")
    before = other.files()
    with pytest.raises(DamagedBackup, match="cannot be used"):
        other.backup.restore(crafted.closed(), PASSPHRASE)
    del crafted.document["certificate"][name]
    if name != "own.pem":
        with pytest.raises(DamagedBackup, match="cannot be used"):
            other.backup.restore(crafted.closed(), PASSPHRASE)
    assert other.files() == before
    other.backup.restore(crafted.closed(), PASSPHRASE, sections=["general"])
    assert other.store.get(GeneralSettings).device_name == "Shop / Bandung"


def test_other_files_beside_the_certificate_are_not_in_it(device, other):
    (device.state.certificate / "notes.txt").write_text("of somebody")
    made = device.backup.make(PASSPHRASE)
    other.backup.restore(made["content"], PASSPHRASE)
    assert not (other.state.certificate / "notes.txt").exists()


def test_a_mistake_in_one_section_changes_none(device, other):
    opened = Opened(device.backup.make(PASSPHRASE, with_messages=True))
    opened.document["settings"]["sections"]["api"]["http_port"] = "x"
    before = other.files()
    with pytest.raises(SettingsError, match=r"api\.http_port"):
        other.backup.restore(opened.closed(), PASSPHRASE)
    assert other.files() == before


def test_what_a_guard_refuses_changes_nothing(device, other):
    device.receive("first text")

    def refuse(_, __):
        raise SettingsError({"sms": "not now"})

    device.store.update(SmsSettings, {"country_code": "65"})
    made = device.backup.make(PASSPHRASE, with_messages=True)
    other.store.guard(SmsSettings, refuse)
    before, content = other.files(), other.content()
    with pytest.raises(SettingsError, match="not now"):
        other.backup.restore(made["content"], PASSPHRASE)
    assert other.content() == content
    assert other.files() == before
    assert other.renewals == 0


def test_when_messages_cannot_be_kept_the_settings_go_back(device, other):
    device.receive("first text")
    made = device.backup.make(PASSPHRASE, with_messages=True)
    content = other.content()
    other.state.inbox.write_text("in the way of the folder")
    with pytest.raises(HostError):
        other.backup.restore(made["content"], PASSPHRASE, with_network=True)
    assert other.content() == content
    assert SettingsStore(other.state.path, SECTIONS, None).items(ModemSettings).keys() == {"m9"}
    assert (other.state.certificate / "own.pem").read_text() == "OWN"
    assert not list(other.state.reports.iterdir())
    assert not (other.state.path / "change-before").exists()


def test_after_a_power_cut_in_the_middle_everything_is_as_before(device, other, monkeypatch):
    made = device.backup.make(PASSPHRASE)
    before = other.content()
    # The power goes when all is written and the copy is to be given up.
    monkeypatch.setattr(ChangeBefore, "forget", lambda _: None)
    other.backup.restore(made["content"], PASSPHRASE)
    monkeypatch.undo()
    assert other.content() != before
    ChangeBefore(other.state).put_back()
    again = Device(other.state.path)
    assert again.content() == before
    certificate = {path.name: path.read_text() for path in other.state.certificate.iterdir()}
    assert certificate == {"tls.crt": "OTHER", "own.pem": "OWN"}
    assert not ChangeBefore(other.state).put_back()


def test_a_backup_without_administrators_leaves_those_that_are_there(device, other):
    device.store.remove(Administrator, "ann")
    made = device.backup.make(PASSPHRASE)
    assert not other.backup.restore(made["content"], PASSPHRASE)["sessions_end"]
    assert list(other.store.items(Administrator)) == ["bob"]


def test_a_restored_network_is_on_trial_and_goes_back_alone(tmp_path, device):
    made = device.backup.make(PASSPHRASE)
    desk = Desk(tmp_path / "on-trial")
    try:
        backup = Backup(
            state=desk.state,
            store=desk.store,
            inbox=Inbox(desk.state.inbox, lambda: desk.store.get(InboxSettings), desk.bus, SystemClock()),
            clock=SystemClock(),
            renewed=lambda: None,
        )
        assert backup.restore(made["content"], PASSPHRASE, with_network=True)["network_changed"]
        desk.on_trial()
        desk.wait_until(lambda: desk.ssid() == "Shop")
        with pytest.raises(SettingsError, match="waits for its confirmation"):
            desk.store.update(WlanSettings, {"ssid": "Other"})
    finally:
        desk.stop()
    # Nobody confirmed it, and the plug was pulled.
    again = Desk(tmp_path / "on-trial")
    try:
        assert again.store.get(WlanSettings) == WlanSettings()
        assert again.store.get(GeneralSettings).device_name == "Shop / Bandung"
        assert again.store.items(ModemSettings).keys() == {"m1"}
    finally:
        again.stop()


def test_beside_a_network_on_trial_nothing_is_restored(tmp_path, device):
    made = device.backup.make(PASSPHRASE)
    desk = Desk(tmp_path / "on-trial")
    try:
        inbox = Inbox(desk.state.inbox, lambda: desk.store.get(InboxSettings), desk.bus, SystemClock())
        backup = Backup(
            state=desk.state, store=desk.store, inbox=inbox, clock=SystemClock(), renewed=lambda: None
        )
        desk.store.update(WlanSettings, {"ssid": "Elsewhere"})
        desk.on_trial()
        with pytest.raises(SettingsError, match="waits for its confirmation"):
            backup.restore(made["content"], PASSPHRASE, with_network=True)
        assert desk.store.get(GeneralSettings) == GeneralSettings()
        assert desk.store.get(WlanSettings).ssid == "Elsewhere"
        assert desk.service.trial() is not None
        assert not list(desk.state.certificate.iterdir())
        backup.restore(made["content"], PASSPHRASE)  # without the network it can be
        assert desk.store.get(GeneralSettings).device_name == "Shop / Bandung"
    finally:
        desk.stop()


def test_it_works_from_the_command_line_without_a_gateway(tmp_path, device):
    file = tmp_path / "kept.otppi"
    stdin = f"{PASSPHRASE}\n"
    otppi(device.state.path, "backup", "make", str(file), "--passphrase-stdin", stdin=stdin, check=0)
    assert file.stat().st_mode & 0o077 == 0
    again = otppi(device.state.path, "backup", "make", str(file), "--passphrase-stdin", stdin=stdin)
    assert again.returncode == 1
    named = otppi(
        device.state.path, "backup", "make", str(tmp_path), "--passphrase-stdin", stdin=stdin, check=0
    )
    assert os.path.basename(named.stdout.strip()).startswith("otppi-backup-Shop-Bandung-")
    new = tmp_path / "new"
    shown = otppi(new, "backup", "read", str(file), "--passphrase-stdin", stdin=stdin, check=0).stdout
    assert "Shop / Bandung" in shown
    assert "modems\tModems (1)\tdiffers" in shown
    assert not new.exists()
    wrong = otppi(new, "backup", "restore", str(file), "--passphrase-stdin", stdin="something else\n")
    assert (wrong.returncode, wrong.stderr.startswith("otppi: passphrase: is not the one")) == (1, True)
    otppi(new, "backup", "restore", str(file), "--passphrase-stdin", stdin=stdin, check=0)
    restored = SettingsStore(new, SECTIONS, None)
    assert restored.items(ModemSettings)["m1"].sim_pin == "47114711"
    assert restored.get(WlanSettings) == WlanSettings()
