"""One vehicle on site: what it does when, where it parks, and its visit so far."""

from __future__ import annotations

import math
from typing import NamedTuple

from perception.synthetic.drive import Drive
from perception.synthetic.trips import Trip
from perception.synthetic.truth import VehicleState, Visit, degrees
from perception.synthetic.vehicles import Vehicle
from twin.events.ids import Micros

_NEVER: Micros = 1 << 62


class Episode(NamedTuple):
    """A drive, or standing in a stall, from ``start_at`` until ``end_at``.

    Attributes:
        due_at: when a driver who stands means to leave.
    """

    start_at: Micros
    end_at: Micros
    drive: Drive | None
    parked: VehicleState | None
    due_at: Micros = _NEVER


class Presence:
    """What a vehicle does; episodes follow one another without a gap.

    Attributes:
        trip: the one that ended in the stall where it stands or will stand.
        leaves_at: when its driver means to leave the site.
    """

    def __init__(self, vehicle: Vehicle) -> None:
        self.vehicle = vehicle
        self.episodes: list[Episode] = []
        self.entry_at: Micros | None = None
        self.exit_at: Micros | None = None
        self.trip: Trip | None = None
        self.leaves_at: Micros = _NEVER

    @property
    def visit(self) -> Visit:
        """So far as it is planned."""
        return Visit(vehicle=self.vehicle, entry_at=self.entry_at, exit_at=self.exit_at)

    def episode(self, at: Micros) -> Episode | None:
        """What it does then, or None before it appears and after it vanishes."""
        for one in self.episodes:
            if one.start_at <= at < one.end_at:
                return one
        return None

    def drives(self, drive: Drive) -> None:
        """Go, from outside or out of the stall where it stands."""
        if self.episodes:
            drive = drive.without_waiting()
            self.episodes[-1] = self.episodes[-1]._replace(end_at=drive.start_at)
        self.episodes.append(Episode(drive.start_at, drive.end_at, drive, None))

    def stands(self, trip: Trip, from_at: Micros, due_at: Micros) -> None:
        """Stand where a trip ended, until it drives again."""
        x, y, heading = trip.path.pose(trip.path.last)
        parked = VehicleState(
            vehicle=self.vehicle,
            level=trip.path.level[-1],
            x_m=x,
            y_m=y,
            heading_deg=degrees(heading),
            speed_mps=0.0,
            stall=trip.stall,
            state="parked",
        )
        self.trip = trip
        self.episodes.append(Episode(from_at, _NEVER, None, parked, due_at))

    def forget(self, before_at: Micros) -> bool:
        """Drop episodes that are over; whether none is left."""
        if self.episodes[0].end_at <= before_at:
            self.episodes = [one for one in self.episodes if one.end_at > before_at]
        return not self.episodes


def driving(vehicle: Vehicle, drive: Drive, at: Micros) -> VehicleState:
    """A vehicle somewhere on its drive."""
    step, speed_mps = drive.at(at)
    path = drive.path
    x, y, heading = path.pose(step)
    return VehicleState(
        vehicle=vehicle,
        level=path.level[min(int(step), path.last)],
        x_m=x,
        y_m=y,
        heading_deg=degrees(heading),
        speed_mps=speed_mps * path.gear[min(math.ceil(step), path.last)],
        stall=None,
        state="moving",
    )
