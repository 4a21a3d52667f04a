import pytest

from otppi.brokers import device_name as names
from otppi.brokers.device_name import device_name


@pytest.fixture
def machine_id(tmp_path, monkeypatch):
    path = tmp_path / "machine-id"
    monkeypatch.setattr(names, "_MACHINE_ID", path)
    return path


def test_each_device_has_a_name_that_stays_and_does_not_tell_its_machine_id(machine_id):
    seen = set()
    for identity in (32 * "a", 32 * "b"):
        machine_id.write_text(f"{identity}\n")
        name = device_name()
        assert name == device_name()
        prefix, _, digits = name.partition("-")
        assert (prefix, len(digits)) == ("otppi", 12)
        assert digits not in identity
        seen.add(name)
    assert len(seen) == 2


@pytest.mark.parametrize("content", [None, ""])
def test_a_machine_without_an_id_goes_by_its_host_name(machine_id, monkeypatch, content):
    if content is not None:
        machine_id.write_text(content)
    found = set()
    for host in ("first", "second"):
        monkeypatch.setattr(names.socket, "gethostname", lambda host=host: host)
        found.add(device_name())
    assert len(found) == 2
