"""The plug is pulled while settings are saved and codes are sent, and while the card is started for the first time."""

import json
import os
import random
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image_bench.machine import Board, Machine
from tests.image_bench.modems import modem_rack
from tests.image_bench.rest import RestCaller
from tests.image_bench.writes import WriteLog, kept

CUTS = int(os.environ.get("OTPPI_POWER_CUTS", "20"))
SEED = 20
USER, PASSWORD = "shop", "correct horse battery"
TEXT_WORD = "Zwiebelkuchen"
READY_S = 240.0
BUSY_S = 60.0
BETWEEN_S = 300
# Both belong to one section, and the second is always the first and 300 more.
SAVING = f"""
n=30
while otppi settings set general.device_name saved-$n otp.default_life_s $n \\
    otp.max_life_s $((n + {BETWEEN_S})) >/dev/null; do
    n=$((n + 1))
done
"""


@dataclass(frozen=True)
class Run:
    """A first start with all that came after it, up to the moment without power."""

    writes: WriteLog
    codes: list[str]
    card: Path  # as it was bought


@pytest.fixture(scope="module")
def run(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("power")
    writes = WriteLog(folder / "writes")
    with Machine(image, Board(), writes=writes.file) as machine:
        machine.power_on()
        machine.wait_for("systemctl is-active otppi", limit_s=READY_S)
        machine.run(f"printf '{PASSWORD}\\n' | otppi api-user add {USER} --password-stdin")
        machine.run("otppi settings set otp.length 10")
        with modem_rack(machine, folder) as rack:
            port = rack.plug("m0")
            machine.run(f"otppi modem add --name first --port {port} --default")
            machine.wait_for("otppi modem list | grep -P '^first\\t.*\\tready'", limit_s=READY_S)
            machine.run(f"systemd-run --quiet sh -c '{SAVING}'")
            codes = sent_codes(RestCaller(machine, USER, PASSWORD), rack.line("m0"))
            machine.cut_power()
    card = folder / "card.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image.card, card], check=True, timeout=300)
    return Run(writes=writes, codes=codes, card=card)


def sent_codes(rest, line):
    """Send one code after the other until the time is over; the power goes with the last one still on its way."""
    until, count = time.monotonic() + BUSY_S, 0
    while time.monotonic() < until:
        count += 1
        answer = rest.call(
            "request-otp",
            receiver=f"0812000{count:05d}",
            message=f"{TEXT_WORD} %s",
            reference=f"cut-{count}",
            date_time=int(time.time()),
        )
        assert answer["response_code"] == "0000", answer
    assert line.wait_for_sent(count, 10)
    return [re.fullmatch(rf"{TEXT_WORD} (\d{{10}})", one.text)[1] for one in line.messages]


def test_no_code_and_no_text_was_ever_written_to_the_card(run):
    assert len(run.codes) >= 3
    assert run.writes.holds(b"saved-31"), "what is saved can be found"
    found = [word for word in (TEXT_WORD, *run.codes) if run.writes.holds(word.encode())]
    assert found == []


def moments(run):
    """Anywhere in the run; every third of them in its last part, in which it was busy."""
    chance, count = random.Random(SEED), len(run.writes.read())
    return [chance.randrange(1 if cut % 3 == 0 else count // 2, count + 1) for cut in range(CUTS)]


@pytest.mark.parametrize("cut", range(CUTS))
def test_it_starts_again_with_whole_settings(image, run, cut, tmp_path):
    requests = run.writes.read()[: moments(run)[cut]]
    card = tmp_path / "card.raw"
    subprocess.run(["cp", "--sparse=always", run.card, card], check=True, timeout=300)
    # A card may drop everything that was not flushed, or keep any part of it.
    run.writes.play(kept(requests, random.Random(cut) if cut % 2 else None), card)
    with Machine(image, Board(has_radio=False), card=card) as machine:
        machine.power_on()
        assert machine.run("systemctl --failed --no-legend --plain").said == ""
        storage = json.loads(machine.run("cat /run/otppi-storage/report.json").said)
        assert (storage["data"], storage["root"], storage["notes"]) == ("card", "volatile", [])
        otp = json.loads(machine.run("otppi settings get otp").said)
        name = machine.run("otppi settings get general.device_name").said
        if name.startswith("saved-"):
            assert otp["max_life_s"] == otp["default_life_s"] + BETWEEN_S
            assert int(name.removeprefix("saved-")) - otp["default_life_s"] in (0, 1, -1)
        machine.run("otppi settings check")
        assert machine.run("find /var/lib/otppi -name '*.damaged*'").said == ""
        assert machine.run("systemctl is-active otppi").said == "active"
    shutil.rmtree(tmp_path, ignore_errors=True)
