"""Runs SUMO and reads its floating car data as it comes: a pipe holds SUMO back, so neither memory nor disk fills."""

from __future__ import annotations

import subprocess
import weakref
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from perception.synthetic.sumo.network import EdgeId
from perception.synthetic.sumo.programs import SumoFailed, environment, failed, program
from perception.synthetic.vehicles import TrueVehicleId

STEP_S = 0.1


class Floating(NamedTuple):
    """One vehicle at one moment, as SUMO has it.

    Attributes:
        front_m: the middle of its front bumper, site frame; of one that is parked, its lot.
        angle_deg: clockwise from north.
        edge: inside a node, a name that starts with a colon.
        along_m: the front along the edge.
    """

    vehicle: TrueVehicleId
    front_m: tuple[float, float]
    angle_deg: float
    speed_mps: float
    edge: EdgeId
    along_m: float


class Inputs(NamedTuple):
    """SUMO's input files."""

    net: Path
    trips: Path
    areas: Path


class Moment(NamedTuple):
    """Every vehicle in SUMO, ``step`` steps of 100 ms after the start; one that stands is the same object again."""

    step: int
    vehicles: tuple[Floating, ...]


class SumoRun:
    """A running SUMO; ``close`` ends it, and so does the garbage collector."""

    def __init__(self, folder: Path, inputs: Inputs, seed: int, until_s: float) -> None:
        self._log = folder / "sumo.log"
        files = ("--net-file", str(inputs.net), "--route-files", str(inputs.trips), "--additional-files", str(inputs.areas))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("sumo"), *files, *_options(seed, until_s)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
            )
        self.close = weakref.finalize(self, _end, self._process)

    def moments(self) -> Iterator[Moment]:
        """Every 100 ms from the start on.

        Raises:
            SumoFailed: SUMO ended with an error, or in the middle of its output.
        """
        assert self._process.stdout is not None
        try:
            elements = ET.iterparse(self._process.stdout, events=("start", "end"))
            _, root = next(elements)
            before = dict[str, tuple[dict[str, str], Floating]]()
            for event, element in elements:
                if event == "end" and element.tag == "timestep":
                    before = {one.attrib["id"]: _floating(one.attrib, before) for one in element}
                    step = round(float(element.attrib["time"]) / STEP_S)
                    yield Moment(step, tuple(floating for _, floating in before.values()))
                    root.clear()
        except ET.ParseError as broken:
            raise self._failed(str(broken)) from broken
        if self._process.wait() != 0:
            raise self._failed("no message")

    def _failed(self, otherwise: str) -> SumoFailed:
        status = self._process.wait()
        return failed("sumo", status, self._log.read_text(encoding="utf-8", errors="replace") or otherwise)


def _options(seed: int, until_s: float) -> Sequence[str]:
    return (
        "--step-length",
        str(STEP_S),
        "--end",
        f"{until_s:.1f}",
        "--seed",
        str(seed % 2**31),
        "--fcd-output",
        "stdout",
        "--fcd-output.attributes",
        "x,y,angle,speed,lane,pos",
        "--precision",
        "3",
        "--parking.maneuver",
        "true",
        "--time-to-teleport",
        "-1",  # a vehicle that waits goes on waiting
        "--collision.action",
        "warn",
        "--collision.check-junctions",
        "true",
        "--no-step-log",
        "true",
        "--duration-log.disable",
        "true",
    )


def _floating(found: dict[str, str], before: dict[str, tuple[dict[str, str], Floating]]) -> tuple[dict[str, str], Floating]:
    """A vehicle's attributes and what they mean; what has not changed is not read again."""
    last = before.get(found["id"])
    if last is not None and last[0] == found:
        return last
    return found, Floating(
        TrueVehicleId(found["id"]),
        (float(found["x"]), float(found["y"])),
        float(found["angle"]),
        float(found["speed"]),
        found["lane"].rpartition("_")[0],
        float(found["pos"]),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
