from dataclasses import replace

import pytest

from otppi.model.checks import Level
from otppi.system.firewall.report import FirewallReport, checks, digest, read_report, write_report

GOOD = FirewallReport(digest="d", at_s=1_800_000_000.0, is_on=True)


def test_a_report_is_read_as_it_was_written(tmp_path):
    report = replace(GOOD, problem="x", notice="y", has_emergency_rules=True)
    write_report(tmp_path / "report.json", report)
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'{"digest": "d"}', b'{"else": 1}', b"\xff"])
def test_a_damaged_report_is_none(tmp_path, data):
    path = tmp_path / "report.json"
    path.write_bytes(data)
    assert read_report(path) is None


@pytest.mark.parametrize(
    ("report", "level", "finding"),
    [
        (GOOD, Level.GREEN, "in force as set"),
        (replace(GOOD, notice="this kernel does not speak IPv6"), Level.GREEN, "does not speak IPv6"),
        (replace(GOOD, is_on=False), Level.YELLOW, "switched off"),
        (replace(GOOD, digest="other"), Level.RED, "not those of the settings"),
        (replace(GOOD, notice="IPv6 is not filtered", is_ipv6_open=True), Level.RED, "IPv6 is not filtered"),
        (replace(GOOD, problem="no", has_emergency_rules=True), Level.RED, "emergency rules"),
        (replace(GOOD, problem="no"), Level.RED, "not in force: no"),
        (None, Level.RED, "was not loaded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_check_says_what_is_in_force(tmp_path, report, level, finding):
    path = tmp_path / "report.json"
    if report is not None:
        write_report(path, report)
    (check,) = checks(path, "d")
    assert check.level is level
    assert finding in check.finding
    assert bool(check.advice) is (level is not Level.GREEN)


def test_a_digest_tells_families_and_rules_apart():
    some = {4: ("a", "b"), 6: ("c",)}
    assert digest(some) == digest(dict(reversed(some.items())))
    assert len({digest(one) for one in (some, {4: ("a",), 6: ("b", "c")}, {4: ("c",), 6: ("a", "b")})}) == 3
