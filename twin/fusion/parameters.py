"""Every number that the fusion decides by. All of them are part of the configuration hash."""

from __future__ import annotations

from msgspec import Struct

from twin.events.ids import SECOND, Micros


class FusionParameters(Struct, frozen=True, kw_only=True):
    """Defaults hold for car parks and roads alike.

    Attributes:
        tick_us: width of a tick of event time.
        hold_us: how far a logged clock must be past a tick's end, beyond the cameras' usual delay, to close it without all.
        idle_us: how far a logged clock must be past a camera's newest frame, beyond its usual delay, to call it idle.
        horizon_us: what comes for a closed tick is fused after all if the tick ended no longer ago than this.
        refuse_every_us: how long the first late one waits for others: so often, at most, is the past fused again.
        refuse_within_us: how long that takes, in even slices; at most ``refuse_every_us``, or it would put off the next.
        checkpoint_us: how far apart the states are kept from which the past is fused again.
        ahead_us: frames further ahead of the logged clock are not fused.
        deadband_us: estimated clock offsets smaller than this are taken as 0.
        gate_d2: chi-squared, 2 degrees of freedom, 99 %.
        floor_sigma_m: least standard deviation of a measured centre: what size prior and calibration leave over.
        bias_sigma_m: least standard deviation of a track's place: what a camera gets wrong it gets wrong again, so that
            more of its frames do not make a place surer than this.
        max_speed_mps: nothing on wheels here is faster.
        acceleration_m2ps3: power spectral density of white acceleration noise.
        birth_speed_sigma_mps: spread of a new track's speed.
        birth_hits, birth_us: detections and time until a new track is a vehicle, at the edge of what is watched.
        sure_score, sure_hits: so many of these detections have at least this score: what is never more than a likeness, such as
            a shadow, stays one however long it is seen.
        sure_mean: mean score of what is taken to be a vehicle after the usual hits and time.
        unsure_hits, unsure_us: hits and time until what scores less is one.
        certain_mean, driven_m: what scores less than this mean is one only in a stall, or once it has driven so far.
        walking_mps: nobody on foot keeps up a higher speed for that way.
        inner_birth_hits, inner_birth_us: as above, in the middle of a watched area, where nothing can come from.
        tentative_us: an unconfirmed track unseen for so long is dropped.
        tentative_still_us: the same for one that stands: what is half hidden is seen now and then.
        hidden_us: a moving vehicle unseen for so long is hidden.
        still_mps: slower is standing.
        park_us, stall_park_us: standing for so long is parked, outside and inside a stall.
        half_out_us: the same for one that has just driven off, and halts half out of its stall: it waits for others.
        depart_m: a parked vehicle measured farther off than this and a sigma, several times in a row, is moving.
        absence_nats: evidence of not being seen where it must be seen that ends a parked vehicle's stay there.
        absence_us: least time over which that evidence is gathered.
        sure_detections: a vehicle that never entered and is lost after fewer was none.
        emit_us, emit_m: least time and way between two VehicleMoved.
        portal_side_m: distance beyond a portal that counts as being across.
        reach_mps, reach_slack_m: how fast, and how far off, a hidden vehicle may come up again.
        known_nats: least score of a hidden vehicle to be taken for a newborn one inside the site; below it is new.
        learns_links: whether what was surely found again tells how vehicles get from camera to camera.
        calibrates_looks: whether vehicles that are surely one or two tell what likeness is worth.
        registers_cameras: whether vehicles that several cameras see standing tell what each camera gets wrong everywhere.
        looks_us: how long a track may wait for a first view of it before it is confirmed.
        margin_nats: best against second; below it an identity is ambiguous.
    """

    tick_us: Micros = 100_000
    hold_us: Micros = 250_000
    idle_us: Micros = 2 * SECOND
    horizon_us: Micros = 30 * SECOND
    refuse_every_us: Micros = 15 * SECOND
    refuse_within_us: Micros = 15 * SECOND
    checkpoint_us: Micros = 5 * SECOND
    ahead_us: Micros = 10 * SECOND
    deadband_us: Micros = 150_000
    gate_d2: float = 9.21
    floor_sigma_m: float = 0.45
    bias_sigma_m: float = 0.3
    max_speed_mps: float = 60.0
    acceleration_m2ps3: float = 3.0
    birth_speed_sigma_mps: float = 8.0
    birth_hits: int = 6
    birth_us: Micros = 700_000
    sure_score: float = 0.45
    sure_hits: int = 3
    sure_mean: float = 0.5
    unsure_hits: int = 50
    unsure_us: Micros = 6 * SECOND
    certain_mean: float = 0.65
    driven_m: float = 6.0
    walking_mps: float = 2.0
    inner_birth_hits: int = 15
    inner_birth_us: Micros = 2 * SECOND
    tentative_us: Micros = SECOND
    tentative_still_us: Micros = 6 * SECOND
    hidden_us: Micros = 2 * SECOND
    still_mps: float = 1.5
    park_us: Micros = 6 * SECOND
    stall_park_us: Micros = 2_500_000
    half_out_us: Micros = 30 * SECOND
    depart_m: float = 0.9
    absence_nats: float = 12.0
    absence_us: Micros = 3 * SECOND
    sure_detections: int = 60
    emit_us: Micros = 200_000
    emit_m: float = 0.05
    portal_side_m: float = 0.5
    reach_mps: float = 14.0
    reach_slack_m: float = 4.0
    known_nats: float = 1.5
    learns_links: bool = True
    calibrates_looks: bool = True
    registers_cameras: bool = True
    looks_us: Micros = 1_600_000
    margin_nats: float = 0.7


DEFAULTS = FusionParameters()
