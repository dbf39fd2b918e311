"""axe-core on a page that is open in Playwright: what somebody with a screen reader or weak eyes
could not use of it.

What costs is contrast, for every piece of text. Text that looks alike, on ground that looks alike,
is told apart equally well, so one of each sort is looked at: a row of a table stands for all.
"""

import json
from collections.abc import Mapping
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
CONTRAST = "color-contrast"
NOT_OURS = ".swagger-ui"  # the API's documentation is drawn by it

_RUN = """
async (options) => {
  const found = await axe.run(options.sorts ? sorts() : {exclude: [[NOT_OURS]]}, {
    ...options.rules, resultTypes: ['violations'], selectors: false, preload: false,
  });
  return found.violations.filter((one) => SERIOUS.includes(one.impact)).flatMap((one) =>
    one.nodes.slice(0, 3).map((node) => `${one.id} (${one.impact}) `
      + `${node.html.slice(0, 200)} ${node.failureSummary.slice(0, 300)}`));

  function sorts() {  // pieces of text, one of each look; drawings lie over each other: all of them
    const looks = new Map();
    const look = (one) => {
      if (!one) return '';
      if (!looks.has(one)) {
        const style = getComputedStyle(one);
        looks.set(one, look(one.parentElement) + '/' + LOOK.map((name) => style[name]).join());
      }
      return looks.get(one);
    };
    const kept = new Map();
    for (const one of document.body.querySelectorAll('*')) {
      const has = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
      const holds = one.matches('input, select, textarea') || [...one.childNodes].some(has);
      if (!holds || one.closest(NOT_OURS)) continue;
      const sort = one.closest('svg') ? one : look(one);
      if (!kept.has(sort)) kept.set(sort, one);
    }
    return {include: [...kept.values()]};
  }
}
"""
# What decides how well text is told apart from the ground.
_LOOK = (
    *("color", "backgroundColor", "backgroundImage", "fontSize", "fontWeight", "opacity"),
    *("position", "display", "visibility", "textShadow"),
)
_SCRIPT = (
    _RUN.replace("SERIOUS", json.dumps(SERIOUS))
    .replace("NOT_OURS", json.dumps(NOT_OURS))
    .replace("LOOK", json.dumps(_LOOK))
)


def put_into(page: Page) -> None:
    """Let axe-core into the page that is open, once."""
    page.evaluate(AXE_SCRIPT)


def serious(page: Page) -> list[str]:
    """Everything serious but contrast. The page has axe-core, see `put_into`."""
    return _run(page, {"rules": {CONTRAST: {"enabled": False}}}, sorts=False)


def faint(page: Page) -> list[str]:
    """What is not told apart well enough in the colours of the moment."""
    return _run(page, {"runOnly": [CONTRAST]}, sorts=True)


def _run(page: Page, rules: Mapping[str, Any], *, sorts: bool) -> list[str]:
    found: list[str] = page.evaluate(_SCRIPT, {"rules": rules, "sorts": sorts})
    return found
