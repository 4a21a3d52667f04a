"""`otppi modem doctor` at simulated modems: which port it asks, what it says, what it leaves in the folder."""

import contextlib
import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

from otppi.lib.wakeup import Wakeup
from otppi.model.errors import BadRequest
from otppi.model.ports import SerialPort, Stick, UsbId
from otppi.modems.transport import PortGone, SerialLine, SerialTransport
from otppi.services.cli import main
from otppi.services.modem_doctor import check_that_it_may_be_asked
from otppi.sim.line import SimModems
from otppi.sim.personality import parse_personality

NUMBER = "+6281200000001"


@pytest.fixture
def sim(tmp_path):
    with SimModems(tmp_path / "ports") as modems:
        yield modems


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """Run the command in an empty folder, in this process: the simulated modems hold their ports as well."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*words, stdin="", state=tmp_path / "state"):
        given = ["modem", "doctor", "--state-dir", str(state), *map(str, words)]
        return CliRunner().invoke(main, given, input=stdin, catch_exceptions=False)

    run.folder = folder
    return run


def test_report_and_transcript_are_the_owners_alone_and_have_no_numbers(sim, doctor):
    line = sim.add("m0", "huawei", iccid="89620000000000001234", imsi="510100000000001")
    line.deliver("+6281200000002", "okapimarker")
    done = doctor(line.path)
    assert done.exit_code == 0, done.output
    assert "Verdict: it works with OTP-Pi as Huawei." in done.output
    (file,) = doctor.folder.iterdir()
    assert re.fullmatch(r"modem-doctor-E173-\d{4}-\d\d-\d\d-\d{4}\.txt", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_text()
    for shown in (kept, done.output):
        assert not re.search(r"[0-9](?:[\r\n]*[0-9]){6}", shown)
        assert "okapimarker" not in shown
    assert "ok         family: Huawei, by its words\n" in kept
    assert "> AT^ICCID?\n" in kept


def test_the_personality_in_the_file_is_one(sim, doctor):
    doctor(sim.add("m0", "zte").path, "--output", "report.txt")
    report = (doctor.folder / "report.txt").read_text()
    table = re.search(r"== Personality[^\n]*\n(.*?)\n== Transcript", report, re.DOTALL)[1]
    assert parse_personality("zte", table).answers["+ZGETICCID"] == ("+ZGETICCID: {iccid}",)
    done = doctor(sim.add("m1", parse_personality("zte", table)).path)
    assert "it works with OTP-Pi as ZTE" in done.output


def test_what_hinders_is_exit_code_1_and_said_with_advice(sim, doctor):
    done = doctor(sim.add("m0", "quectel", pin="1234").path)
    assert done.exit_code == 1
    assert "problem    SIM: PIN needed; 3 tries of the PIN are left; nothing was entered\n" in done.output
    assert "→ Once the gateway uses the modem: otppi sim pin enter" in done.output
    assert "once this is settled: SIM." in done.output


@pytest.mark.parametrize(
    ("port", "says"),
    [
        ("ttyNOPE0", "there is no port ttyNOPE0"),
        ("/dev/serial/by-id/usb-none", "there is no port /dev/serial/by-id/usb-none"),
        ("/etc/hostname", "there is no port /etc/hostname"),
        ("", "there is no port"),
        ("../../etc", "there is no port"),
        ("/dev/full", "/dev/full: "),
    ],
)
def test_what_is_no_port_is_refused_in_one_line(doctor, port, says):
    done = doctor(port)
    assert done.exit_code == 1
    *asking, refusal = done.output.splitlines()
    assert refusal.startswith("otppi: ")
    assert says in refusal
    assert len(asking) <= 1
    assert list(doctor.folder.iterdir()) == []


def test_without_a_port_it_lists_and_asks_nobody(sim, doctor):
    line = sim.add("m0")
    assert doctor().exit_code == 0
    assert line.at_commands == 0


def test_a_port_that_another_program_holds_is_left_to_it_by_name(sim, doctor):
    line = sim.add("m0")
    with line.path.open("rb") as port, subprocess.Popen(["sleep", "60"], stdin=port) as sleeper:
        done = doctor(line.path)
        sleeper.kill()
    assert done.exit_code == 1
    assert re.fullmatch(
        r"otppi: sleep holds /dev/pts/\d+\. End it first; a service by: systemctl stop sleep\n", done.output
    )
    assert line.at_commands == 0


def test_a_port_of_the_running_gateway_is_freed_as_it_says_and_given_back(gateway, doctor):
    one = gateway()
    words = ["modem", "doctor", "--state-dir", str(one.state_dir), str(one.lines["m0"].path)]
    # As a process of its own, or it would not see who holds the port.
    refused = subprocess.run(
        [sys.executable, "-m", "otppi", *words], capture_output=True, text=True, timeout=60, cwd=doctor.folder
    )
    assert refused.returncode == 1
    advice = re.fullmatch(
        r"otppi: the gateway has /dev/pts/\d+ as modem m0\. Free it: otppi (.+ no); afterwards: otppi (.+ yes)\n",
        refused.stderr,
    )

    def obey(command):
        given = [*shlex.split(command), "--state-dir", str(one.state_dir)]
        assert CliRunner().invoke(main, given).exit_code == 0

    obey(advice[1])
    one.wait_until(lambda: can_be_opened(one.lines["m0"].path))
    done = doctor(one.lines["m0"].path, state=one.state_dir)
    assert done.exit_code == 0, done.output
    obey(advice[2])
    one.wait_until(lambda: one.state("m0") == "ready")


def can_be_opened(path):
    with contextlib.closing(Wakeup()) as wakeup:
        try:
            SerialTransport(str(path), SerialLine(), wakeup).close()
        except PortGone:
            return False
    return True


def test_a_port_for_diagnostics_is_asked_only_by_force(tmp_path):
    ports = tuple(SerialPort(node=f"/dev/none{number}", interface=number) for number in (0, 2))
    stick = Stick(place="1-1", usb=UsbId(vendor=0x2C7C, product=0x0125), ports=ports)
    with pytest.raises(BadRequest, match="interface 0 is for diagnostics; take /dev/none2"):
        check_that_it_may_be_asked(tmp_path, stick, ports[0], force=False)
    check_that_it_may_be_asked(tmp_path, stick, ports[0], force=True)
    check_that_it_may_be_asked(tmp_path, stick, ports[1], force=False)


def test_a_message_is_sent_only_after_a_yes(sim, doctor):
    line = sim.add("m0", "huawei")
    done = doctor(line.path, "--send-to", NUMBER, stdin="n\n")
    assert done.exit_code == 1
    assert "Send one message to 62812" in done.output
    assert NUMBER[1:] not in done.output
    assert line.at_commands == 0
    assert doctor(line.path, "--send-to", NUMBER, stdin="y\n").exit_code == 0
    assert doctor(line.path, "--send-to", NUMBER, "--yes", "--output", "one.txt").exit_code == 0
    assert [sent.number for sent in line.sent] == [NUMBER[1:]] * 2
    kept = (doctor.folder / "one.txt").read_text()
    assert "delivery report: delivered" in kept
    assert not re.search(r"[0-9](?:[\r\n]*[0-9]){6}", kept)
    assert "2618" not in kept  # the number in the PDU


@pytest.mark.parametrize("number", ["081200000001", "+12", "me", "+62812000000012345", ""])
def test_a_number_without_its_country_or_none_at_all_gets_no_message(sim, doctor, number):
    line = sim.add("m0")
    done = doctor(line.path, "--send-to", number, "--yes")
    assert done.exit_code == 1
    assert done.output.startswith("otppi: --send-to: ")
    assert line.at_commands == 0


def test_nobody_is_asked_where_the_report_cannot_be_written(sim, doctor):
    line = sim.add("m0")
    done = doctor(line.path, "--output", doctor.folder / "none" / "report.txt")
    assert done.exit_code == 1
    assert "give --output" in done.output
    assert line.at_commands == 0
