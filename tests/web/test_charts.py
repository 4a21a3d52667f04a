from datetime import UTC

import pytest

from otppi.web import charts
from otppi.web.charts import Series
from otppi.web.templates import render
from otppi.web.words import Words

WORDS = Words("en", lambda: UTC)


def test_bars_stand_on_each_other() -> None:
    chart = charts.bars(
        WORDS,
        "Messages",
        ["09:00", "10:00"],
        [
            Series(title="sent", look="good", values=[1, 3]),
            Series(title="not sent", look="bad", values=[0, 1]),
        ],
    )

    assert dict(chart.areas) == {
        "good": "M5.00 100.00v-25.00h40.00v25.00zM55.00 100.00v-75.00h40.00v75.00z",
        "bad": "M55.00 25.00v-25.00h40.00v25.00z",
    }
    assert [tick.text for tick in chart.up] == ["0", "1", "2", "3", "4"]
    assert [(tick.text, tick.anchor) for tick in chart.across] == [("09:00", "start"), ("10:00", "end")]
    assert chart.rows == [("09:00", ["1", "0"]), ("10:00", ["3", "1"])]
    assert chart.slots[1].text == "10:00\nsent: 3\nnot sent: 1"


@pytest.mark.parametrize(
    ("most", "top"), [(0, "1"), (1, "1"), (7, "8"), (11, "15"), (100, "100"), (1234, "1,500")]
)
def test_the_scale_ends_with_a_round_number_that_holds_all(most: int, top: str) -> None:
    chart = charts.bars(WORDS, "x", ["a"], [Series(title="x", look="good", values=[most])])

    assert chart.up[-1].text == top
    assert chart.up[-1].place == 0


def test_many_bars_are_labelled_now_and_then_with_both_ends() -> None:
    labels = [str(number) for number in range(60)]
    chart = charts.bars(WORDS, "x", labels, [Series(title="x", look="good", values=[1] * 60)])

    assert [tick.text for tick in chart.across] == ["0", "20", "39", "59"]
    assert [tick.place for tick in chart.across][::3] == [0, 100]


def test_one_bar_is_labelled_once() -> None:
    chart = charts.bars(WORDS, "x", ["today"], [Series(title="x", look="good", values=[1])])

    assert [(tick.text, tick.place) for tick in chart.across] == [("today", 50)]


def test_without_steps_nothing_is_drawn() -> None:
    chart = charts.bars(WORDS, "x", [], [Series(title="x", look="good", values=[])])

    assert chart.areas == [("good", "")]
    assert not chart.across


def _line(moments_s: list[float], values: list[float | None], **more: float) -> charts.Chart:
    series = [Series(title="CPU", look="first", values=values)]
    return charts.lines(WORDS, "x", (0, 100), moments_s, series, gap_s=15, **more)


def test_a_line_has_gaps_where_nothing_is_known_and_where_nobody_measured() -> None:
    chart = _line([0, 10, 20, 30, 40, 90], [1, 2, None, 4, 3, 2])

    assert chart.lines == [("first", "M0.00 75.00L10.00 50.00M30.00 0.00L40.00 25.00M90.00 50.00h0")]
    assert chart.description == "CPU: 2 last, 1 at least, 4 at most."


def test_a_line_of_nothing_says_that_nothing_is_known() -> None:
    chart = _line([0, 10], [None, None])

    assert chart.lines == [("first", "")]
    assert chart.description == "CPU: not known."


def test_a_line_may_keep_a_fixed_scale() -> None:
    assert _line([0], [3], top=100).up[-1].text == "100"


def test_steps_below_one_are_written_without_dust() -> None:
    assert [tick.text for tick in _line([0], [0.29]).up] == ["0", "0.1", "0.2", "0.3"]


def test_a_long_line_is_thinned_and_keeps_its_mean() -> None:
    moments_s = [number / 20 for number in range(2000)]
    (_, path), *_ = _line(moments_s, [float(number % 2) for number in range(2000)]).lines

    points = path.removeprefix("M").split("L")
    assert len(points) <= 300
    heights = [100 - float(point.split()[1]) for point in points]
    assert sum(heights) / len(heights) == pytest.approx(50, abs=1)


def test_days_are_written_where_the_time_of_day_says_nothing() -> None:
    series = [Series(title="x", look="first", values=[1])]
    week = charts.lines(WORDS, "x", (0, 7 * 86_400), [0], series, gap_s=1)
    hour = charts.lines(WORDS, "x", (0, 3600), [0], series, gap_s=1)

    assert [tick.text for tick in week.across] == ["Jan 1", "Jan 3", "Jan 5", "Jan 8"]
    assert [tick.text for tick in hour.across][-1] == "1:00\N{NARROW NO-BREAK SPACE}AM"


def test_outcomes_are_stacked_with_what_was_sent_at_the_bottom() -> None:
    steps = [{"sent": 3, "failed": 2, "unknown": 1}]

    series = charts.by_outcome(WORDS, steps)

    assert [(one.look, one.values) for one in series] == [("good", [3]), ("warn", [1]), ("bad", [2])]


def test_no_template_draws_a_chart_with_styles_of_its_own() -> None:
    # The pages allow no style but those of their files.
    assert "style=" not in render("charts.html", {"_": WORDS})


def test_a_scale_that_is_given_is_not_shrunk_to_small_values() -> None:
    assert [tick.text for tick in _line([0], [0.002], top=1).up] == ["0", "0.5", "1"]
