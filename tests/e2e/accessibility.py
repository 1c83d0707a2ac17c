"""Serious accessibility faults of a page, as a browser can tell them: names, roles, headings, targets, focus, contrast.

Not a replacement of a person with a screen reader. What is checked is what the page is at the moment of the call.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

TARGET_PX = 24
"""WCAG 2.2, 2.5.8: the least size of what is pressed; links inside of sentences are excepted."""
MOST_TABS = 400

_FUNCTIONS = Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8")

# Where a page was last clicked, Tab would go on from there.
_FROM_THE_BEGINNING = """() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
    document.activeElement?.blur();
    window.scrollTo(0, 0);
}"""


def faults(page: Page, weak_text: str) -> list[str]:
    """Every fault in words; none: the list is empty."""
    return [*_asked(page, "structure", TARGET_PX), *(f"contrast {one}" for one in page.evaluate(weak_text)), *_focus(page)]


def _asked(page: Page, name: str, *given: Any) -> Any:
    return page.evaluate(f"(given) => {_FUNCTIONS.strip()}.{name}(...given)", list(given))


def _focus(page: Page) -> list[str]:
    """Tab reaches every control in the order of the page, shows where it is, and gets out again."""
    page.evaluate(_FROM_THE_BEGINNING)
    wanted = _asked(page, "nTabbable")
    found, places = list[str](), list[int]()
    for _ in range(min(MOST_TABS, wanted + 40)):
        page.keyboard.press("Tab")
        at = _asked(page, "focused")
        if at is None or (places and at["index"] == places[0] and len(set(places)) >= wanted):
            break
        if not places or places[-1] != at["index"]:  # a field of a date has several parts
            places.append(at["index"])
        if not at["isShown"]:
            found.append(f"focus is not to be seen on {at['name']}")
    if places != sorted(places):
        back = next(i for i, (a, b) in enumerate(pairwise(places)) if b < a)
        found.append(f"focus goes back from element {places[back]} to {places[back + 1]}")
    if len(set(places)) < wanted:
        found.append(f"Tab reached {len(set(places))} of {wanted} controls")
    return found
