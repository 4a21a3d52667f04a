import logging

import pytest

from otppi.system.reset.record import FILE_NAME, Applied, Record, Refused, Result, load, save

FULL = Record(
    applied=Applied(filesystem="vfat 1234-ABCD", file_sha256="a" * 64, done=("RESET_SMS",)),
    refused=Refused(device="sdb", filesystem="", reason="NTFS"),
    last=Result(when="2026-11-21T10:00:00+00:00", sections=("SMS",), failed={"REST API": "no"}, refusal=""),
)


@pytest.mark.parametrize("record", [Record(), FULL])
def test_it_comes_back_as_it_was(tmp_path, record):
    save(tmp_path, record)
    assert load(tmp_path) == record


def test_none_is_an_empty_one(tmp_path):
    assert load(tmp_path) == Record()


@pytest.mark.parametrize(
    "data",
    ["", "{", "[]", '{"version": 2}', '{"version": 1, "applied": {"x": 1}, "refused": null, "last": null}'],
)
def test_a_damaged_one_is_begun_anew_and_said(tmp_path, data, caplog):
    (tmp_path / FILE_NAME).write_text(data)
    with caplog.at_level(logging.ERROR):
        assert load(tmp_path) == Record()
    assert "begun anew" in caplog.text
