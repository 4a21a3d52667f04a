"""Presets of operators, by their names and by their prefixes."""

import pytest

from otppi.model.operators import OPERATORS, by_operators, with_names, with_prefixes


@pytest.mark.parametrize(
    "line", ["tri=60", "telkomsel+byu=50", "tri+62871=60 after 100/month", "other=350", "62811=50"]
)
def test_a_line_with_names_comes_back_from_its_prefixes(line):
    assert with_names(with_prefixes(line)) == line


def test_a_line_that_would_be_written_differently_stays_as_it_is():
    # Parts are counted for a step by the prefixes as they were written.
    line = "62899+62898+62897+62896+62895=60 after 100/month"
    assert with_names(line) == line


def test_operators_are_told_from_what_is_left():
    tri = next(one for one in OPERATORS if one.key == "tri")
    assert by_operators(["62811", *tri.prefixes]) == ([tri], ["62811"])
