"""Nothing on any page is left untranslated: in a language for tests, every translated text stands between marks."""

import pytest

from otppi.web import site
from otppi.web.words import Words, language_of
from tests.browser.addresses import addresses, page_routes
from tests.browser.test_every_page import is_page

MARKED = "xx"
ROUTES = page_routes()
# Numbers, times and amounts, which Babel writes in the reader's language.
WRITTEN = [name for name in vars(Words) if not name.startswith("_") and name != "many"]
MOST_SHOWN = 40
# Every text of a page, shown or waiting to be shown, that holds letters outside of marks and is not said to be nobody's
# language. What stands between marks may have marks inside.
_UNMARKED = r"""(part) => {
  const bare = (text) => {
    let depth = 0, rest = "";
    for (const letter of text) {
      if (letter === "⟦") depth++;
      else if (letter === "⟧") depth--;
      else if (!depth) rest += letter;
    }
    return /\p{L}/u.test(rest) ? rest.replace(/\s+/g, " ").trim() : "";
  };
  const isOurs = (element) => element.closest("[translate=yes], [translate=no]")?.getAttribute("translate") !== "no";
  const found = [];
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { parentElement: parent, data } = walker.currentNode;
      if (!parent || parent.closest("script, style, textarea") || !isOurs(parent)) continue;
      if (parent.tagName === "NOSCRIPT") {
        look(new DOMParser().parseFromString(data, "text/html").body);
        continue;
      }
      const rest = bare(data);
      if (rest) found.push(`<${parent.tagName.toLowerCase()}> ${rest}`);
    }
    for (const element of root.querySelectorAll("*")) {
      if (!isOurs(element)) continue;
      const names = ["title", "aria-label", "aria-description", "aria-valuetext", "placeholder", "alt", "label"];
      names.push(...element.getAttributeNames().filter((name) => /^data-(title|confirm|text|.*-text)$/.test(name)));
      for (const name of names) {
        const rest = bare(element.getAttribute(name) ?? "");
        if (rest) found.push(`<${element.tagName.toLowerCase()} ${name}> ${rest}`);
      }
      if (element.matches("input[type=submit], input[type=button]") && bare(element.value)) found.push(element.value);
      if (element.tagName === "TEMPLATE") look(element.content);
    }
  };
  look(document.querySelector(part));
  const title = bare(document.title.replace(/ \u2013 .*/, ""));
  if (title) found.push(`<title> ${title}`);
  return [...new Set(found)];
}"""


@pytest.fixture(autouse=True)
def marked(monkeypatch):
    """Let a browser that asks for the language of marks have it."""

    def chosen(accept_language: str) -> str:
        return MARKED if accept_language.startswith(MARKED) else language_of(accept_language)

    monkeypatch.setattr(site, "language_of", chosen)
    for name in WRITTEN:
        monkeypatch.setattr(Words, name, in_marks(getattr(Words, name)))


def in_marks(write):
    def written(words, *args, **options):
        text = write(words, *args, **options)
        return f"⟦{text}⟧" if words.language == MARKED and text else text

    return written


@pytest.mark.parametrize("route", ROUTES, ids=[one.path for one in ROUTES])
def test_every_text_of_a_page_is_translated(look, owner, route):
    one, faults = look("owner-any", language=MARKED), []
    for path in addresses(route, owner):
        if is_page(owner.get(path)):
            assert one.open(path) == 200
            assert one.page.locator("html").get_attribute("lang") == MARKED
            faults += [f"{path}: {text}" for text in one.page.evaluate(_UNMARKED, "main")[:MOST_SHOWN]]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("user", "path"), [("owner-any", "/about"), (None, "/login"), (None, "/forgot")])
def test_every_text_around_the_pages_is_translated(visit, user, path):
    one = visit(user, language=MARKED)
    assert one.open(path) == 200
    assert one.page.evaluate(_UNMARKED, "body") == []
