"""The watcher with real block devices, which come and go by real events of the kernel."""

import logging
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from otppi.services.reset_watch import SNAPSHOT, publish, watch
from otppi.system.reset.report import read_snapshot
from tests import needs
from tests.system.reset.images import FILE, backed_by, ext4, plugged_in, reset_file, tree, unplug, with_table


@contextmanager
def watching(folder, *images, settled_after_s=60.0, again_after_s=60.0):
    needs.root()
    stop = threading.Event()
    options = {"settled_after_s": settled_after_s, "again_after_s": again_after_s}
    watcher = threading.Thread(
        target=watch, args=(folder, stop), kwargs={"is_meant": backed_by(*images), **options}
    )
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(30)
        assert not watcher.is_alive()


def wait_for(folder, is_so):
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        try:
            snapshot = read_snapshot(folder / SNAPSHOT)
        except FileNotFoundError:
            snapshot = None
        if snapshot is not None and is_so(snapshot):
            return snapshot
        time.sleep(0.02)
    pytest.fail(f"did not come: {snapshot}")


def test_a_stick_is_seen_when_it_comes_and_when_it_goes_and_its_secret_is_not_logged(tmp_path, caplog):
    data = reset_file("RESET_SMS = true", "SECRET = lusab-babad")
    image = ext4(tmp_path / "image", tree(tmp_path / "t", {FILE: data}))
    folder = tmp_path / "run"
    with caplog.at_level(logging.DEBUG), watching(folder, image):
        assert wait_for(folder, lambda snapshot: True).sticks == ()
        with plugged_in(image) as device:
            (stick,) = wait_for(folder, lambda snapshot: snapshot.sticks).sticks
            assert (stick.device, stick.flags, stick.refusal) == (device.name, ("RESET_SMS",), "")
            unplug(device)
            wait_for(folder, lambda snapshot: not snapshot.sticks)
    assert stick.secret_sha256 not in caplog.text
    assert (folder / SNAPSHOT).stat().st_mode & 0o777 == 0o640


def test_what_was_in_before_the_start_is_seen_and_absence_counts_only_when_settled(tmp_path):
    good = ext4(tmp_path / "good", tree(tmp_path / "t", {FILE: reset_file("RESET_SMS = true")}))
    bad = ext4(tmp_path / "bad", tree(tmp_path / "b", {FILE: b"RESET_SMS = true"}))
    disk = with_table(tmp_path / "disk", bad, good)
    with plugged_in(disk, with_partitions=True), watching(tmp_path / "run", disk, settled_after_s=3):
        snapshot = wait_for(tmp_path / "run", lambda snapshot: True)
        assert not snapshot.is_settled
        assert [(bool(one.refusal), one.flags) for one in snapshot.sticks] == [
            (True, ()),
            (False, ("RESET_SMS",)),
        ]
        assert wait_for(tmp_path / "run", lambda snapshot: snapshot.is_settled).sticks == snapshot.sticks


def test_it_is_written_once_more_and_then_left_alone(tmp_path):
    written = Path(tmp_path / "run" / SNAPSHOT)
    with watching(tmp_path / "run", settled_after_s=60, again_after_s=0.4):
        wait_for(tmp_path / "run", lambda snapshot: True)
        first = written.stat().st_ino, written.stat().st_mtime_ns
        end_s = time.monotonic() + 10
        while (second := (written.stat().st_ino, written.stat().st_mtime_ns)) == first:
            assert time.monotonic() < end_s
            time.sleep(0.02)
        threading.Event().wait(1.0)
        assert (written.stat().st_ino, written.stat().st_mtime_ns) == second


def test_a_file_left_half_written_is_no_hindrance(tmp_path):
    (tmp_path / ".x.new").write_text("half")
    publish(tmp_path / "x", b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
