"""Cameras calibrated from marked points: tried as often as one likes, then saved as an event of the log."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera, Level, Pinhole, Site
from twin.api.bodies import Time, read_json
from twin.api.endpoint import Endpoint
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.ingest import told_once
from twin.api.plan_in_picture import DrawnLine, plan_in_picture
from twin.api.schemas import ReceiptView
from twin.errors import Contradiction, NotFound
from twin.events.codec import micros
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId, Micros
from twin.events.observations import CameraCalibrated
from twin.spatial.calibration import MAX_PAIRS, Calibration, Lens, Marks, Model, Pair, Remark, Solution, calibrate
from twin.spatial.camera import GroundCamera

DESK = DeviceId("calibrations")

_BODY_BYTES = 262_144
_SEE = "ops/docs/calibration.md"
_Words = Annotated[str, Meta(min_length=1, max_length=1_000)]
_Number = Annotated[float, Meta(ge=-100_000, le=100_000)]
_Spot = tuple[_Number, _Number]
_Line = Annotated[tuple[_Spot, ...], Meta(min_length=3, max_length=200)]


class PairGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pixel of the full frame and the ground that it shows, metres in the site frame."""

    pixel_px: _Spot
    ground_m: _Spot


class MarksGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points that a person marked.

    Attributes:
        lines_px: polylines of at least three pixels along what is straight in the world.
        lens: "keep": that of the calibration in force, else of the site model, which must have one; "find": from the marks.
        model: "auto": lens and pose where the marks determine them, else a homography of the ground.
        level: whose ground the points are on; absent: the camera's.
        sigma_px: how well the points are marked, a standard deviation.
    """

    pairs: Annotated[tuple[PairGiven, ...], Meta(max_length=MAX_PAIRS)]
    lines_px: Annotated[tuple[_Line, ...], Meta(max_length=50)] = ()
    lens: Literal["find", "keep"] = "find"
    model: Model = "auto"
    level: str | None = None
    sigma_px: Annotated[float, Meta(ge=0.05, le=50)] = 1.0


class CalibrationGiven(MarksGiven, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks to be calibrated from and kept; ``id`` is the sender's own, and sent again with the same content it is the same.

    Attributes:
        at: from when on the camera stands as it does in the picture.
    """

    id: _Words
    author: _Words
    reason: _Words
    at: Time


class CalibrationTried(Struct, frozen=True, kw_only=True):
    """What comes of marks.

    Attributes:
        calibration: null where they give none; a remark of severity "error" says why.
        plan_px: the plan as the camera would see it.
    """

    calibration: Calibration | None
    remarks: list[Remark]
    plan_px: list[DrawnLine]


class CalibrationSaved(ReceiptView, frozen=True, kw_only=True):
    """What became of the event, and what it says."""

    calibration: Calibration
    remarks: list[Remark]


async def try_calibration(request: Request) -> Response:
    """Compute, and keep nothing."""
    site, camera = site_of(request), camera_of(request)
    given = read_json(await body_of(request, most_bytes=_BODY_BYTES), MarksGiven, what="the marks", see=_SEE)
    level = _level(site, camera, given)
    solution = await _solved(request, given, camera, level, at=None)
    made = solution.calibration
    drawn = [] if made is None else plan_in_picture(site, level.id, _seeing(made, camera, level))
    told = CalibrationTried(calibration=made, remarks=list(solution.remarks), plan_px=drawn)
    return json(msgspec.to_builtins(told))


async def save_calibration(request: Request) -> Response:
    """Compute it once more, and append it to the log."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    body = await body_of(request, most_bytes=_BODY_BYTES)
    given = read_json(body, CalibrationGiven, what="the calibration", see=_SEE)
    level = _level(site, camera, given)
    solution = await _solved(request, given, camera, level, at=micros(given.at) - 1)
    made = solution.calibration
    if made is None:
        raise Contradiction(f"the marks give no calibration: {solution.remarks[0].text}")
    payload = CameraCalibrated(
        camera=camera.id,
        level=level.id,
        frame_px=camera.frame_px,
        geometry=made.geometry,
        sigma_m=made.sigma_m,
        range_m=camera.range_m,
        author=given.author,
        reason=given.reason,
    )
    epoch = int.from_bytes(blake2b(given.id.encode(), digest_size=7).digest(), "big")
    key = DeviceKey(device=DESK, boot_epoch=epoch, sequence=1)
    event = ObservationEvent(site=site.name, key=key, occurred_at=micros(given.at), payload=payload)
    (receipt,) = await services.log.append([event])
    services.metrics.ingested(site.name, [receipt])
    told: dict[str, Any] = {**told_once(receipt, f"calibration '{given.id[:80]}'")}
    return json({**told, "calibration": msgspec.to_builtins(made), "remarks": msgspec.to_builtins(solution.remarks)})


def camera_of(request: Request, site: Site | None = None) -> Camera:
    """The camera that the path names, of a map or else of the present one; raises NotFound."""
    site, name = site_of(request) if site is None else site, request.path_params["camera"]
    found = next((one for one in site.cameras if one.id == name), None)
    if found is None:
        there = ", ".join(one.id for one in site.cameras) or "none"
        raise NotFound(f"site '{site.name}' has no camera '{name[:80]}'; there are {there}")
    return found


def _level(site: Site, camera: Camera, given: MarksGiven) -> Level:
    name = camera.level if given.level is None else given.level
    found = next((one for one in site.levels if one.id == name), None)
    if found is None:
        raise NotFound(f"site '{site.name}' has no level '{name[:80]}'; there are {', '.join(one.id for one in site.levels)}")
    return found


def kept_lens(camera: Camera, in_force: CameraCalibrated | None) -> Lens:
    """The lens of a camera's calibration, without one that of the site model; raises Contradiction where it has none."""
    whose, used = ("the site model", camera) if in_force is None else ("the calibration in force", in_force)
    if not isinstance(used.geometry, Pinhole):
        raise Contradiction(f"{whose} has only a homography of camera '{camera.id}', no lens to keep; give lens 'find'")
    if used.frame_px != camera.frame_px:
        raise Contradiction(
            f"{whose} is of frames of {used.frame_px[0]} x {used.frame_px[1]} pixels, the site model's of"
            f" {camera.frame_px[0]} x {camera.frame_px[1]}, so its lens cannot be kept; give lens 'find'"
        )
    return Lens(k=used.geometry.k, distortion=used.geometry.distortion)


def marks_of(given: MarksGiven, camera: Camera, level: Level, lens: Lens | None) -> Marks:
    """What is given, of this camera over this level."""
    return Marks(
        frame_px=camera.frame_px,
        pairs=tuple(Pair(pixel_px=one.pixel_px, ground_m=one.ground_m) for one in given.pairs),
        lines_px=given.lines_px,
        elevation_m=level.elevation_m,
        range_m=camera.range_m,
        lens=lens,
        sigma_px=given.sigma_px,
    )


async def _solved(request: Request, given: MarksGiven, camera: Camera, level: Level, *, at: Micros | None) -> Solution:
    """In a thread, two at a time: a hundred pairs take a processor for a second or two.

    Args:
        at: whose lens is kept: that of the calibration that held then, or of the last one (None). Of what is saved it is just
            before, so that what is sent again is not solved by its own result.
    """
    lens = None
    if given.lens == "keep":
        found = await services_of(request).calibrations_of(site_of(request).name).in_force(camera.id, at)
        lens = kept_lens(camera, None if found is None else found[1])
    marks = marks_of(given, camera, level, lens)
    async with services_of(request).calibrating.turn("calibrations"):
        return await asyncio.to_thread(calibrate, marks, given.model)


def _seeing(made: Calibration, camera: Camera, level: Level) -> GroundCamera:
    return GroundCamera(made.geometry, camera.frame_px, level.elevation_m, made.sigma_m, camera.range_m)


_PATH = "/v1/sites/{site}/cameras/{camera}/calibration"

ENDPOINTS = (
    Endpoint(
        path=f"{_PATH}/try",
        method="POST",
        handler=try_calibration,
        scope="operate",
        about="What marked points say of a camera: geometry, residuals, uncertainty, remarks, and the plan as it would see it.",
        answer=CalibrationTried,
        body=MarksGiven,
        refusals=(404, 409, 413, 422, 503),
    ),
    Endpoint(
        path=_PATH,
        method="POST",
        handler=save_calibration,
        scope="admin",
        about="The same, kept: camera.calibrated.v1 from a time on, with who made it and why.",
        answer=CalibrationSaved,
        body=CalibrationGiven,
        refusals=(404, 409, 413, 422, 503),
    ),
)
