import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from otppi.gateway.journal import Journal


@pytest.fixture
def ram_dir():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name) / "journal"


class Words:
    """An owner that remembers words and can forget them."""

    def __init__(self, journal, kind="words"):
        self.words = []
        self.journal = journal
        self.kind = kind
        journal.register(kind, self._replay, lambda: [["+", word] for word in self.words])

    def add(self, word):
        with self.journal.lock:
            self.words.append(word)
            self.journal.append(self.kind, ["+", word])

    def drop(self, word):
        with self.journal.lock:
            self.words.remove(word)
            self.journal.append(self.kind, ["-", word])

    def _replay(self, record):
        sign, word = record
        if sign == "+":
            self.words.append(word)
        else:
            self.words.remove(word)


def after_restart(directory, clock, kind="words"):
    journal = Journal(directory, clock)
    words = Words(journal, kind).words
    journal.close()
    return words


def test_a_restart_finds_what_was_recorded_in_the_same_order(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    words = Words(journal)
    for word in ("a", "b", "c"):
        words.add(word)
    words.drop("b")
    journal.close()
    assert after_restart(ram_dir, clock) == ["a", "c"]
    assert after_restart(ram_dir, clock) == ["a", "c"]


def test_records_of_an_owner_that_has_not_come_yet_are_kept(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    Words(journal, "late").add("x")
    journal.close()
    journal = Journal(ram_dir, clock)
    early = Words(journal, "early")
    for n in range(3000):
        early.add(str(n))
        early.drop(str(n))
    assert Words(journal, "late").words == ["x"]
    journal.close()
    assert after_restart(ram_dir, clock, "late") == ["x"]


def test_only_the_owner_may_read_it(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    Words(journal).add("a")
    journal.close()
    assert ram_dir.stat().st_mode & 0o777 == 0o700
    (file,) = ram_dir.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_is_ignored_and_does_not_spoil_the_next(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    words = Words(journal)
    words.add("a")
    words.add("b")
    journal.close()
    (file,) = ram_dir.iterdir()
    whole = file.read_bytes()
    for cut in range(1, len('["words",["+","b"]]\n') + 1):
        file.write_bytes(whole[:-cut])
        journal = Journal(ram_dir, clock)
        words = Words(journal)
        assert words.words == ["a"]
        words.add("c")
        journal.close()
        assert after_restart(ram_dir, clock) == ["a", "c"]


def test_a_line_of_nonsense_costs_that_line_only(ram_dir, clock, caplog):
    journal = Journal(ram_dir, clock)
    Words(journal).add("a")
    journal.close()
    (file,) = ram_dir.iterdir()
    with file.open("ab") as out:
        out.write(b'\xff{"\n17\n["words",["+"]]\n["words",{}]\n["words",["+","b"]]\n')
    assert after_restart(ram_dir, clock) == ["a", "b"]
    assert "not understood" in caplog.text


@pytest.mark.parametrize(
    "header", [b"", b"\n", b"{}\n", b'{"journal": 1, "boot_id": "another"}\n', b'{"journal": 99}\n']
)
def test_the_journal_of_another_boot_or_format_is_discarded(ram_dir, clock, header):
    journal = Journal(ram_dir, clock)
    Words(journal).add("a")
    journal.close()
    (file,) = ram_dir.iterdir()
    _, lines = file.read_bytes().split(b"\n", 1)
    file.write_bytes(header + lines)
    assert after_restart(ram_dir, clock) == []


def test_it_stays_small_when_little_is_live(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    words = Words(journal)
    words.add("kept")
    for n in range(10_000):
        words.add(str(n))
        words.drop(str(n))
    (file,) = ram_dir.iterdir()
    assert len(file.read_bytes().splitlines()) <= 1002
    journal.close()
    assert after_restart(ram_dir, clock) == ["kept"]


def test_it_is_not_rewritten_again_and_again_when_much_is_live(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    asked = []
    journal.register("x", lambda record: None, lambda: asked.append(1) or ([n] for n in range(5000)))
    for n in range(20_000):
        journal.append("x", [n])
    journal.close()
    assert len(asked) <= 6


def test_without_a_directory_it_works_in_memory_and_the_log_says_so_once(clock, caplog):
    journal = Journal(None, clock)
    words = Words(journal)
    words.add("a")
    words.add("b")
    assert words.words == ["a", "b"]
    assert not journal.is_kept
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_nothing_is_written_to_what_is_not_ram(clock, caplog):
    journal = Journal(Path("/proc/self"), clock)
    Words(journal).add("a")
    assert not journal.is_kept
    assert "proc is not a RAM file system" in str(caplog.records[0].fields)


def test_a_directory_that_others_may_write_to_is_not_used(ram_dir, clock):
    ram_dir.mkdir()
    ram_dir.chmod(0o777)
    journal = Journal(ram_dir, clock)
    Words(journal).add("a")
    assert not journal.is_kept
    assert list(ram_dir.iterdir()) == []


def test_a_link_left_in_place_of_the_new_file_is_not_followed(ram_dir, clock):
    ram_dir.mkdir(mode=0o700)
    target = ram_dir / "target"
    target.write_text("precious")
    (ram_dir / "journal.new").symlink_to(target)
    journal = Journal(ram_dir, clock)
    Words(journal).add("a")
    journal.close()
    assert target.read_text() == "precious"


# RLIMIT_FSIZE stands for a RAM file system that is full: from that size on writing fails.
FULL = """
import json, logging, resource, sys
from pathlib import Path
from otppi.gateway.journal import Journal

class Clock:
    now = 1000.0
    def boot_s(self): return self.now

logging.basicConfig(stream=sys.stdout, format="%(message)s", level="INFO")
directory, clock = Path(sys.argv[1]), Clock()
journal = Journal(directory, clock)
live = []
journal.register("x", live.append, lambda: live)
def add(n):
    live.append([n])
    journal.append("x", [n])
resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
for n in range(200):
    add(n)
print("kept", journal.is_kept, len(live), [p.name for p in directory.iterdir()])
clock.now += 59
add(200)
print("kept", journal.is_kept)
clock.now += 2
add(201)
print("kept", journal.is_kept, [p.name for p in directory.iterdir()])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.now += 61
add(202)
add(203)
print("kept", journal.is_kept)
"""


def test_a_full_ram_stops_nothing_and_leaves_no_journal_with_a_hole(ram_dir, clock):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ram_dir)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "the journal cannot be written; going on in memory",
        "kept False 200 []",
        "kept False",
        "kept False []",
        "the journal is written again",
        "kept True",
    ]
    journal = Journal(ram_dir, clock)
    live = []
    journal.register("x", live.append, lambda: live)
    journal.close()
    assert live == [[n] for n in range(204)]


ENDLESS = """
import sys
from pathlib import Path
from otppi.gateway.journal import Journal
from otppi.lib.clock import SystemClock

journal = Journal(Path(sys.argv[1]), SystemClock())
live = []
journal.register("x", live.append, lambda: live[-700:])
n = 0
while True:
    live.append([n, "x" * (n % 600)])
    journal.append("x", live[-1])
    print(n, flush=True)
    n += 1
"""


@pytest.mark.parametrize("lines_read", [1, 900, 1501, 4000])
def test_a_killed_process_loses_nothing_that_it_had_recorded(ram_dir, clock, lines_read):
    command = [sys.executable, "-c", ENDLESS, str(ram_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(lines_read):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read()
    told = [line for line in rest.splitlines() if line]
    last_told = int(told[-1]) if told else lines_read - 1
    journal = Journal(ram_dir, clock)
    found = []
    journal.register("x", found.append, lambda: found)
    journal.close()
    numbers = [n for n, _ in found]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    # One more may have been written whose telling the kill prevented; a torn number on the pipe cannot be.
    assert last_told <= numbers[-1] <= last_told + 1
    assert numbers[0] == 0 or len(numbers) >= 700


def test_every_line_is_json(ram_dir, clock):
    journal = Journal(ram_dir, clock)
    Words(journal).add('quote " and \n newline')
    journal.close()
    (file,) = ram_dir.iterdir()
    assert len([json.loads(line) for line in file.read_bytes().splitlines()]) == 2
    assert after_restart(ram_dir, clock) == ['quote " and \n newline']
