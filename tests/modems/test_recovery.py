import itertools

from otppi.modems.recovery import Recovery, Rung

ALL = frozenset(Rung)
NO_USB = ALL - {Rung.REPLUG}


def climb(recovery, seconds, possible=ALL, *, every_s=1.0):
    """Trouble that does not end; returns what was tried and when."""
    steps, now_s = [], 0.0
    while now_s < seconds:
        if (rung := recovery.next_rung(now_s, possible)) is not None:
            steps.append((now_s, rung))
        now_s += every_s
    return steps


def test_every_rung_has_its_time_and_a_person_is_called_within_a_minute():
    assert climb(Recovery(), 100) == [
        (0, Rung.REOPEN),
        (10, Rung.RESTART),
        (30, Rung.REPLUG),
        (55, Rung.ALARM),
    ]


def test_after_a_pause_it_is_tried_again_and_the_pauses_grow():
    alarms = [at_s for at_s, rung in climb(Recovery(), 7200) if rung is Rung.ALARM]
    pauses = [later - earlier for earlier, later in itertools.pairwise(alarms)]
    assert pauses[:3] == [60 + 45, 120 + 45, 240 + 45]
    assert max(pauses) == 1800 + 45
    assert pauses == sorted(pauses)


def test_what_cannot_be_done_is_left_out():
    assert [rung for _, rung in climb(Recovery(), 80, NO_USB)] == [Rung.REOPEN, Rung.RESTART, Rung.ALARM]
    assert [rung for _, rung in climb(Recovery(), 60, {Rung.REOPEN})] == [Rung.REOPEN, Rung.ALARM]


def test_reading_what_is_left_is_enough_once():
    recovery = Recovery()
    assert recovery.may_drain(0)
    recovery.answered(1)
    assert not recovery.may_drain(100)
    assert recovery.next_rung(100, ALL) is Rung.REOPEN
    recovery.answered(101)
    assert not recovery.may_drain(102)
    recovery.forget()
    assert recovery.may_drain(103)


def test_where_reading_did_not_help_the_next_thing_comes_at_once():
    recovery = Recovery()
    assert recovery.may_drain(0)
    assert recovery.next_rung(3, ALL) is Rung.REOPEN


def test_trouble_that_comes_back_soon_is_met_with_more():
    recovery = Recovery()
    for expected in (Rung.REOPEN, Rung.RESTART, Rung.REPLUG, Rung.ALARM):
        assert recovery.next_rung(0, ALL) is expected
        recovery.answered(1)
    assert recovery.has_failed


def test_trouble_after_a_long_time_is_new():
    recovery = Recovery()
    recovery.next_rung(0, ALL)
    recovery.answered(1)
    assert recovery.next_rung(2000, ALL) is Rung.REOPEN
    recovery.answered(2001)
    assert recovery.may_drain(4000)


def test_work_that_was_done_ends_the_story():
    recovery = Recovery()
    climb(recovery, 100)
    assert recovery.has_failed
    recovery.answered(100)
    recovery.forget()
    assert not recovery.has_failed
    assert recovery.next_rung(101, ALL) is Rung.REOPEN


def test_a_port_may_be_missing_after_what_takes_it_away():
    recovery = Recovery()
    assert not recovery.took_port_away
    recovery.next_rung(0, ALL)
    assert not recovery.took_port_away
    assert recovery.next_rung(10, ALL) is Rung.RESTART
    assert recovery.took_port_away
    recovery.answered(12)
    assert not recovery.took_port_away


def test_a_port_that_did_not_come_back_is_not_taken_for_one_that_was_pulled_out():
    recovery = Recovery()
    steps = []
    for now_s in range(160):
        if (rung := recovery.next_rung(now_s, ALL, is_gone=now_s >= 12)) is not None:
            steps.append(rung)
        assert recovery.took_port_away or now_s < 10
    assert steps[-2:] == [Rung.RESTART, Rung.REPLUG]
    assert recovery.has_failed


def test_a_modem_that_comes_and_goes_is_left_alone_for_the_pause():
    recovery, steps = Recovery(), []
    for now_s in range(0, 600, 17):
        if (rung := recovery.next_rung(now_s, ALL)) is not None:
            steps.append((now_s, rung))
        recovery.answered(now_s + 1)
    alarms = [now_s for now_s, rung in steps if rung is Rung.ALARM]
    assert alarms[1] - alarms[0] >= 60
    assert alarms[2] - alarms[1] >= 120
