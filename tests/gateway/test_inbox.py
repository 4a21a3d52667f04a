import gc
import itertools
import json
import os
import random
import resource
import signal
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otppi.contracts.received import ReceivedPart
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.lib.bus import Bus
from otppi.model.errors import HostError
from otppi.model.events import SmsReceived
from otppi.model.network_pdu import deliver_pdus
from otppi.model.received_pdu import Delivered, Party, decode_received

SIM = "8962000000000000001"
SENT_AT = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)  # the fake clock's today
LONG = "".join(f"{number:04} " for number in range(100))  # four parts


def parts(text="Halo", sender="+6281200000001", *, sent_at=SENT_AT, reference=1, sim=SIM):
    party = Party(sender, is_name=not sender.lstrip("+").isdigit())
    read = [
        decode_received(pdu) for pdu in deliver_pdus(party, text, sent_at=sent_at, concat_reference=reference)
    ]
    return [ReceivedPart(modem_id="m0", sim=sim, message=one) for one in read]


class Desk:
    """An inbox that can be started again, and what it published."""

    def __init__(self, folder, clock):
        self.folder = folder
        self.clock = clock
        self.settings = InboxSettings()
        self.bus = Bus()
        self.news = []
        self.bus.subscribe("test", self.news.append, SmsReceived)
        self.restart()

    def restart(self):
        if hasattr(self, "inbox"):
            self.inbox.stop()
        self.inbox = Inbox(self.folder, lambda: self.settings, self.bus, self.clock)

    @property
    def file(self):
        return self.folder / "messages.jsonl"

    @property
    def texts(self):
        return [message.text for message in self.inbox.page(count=10_000).messages]

    def events(self):
        """Return what was published, and publish nothing more."""
        self.bus.stop()
        return self.news


@pytest.fixture
def desk(tmp_path, clock):
    one = Desk(tmp_path / "inbox", clock)
    yield one
    one.inbox.stop()
    one.bus.stop()


def test_a_message_is_kept_told_of_and_found_after_a_restart(desk):
    desk.inbox.keep(parts("Kode 123456", "BANK"))
    desk.restart()
    (message,) = desk.inbox.page().messages
    assert (message.sender, message.text) == (Party("BANK", is_name=True), "Kode 123456")
    assert (message.modem_id, message.sim, message.sent_at) == ("m0", SIM, SENT_AT)
    assert message.received_at.timestamp() == desk.clock.wall
    assert (message.parts, message.missing, message.is_read, message.is_data) == (1, (), False, False)
    assert desk.inbox.message(message.id) == message
    (event,) = desk.events()
    assert event == SmsReceived(message_id=message.id, modem_id="m0", masked_sender="BANK", parts=1)


def test_files_and_folder_are_for_the_gateway_alone(desk):
    desk.inbox.keep(parts())
    assert desk.folder.stat().st_mode & 0o777 == 0o700
    assert desk.file.stat().st_mode & 0o777 == 0o600


def test_no_event_has_a_text_or_a_number(desk):
    desk.inbox.keep(parts("Kode 123456"))
    (event,) = desk.events()
    assert "123456" not in repr(event)
    assert "81200000001" not in repr(event)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_parts_in_any_order_and_over_restarts_are_one_message(desk, order):
    coming = parts(LONG)
    assert len(coming) == 4
    for index in order:
        assert desk.texts == []
        desk.inbox.keep([coming[index]])
        desk.restart()
    assert desk.texts == [LONG]
    (event,) = desk.events()
    assert (event.parts, event.is_complete) == (4, True)


def test_a_part_that_is_read_again_is_recognised(desk):
    coming = parts(LONG)
    desk.inbox.keep(coming[:3])
    desk.inbox.keep(coming[:3])
    desk.restart()
    desk.inbox.keep([*coming, *coming])
    desk.inbox.keep(coming)
    assert desk.texts == [LONG]
    assert len(desk.events()) == 1


def test_a_message_that_was_deleted_does_not_come_back_from_the_sim(desk):
    desk.inbox.keep(parts())
    (message,) = desk.inbox.page().messages
    assert desk.inbox.delete([message.id]) == 1
    desk.inbox.keep(parts())
    desk.restart()
    desk.inbox.keep(parts())
    assert desk.texts == []
    assert len(desk.events()) == 1


def test_a_message_that_a_power_cut_left_on_the_sim_is_told_of_again_but_only_once(desk):
    desk.inbox.keep(parts("kept"))
    (message,) = desk.inbox.page().messages
    desk.restart()
    for _ in range(3):
        desk.inbox.keep(parts("kept"))
    assert desk.texts == ["kept"]
    assert [event.message_id for event in desk.events()] == [message.id, message.id]


def test_the_same_text_a_second_later_or_on_another_sim_is_another_message(desk):
    desk.inbox.keep(parts("ok"))
    desk.inbox.keep(parts("ok", sent_at=SENT_AT + timedelta(seconds=1)))
    desk.inbox.keep(parts("ok", sim="8962000000000000002"))
    desk.inbox.keep(parts("ok", sender="+6281200000002"))
    assert desk.texts == ["ok"] * 4


def test_without_a_time_of_the_centre_a_part_is_known_again_within_the_hour(desk):
    unstamped = [
        ReceivedPart(modem_id="m0", sim=SIM, message=Delivered(sender=Party("888"), text="ok")),
    ]
    desk.inbox.keep(unstamped)
    desk.inbox.keep(unstamped)
    assert desk.texts == ["ok"]
    desk.clock.advance(3600)
    desk.inbox.keep(unstamped)
    assert desk.texts == ["ok", "ok"]


def test_an_incomplete_message_is_shown_after_its_time_and_completed_by_a_late_part(desk):
    coming = parts(LONG)
    desk.inbox.keep([coming[0], coming[3]])
    desk.clock.advance(119 * 60)
    desk.inbox.sweep()
    assert desk.texts == []
    desk.clock.advance(60)
    desk.inbox.sweep()
    desk.inbox.sweep()
    (shown,) = desk.inbox.page().messages
    assert shown.missing == (2, 3)
    assert shown.text == coming[0].message.text + "[… 2/4 …][… 3/4 …]" + coming[3].message.text
    desk.restart()
    desk.inbox.sweep()
    assert len(desk.texts) == 1
    desk.clock.advance(20 * 3600)
    desk.inbox.keep([coming[2], coming[1]])
    assert desk.texts == [LONG]
    first, second = desk.events()
    assert (first.message_id, first.is_complete) == (shown.id, False)
    assert (second.message_id, second.is_complete) == (shown.id, True)


def test_a_pair_of_surrogates_cut_by_the_network_is_whole_again(desk):
    head = "0044" + "0D91261802000000F1" + "0008" + "72105180000000" + "08"
    first, second = (decode_received(head + "0500030902" + tail) for tail in ("01" + "D83D", "02" + "DD11"))
    for message in (second, first):
        desk.inbox.keep([ReceivedPart(modem_id="m0", sim=SIM, message=message)])
    assert desk.texts == ["\U0001f511"]


def test_pages_and_search(desk):
    for number in range(25):
        desk.inbox.keep(
            parts(f"Nomor {number}", f"+62812000000{number:02}", sent_at=SENT_AT + timedelta(minutes=number))
        )
    desk.inbox.keep(parts("Saldo Anda", "BANK"))
    page = desk.inbox.page(count=10)
    assert page.total == 26
    assert [message.text for message in page.messages[:2]] == ["Saldo Anda", "Nomor 24"]
    assert [message.text for message in desk.inbox.page(offset=25).messages] == ["Nomor 0"]

    def found(wanted, **options):
        page = desk.inbox.page(search=wanted, **options)
        return page.total, [message.text for message in page.messages]

    assert found("bank") == (1, ["Saldo Anda"])
    assert found("SALDO") == (1, ["Saldo Anda"])
    assert found("081200000007") == (1, ["Nomor 7"])
    assert found("+6281200000007") == (1, ["Nomor 7"])
    assert found("nomor 1", offset=1, count=2) == (11, ["Nomor 18", "Nomor 17"])
    assert found("no such text") == (0, [])


def test_what_was_read_stays_read(desk):
    desk.inbox.keep(parts("a"))
    desk.inbox.keep(parts("b"))
    newest, oldest = desk.inbox.page().messages
    desk.inbox.mark_read([newest.id, oldest.id, "no such message"])
    desk.inbox.mark_read([oldest.id], is_read=False)
    desk.restart()
    assert [message.is_read for message in desk.inbox.page().messages] == [True, False]
    assert (desk.inbox.fill().messages, desk.inbox.fill().unread) == (2, 1)


def test_a_deleted_text_is_gone_from_the_disk(desk):
    desk.inbox.keep(parts("Kode 123456"))
    desk.inbox.keep(parts("stays"))
    stays, goes = desk.inbox.page().messages
    assert desk.inbox.delete([goes.id, goes.id, "no such message"]) == 1
    assert b"123456" not in desk.file.read_bytes()
    desk.restart()
    assert desk.texts == ["stays"]
    assert desk.inbox.message(stays.id) is not None
    assert desk.inbox.message(goes.id) is None


def test_old_messages_go_and_those_of_an_unset_clock_stay(desk):
    desk.clock.wall, today = 1_000.0, desk.clock.wall
    desk.inbox.keep(parts("of no time", sent_at=SENT_AT))
    desk.clock.wall = today
    desk.inbox.keep(parts("old"))
    desk.clock.advance(90 * 86_400)
    desk.inbox.keep(parts("new", sent_at=SENT_AT + timedelta(days=90)))
    desk.inbox.sweep()
    assert desk.texts == ["new", "old", "of no time"]
    desk.clock.advance(60)
    desk.clock.trusted = False
    desk.inbox.sweep()
    assert len(desk.texts) == 3
    desk.clock.trusted = True
    desk.inbox.sweep()
    assert desk.texts == ["new", "of no time"]
    assert b'"old"' not in desk.file.read_bytes()


def test_beyond_the_most_messages_the_oldest_go(desk):
    desk.settings = InboxSettings(max_messages=10)
    for number in range(30):
        desk.inbox.keep(parts(f"{number}"))
    assert desk.texts == [f"{number}" for number in range(29, 19, -1)]


def test_nothing_is_kept_when_the_owner_wants_it_so(desk):
    desk.inbox.keep(parts("kept"))
    before = desk.file.read_bytes()
    desk.settings = InboxSettings(keep_messages=False)
    coming = parts(LONG)
    desk.inbox.keep(coming)
    desk.inbox.keep(coming)
    desk.inbox.keep(parts("short"))
    assert desk.file.read_bytes() == before
    assert desk.texts == ["kept"]
    assert [(event.message_id, event.parts) for event in desk.events()[1:]] == [("", 4), ("", 1)]


def test_a_flood_takes_no_more_than_its_share_of_disk_and_memory(desk):
    """Parts of long messages that never end, each in the widest coding."""
    desk.settings = InboxSettings(max_messages=20_000)
    first, _ = parts("\u65e5" * 134)
    gc.collect()
    tracemalloc.start(1)
    for batch in range(80):
        senders = [Party(f"+628120{batch:03}{number:04}") for number in range(200)]
        desk.inbox.keep([replace(first, message=replace(first.message, sender=sender)) for sender in senders])
        assert desk.file.stat().st_size < 18 << 20
    del senders
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    fill = desk.inbox.fill()
    assert 7 << 20 < fill.bytes <= 8 << 20
    assert held < 24 << 20
    print(f"{fill.messages} messages, {fill.bytes} bytes, {held / fill.messages:.0f} B of memory each")


def test_a_damaged_line_costs_that_line(desk):
    for number in range(5):
        desk.inbox.keep(parts(f"text {number}"))
    lines = desk.file.read_bytes().splitlines()
    desk.inbox.stop()
    lines[1] = lines[1][:40] + b"\xff\x00" + lines[1][42:]
    lines[3] = lines[3][:50]
    lines.insert(2, b"[1, 2]")
    lines.insert(2, b'{"id": 5}')
    lines.insert(2, b'{"gone": 5}')
    desk.file.write_bytes(b"\n".join(lines) + b'\n{"id":"torn')
    desk.restart()
    assert desk.texts == ["text 4", "text 2", "text 0"]
    desk.inbox.keep(parts("text 5"))
    desk.restart()
    assert desk.texts == ["text 5", "text 4", "text 2", "text 0"]


def test_a_line_that_is_damaged_while_it_is_in_use_costs_that_message(desk):
    desk.inbox.keep(parts("first"))
    desk.inbox.keep(parts("second"))
    with desk.file.open("r+b") as file:
        file.write(b"#" * 30)
    assert desk.texts == ["second"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000), octets=st.binary(min_size=1, max_size=60))
def test_random_damage_never_keeps_it_from_opening(tmp_path_factory, clock, seed, octets):
    desk = Desk(tmp_path_factory.mktemp("inbox") / "inbox", clock)
    for number in range(5):
        desk.inbox.keep(parts(f"text {number}"))
    desk.inbox.keep(parts(LONG)[:2])
    desk.inbox.stop()
    data = bytearray(desk.file.read_bytes())
    at = random.Random(seed).randrange(len(data))
    data[at : at + len(octets)] = octets
    desk.file.write_bytes(data)
    desk.restart()
    assert len(desk.texts) >= 3
    desk.inbox.keep(parts("afterwards"))
    assert desk.texts[0] == "afterwards"
    desk.inbox.stop()
    desk.bus.stop()


def test_what_was_torn_by_a_power_cut_leaves_all_that_was_confirmed(desk):
    """Cut the file at every length that the last keep could have left."""
    desk.inbox.keep(parts("confirmed"))
    before = desk.file.stat().st_size
    desk.inbox.keep(parts("not confirmed"))
    whole = desk.file.read_bytes()
    for size in range(before, len(whole)):
        desk.inbox.stop()
        desk.file.write_bytes(whole[:size])
        desk.restart()
        # With nothing but its line end missing, the other is there as well.
        assert desk.texts[-1] == "confirmed"
        desk.inbox.keep(parts("not confirmed"))  # the SIM still has it
        assert desk.texts == ["not confirmed", "confirmed"]


def test_a_full_disk_is_said_and_heals(desk):
    desk.inbox.keep(parts("before"))
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (desk.file.stat().st_size + 10, old[1]))
    try:
        with pytest.raises(HostError, match="EFBIG"):
            desk.inbox.keep(parts(LONG))
        assert desk.texts == ["before"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    desk.inbox.keep(parts(LONG))
    assert desk.texts == [LONG, "before"]
    assert len(desk.events()) == 2


def test_a_folder_that_cannot_be_used_is_an_error_of_the_host(tmp_path, clock):
    (tmp_path / "inbox").write_text("not a folder")
    inbox = Inbox(tmp_path / "inbox", InboxSettings, Bus(), clock)
    with pytest.raises(HostError):
        inbox.keep(parts())
    with pytest.raises(HostError):
        inbox.page()
    inbox.stop()


def test_the_file_is_written_anew_when_half_of_it_is_of_no_use(desk):
    desk.settings = InboxSettings(max_messages=50)
    largest = 0
    for number in range(1000):
        desk.inbox.keep(parts(f"{number:04}" * 30))
        if number % 10 == 0:
            desk.inbox.mark_read([desk.inbox.page(count=1).messages[0].id])
        largest = max(largest, desk.file.stat().st_size)
    assert largest < 150_000
    desk.restart()
    messages = desk.inbox.page(count=100).messages
    assert [message.text[:4] for message in messages] == [f"{number:04}" for number in range(999, 949, -1)]
    assert [message.text[:4] for message in messages if message.is_read] == [
        "0990",
        "0980",
        "0970",
        "0960",
        "0950",
    ]
    assert os.listdir(desk.folder) == ["messages.jsonl"]


def test_many_marks_survive_being_written_anew(desk):
    desk.settings = InboxSettings(max_messages=4000)
    for batch in range(10):
        desk.inbox.keep([part for number in range(400) for part in parts(f"{batch} {number}")])
    ids = [message.id for message in desk.inbox.page(count=5000).messages]
    desk.inbox.mark_read(ids[:3500])
    desk.inbox.delete(ids[3500:])
    for _ in range(100):
        desk.inbox.mark_read(ids[:1000], is_read=False)
        desk.inbox.mark_read(ids[:1000])
    desk.restart()
    assert (desk.inbox.fill().messages, desk.inbox.fill().unread) == (3500, 0)


def test_every_line_is_json_and_holds_what_it_must(desk):
    desk.inbox.keep(parts("x"))
    (line,) = desk.file.read_bytes().splitlines()
    assert json.loads(line)["text"] == "x"


def test_its_thread_sweeps_and_ends(desk):
    coming = parts(LONG)
    desk.inbox.keep(coming[:1])
    desk.clock.advance(3 * 3600)
    desk.inbox.start()
    desk.inbox.stop()
    assert desk.inbox.died() == ()
    assert [event.is_complete for event in desk.events()] == [False]
