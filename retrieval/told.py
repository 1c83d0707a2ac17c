"""The shapes of search's answers: what its routes send and a client reads. They import nothing that is heavy."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class SightingView(Struct, frozen=True, kw_only=True):
    """One sighting; ``likeness`` is the cosine with the probe, None where it was not compared."""

    tracklet: str
    camera: str
    at: str
    likeness: float | None
    crop: str | None
    links: Mapping[str, str]


class Hit(Struct, frozen=True, kw_only=True):
    """A vehicle, and why it is there.

    Attributes:
        probability: that it is the vehicle asked for; with those of all others and of "nobody known", 1.
        score: all evidence in nats. look: that of looks alone, as a share: 0.5 says nothing.
        sightings: the most alike first, at most ``MOST_SIGHTINGS`` of ``n_sightings``.
    """

    vehicle: str
    probability: float
    score: float
    look: float
    reasons: tuple[str, ...]
    sightings: tuple[SightingView, ...]
    n_sightings: int
    links: Mapping[str, str]


class Unassigned(Struct, frozen=True, kw_only=True):
    """Tracklets that the twin takes for no vehicle, one thing by their place in a camera's picture."""

    probability: float
    look: float
    tracklets: tuple[str, ...]
    sightings: tuple[SightingView, ...]


class NearView(Struct, frozen=True, kw_only=True):
    """Where and when the probe was taken to be seen."""

    camera: str | None
    at: str | None


class PictureView(Struct, frozen=True, kw_only=True):
    """A picture that was sent, and the vehicle in it; ``box_px`` is None where the whole picture is taken for one."""

    size_px: tuple[int, int]
    box_px: tuple[float, float, float, float] | None
    kind: str | None


class SearchAnswer(Struct, frozen=True, kw_only=True):
    """Vehicles, best first.

    Attributes:
        known_at: the fact position that the answer rests on; ``next`` asks for the next page as of it.
        weights: version of what ranking rests on.
        n_found: vehicles in all pages.
    """

    site: str
    known_at: str
    weights: str
    near: NearView | None
    pictures: tuple[PictureView, ...]
    n_found: int
    hits: tuple[Hit, ...]
    unassigned: tuple[Unassigned, ...]
    next: str | None
