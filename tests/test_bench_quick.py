"""The benchmark itself: that it runs and that nothing but speed may differ from run to run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Machines compare these from run to run, so they keep their names.
KEYS = {
    *("pty_us", "socket_us", "python_mloops", "listening_s", "first_ready_s", "crowd_s"),
    *("eight_more_s", "rss_per_modem_mb"),
    *("idle_cpu_percent", "idle_wakeups", "after_idle_ms"),
    *("median_ms", "p99_ms", "otp_median_ms", "at_per_sms", "bytes_per_sms", "offences"),
    *("one_modem", "four_modems", "cpu_s", "rss_mb", "written", "lost", "doubled", "complaints"),
    *("monitors_cpu_percent", "monitors_burst_percent", "monitors_delay_ms"),
    "pages_ms",
    *("per_second", "misjudged", "otp_written"),
    *("of_limit_1", "of_limit_4", "of_limit_16", "of_limit_32"),
    *("hung_lost", "hung_doubled", "hung_last_s"),
    *("prompt_lost", "prompt_doubled", "prompt_last_s"),
    *("result_lost", "result_doubled", "result_last_s"),
    *("elsewhere_idle_s", "elsewhere_sending_s", "hang_loss_percent"),
    *("beside_slow_ms", "slow_refused", "beside_dawdlers_ms"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "tests.bench", "--quick", "--out", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110)
    return done, json.loads((folder / "latest.json").read_text())


def test_it_fills_every_row(run):
    _, document = run
    assert {row["key"] for row in document["rows"]} == KEYS
    assert [row for row in document["rows"] if row["verdict"] == "not measured"] == []


def test_what_is_not_about_speed_is_met(run):
    done, document = run
    missed = [row for row in document["rows"] if row["is_correctness"] and row["verdict"] != "met"]
    assert missed == []
    assert done.returncode == 0, done.stderr


def test_it_leaves_nothing_but_its_results(run):
    done, _ = run
    folder = Path(done.args[-1])
    assert [path.name for path in folder.iterdir()] == ["latest.json"]
