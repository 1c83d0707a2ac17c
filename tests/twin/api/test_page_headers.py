"""The pages are plain files, each with a header of its own: that they say the same is held here, not by a template."""

import re
from html.parser import HTMLParser

import pytest

from twin.api.app import STATIC

PAGES = sorted(path.name for path in STATIC.glob("*.html") if path.name != "login.html")
SCRIPTS = {"/static/nav.js", "/static/session.js"}
STYLES = ("/static/style/tokens.css", "/static/style/layout.css")


class Header(HTMLParser):
    """What is the same on every page, of one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.meta, self.links, self.styles, self.scripts, self.skips = [], [], [], [], []
        self.buttons, self.title, self._href, self._open = {}, "", "", ""
        self.feed((STATIC / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        match tag:
            case "html":
                self.meta.append(("lang", given.get("lang")))
            case "meta":
                self.meta.append(tuple(attrs))
            case "link" if given["rel"] == "icon":
                self.meta.append(tuple(attrs))
            case "link":
                self.styles.append(given["href"])
            case "script":
                self.scripts.append((given["type"], given["src"]))
            case "a" if given.get("class") == "skip":
                self.skips.append(given["href"])
            case "button" if given.get("id") in ("log-out", "theme"):
                self.buttons[given["id"]] = tuple(one for one in attrs)
            case "nav":
                self._open = given.get("aria-label", "")
            case "a" if self._open == "Pages":
                self._href = given["href"]
            case "title":
                self._open = "title"

    def handle_data(self, data):
        if self._open == "title":
            self.title += data
        elif self._href:
            self.links.append((self._href, data))
            self._href = ""

    def handle_endtag(self, tag):
        if tag in ("nav", "title"):
            self._open = ""


FIRST = Header("index.html")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_the_same_links_buttons_and_beginnings(name: str):
    page = Header(name)
    assert page.meta == FIRST.meta
    assert page.links == FIRST.links
    assert len(page.links) == len(set(page.links)) > 8
    assert page.buttons == FIRST.buttons
    assert set(page.buttons) == {"log-out", "theme"}
    assert tuple(page.styles[:2]) == STYLES
    assert {source for _, source in page.scripts} > SCRIPTS
    assert {kind for kind, _ in page.scripts} == {"module"}
    assert page.title.endswith("Spatial twin")
    assert len(page.skips) == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_page_skips_to_something_and_loads_what_is_there(name: str):
    page, text = Header(name), (STATIC / name).read_text(encoding="utf-8")
    assert f'id="{page.skips[0].removeprefix("#")}"' in text
    for source in (*page.styles, *(source for _, source in page.scripts)):
        assert (STATIC / source.removeprefix("/static/")).is_file()
    assert not re.search(r"(src|href)=\"https?:", text)
    assert not re.search(r"\son\w+=|<script>|style=\"", text)  # no code and no style within the page


MODULES = {path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8") for path in sorted(STATIC.rglob("*.js"))}
IMPORT = re.compile(r"^import (?:\{([^}]*)\} from )?\"([^\"]+)\";", re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
FUNCTION = re.compile(r"^(?:export )?((?:async )?function (\w+)\(.*?^\})", re.MULTILINE | re.DOTALL)


def names_in(listed: str) -> list[tuple[str, str]]:
    """Names that an import takes, and what they are called where it stands."""
    parts = (one.strip().split(" as ") for one in listed.split(",") if one.strip())
    return [(part[0], part[-1]) for part in parts]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_is_there_and_what_it_uses(name: str):
    for listed, source in IMPORT.findall(MODULES[name]):
        is_absolute = source.startswith("/static/")
        file = STATIC / source.removeprefix("/static/") if is_absolute else (STATIC / name).parent / source
        exported = set(EXPORT.findall(file.read_text(encoding="utf-8")))
        rest = IMPORT.sub("", MODULES[name])
        for there, here in names_in(listed):
            assert there in exported, source
            assert re.search(rf"\b{re.escape(here)}\b", rest), f"{here} of {source} is not used"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_knows_what_it_takes_from_others(name: str):
    """A name that other modules export, and that is called here, is imported or made here."""
    text = MODULES[name]
    taken = {here for listed, _ in IMPORT.findall(text) for _, here in names_in(listed)}
    exported = {one for other in MODULES.values() for one in EXPORT.findall(other)}
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", text, flags=re.DOTALL)
    code = re.sub(r"^  (?:async |static )?\w+\(.*\) \{$", "", code, flags=re.MULTILINE)  # methods are made, not called
    called = set(re.findall(r"(?<![.#\w])(?:new )?(\w+)\(", code)) & exported
    made = set(re.findall(r"(?:function|class|const|let) (\w+)", code)) | set(re.findall(r"[(,{]\s*(\w+)(?=\s*[,)}=])", code))
    assert called - taken - made == set()


def test_no_function_is_told_in_two_modules():
    told = {}
    for name, text in MODULES.items():
        for body, _ in FUNCTION.findall(text):
            told.setdefault(body, []).append(name)
    assert len(told) > 100
    assert {body: names for body, names in told.items() if len(names) > 1} == {}
