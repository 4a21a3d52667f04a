from otppi.gateway.inbox_parts import OpenMessages, PartKey

KEY = PartKey("8962000000000000001", "BANK", 7, 3)
HOUR = 3600.0


def opened(*parts):
    """Give parts (number, stamp) one after the other to their messages; return the ids they got."""
    desk, ids = OpenMessages(), []
    for number, stamp_s in parts:
        home = desk.home(KEY, number, stamp_s) or f"message {len(ids)}"
        desk.add(KEY, home, number, stamp_s)
        ids.append(home)
    return desk, ids


def test_parts_in_any_order_are_one_message():
    desk, ids = opened((3, 0.0), (1, 2.0), (2, 1.0))
    assert ids == ["message 0"] * 3
    assert "message 0" not in desk
    assert list(desk) == []


def test_a_message_is_open_until_its_last_part():
    desk, _ = opened((3, 0.0), (1, 2.0))
    assert "message 0" in desk
    assert desk.home(KEY, 2, 1.0) == "message 0"
    assert desk.home(KEY, 3, 1.0) is None


def test_what_differs_in_sim_sender_reference_or_total_is_another_message():
    desk, _ = opened((1, 0.0))
    for other in (
        KEY._replace(sim="8962000000000000002"),
        KEY._replace(sender="+6281200000001"),
        KEY._replace(reference=8),
        KEY._replace(total=4),
    ):
        assert desk.home(other, 2, 0.0) is None


def test_a_reference_that_is_used_again_begins_another_message():
    _, ids = opened((1, 0.0), (1, 10.0))
    assert ids == ["message 0", "message 1"]


def test_hours_later_the_same_reference_is_another_message():
    _, ids = opened((1, 0.0), (2, 3 * HOUR))
    assert ids == ["message 0", "message 1"]


def test_a_part_goes_to_the_message_that_was_stamped_nearest():
    _, ids = opened((1, 0.0), (1, HOUR / 2), (2, HOUR / 2 + 5), (2, 5.0), (3, 6.0), (3, HOUR / 2 + 6))
    assert ids == ["message 0", "message 1", "message 1", "message 0", "message 0", "message 1"]


def test_of_equals_the_newest_has_it():
    _, ids = opened((1, 0.0), (1, 0.0), (2, 0.0))
    assert ids[2] == "message 1"


def test_a_message_that_is_deleted_waits_for_nothing():
    desk, _ = opened((1, 0.0))
    desk.forget("message 0")
    desk.forget("message 0")
    assert desk.home(KEY, 2, 0.0) is None
