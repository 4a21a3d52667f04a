import json

from otppi.system.clock.setmark import SetMark


def test_a_restart_of_the_service_remembers(tmp_path):
    assert SetMark(tmp_path).set_by == ""
    SetMark(tmp_path).set("by the administrator")
    assert SetMark(tmp_path).set_by == "by the administrator"


def test_a_boot_forgets(tmp_path):
    SetMark(tmp_path).set("by the administrator")
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({"boot_id": "another", "set_by": "by the administrator"}))
    assert SetMark(tmp_path).set_by == ""


def test_a_broken_mark_is_none(tmp_path):
    for broken in (b"", b"{", b"[]", b'"x"', b"\xff"):
        (tmp_path / "clock-set.json").write_bytes(broken)
        assert SetMark(tmp_path).set_by == ""


def test_without_a_folder_it_lasts_as_long_as_the_service(tmp_path):
    for folder in (None, tmp_path / "none"):
        mark = SetMark(folder)
        mark.set("from a browser")
        assert mark.set_by == "from a browser"
