import pytest

from otppi.model.checks import Level
from otppi.model.errors import HostRefused, HostUnreachable
from otppi.system.mobile.keeper import INTERFACE, UNIT, MobileKeeper
from tests.system.mobile.links import LINK, link

OTHER = link(modem_id="other", modem_name="Other", device="/dev/ttyUSB9")


class Units:
    """systemd as far as the keeper sees it; what it was told is in `told`."""

    def __init__(self, state="inactive"):
        self.now, self.told, self.error = state, [], None

    def state(self, unit):
        assert unit == UNIT
        if self.error:
            raise self.error
        return self.now

    def start(self, unit):
        self._do("start", "active")

    def stop(self, unit):
        self._do("stop", "inactive")

    def restart(self, unit):
        raise AssertionError("a restart keeps the mark of the one call")

    def _do(self, what, state):
        if self.error:
            raise self.error
        self.told.append(what)
        self.now = state


def keeper(units, address=None, code=None):
    return MobileKeeper(
        units, address_of=lambda name: address if name == INTERFACE else None, last_exit=lambda _: code
    )


def changed(one, *links):
    one.let_go(links)
    one.take_up()


def finding(one):
    (check,) = one.checks()
    return check.level, check.finding, check.advice


def test_it_starts_what_is_wanted_and_leaves_it_alone_when_other_things_change():
    units = Units()
    one = keeper(units)
    changed(one, LINK)
    changed(one, LINK)
    changed(one, LINK, OTHER)
    assert units.told == ["start"]


@pytest.mark.parametrize("links", [(OTHER,), (link(apn="other"),), (link(reconnects=False),)])
def test_a_change_hangs_up_first_and_then_dials(links):
    units = Units()
    one = keeper(units)
    changed(one, LINK)
    one.let_go(links)
    assert units.told == ["start", "stop"]
    one.take_up()
    assert units.told == ["start", "stop", "start"]


def test_a_modem_that_goes_back_to_sms_is_free_before_the_pool_has_its_turn():
    units = Units()
    one = keeper(units)
    changed(one, LINK)
    one.let_go(())
    assert units.now == "inactive"
    one.take_up()
    assert units.told == ["start", "stop"]


@pytest.mark.parametrize(
    ("state", "told"), [("active", ["stop", "start"]), ("activating", ["stop", "start"])]
)
def test_what_runs_from_an_earlier_life_is_not_trusted(state, told):
    units = Units(state)
    changed(keeper(units), LINK)
    assert units.told == told


@pytest.mark.parametrize("state", ["inactive", "failed", "absent"])
def test_what_does_not_run_is_not_stopped(state):
    units = Units(state)
    keeper(units).let_go(())
    assert units.told == []


def test_without_systemd_nothing_is_raised_and_without_a_link_nothing_is_said(caplog):
    caplog.set_level("INFO")
    units = Units()
    units.error = HostUnreachable("no bus")
    one = keeper(units)
    changed(one)
    assert not caplog.records
    assert finding(one)[:2] == (Level.GREEN, "not set up")
    changed(one, LINK)
    assert [record.message for record in caplog.records] == [
        "mobile internet could not be stopped",
        "mobile internet could not be started",
    ]
    assert finding(one)[0] is Level.RED
    units.error = None
    changed(one, LINK)
    assert units.told == ["start"]


def test_redial_hangs_up_and_dials_and_says_what_was_refused():
    units = Units("active")
    one = keeper(units)
    one.redial()
    assert units.told == ["stop", "start"]
    units.error = HostRefused("AccessDenied", "no")
    with pytest.raises(HostRefused):
        one.redial()


@pytest.mark.parametrize(
    ("state", "address", "code", "level", "words"),
    [
        (
            "active",
            "10.64.0.7",
            None,
            Level.GREEN,
            "connected through Data, address 10.64.0.7; it sends no SMS",
        ),
        ("active", None, None, Level.YELLOW, "dialling through Data"),
        ("activating", None, 8, Level.RED, "did not connect; it is dialled again by itself"),
        ("activating", None, 19, Level.RED, "refused user name or password"),
        ("activating", None, 76, Level.RED, "the SIM card needs attention"),
        ("failed", None, 78, Level.RED, "the settings cannot be used"),
        ("failed", None, 99, Level.RED, "code 99"),
        ("failed", None, None, Level.RED, "not known why"),
        ("absent", None, None, Level.RED, "not installed"),
    ],
)
def test_the_check_says_how_it_is_and_what_helps(state, address, code, level, words):
    units = Units()
    one = keeper(units, address, code)
    changed(one, LINK)
    units.now = state
    found, text, advice = finding(one)
    assert found is level
    assert words in text
    assert bool(advice) is (level is not Level.GREEN)


def test_a_link_that_calls_once_is_over_when_it_ended():
    units = Units()
    one = keeper(units)
    changed(one, link(reconnects=False))
    units.now = "inactive"
    level, text, _ = finding(one)
    assert level is Level.YELLOW
    assert "its one call is over" in text


def test_a_second_modem_for_internet_is_named():
    one = keeper(Units(), "10.64.0.7")
    changed(one, LINK, OTHER)
    spare, used = one.checks()
    assert spare.level is Level.YELLOW
    assert spare.finding == "Other is kept for internet and not used: Data is"
    assert used.level is Level.GREEN
