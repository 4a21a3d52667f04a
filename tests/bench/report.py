"""The table for people and the file for machines."""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.rows import Row


def as_table(rows: Sequence[Row]) -> str:
    """Lay the rows out for a terminal."""
    cells = [("what", "measured", "target", "", "")]
    for row in rows:
        measured = f"{_number(row.reading.value)} {row.spec.unit}".strip() if row.reading else "-"
        note = row.reading.note if row.reading else row.why_not
        cells.append((row.spec.title, measured, row.spec.target, row.verdict.value, note))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = []
    for line in cells:
        head = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        lines.append(f"{head}  {line[4]}".rstrip())
    return "\n".join(lines)


def as_json(rows: Sequence[Row], *, quick: bool, took_s: float, load_before: float) -> dict[str, Any]:
    """Describe the run for machines."""
    return {
        "format": 1,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "took_s": round(took_s, 1),
        "machine": {
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": sys.version.split()[0],
            "load_before": load_before,
        },
        "rows": [_row(row) for row in rows],
    }


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write the file in place of an older one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    fresh.replace(path)


def _row(row: Row) -> dict[str, Any]:
    return {
        "measurement": row.measurement,
        "key": row.spec.key,
        "title": row.spec.title,
        "unit": row.spec.unit,
        "value": row.reading.value if row.reading else None,
        "at_least": row.spec.at_least,
        "at_most": row.spec.at_most,
        "is_correctness": row.spec.is_correctness,
        "verdict": row.verdict.value,
        "note": row.reading.note if row.reading else row.why_not,
    }


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"
