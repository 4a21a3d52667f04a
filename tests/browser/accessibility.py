"""Whether everybody can use a page, as axe-core finds out."""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_FILE = Path(__file__).with_name("axe") / "axe.min.js.gz"
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_GRAVE = ("serious", "critical")
_RUN = """tags => axe.run(document, {resultTypes: ["violations"], runOnly: {type: "tag", values: tags}})
  .then((found) => found.violations.map((one) => ({
    id: one.id, impact: one.impact, is_rule: one.tags.some((tag) => tag.startsWith("wcag")), help: one.help,
    where: one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} [${node.any.concat(node.all, node.none)
      .map((check) => check.message)[0]}]`),
  })))"""


def barriers(page: Page) -> list[str]:
    """Return the serious and critical violations of WCAG 2.2 AA; the rest is printed, for whoever wants to know."""
    page.evaluate(_script())
    grave = []
    for one in page.evaluate(_RUN, [*_TAGS, "best-practice"]):
        if one["is_rule"] and one["impact"] in _GRAVE:
            grave.append(_said(one))
        else:
            print(f"{page.url}: {_said(one)}")
    return grave


@cache
def _script() -> str:
    return gzip.decompress(_FILE.read_bytes()).decode()


def _said(one: dict[str, Any]) -> str:
    return f"{one['impact']} {one['id']}: {one['help']}: {'; '.join(one['where'])}"
