"""How long a boot takes, beside the same Debian without our stage, in one run: `make bench-image`."""

import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.image_bench.disk import parts
from tests.image_bench.machine import Board, Machine
from tests.image_bench.plain import WORDS, plain
from tests.image_bench.recipe import Recipe, own_architecture

_LIMIT_S = 600.0
_PAGE = "http://127.0.0.1:{}/"


def main() -> None:
    """Boot both, one after the other, and print what was measured."""
    recipe = Recipe(architecture=own_architecture())
    image = parts(recipe)
    with tempfile.TemporaryDirectory() as folder:
        plain_parts, card = plain(recipe, image, Path(folder))
        with Machine(plain_parts, Board(words=WORDS), card=card) as machine:
            rows = [("plain Debian, all started", started_s(machine))]
    with Machine(image) as machine:
        for which in ("first", "second"):
            machine.start()
            rows.append((f"{which} start, admin page", page_s(machine)))
            machine.wait_until_up()
            machine.cut_power()
        rows.append(("third start, all started", started_s(machine)))
    print(f"{recipe.architecture}, emulated; seconds, and their ratio to plain Debian with the same packages")
    for what, seconds in rows:
        print(f"  {what:28} {seconds:6.1f}  {seconds / rows[0][1]:5.2f}")


def started_s(machine: Machine) -> float:
    """Switch on and wait until all jobs of the boot are done."""
    began_s = time.monotonic()
    machine.power_on()
    return time.monotonic() - began_s


def page_s(machine: Machine) -> float:
    """Wait until the admin page answers on Ethernet."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < _LIMIT_S:
        with suppress(OSError), urllib.request.urlopen(_PAGE.format(machine.ports[8888]), timeout=5):
            return time.monotonic() - began_s
        time.sleep(0.2)
    raise TimeoutError("the admin page did not answer")


if __name__ == "__main__":
    main()
