"""The rules about who may import whom, as pyproject.toml states them, hold and can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check_layers(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=tree,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "otppi", tmp_path / "otppi", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_layers_hold() -> None:
    checked = check_layers(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        ("model/number.py", "import otppi.gateway", "Imports point downwards"),
        ("gateway/__init__.py", "import otppi.modems", "Imports point downwards"),
        ("api/__init__.py", "import otppi.modems", "Only services build drivers"),
        ("model/number.py", "import serial", "The core knows no library"),
        ("modems/parse.py", "import otppi.modems.channel", "A modem is built from the bottom up"),
        ("newcomer/__init__.py", "", "Imports point downwards"),
    ],
)
def test_a_forbidden_import_is_noticed(copied_tree: Path, module: str, statement: str, broken: str) -> None:
    file = copied_tree / "otppi" / module
    file.parent.mkdir(exist_ok=True)
    before = file.read_text() if file.exists() else ""
    file.write_text(f"{before}\n{statement}\n")

    checked = check_layers(copied_tree)

    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert any(broken in line and "BROKEN" in line for line in checked.stdout.splitlines()), checked.stdout
