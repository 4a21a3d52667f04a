import pytest

from otppi.sim.faults import Faults, Moment, parse_faults
from otppi.sim.wire import Wire


def test_reads_faults_from_json():
    assert parse_faults({}) == Faults()
    assert parse_faults({"late_s": 3, "late_sends": 2, "interruption_at": "glued", "hung": True}) == Faults(
        late_s=3, late_sends=2, interruption_at=Moment.GLUED, hung=True
    )


@pytest.mark.parametrize(
    "document",
    [
        {"hang": True},
        {"hung": 1},
        {"late_sends": True},
        {"late_sends": "3"},
        {"fail_with": 38},
        {"interruption_at": "noon"},
    ],
)
def test_rejects_faults_that_do_not_exist(document):
    with pytest.raises(ValueError):
        parse_faults(document)


def test_a_good_wire_passes_everything_at_once():
    wire = Wire()
    assert wire.incoming(b"AT\r", 5.0) == (5.0, b"AT\r")
    assert wire.outgoing(b"OK", 5.0) == [(5.0, b"OK")]


def test_a_slow_wire_passes_byte_by_byte_in_both_directions():
    wire = Wire()
    wire.set(gap_s=0.5, lost_fraction=0.0, seed=1)
    assert wire.incoming(b"AT\r", 5.0) == (6.5, b"AT\r")
    assert wire.outgoing(b"OK", 5.0) == [(5.5, b"O"), (6.0, b"K")]
    assert wire.outgoing(b"X", 5.0) == [(6.5, b"X")]


def test_lost_bytes_are_lost_alike_every_time():
    def passed(seed):
        wire = Wire()
        wire.set(gap_s=0.0, lost_fraction=0.1, seed=seed)
        return wire.incoming(bytes(range(250)), 0.0)[1] + wire.outgoing(bytes(range(250)), 0.0)[0][1]

    assert passed(1) == passed(1)
    assert passed(1) != passed(2)
    assert 400 < len(passed(1)) < 500
