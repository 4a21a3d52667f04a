"""Programs under umockdev: they see the /sys, the /dev and the uevents that they make for themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import needs

_ROOT = Path(__file__).parents[1]


def told_by(body: Path, *arguments: object, limit_s: float = 60.0) -> list[Any]:
    """Run a Python program there; return the JSON of each line that it printed."""
    needs.programs("umockdev-wrapper")
    needs.module("gi")
    done = subprocess.run(
        [needs.program("umockdev-wrapper"), sys.executable, body, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
