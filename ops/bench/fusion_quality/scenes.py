"""What is run: a site of a given or generated kind, whose traffic, how noisy, which seed, for how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from site_models.dump import dump_site
from site_models.generate import generate
from site_models.load import load_site, resolve
from site_models.schema import Site, SiteId, Tariff, TariffId
from twin.errors import BadInput

TARIFF = Tariff(id=TariffId("bench"), version=1, currency="EUR", step_minutes=15, price_minor=50)
"""Of sites that have none, so that errors can be counted in money: 50 cents each started quarter of an hour."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A generated site's numbers, or a given site.

    Attributes:
        given: a site's folder or name; None: one is generated.
        overlap: share of a camera's view along an aisle that the next one sees too.
        view_m: how far each camera is trusted; less than the generator's 45 m leaves blind stretches. None: as it is.
    """

    name: str
    given: str | None = None
    cameras: int = 8
    stalls: int = 60
    levels: int = 1
    overlap: float = 0.2
    view_m: float | None = None


SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        one.name: one
        for one in (
            Scene(name="overlap"),
            Scene(name="gaps", view_m=24.0),
            Scene(name="two-levels", cameras=10, levels=2),
        )
    }
)
"""``overlap``: every lane and stall is in a view, most in two or three. ``gaps``: a sixth of the lanes is in none.
``two-levels``: the ramps are in none."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run to be made.

    Attributes:
        site: with a tariff; its folder is ``folder``.
        stay_minutes: median of the stays; None: the generator's 40.
        plates: share of the well shown number plates that are read.
    """

    scene: str
    site: Site
    folder: Path
    traffic: str
    profile: str
    seed: int
    hours: float
    stay_minutes: float | None
    plates: float = 0.0

    @property
    def name(self) -> str:
        """Of its folder: all that it depends on."""
        stays = "" if self.stay_minutes is None else f"-stay-{self.stay_minutes:g}min"
        plates = f"-plates-{self.plates:g}" if self.plates else ""
        return f"{self.site.name}-{self.traffic}-{self.profile}-{self.hours:g}h{stays}{plates}-seed-{self.seed}"

    @property
    def group(self) -> tuple[str, str, str]:
        """What seeds are pooled over: scene, traffic, profile."""
        return self.scene, self.traffic, self.profile


def scenes_named(names: Iterable[str]) -> list[Scene]:
    """Scenes by their names.

    Raises:
        BadInput: there is no such scene.
    """
    unknown = [name for name in names if name not in SCENES]
    if unknown:
        raise BadInput(f"scene '{unknown[0]}' is not known; use one of {', '.join(SCENES)}, or give --site")
    return [SCENES[name] for name in names]


def site_of(scene: Scene, site_seed: int, out: Path) -> tuple[Site, Path]:
    """The site with a tariff, and the folder under ``out`` in which it is kept."""
    made = load_site(resolve(scene.given)) if scene.given else _generated(scene, site_seed)
    site = made if made.tariffs else replace(made, tariffs=(TARIFF,))
    folder = out / "sites" / site.name
    dump_site(site, folder)
    return load_site(folder), folder


def _generated(scene: Scene, site_seed: int) -> Site:
    sizes = {"n_cameras": scene.cameras, "n_stalls": scene.stalls, "n_levels": scene.levels}
    site = generate(**sizes, overlap=scene.overlap, seed=site_seed)
    name = f"{scene.name}-{scene.cameras}c-{scene.stalls}s-{scene.levels}l-{scene.overlap:g}o-{site_seed}"
    if scene.view_m is None:
        return replace(site, name=SiteId(name))
    cameras = tuple(replace(camera, range_m=scene.view_m) for camera in site.cameras)
    return replace(site, name=SiteId(f"{name}-{scene.view_m:g}m"), cameras=cameras)
