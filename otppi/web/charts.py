"""Charts as plain geometry, which templates/charts.html draws; every text is in the reader's words already.

Places and sizes are in per cent of the picture, counted from its left and its top, so that one chart fits every width.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otppi.web.outcomes import OUTCOMES
from otppi.web.words import Words

_LABELS = 4  # so many fit on a telephone
_STEPS = 4
_BAR_SHARE = 0.8  # of its slot
_MOST_POINTS = 300  # of one line; a screen shows no more
_DAY_S = 86_400

Write = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is counted or measured at every step.

    Attributes:
        title: What it is.
        look: How it is drawn, a class of app.css: good, warn, bad, first, second or third.
        values: One for each step; None where nothing is known.
    """

    title: str
    look: str
    values: Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A text beside the picture."""

    place: float
    text: str
    anchor: str = "middle"  # as SVG's text-anchor


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A step that says its values to a pointer over it."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture, and what it says in words."""

    title: str
    description: str
    legend: Sequence[tuple[str, str]]  # look and title
    areas: Sequence[tuple[str, str]] = ()  # look and path, in a square of 100
    lines: Sequence[tuple[str, str]] = ()
    slots: Sequence[Slot] = ()
    across: Sequence[Tick]
    up: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]] = ()  # the same as a table: step and values


def by_outcome(words: Words, steps: Iterable[Mapping[str, Any]]) -> list[Series]:
    """Return the series of steps that count messages by outcome, as "traffic.recent" and "report.summary" do."""
    steps = list(steps)
    return [
        Series(title=words(title), look=level, values=[step[outcome] for step in steps])
        for outcome, (level, title) in OUTCOMES.items()
    ]


def bars(
    words: Words, title: str, labels: Sequence[str], series: Sequence[Series], write: Write | None = None
) -> Chart:
    """Stack the series at every step, the first at the bottom.

    Args:
        words: Of the reader.
        title: Of the chart.
        labels: Of the steps.
        series: With one value for each label.
        write: Writes a value; whole numbers if None.
    """
    write = write or words.number
    sums = [sum(value or 0 for value in step) for step in _steps(series)]
    scale = _Scale(max(sums, default=0), is_whole=True)
    width = 100 / max(1, len(labels))
    below = [0.0] * len(labels)
    areas = []
    for one in series:
        path = []
        for number, value in enumerate(one.values):
            if value:
                x = (number + (1 - _BAR_SHARE) / 2) * width
                bottom, below[number] = below[number], below[number] + value
                height = scale.place(bottom) - scale.place(below[number])
                path.append(
                    f"M{x:.2f} {scale.place(bottom):.2f}v{-height:.2f}h{_BAR_SHARE * width:.2f}v{height:.2f}z"
                )
        areas.append((one.look, "".join(path)))
    rows = [
        (label, [write(value or 0) for value in step])
        for label, step in zip(labels, _steps(series), strict=True)
    ]
    return Chart(
        title=title,
        description=" ".join(_sum_in_words(words, one, write) for one in series),
        legend=[(one.look, one.title) for one in series],
        areas=areas,
        slots=[
            Slot(x=number * width, width=width, text=_said_of(words, label, series, values))
            for number, (label, values) in enumerate(rows)
        ],
        across=_ticks(labels, width),
        up=scale.ticks(write),
        rows=rows,
    )


def lines(
    words: Words,
    title: str,
    span_s: tuple[float, float],
    moments_s: Sequence[float],
    series: Sequence[Series],
    *,
    gap_s: float,
    top: float = 0,
    write: Write | None = None,
) -> Chart:
    """Draw each series over time, with gaps where nothing is known.

    Args:
        words: Of the reader.
        title: Of the chart.
        span_s: From when to when, in seconds since 1970.
        moments_s: When the values were measured, in order.
        series: With one value for each moment.
        gap_s: Moments further apart are not joined.
        top: What the scale reaches at least.
        write: Writes a value; as a plain number if None.
    """
    write = write or words.number
    known = [value for one in series for value in one.values if value is not None]
    scale = _Scale(max([*known, top]), is_whole=False)
    begin_s, length_s = span_s[0], max(1.0, span_s[1] - span_s[0])
    drawn = []
    for one in series:
        path = "".join(
            _joined(
                [(100 * (at_s - begin_s) / length_s, scale.place(value)) for at_s, value in _thinned(run)]
            )
            for run in _runs(moments_s, one.values, gap_s)
        )
        drawn.append((one.look, path))
    label = words.short_day if length_s > _DAY_S else words.minute
    return Chart(
        title=title,
        description=" ".join(_range_in_words(words, one, write) for one in series),
        legend=[(one.look, one.title) for one in series],
        lines=drawn,
        across=[
            Tick(
                place=100 * number / (_LABELS - 1),
                text=label(begin_s + length_s * number / (_LABELS - 1)),
                anchor=_anchor(number, _LABELS),
            )
            for number in range(_LABELS)
        ],
        up=scale.ticks(write),
    )


class _Scale:
    """From 0 at the bottom to a round number at the top."""

    def __init__(self, most: float, *, is_whole: bool) -> None:
        self._step = _round_step(most / _STEPS, is_whole=is_whole) if most > 0 else 1.0
        # Without the rounding 0.3 / 0.1 would have four steps.
        self._steps = max(1, math.ceil(round(most / self._step, 6)))

    def place(self, value: float) -> float:
        return 100 - 100 * value / (self._step * self._steps)

    def ticks(self, write: Write) -> list[Tick]:
        values = (round(number * self._step, 9) for number in range(self._steps + 1))
        return [Tick(place=self.place(value), text=write(value), anchor="end") for value in values]


def _round_step(least: float, *, is_whole: bool) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(least))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))
    return max(1.0, step) if is_whole else step


def _steps(series: Sequence[Series]) -> list[tuple[float | None, ...]]:
    return list(zip(*(one.values for one in series), strict=True))


def _ticks(labels: Sequence[str], width: float) -> list[Tick]:
    count = min(_LABELS, len(labels))
    chosen = [round(number * (len(labels) - 1) / max(1, count - 1)) for number in range(count)]
    return [
        Tick(
            # The outer ones begin and end with their bar, so that they stay in the picture.
            place={"start": index, "middle": index + 0.5, "end": index + 1}[anchor] * width,
            text=labels[index],
            anchor=anchor,
        )
        for number, index in enumerate(chosen)
        for anchor in (_anchor(number, count),)
    ]


def _anchor(number: int, count: int) -> str:
    if count == 1:
        return "middle"
    return "start" if number == 0 else "end" if number == count - 1 else "middle"


_Point = tuple[float, float]


def _runs(
    moments_s: Sequence[float], values: Sequence[float | None], gap_s: float
) -> Iterable[Sequence[_Point]]:
    run: list[_Point] = []
    for at_s, value in zip(moments_s, values, strict=True):
        if run and (value is None or at_s - run[-1][0] > gap_s):
            yield run
            run = []
        if value is not None:
            run.append((at_s, value))
    if run:
        yield run


def _thinned(run: Sequence[_Point]) -> list[_Point]:
    """Return means of neighbours where there are too many."""
    stride = math.ceil(len(run) / _MOST_POINTS)
    groups = (run[first : first + stride] for first in range(0, len(run), stride))
    return [(_mean(at_s for at_s, _ in group), _mean(value for _, value in group)) for group in groups]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _joined(points: Sequence[_Point]) -> str:
    if len(points) == 1:
        x, y = points[0]
        return f"M{x:.2f} {y:.2f}h0"  # a dot, with round ends
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)


def _said_of(words: Words, label: str, series: Sequence[Series], values: Sequence[str]) -> str:
    told = [
        words("{title}: {value}", title=one.title, value=value)
        for one, value in zip(series, values, strict=True)
    ]
    return "\n".join((label, *told))


def _sum_in_words(words: Words, one: Series, write: Write) -> str:
    known = [value for value in one.values if value is not None]
    return words(
        "{title}: {sum} altogether, {most} at most.",
        title=one.title,
        sum=write(sum(known)),
        most=write(max(known, default=0)),
    )


def _range_in_words(words: Words, one: Series, write: Write) -> str:
    known = [value for value in one.values if value is not None]
    if not known:
        return words("{title}: not known.", title=one.title)
    return words(
        "{title}: {last} last, {least} at least, {most} at most.",
        title=one.title,
        last=write(known[-1]),
        least=write(min(known)),
        most=write(max(known)),
    )
