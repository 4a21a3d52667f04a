"""Writes the table of settings into the package's README: `python -m otppi.services.docs [--check]`."""

import sys
from pathlib import Path

from otppi.services.sections import SECTIONS
from otppi.settings.reference import settings_table

_README = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- settings -->\n", "<!-- /settings -->\n"


def fresh(readme: str) -> str:
    """Return the README with the table as the declarations have it now."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{settings_table(SECTIONS)}\n{_END}{after}"


def main() -> None:
    """Write the table, or with --check only say whether it is fresh."""
    readme = _README.read_text()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if fresh(readme) == readme else "otppi/README.md is not fresh: make docs")
    _README.write_text(fresh(readme))


if __name__ == "__main__":
    main()
