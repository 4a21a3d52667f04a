import pytest
from hypothesis import given
from hypothesis import strategies as st

from otppi.system.firewall.restore import own_rules, restore_text

WANTED = ("-A OTPPI-INPUT -j DROP", "-A OTPPI-FORWARD -j DROP")
EMPTY = ""
LOADED = """# Generated
*mangle
:FORWARD ACCEPT [0:0]
:OTPPI-FORWARD - [0:0]
-A FORWARD -j OTPPI-FORWARD
-A OTPPI-FORWARD -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:OTPPI-INPUT - [0:0]
-A INPUT -j OTPPI-INPUT
-A INPUT -i wlan0 -j nm-sh-in-wlan0
-A OTPPI-INPUT -i lo -j ACCEPT
-A OTPPI-INPUT -j DROP
COMMIT
"""


def commands(text, table):
    """The lines of one table without what frames them."""
    return text.split(f"*{table}\n")[1].split("COMMIT\n")[0].splitlines() if f"*{table}\n" in text else []


def test_the_first_load_makes_chains_and_jumps():
    text = restore_text(WANTED, EMPTY)
    assert commands(text, "filter") == [
        ":OTPPI-INPUT - [0:0]",
        "-I INPUT 1 -j OTPPI-INPUT",
        "-A OTPPI-INPUT -j DROP",
    ]
    assert commands(text, "mangle") == [
        ":OTPPI-FORWARD - [0:0]",
        "-I FORWARD 1 -j OTPPI-FORWARD",
        "-A OTPPI-FORWARD -j DROP",
    ]


def test_a_jump_that_is_in_its_place_stays():
    text = restore_text(WANTED, LOADED)
    assert commands(text, "filter") == [":OTPPI-INPUT - [0:0]", "-A OTPPI-INPUT -j DROP"]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (
            "-A INPUT -i wlan0 -j nm-sh-in-wlan0\n-A INPUT -j OTPPI-INPUT",
            ["-D INPUT -j OTPPI-INPUT", "-I INPUT 1 -j OTPPI-INPUT"],
        ),
        (
            "-A INPUT -j OTPPI-INPUT\n-A INPUT -j OTPPI-INPUT",
            ["-D INPUT -j OTPPI-INPUT", "-D INPUT -j OTPPI-INPUT", "-I INPUT 1 -j OTPPI-INPUT"],
        ),
        (
            "-A INPUT -j OTPPI-INPUT\n-A shop -s 10.0.0.0/8 -g OTPPI-INPUT",
            ["-D INPUT -j OTPPI-INPUT", "-D shop -s 10.0.0.0/8 -g OTPPI-INPUT", "-I INPUT 1 -j OTPPI-INPUT"],
        ),
        (
            '-A INPUT -m comment --comment "-j OTPPI-INPUT" -j ACCEPT',
            ["-I INPUT 1 -j OTPPI-INPUT"],
        ),
    ],
    ids=["not first", "twice", "from elsewhere", "a comment"],
)
def test_the_jump_is_made_first_and_single(before, expected):
    present = f"*filter\n:INPUT ACCEPT [0:0]\n:OTPPI-INPUT - [0:0]\n{before}\nCOMMIT\n"
    assert commands(restore_text(WANTED, present), "filter")[1:-1] == expected


def test_without_rules_everything_of_ours_goes():
    text = restore_text((), LOADED)
    assert commands(text, "filter") == ["-D INPUT -j OTPPI-INPUT", "-F OTPPI-INPUT", "-X OTPPI-INPUT"]
    assert commands(text, "mangle") == ["-D FORWARD -j OTPPI-FORWARD", "-F OTPPI-FORWARD", "-X OTPPI-FORWARD"]


def test_without_rules_and_chains_there_is_nothing_to_do():
    assert restore_text((), EMPTY) == ""
    assert restore_text((), "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n") == ""


def test_own_rules_are_found_again():
    assert own_rules(LOADED) == (
        "-A OTPPI-FORWARD -j DROP",
        "-A OTPPI-INPUT -i lo -j ACCEPT",
        "-A OTPPI-INPUT -j DROP",
    )


@given(
    st.text(alphabet=st.sampled_from('-AFXD:*OTPI NUcomit\n\u2028\x0b"j'), max_size=300)
    | st.text(max_size=200)
)
def test_whatever_others_have_only_lines_that_name_our_chains_are_written(present):
    for line in restore_text(WANTED, present).split("\n"):
        assert line in ("*filter", "*mangle", "COMMIT", "") or "OTPPI-" in line
