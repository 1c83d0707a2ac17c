"""ops/docs/search.md says what the code has."""

from __future__ import annotations

from pathlib import Path

from retrieval.conditions import KEYWORDS
from retrieval.index import MOST_SPACES, PLATE_KEY, Sighting, Where
from retrieval.rebuild import Rebuilt
from twin.settings import PREFIX, Settings

TEXT = (Path(__file__).parents[2] / "ops/docs/search.md").read_text(encoding="utf-8")


def test_every_stored_field_and_every_condition_is_documented():
    for name in (*Sighting.__struct_fields__, PLATE_KEY, *Where.__struct_fields__, *KEYWORDS):
        assert f"`{name}`" in TEXT, name
    assert f"at most {MOST_SPACES} a site" in TEXT


def test_every_setting_of_the_index_is_documented():
    for name in (one for one in Settings.__struct_fields__ if one.startswith("qdrant_")):
        assert f"| `{PREFIX}{name.upper()}` |" in TEXT, name


def test_what_the_rebuild_prints_is_documented():
    assert '", '.join(f'"{name}' for name in ("site", "points", "cursor", "after")) in TEXT
    assert set(Rebuilt.__struct_fields__) == {"site", "points", "cursor", "after"}
