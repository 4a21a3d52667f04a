from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from otppi.gateway.usage import Window


@given(
    length=st.sampled_from([60.0, 3600.0]),
    limit=st.integers(1, 20),
    tries=st.lists(st.tuples(st.floats(0, 1.2), st.integers(1, 5)), max_size=80),
)
def test_no_stretch_of_time_ever_holds_more_than_the_limit(length, limit, tries):
    window, now, sent = Window(length), 1000.0, deque()
    for pause, parts in tries:
        now += pause * length
        while sent and sent[0][0] <= now - length:
            sent.popleft()
        if parts <= limit and window.wait_s(now, limit - parts) == 0:
            window.add(now, parts)
            sent.append((now, parts))
        assert sum(parts for _, parts in sent) <= limit


@given(
    limit=st.integers(1, 20),
    before=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), min_size=1, max_size=30),
    parts=st.integers(1, 20),
)
def test_after_the_wait_that_was_told_there_is_room_and_not_a_second_before(limit, before, parts):
    window, now, parts = Window(60.0), 1000.0, min(parts, limit)
    for pause, some in before:
        now += pause
        window.add(now, some)
    wait = window.wait_s(now, limit - parts)
    assert wait <= 65
    if wait > 1:
        assert window.wait_s(now + wait - 1, limit - parts) > 0
    assert window.wait_s(now + wait, limit - parts) == 0


def test_a_part_counts_at_most_a_twelfth_longer():
    window = Window(60.0)
    window.add(1000.0, 1)
    assert window.parts(1059.9) == 1
    assert window.parts(1065.0) == 0


def test_what_is_taken_back_no_longer_counts_and_nothing_counts_below_nought():
    window = Window(60.0)
    window.add(1000.0, 3)
    window.take_back(1000.0, 2)
    assert window.parts(1001.0) == 1
    assert window.parts(1100.0) == 0
    window.take_back(1000.0, 1)
    assert window.parts(1100.0) == 0
