"""What the fusion remembers between observations. Plain values only: it is saved and loaded bit for bit.

A state is never changed in place by a step: dicts are copied before they are written, tracks replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from twin.events.facts import SessionFlag, StallState, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import CameraId, EventId, LevelId, Micros, PortalId, StallId, TrackletId, VehicleId, ZoneId
from twin.events.observations import CameraCalibrated, DetectedBox, VehicleKind
from twin.fusion.appearance import Gallery
from twin.fusion.camera_bias import CameraBias
from twin.fusion.camera_links import CameraLinks
from twin.fusion.look_scores import LookScores
from twin.fusion.motion import Cov2, Motion
from twin.fusion.place import Look

TrackId = int
Calibrations = tuple[tuple[Micros, CameraCalibrated], ...]
Status = Literal["tentative", "moving", "parked", "hidden", "left"]


class TrailPoint(Struct, frozen=True, gc=False, array_like=True):
    """Where a track was."""

    at: Micros
    x: float
    y: float


class Apart(Struct, frozen=True, gc=False, array_like=True):
    """Points for the seconds in which two tracks were seen beside each other, and when last."""

    n: int
    last_at: Micros


class Doubt(Struct, frozen=True, gc=False, array_like=True):
    """How often a tracklet was off the parked vehicle that it belongs to while another camera saw that stand, and when last."""

    n: int
    last_at: Micros


class Emitted(Struct, frozen=True, gc=False, array_like=True):
    """What the last fact about a vehicle's place said."""

    at: Micros
    x: float
    y: float
    zone: ZoneId | None


class Passed(Struct, frozen=True, gc=False, array_like=True):
    """What was told of a vehicle's place, by the name that it went by then."""

    at: Micros
    fact: VehicleMoved | VehicleParked | VehicleHidden


class Stance(Struct, frozen=True, gc=False, array_like=True):
    """How a parked vehicle stands.

    Attributes:
        probability: that it is in its track's stall.
        takes: other stalls that it surely reaches into.
        is_double_parked: it takes one more, or stands on a lane in the way of others.
    """

    probability: float
    takes: tuple[StallId, ...] = ()
    is_double_parked: bool = False


class Track(Struct, kw_only=True, gc=False):
    """One object on the ground; a vehicle once it is confirmed.

    Attributes:
        heading: unit vector of its last real motion, or of the stall or lane it stands in; (0, 0) if unknown.
        score: of its detections, a mean that follows the newest.
        sure_hits: detections whose score alone says that it is a vehicle.
        born_beside: tracks that were seen near by when this one was born: of these it may be a double.
        still: where and since when it stands, while it does.
        looks: each camera's mean of its looks at it since then.
        strange: its newest views, if they do not look like it.
        stood: where it was parked last, and when it was last seen there.
        away: measurements off a parked place that nobody denied, each soon after the one before; ``away_by``: the tracklet
            that the last of them is of, ``away_m``: by how much, ``away_at``: when.
        doubts: tracklets that may be of another vehicle than this parked one.
        absence: nats of evidence that a parked vehicle is gone, since ``absent_since``.
        seen_rate: how often each camera sees it, when it must.
        sides: last definite side of each portal that it is near: +1 left ("in"), -1 right.
        has_entered: whether it was seen to come in through a boundary.
        known_at: when the vehicle was first seen, as this track or an earlier one; None: with this one.
        certainty: 0..1, how sure its identity is.
        refused: tracklets that were taken for this one, and are not.
        apart: other tracks near by of which one camera had a box beside this one's in the same frame.
        missed_at: when a camera last looked for a parked vehicle in vain; states of before have none.
        counted_by: cameras whose bias this stay of it told something of.
        stance: how it stands, while it is parked.
        confirmed: the fact that its name began with; of tracks of before it is not known.
        path: what was told of its places by that name, the newest; once it was seen to come in, the last two. What was told
            before ``path_from`` is not known any more.
    """

    id: TrackId
    level: LevelId
    status: Status
    motion: Motion
    kind: VehicleKind
    kind_scores: dict[VehicleKind, float]
    heading: tuple[float, float]
    born_at: Micros
    first_m: tuple[float, float]
    is_inner_birth: bool
    hits: int
    seen_at: Micros
    seen_by: CameraId
    score: float = 0.0
    sure_hits: int = 0
    born_beside: tuple[TrackId, ...] = ()
    vehicle: VehicleId | None = None
    trail: tuple[TrailPoint, ...] = ()
    still: TrailPoint | None = None
    looks: dict[CameraId, Look] = field(default_factory=dict[CameraId, Look])
    stood: TrailPoint | None = None
    away: int = 0
    away_by: TrackletId | None = None
    away_m: tuple[float, float] = (0.0, 0.0)
    away_at: Micros = 0
    doubts: dict[TrackletId, Doubt] = field(default_factory=dict[TrackletId, Doubt])
    absence: float = 0.0
    absent_since: Micros | None = None
    seen_rate: dict[CameraId, float] = field(default_factory=dict[CameraId, float])
    stall: StallId | None = None
    emitted: Emitted | None = None
    sides: dict[PortalId, int] = field(default_factory=dict[PortalId, int])
    gallery: Gallery = ()
    strange: Gallery = ()
    tracklets: tuple[TrackletId, ...] = ()
    refused: tuple[TrackletId, ...] = ()
    flags: tuple[SessionFlag, ...] = ()
    has_entered: bool = False
    known_at: Micros | None = None
    certainty: float = 1.0
    evidence: tuple[EventId, ...] = ()  # newest observations that updated it
    apart: dict[TrackId, Apart] = field(default_factory=dict[TrackId, Apart])
    missed_at: Micros | None = None
    counted_by: tuple[CameraId, ...] = ()
    stance: Stance | None = None
    confirmed: EventId | None = None
    path: tuple[Passed, ...] = ()
    path_from: Micros | None = None


def known_at(track: Track) -> Micros:
    """When the vehicle that a track is was first seen."""
    return track.born_at if track.known_at is None else track.known_at


class TrackletLink(Struct, frozen=True, gc=False, array_like=True):
    """A camera's tracklet: the track it was matched to, and its last full box.

    ``is_placed`` is whether that box has a place; without one, ``point_m`` is where the vehicle was before.
    """

    track: TrackId
    camera: CameraId
    box: DetectedBox
    point_m: tuple[float, float]
    covariance_m2: Cov2
    seen_at: Micros
    assigned: EventId | None = None  # the fact that says so
    assigned_to: VehicleId | None = None
    is_placed: bool = True


class Suspicion(Struct, frozen=True, gc=False, array_like=True):
    """Two confirmed tracks, the elder first, that stand where only one vehicle can be, and since when."""

    elder: TrackId
    younger: TrackId
    since_at: Micros


class DecidedMerge(Struct, frozen=True, gc=False, array_like=True):
    """A person said that two vehicles that are followed are one, from when on, and by which observation."""

    at: Micros
    vehicle: VehicleId
    merged: VehicleId
    decision: EventId


class StallBelief(Struct, frozen=True, gc=False, array_like=True):
    """What is known of a stall.

    Attributes:
        vehicle: the one that is parked in it.
        free_nats: log-odds that nothing is in it, as of ``seen_at``; less than 0: something is.
        since_at: of what was said of it last, and ``certainty``, how sure that was; None: nothing was known.
        reached_by: a vehicle that is parked beside it and reaches into it.
        rated_at: when a classifier last said something of it.
        watched_at: since when something speaks of it, without a long break, and for the same.
    """

    state: StallState
    vehicle: VehicleId | None = None
    free_nats: float = 0.0
    seen_at: Micros = 0
    since_at: Micros = 0
    certainty: float | None = None
    reached_by: VehicleId | None = None
    rated_at: Micros = 0
    watched_at: Micros = 0

    @property
    def holder(self) -> VehicleId | None:
        """The vehicle that takes it."""
        return self.vehicle or self.reached_by


class FusionState(Struct, frozen=True, gc=False):
    """Everything but the order of frames.

    Attributes:
        checked_at: when what is looked at once a second was looked at last.
    """

    n_tracks: int = 0
    tracks: dict[TrackId, Track] = field(default_factory=dict[TrackId, Track])
    tracklets: dict[CameraId, dict[TrackletId, TrackletLink]] = field(
        default_factory=dict[CameraId, dict[TrackletId, TrackletLink]]
    )
    views: dict[TrackletId, Gallery] = field(default_factory=dict[TrackletId, Gallery])
    stalls: dict[StallId, StallBelief] = field(default_factory=dict[StallId, StallBelief])
    calibrations: dict[CameraId, tuple[tuple[Micros, CameraCalibrated], ...]] = field(
        default_factory=dict[CameraId, tuple[tuple[Micros, CameraCalibrated], ...]]
    )
    watched_since: dict[CameraId, Micros] = field(default_factory=dict[CameraId, Micros])
    looked_at: dict[CameraId, Micros] = field(default_factory=dict[CameraId, Micros])  # each camera's newest frame
    suspicions: tuple[Suspicion, ...] = ()
    merges: tuple[DecidedMerge, ...] = ()
    links: CameraLinks = field(default_factory=CameraLinks)
    scores: LookScores = field(default_factory=LookScores)
    biases: dict[CameraId, CameraBias] = field(default_factory=dict[CameraId, CameraBias])
    checked_at: Micros = 0


def with_names(state: FusionState, names: Mapping[EventId, EventId]) -> FusionState:
    """The state with facts by other ids, where it names them."""
    links = {
        camera: {
            name: replace(link, assigned=names[link.assigned])
            for name, link in links.items()
            if link.assigned is not None and link.assigned in names
        }
        for camera, links in state.tracklets.items()
    }
    tracks = {
        name: replace(track, confirmed=names[track.confirmed])
        for name, track in state.tracks.items()
        if track.confirmed is not None and track.confirmed in names
    }
    if tracks:
        state = replace(state, tracks={**state.tracks, **tracks})
    if any(links.values()):
        state = replace(state, tracklets={camera: {**of, **links[camera]} for camera, of in state.tracklets.items()})
    return state


def replaceable(state: FusionState) -> set[EventId]:
    """Facts that a later fact may supersede: by these ids, or by those that they were said anew under."""
    links = (link for camera in state.tracklets.values() for link in camera.values())
    assigned = {link.assigned for link in links if link.assigned is not None}
    return assigned | {track.confirmed for track in state.tracks.values() if track.confirmed is not None}
