import pytest

from tests import needs
from tests.image_bench.sticks import fat_stick

VERIFY = "VERIFY = eyJkZXZpY2VUeXBlIjoiUlBpIiwgImJhc2VOYW1lIjoicmVzZXQtY29uZmlnLmluaSJ9"
FILE = "otppi/reset-config.ini"
SEEN_S = 60.0


@pytest.fixture(scope="module")
def make_stick(tmp_path_factory):
    needs.programs("mkfs.vfat", "mmd", "mcopy")
    folder = tmp_path_factory.mktemp("sticks")

    def make(name, *lines):
        return fat_stick(folder / f"{name}.img", {FILE: "\r\n".join(lines).encode()})

    return make


@pytest.fixture
def with_changes(machine):
    machine.run(
        "otppi settings set general.device_name 'Corner shop' && otppi settings set sms.answer_limit_s 77"
    )


def value(machine, path):
    return machine.run(f"otppi settings get {path}").said


@pytest.mark.short
def test_a_stick_resets_what_it_names_and_only_once(machine, make_stick, with_changes):
    machine.plug_stick("good", make_stick("good", VERIFY, "RESET_SMS = true", "RESET_API = false"))
    machine.wait_for('test "$(otppi settings get sms.answer_limit_s)" != 77.0', limit_s=SEEN_S)
    assert value(machine, "general.device_name") == "Corner shop"
    machine.run("otppi settings set sms.answer_limit_s 78")
    # It stays in, and is looked at again.
    machine.run("systemctl restart otppi-reset-watch && sleep 3 && systemctl start otppi-reset")
    assert value(machine, "sms.answer_limit_s") == "78.0"
    machine.unplug_stick("good")


def test_a_stick_of_another_device_resets_nothing(machine, make_stick, with_changes):
    machine.plug_stick("strange", make_stick("strange", "VERIFY = bm9uZQ==", "RESET_SMS = true"))
    machine.wait_for("grep -q VERIFY /run/otppi-reset/sticks.json", limit_s=SEEN_S)
    machine.run("sleep 5")
    assert value(machine, "sms.answer_limit_s") == "77.0"
    machine.unplug_stick("strange")
