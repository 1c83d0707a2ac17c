"""Other ways to come to conclusions from a run's observations: the fold with one part left out, or of a site whose cameras are
not mounted as it says, and a peer.

Each writes its tables into ``RUN/instead/NAME``, beside links to the run's truth and site, so that all are scored alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import BadInput
from twin.evaluation.fuse_run import Changed, fuse_run
from twin.events.envelope import ObservationEvent
from twin.events.observations import DetectedBox, TrackletEmbedded
from twin.fusion.parameters import DEFAULTS, FusionParameters
from twin.fusion.placing import Placing
from twin.rules.fold import Fold
from twin.spatial.camera import Bools, GroundCamera
from twin.spatial.placement import Heading, Place

from .made import FUSED_BY, code_print, concluded
from .scenes import Case
from .turned import turned

PEER = "peer"
THIS = "ops/bench/fusion_quality"


class LowerMiddles(Placing):
    """Boxes at the ground points under their lower middles, with the covariance of box and calibration alone: no cuboid, no
    heading, nothing that is hidden."""

    def places(
        self, camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Sequence[Heading], is_covered: Bools
    ) -> list[Place]:
        """See ``Placing``."""
        if not boxes:
            return []
        corners = np.array([box.box_px for box in boxes])
        middles = np.stack(((corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]), axis=1)
        ground = camera.to_ground(middles, np.array([box.box_sigma_px for box in boxes]))
        rows = zip(ground.points_m.tolist(), ground.covariance_m2.tolist(), ground.is_valid.tolist(), strict=True)
        return [(x, y, xx, xy, yy, is_valid) for (x, y), (xx, xy, yy), is_valid in rows]


@dataclass(frozen=True, kw_only=True)
class Without:
    """The fold with one part left out, or with cameras that are turned by angles of this standard deviation."""

    says: str
    parameters: FusionParameters = DEFAULTS
    has_plain_places: bool = False
    changed: Changed | None = None
    turned_deg: float = 0.0

    def conclude(self, site: Site, observations: Path, run: Path) -> dict[str, Any]:
        """Fuse so."""
        placing = LowerMiddles() if self.has_plain_places else None
        believed = turned(site, self.turned_deg) if self.turned_deg else site
        fold = Fold(believed, self.parameters, placing=placing)
        return fuse_run(site, observations, run, fold=fold, changed=self.changed)


_TURNED_DEG = 0.4
_NO_BIAS = replace(DEFAULTS, registers_cameras=False)


def _without_looks(events: Iterable[ObservationEvent]) -> Iterator[ObservationEvent]:
    return (event for event in events if not isinstance(event.payload, TrackletEmbedded))


ABLATIONS: Mapping[str, Without] = MappingProxyType(
    {
        "no-geometry": Without(says="boxes lie where their lower middles do, not where a cuboid fits", has_plain_places=True),
        "no-appearance": Without(says="no embedding is known", changed=_without_looks),
        "no-late": Without(says="what comes for a closed tick is not fused", parameters=replace(DEFAULTS, horizon_us=0)),
        "no-clock": Without(says="camera clocks are believed", parameters=replace(DEFAULTS, deadband_us=10**15)),
        "no-calibration": Without(
            says="what likeness is worth is not learned", parameters=replace(DEFAULTS, calibrates_looks=False)
        ),
        "no-links": Without(says="ways between cameras are not learned", parameters=replace(DEFAULTS, learns_links=False)),
        "no-bias": Without(says="what each camera gets wrong everywhere is not learned", parameters=_NO_BIAS),
    }
)
TURNED: Mapping[str, Without] = MappingProxyType(
    {
        "turned": Without(says="cameras are turned by 0.4 degrees about each axis", turned_deg=_TURNED_DEG),
        "turned-no-bias": Without(says="as turned, and no-bias", turned_deg=_TURNED_DEG, parameters=_NO_BIAS),
    }
)
OTHERS = MappingProxyType({**ABLATIONS, **TURNED})


def instead(case: Case, run: Path, name: str) -> Path:
    """The folder of what was concluded in another way, made where that was not done yet.

    Raises:
        BadInput: there is no such way.
        MissingExtra: the peer's library is not installed.
    """
    if name != PEER and name not in OTHERS:
        raise BadInput(f"'{name}' is no other way to conclude; use {PEER}, {', '.join(OTHERS)}")
    folder = run / "instead" / name
    folder.mkdir(parents=True, exist_ok=True)
    for shared in ("truth.parquet", "visits.parquet", "site"):
        if not (folder / shared).exists():
            (folder / shared).symlink_to(Path("..", "..", shared))
    of = code_print([f"{THIS}/peer"] if name == PEER else [*FUSED_BY, f"{THIS}/instead.py", f"{THIS}/turned.py"])
    concludes = _conclude(name)
    concluded(run, folder / "fused.json", of, lambda: concludes(case.site, run / "observations.jsonl.zst", folder))
    return folder


def _conclude(name: str) -> Callable[[Site, Path, Path], dict[str, Any]]:
    if name != PEER:
        return OTHERS[name].conclude
    from .peer.run import peer_run

    return peer_run
