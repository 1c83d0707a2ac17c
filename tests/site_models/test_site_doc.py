"""The page on sites is tested against the loader."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from site_models.camera_entries import CameraEntry
from site_models.gate_entries import GatesEntry
from site_models.load import _DatumEntry, _LevelEntry, _SiteFile, check_site
from site_models.map_features import Properties
from site_models.schema import ClockSource, LandmarkKind, PortalDirection, PortalRole, ZoneKind
from site_models.tariff_entries import TariffEntry

PAGE = (Path(__file__).parents[2] / "ops" / "docs" / "site.md").read_text()


def test_the_example_loads_without_a_fault(tmp_path):
    blocks = re.findall(r"```\w+ (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert {name for name, _ in blocks} == {"site.toml", "cameras.toml", "map.geojson"}
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    site, faults = check_site(tmp_path)
    assert faults == ()
    assert site is not None
    for group in (
        site.zones,
        site.stalls,
        site.lanes,
        site.portals,
        site.landmarks,
        site.obstacles,
        site.cameras,
        site.tariffs,
    ):
        assert group, "the example has one of every kind"


@pytest.mark.parametrize("kind", [CameraEntry, *Properties.__args__], ids=lambda kind: kind.__name__)
def test_every_key_is_on_the_page(kind):
    missing = [field.name for field in msgspec.structs.fields(kind) if f"`{field.name}`" not in PAGE]
    assert not missing
    tag = kind.__struct_config__.tag
    assert tag is None or f"`{tag}`" in PAGE


@pytest.mark.parametrize("kind", [_SiteFile, _DatumEntry, _LevelEntry, TariffEntry, GatesEntry], ids=lambda kind: kind.__name__)
def test_every_key_of_the_site_file_is_in_its_section(kind):
    section = PAGE.split("## site.toml")[1].split("\n## ")[0]
    assert [name for name in kind.__struct_fields__ if f"`{name}`" not in section] == []


@pytest.mark.parametrize("kind", Properties.__args__, ids=lambda kind: kind.__struct_config__.tag)
def test_every_property_of_a_kind_is_in_its_row(kind):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind.__struct_config__.tag}` |")]
    for name in set(kind.__struct_fields__) - {"id", "level"}:
        assert f"`{name}`" in row


@pytest.mark.parametrize("words", [ZoneKind, PortalRole, PortalDirection, LandmarkKind, ClockSource])
def test_every_word_that_a_property_may_be_is_on_the_page(words):
    assert all(re.search(rf"\b{word}\b", PAGE) for word in get_args(words))
