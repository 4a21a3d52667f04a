"""How often a vendor is asked: the real keeper on a clock that flies, with the real reading of each vendor's words."""

import json
from contextlib import suppress
from itertools import count, pairwise

import pytest

from otppi.ddns import nic, wire
from otppi.ddns.keeper import Keeper
from otppi.ddns.public_address import NoAnswer, PublicAddress
from otppi.ddns.schedule import Standing
from otppi.ddns.settings import (
    AfraidSettings,
    DdnsRecord,
    Dyndns2Settings,
    DynuSettings,
    NoIpSettings,
    PublicAddressSettings,
)
from otppi.lib.bus import Bus
from otppi.model.errors import BadRequest, SettingsError, TooManyRequests
from otppi.model.events import DdnsChanged
from otppi.services.sections import SECTIONS, watch_over
from otppi.settings.fields import boolean
from otppi.settings.store import SettingsStore

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
HOME, AWAY = "8.8.4.4", "9.9.9.9"
DOWN = None


class World:
    """A vendor, two sources and a device; `word` is what the vendor says, `address` where the device is."""

    def __init__(self, folder, clock):
        self.clock = clock
        self.file = folder / "ddns.json"
        self.word = "good"
        self.status = 200
        self.address = HOME
        self.second_says = ""  # instead of the address
        self.asked = []  # seconds since the beginning, name and address
        self.looks = 0
        self.events = []
        self.bus = Bus()
        self.bus.subscribe("test", self.events.append, DdnsChanged)
        self.store = SettingsStore(folder, SECTIONS, None)
        self.store.update(NoIpSettings, {"active": True, "username": "toko", "password": "secret-1"})
        self.store.update(
            PublicAddressSettings, {"first_url": "https://one.example", "second_url": "https://two.example"}
        )
        self.began_s = clock.wall
        self.start()
        self.put("otp")

    def put(self, name, **values):
        raw = {"provider": "noip", "zone": "example.com", "record_name": name, "every_minutes": "1"}
        self.store.put(DdnsRecord, name, {**raw, **values})
        self.keeper.apply()

    def set_account(self, **values):
        self.store.update(NoIpSettings, values)
        self.keeper.apply()

    def start(self):
        """Start, as after a power cut."""
        self.keeper = Keeper(
            file=self.file,
            store=self.store,
            bus=self.bus,
            clock=self.clock,
            key=bytes(32),
            public_address=PublicAddress(
                lambda: self.store.get(PublicAddressSettings),
                self.clock,
                ask=self.say,
                interface_addresses=lambda _: [],
            ),
            provider=lambda _: self,
        )

    def say(self, url, _):
        self.looks += url == "https://one.example"
        if self.address is DOWN:
            raise NoAnswer("cannot be reached: its name is not known")
        return self.second_says or self.address if url == "https://two.example" else self.address

    def update(self, account, record, address):
        self.asked.append((self.clock.wall - self.began_s, record.host, str(address)))
        if self.word is DOWN:
            return wire._unreached(wire.https.Unreached("it does not answer in time"))
        answer = wire.Answer(self.status, self.word, None)
        return nic.read(answer, address) or wire.unread(answer, account, record)

    def live(self, seconds, move=lambda _: None):
        """Let time pass; `move` is called before each look with the seconds since the beginning."""
        until = self.clock.wall + seconds
        while self.clock.wall < until:
            move(self.clock.wall - self.began_s)
            self.clock.advance(max(1.0, min(self.keeper.do_due(), until - self.clock.wall)))

    def row(self, name="otp"):
        return self.keeper.records()[name]

    def news(self):
        self.bus.stop()
        return [(one.host, one.is_failure) for one in self.events]


@pytest.fixture
def world(tmp_path, clock):
    one = World(tmp_path, clock)
    yield one
    one.bus.stop()


def flap(world):
    turn = count()

    def move(_):
        world.address = (HOME, AWAY)[next(turn) % 2]

    return move


WORDS = {
    "good": (200, "good"),
    "nochg": (200, "nochg"),
    "badauth": (401, "badauth"),
    "nohost": (200, "nohost"),
    "abuse": (200, "abuse"),
    "!donator": (200, "!donator"),
    "badagent": (200, "badagent"),
    "911": (500, "911"),
    "dnserr": (200, "dnserr"),
    "429": (429, ""),
    "503": (503, "<html>Sorry</html>"),
    "gibberish": (200, "what is this"),
    "network down": (0, DOWN),
}


@pytest.mark.parametrize(
    # What 24 h bring at a vendor that always says the same, looked at once a minute: of an address that stays, one
    # that changes at noon, and one that is another at each look.
    ("word", "steady", "changing", "flapping"),
    [
        ("good", 1, 2, 240),
        ("nochg", 1, 2, 240),
        ("badauth", 1, 1, 1),
        ("nohost", 1, 1, 1),
        ("abuse", 1, 1, 1),
        ("!donator", 1, 1, 1),
        ("badagent", 1, 1, 1),
        ("911", 7, 7, 7),  # after 0.5, 1, 2, 4, 6, 6 h
        ("dnserr", 7, 7, 7),
        ("429", 7, 7, 7),
        ("503", 10, 10, 10),  # after 5, 10, 20, 40 min, 1 h 20, 2 h 40, 5 h 20, 6 h, 6 h
        ("gibberish", 6, 6, 6),  # after 1, 2, 4, 6, 6 h
        ("network down", 10, 10, 10),
    ],
)
def test_a_day_shows_no_needless_update_and_the_right_waits(world, word, steady, changing, flapping):
    world.status, world.word = WORDS[word]
    moves = {
        "steady": lambda _: None,
        "changing": lambda at: setattr(world, "address", HOME if at < 12 * HOUR else AWAY),
        "flapping": flap(world),
    }
    found = {}
    for name, move in moves.items():
        world.file.unlink(missing_ok=True)
        world.start()
        world.asked.clear()
        world.began_s = world.clock.wall
        world.live(DAY, move)
        found[name] = len(world.asked)
        moments = [at for at, *_ in world.asked]
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert all(gap >= (MINUTE if world.word in ("good", "nochg") else 5 * MINUTE) for gap in gaps)
        assert all(sum(at <= one < at + HOUR for one in moments) <= 10 for at in moments)
    assert found == {"steady": steady, "changing": changing, "flapping": flapping}


def test_forty_days_of_one_address_are_two_updates_and_two_writes(world):
    world.put("otp", every_minutes="15")
    inodes = set()

    def note(_):
        if world.file.exists():
            inodes.add((world.file.stat().st_ino, world.file.stat().st_mtime_ns))

    world.live(40 * DAY, note)
    assert [at // DAY for at, *_ in world.asked] == [0, 25]
    assert len(inodes) == 2
    assert world.looks == 40 * 24 * 4
    assert world.news() == [("otp.example.com", False)]  # that it was confirmed is none


def test_a_restart_asks_nobody_anew(world):
    for status, word in (WORDS["good"], WORDS["nohost"], WORDS["badauth"], WORDS["911"]):
        world.status, world.word = status, word
        world.file.unlink(missing_ok=True)
        world.asked.clear()
        for _ in range(10):
            world.start()
            world.live(2 * MINUTE)
        assert len(world.asked) == 1, word


def test_a_power_cut_between_update_and_save_costs_one_update(world):
    world.live(MINUTE)
    world.address = AWAY
    before = world.file.read_bytes()
    world.live(2 * MINUTE)
    world.file.write_bytes(before)
    world.start()
    world.live(HOUR)
    assert [address for *_, address in world.asked] == [HOME, AWAY, AWAY]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"records": {"otp": {}}}', b"\xff\xfe"])
def test_a_damaged_file_costs_one_update(world, damage, caplog):
    world.live(MINUTE)
    world.file.write_bytes(damage)
    world.start()
    world.live(HOUR)
    assert len(world.asked) == 2
    assert "cannot be read" in caplog.text
    assert json.loads(world.file.read_bytes())["records"]["otp"]["address"] == HOME


def test_a_disk_that_takes_nothing_stops_nothing_and_has_it_later(world):
    world.file.mkdir()  # nothing can be put in its place
    world.live(HOUR)
    assert len(world.asked) == 1
    world.file.rmdir()
    world.live(HOUR)
    world.start()
    world.live(HOUR)
    assert len(world.asked) == 1


def test_a_refusal_of_the_account_stops_all_its_records_until_the_account_is_another(world):
    world.put("sms")
    world.status, world.word = WORDS["badauth"]
    world.live(HOUR)
    assert len(world.asked) == 1
    assert {one.standing for one in world.keeper.records().values()} == {Standing.STOPPED}
    assert {one.said.word for one in world.keeper.records().values()} == {"badauth"}
    world.put("sms", ttl=300)  # says nothing of the password
    world.start()
    world.live(HOUR)
    assert len(world.asked) == 1
    world.status, world.word = WORDS["good"]
    world.set_account(password="secret-2")
    world.live(HOUR)
    assert [host for _, host, _ in world.asked[1:]] == ["otp.example.com", "sms.example.com"]
    assert {one.standing for one in world.keeper.records().values()} == {Standing.DONE}
    assert "secret" not in world.file.read_text()


def test_a_refusal_of_a_name_stops_it_alone_until_its_settings_are_others(world):
    world.put("sms")
    world.status, world.word = WORDS["nohost"]
    world.live(HOUR)
    assert len(world.asked) == 2
    world.status, world.word = WORDS["good"]
    world.put("otp", record_name="otp2")
    world.live(HOUR)
    assert [host for _, host, _ in world.asked[2:]] == ["otp2.example.com"]
    world.put("otp", record_name="otp2", every_minutes="5")  # of no matter to the vendor
    world.live(HOUR)
    assert len(world.asked) == 3
    assert world.row("sms").standing is Standing.STOPPED


def test_whoever_asks_for_an_update_ends_a_stop(world):
    world.put("sms")
    world.status, world.word = WORDS["abuse"]
    world.live(HOUR)
    assert len(world.asked) == 1
    world.keeper.update_now("otp")
    assert len(world.asked) == 2
    assert world.row().standing is Standing.STOPPED
    world.status, world.word = WORDS["good"]
    world.clock.advance(MINUTE)
    world.keeper.update_now("sms")
    assert world.row("sms").standing is Standing.DONE
    world.start()
    world.live(HOUR)
    assert world.row("otp").standing is Standing.DONE  # the vendor takes the account again
    assert world.news() == [
        ("otp.example.com", True),
        ("sms.example.com", False),
        ("otp.example.com", False),
    ]


def test_whoever_asks_too_often_is_refused(world):
    world.live(MINUTE)
    for _ in range(9):
        world.keeper.update_now("otp")
        world.clock.advance(MINUTE - 1)
        with pytest.raises(TooManyRequests):
            world.keeper.update_now("otp")
        world.clock.advance(1)
    with pytest.raises(TooManyRequests) as refusal:
        world.keeper.update_now("otp")
    assert refusal.value.retry_after_s == HOUR - 10 * MINUTE
    assert len(world.asked) == 10
    world.put("otp", active=False)
    for record, words in (("otp", "not active"), ("nosuch", "no such record")):
        with pytest.raises(BadRequest, match=words):
            world.keeper.update_now(record)


def test_who_corrects_a_setting_waits_only_as_long_as_the_vendor_wants(world):
    world.status, world.word = WORDS["network down"]
    world.live(13 * HOUR)
    asked = len(world.asked)
    world.status, world.word = WORDS["good"]
    world.set_account(endpoint="https://dynupdate.example/nic/update")
    world.live(5 * MINUTE)
    assert len(world.asked) == asked + 1
    assert world.row().standing is Standing.DONE


def test_settings_that_are_changed_all_the_time_do_not_reach_the_vendor_each_time(world):
    for ttl in range(60, 120):
        world.put("otp", ttl=ttl)
        world.live(10.0)
    assert len(world.asked) == 10
    assert "change so often" in world.row().said.finding
    world.live(HOUR)
    assert len(world.asked) == 11  # with the last of them
    world.live(DAY)
    assert len(world.asked) == 11


def test_a_failed_update_leaves_open_what_the_vendor_has(world):
    world.live(MINUTE)
    world.address = AWAY
    world.status, world.word = WORDS["911"]
    world.live(10 * MINUTE)
    world.address = HOME
    world.status, world.word = WORDS["good"]
    world.live(DAY)
    assert [address for *_, address in world.asked] == [HOME, AWAY, HOME]


def test_another_vendor_knows_nothing_of_what_was_with_the_last(world):
    world.status, world.word = WORDS["911"]
    world.live(MINUTE)
    world.status, world.word = WORDS["good"]
    account = {"active": True, "username": "toko", "password": "secret-1"}
    world.store.update(DynuSettings, account)
    world.put("otp", provider="dynu")
    world.live(MINUTE)
    assert len(world.asked) == 2
    assert world.row().standing is Standing.DONE


def test_trouble_is_told_once_and_so_is_its_end(world):
    world.live(HOUR)
    world.address = AWAY
    world.status, world.word = WORDS["911"]
    world.live(8 * HOUR)
    row = world.row()
    assert (row.standing, row.said.word, row.address) == (Standing.LATER, "911", HOME)
    assert row.next_at_s is not None
    assert row.next_at_s > world.clock.wall
    world.status, world.word = WORDS["good"]
    world.live(8 * HOUR)
    assert (world.row().standing, world.row().address) == (Standing.DONE, AWAY)
    assert world.news() == [("otp.example.com", False), ("otp.example.com", True), ("otp.example.com", False)]


def test_nothing_is_sent_while_the_clock_is_not_set(world):
    world.clock.trusted = False
    world.live(HOUR)
    assert (world.looks, world.asked) == (0, [])
    assert (world.row().standing, world.row().said.finding) == (Standing.WAITING, "the clock is not set yet")
    assert world.keeper.update_now("otp").said.finding == "the clock is not set yet"
    assert (world.looks, world.asked) == (0, [])
    world.clock.trusted = True
    world.clock.wall += 300 * DAY
    world.live(MINUTE)
    assert len(world.asked) == 1


def test_a_clock_that_is_set_back_stops_nothing_for_long(world):
    world.live(MINUTE)
    world.clock.wall -= 300 * DAY
    world.live(HOUR)
    assert len(world.asked) == 2  # when it was updated lies in the future, so nobody knows


def test_without_an_account_nobody_is_asked(world):
    world.set_account(active=False)
    world.live(HOUR)
    assert (world.looks, world.asked) == (0, [])
    row = world.row()
    assert (row.standing, row.said.finding) == (Standing.STOPPED, "the account at No-IP is not active")


def test_an_address_of_which_nobody_is_sure_is_not_published(world):
    world.live(MINUTE)
    world.address, world.second_says = AWAY, HOME
    world.live(HOUR)
    assert world.row().said.finding == f"the two sources disagree: {AWAY} and {HOME}"
    world.second_says = "<html>log in</html>"
    world.live(HOUR)
    assert world.row().said.finding == "two.example: a web page comes instead of an address"
    world.address, world.second_says = DOWN, ""
    world.live(HOUR)
    assert len(world.asked) == 1
    assert (world.row().standing, world.row().address) == (Standing.WAITING, HOME)
    world.address, world.second_says = "100.64.1.1", ""
    world.live(HOUR)
    assert "carrier NAT" in world.row().said.finding
    world.address = AWAY
    world.live(HOUR)
    assert len(world.asked) == 2


def test_one_source_is_enough_to_confirm_what_the_vendor_has(world):
    world.live(MINUTE)
    world.second_says = "out of order"
    world.put("otp", every_minutes="60")
    world.live(26 * DAY)
    assert len(world.asked) == 2
    assert world.row().standing is Standing.DONE


def test_an_update_that_is_asked_for_says_what_kept_the_vendor_from_being_asked(world):
    world.status, world.word = WORDS["badauth"]
    world.live(HOUR)
    world.address = DOWN
    found = world.keeper.update_now("otp")
    assert (found.standing, found.said.finding) == (
        Standing.WAITING,
        "both sources: cannot be reached: its name is not known",
    )
    assert len(world.asked) == 1
    assert world.row().standing is Standing.STOPPED


def test_an_address_that_is_not_known_is_looked_for_soon_even_if_the_record_is_looked_at_daily(world):
    world.put("otp", every_minutes="1440")
    world.address = DOWN  # as after a start, before the network is there
    world.live(MINUTE)
    world.address = HOME
    world.live(5 * MINUTE)
    assert len(world.asked) == 1
    world.live(DAY)
    assert world.looks == 3


def test_a_record_that_is_not_active_is_left_alone(world):
    world.put("otp", active=False)
    assert world.keeper.do_due() > DAY
    assert (world.looks, world.asked, world.row().standing) == (0, [], Standing.OFF)


def test_a_mistake_in_a_vendors_part_is_waited_for_like_trouble_of_the_vendor(world, caplog):
    world.word = 5  # no text, as no vendor can say it
    world.live(DAY)
    assert len(world.asked) == 10
    assert world.row().said.finding == "internal error; see the log"
    assert "a vendor of dynamic DNS failed" in caplog.text


def test_the_wait_that_the_vendor_wants_is_kept_whoever_asks(world):
    for word, wait in (("911", 30 * MINUTE), ("429", 30 * MINUTE), ("503", MINUTE), ("gibberish", MINUTE)):
        world.file.unlink(missing_ok=True)
        world.start()
        world.status, world.word = WORDS[word]
        world.live(1.0)
        asked = len(world.asked)
        world.clock.advance(wait - 2)
        with pytest.raises(TooManyRequests):
            world.keeper.update_now("otp")
        world.clock.advance(2)
        world.keeper.update_now("otp")
        assert len(world.asked) == asked + 1, word


def test_a_refused_account_is_asked_once_a_minute_however_many_records_it_has(world):
    names = ("otp", "sms", "web")
    for name in names:
        world.put(name)
    world.status, world.word = WORDS["badauth"]
    world.live(HOUR)
    world.asked.clear()
    for _ in range(5):
        for name in names:
            with suppress(TooManyRequests):
                world.keeper.update_now(name)
        world.clock.advance(MINUTE)
    assert len(world.asked) == 5


@pytest.mark.parametrize("word", ["abuse", "nohost"])
def test_a_try_that_reaches_nobody_does_not_end_a_stop(world, word):
    world.status, world.word = WORDS[word]
    world.live(HOUR)
    world.status, world.word = WORDS["network down"]
    found = world.keeper.update_now("otp")
    assert (found.standing, found.next_at_s) == (Standing.STOPPED, None)
    assert found.said.finding == "the vendor cannot be reached: it does not answer in time"
    world.status, world.word = WORDS["good"]
    world.live(DAY)
    assert len(world.asked) == 2
    assert (world.row().standing, world.row().said.word) == (Standing.STOPPED, word)
    assert world.news() == [("otp.example.com", True)]


def test_a_public_address_that_stays_unknown_is_told_once_and_so_is_its_end(world):
    world.address = DOWN
    world.live(30.0)
    world.address = HOME
    world.live(HOUR)
    world.address = "100.64.1.1"
    world.live(HOUR)
    world.address = HOME
    world.live(HOUR)
    assert world.news() == [("otp.example.com", False), ("otp.example.com", True), ("otp.example.com", False)]
    assert "carrier NAT" in world.events[1].finding
    assert world.events[2].finding == "the public address is known again"


def test_what_was_told_of_another_name_is_not_shown_as_that_of_this(world):
    world.live(HOUR)
    world.status, world.word = WORDS["nohost"]
    world.put("otp", record_name="otp2")
    assert (world.row().address, world.row().updated_at_s) == ("", None)
    world.live(HOUR)
    assert (world.row().standing, world.row().address) == (Standing.STOPPED, "")


def test_a_record_that_is_switched_off_during_a_round_is_not_sent(world):
    world.put("sms")
    tell = world.update

    def update(account, record, address):
        world.store.put(DdnsRecord, "sms", {"active": False})
        return tell(account, record, address)

    world.update = update
    world.keeper.do_due()
    assert [host for _, host, _ in world.asked] == ["otp.example.com"]


@pytest.mark.parametrize("word", ["good", "911", "abuse"])
def test_power_cuts_without_a_clock_of_its_own_bring_no_question(world, word):
    world.status, world.word = WORDS[word]
    for cuts in range(6):
        world.clock.wall = world.began_s - 10 * cuts  # time begins a little before the last question
        world.start()
        world.live(MINUTE / 2)
    assert len(world.asked) == 1
    world.clock.advance(2 * HOUR)
    world.live(MINUTE)
    assert len(world.asked) == (2 if word == "911" else 1)


def test_a_setting_that_a_new_release_brings_along_ends_no_stop(world):
    class Newer(NoIpSettings, key="noip", title="No-IP", reset_flag="RESET_VENDOR_NOIP"):
        new: bool = boolean(default=False, help="New.")

    values = {"active": True, "username": "toko", "password": "secret-1"}
    of = world.keeper._fingerprint
    assert of(NoIpSettings(**values)) == of(Newer(**values))
    assert of(Newer(**values)) != of(Newer(**values, new=True))


def test_two_types_of_one_name_are_refused_where_they_would_delete_each_other(world):
    watch_over(world.store)
    account = {"active": True, "username": "toko", "password": "secret-1"}
    world.store.update(Dyndns2Settings, account)
    world.store.update(AfraidSettings, account)
    world.put("otp", type="A")
    world.put("six", record_name="otp", type="AAAA")
    for other, named in (({"provider": "dyndns2"}, "at this vendor"), ({"provider": "afraid"}, "tokens")):
        for one in ("otp", "six"):
            with pytest.raises(SettingsError, match=f"another record keeps this name.*{named}"):
                world.store.put(DdnsRecord, one, other)
    world.store.put(DdnsRecord, "otp", {"provider": "afraid", "token": "a"})
    world.store.put(DdnsRecord, "six", {"provider": "afraid", "token": "b"})
    with pytest.raises(SettingsError, match=r"another record keeps this name$"):
        world.store.put(DdnsRecord, "six", {"type": "A"})
