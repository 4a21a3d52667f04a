from otppi.system.pace import Pace


def test_one_name_may_be_told_so_often_and_others_beside_it():
    pace = Pace(per_name=2, in_all=3, within_s=10.0)
    assert [pace.allows("a", 0.0) for _ in range(3)] == [True, True, False]
    assert pace.allows("b", 1.0)
    assert not pace.allows("c", 2.0)


def test_when_the_window_has_passed_it_may_be_told_again():
    pace = Pace(per_name=1, in_all=9, within_s=10.0)
    assert pace.allows("a", 0.0)
    assert not pace.allows("a", 9.9)
    assert pace.allows("a", 10.0)


def test_what_has_calmed_down_may_be_told_but_not_more_than_all_may():
    pace = Pace(per_name=1, in_all=2, within_s=10.0)
    assert pace.allows("a", 0.0)
    assert pace.allows("a", 5.0, has_calmed=True)
    assert not pace.allows("a", 9.0, has_calmed=True)
