"""What a site's map and tariffs say of an observation from outside: what can be no answer to is refused where it comes in."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

from site_models.schema import Portal, PortalId, Site
from twin.errors import BadInput
from twin.events.ids import CameraId
from twin.events.observations import (
    DetectedBox,
    FrameObserved,
    GateReported,
    LoopTripped,
    Observation,
    PaymentReceived,
    StallClassified,
    TrackletEmbedded,
)
from twin.events.wire import NAME

MOST_FRAME_PX = 65_535
MOST_BOX_PX = 1_000_000.0
_NUMBER_PX: dict[str, Any] = {"type": "number", "minimum": -MOST_BOX_PX, "maximum": MOST_BOX_PX}
_SIGMA_PX: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": MOST_BOX_PX}
_SIDE_PX: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MOST_FRAME_PX}
FRAME_PX: dict[str, Any] = {"type": "array", "prefixItems": [_SIDE_PX] * 2, "minItems": 2, "maxItems": 2}
"""What ``check_observation`` takes of a frame's size, and of a box below, as JSON Schema."""
BOX: dict[str, dict[str, Any]] = {
    "tracklet": NAME,
    "score": {"type": "number", "minimum": 0, "maximum": 1},
    "box_px": {"type": "array", "prefixItems": [_NUMBER_PX] * 4, "minItems": 4, "maxItems": 4},
    "box_sigma_px": {"type": "array", "prefixItems": [_SIGMA_PX] * 2, "minItems": 2, "maxItems": 2},
}
_NAME = re.compile(NAME["pattern"].replace("$", r"\Z"))
_logger = logging.getLogger(__name__)


def check_observation(payload: Observation, site: Site) -> None:
    """Raise BadInput for a gate or a classified stall that the site does not have, money that nothing here is paid in, or a
    frame with numbers that no detector gives.

    What a camera saw that the site does not have is taken, as a calibration or a later site model may say where it is, and
    is told the first time.
    """
    match payload:
        case LoopTripped():
            _check_direction(_gate(payload.portal, site), payload)
        case GateReported():
            _gate(payload.portal, site)
            _check_author(payload)
        case FrameObserved():
            _check_camera(payload.camera, site)
            _check_frame(payload)
        case TrackletEmbedded():
            _check_camera(payload.camera, site)
        case PaymentReceived():
            check_currency(payload.currency, site)
        case StallClassified():
            _check_stall(payload, site)
            _check_camera(payload.camera, site)
        case _:
            pass


@lru_cache(maxsize=4_096)  # the same few names come with every event
def check_given_name(what: str, name: str) -> None:
    """Raise BadInput for a name that cannot be taken: a log, its readers and their terminals must be able to show it."""
    if not _NAME.match(name):
        raise BadInput(f"{what}={name[:40]!r} is no name; give 1 to 200 letters, digits, spaces and marks")


def _check_camera(name: CameraId, site: Site) -> None:
    if all(one.id != name for one in site.cameras):
        _say_unknown(site.name, name, ", ".join(one.id for one in site.cameras) or "none")


def _check_frame(frame: FrameObserved) -> None:
    if not all(1 <= side <= MOST_FRAME_PX for side in frame.frame_px):
        raise BadInput(f"'frame_px' is {list(frame.frame_px)}; give the frame's width and height, 1 to {MOST_FRAME_PX} pixels")
    for number, box in enumerate(frame.boxes, 1):
        if wrong := _wrong_with(box):
            raise BadInput(f"box {number}: {wrong}")
    for tracklet in (*(box.tracklet for box in frame.boxes), *frame.unchanged):
        check_given_name("tracklet", tracklet)


def _wrong_with(box: DetectedBox) -> str:
    if not 0.0 <= box.score <= 1.0:
        return f"'score' is {box.score}; give a number from 0 to 1"
    if not all(-MOST_BOX_PX <= edge <= MOST_BOX_PX for edge in box.box_px):
        return f"'box_px' is {list(box.box_px)}; give x1, y1, x2, y2 in pixels, at most {MOST_BOX_PX:.0f} either way"
    if not all(0.0 <= sigma <= MOST_BOX_PX for sigma in box.box_sigma_px):
        return f"'box_sigma_px' is {list(box.box_sigma_px)}; give two standard deviations, 0 to {MOST_BOX_PX:.0f} px"
    return ""


@lru_cache(maxsize=1_000)  # once a process, not with every frame
def _say_unknown(site: str, camera: str, there: str) -> None:
    _logger.warning(
        "site '%s' has no camera %r; there are %s. What it sees is stored, and nothing is concluded from it unless "
        "camera.calibrated.v1 says where it is: correct the name at the edge, or the site model",
        site,
        camera[:80],
        there,
    )


def _check_stall(payload: StallClassified, site: Site) -> None:
    if all(one.id != payload.stall for one in site.stalls):
        raise BadInput(f"site '{site.name}' has no stall '{str(payload.stall)[:80]}'; check the name, or add it to the map")


def _gate(name: PortalId, site: Site) -> Portal:
    gates = {one.id: one for one in site.portals if one.role == "boundary"}
    if name not in gates:
        there = ", ".join(gates) or "none"
        raise BadInput(f"portal '{str(name)[:80]}' is no boundary of site '{site.name}', where gates stand; there are {there}")
    return gates[name]


def _check_direction(portal: Portal, asked: LoopTripped) -> None:
    if portal.direction == "both" and asked.direction is None:
        raise BadInput(f"portal '{portal.id}' is passed both ways; say which: direction 'in' or 'out'")
    if portal.direction != "both" and asked.direction not in (None, portal.direction):
        raise BadInput(f"portal '{portal.id}' is passed '{portal.direction}' only; leave direction out, or ask at another")


def _check_author(told: GateReported) -> None:
    if told.by == "attendant" and (told.author is None or told.reason is None):
        raise BadInput("what an attendant decided at a gate has an 'author' and a 'reason'; add who it was, and why")
    if told.by is None and (told.author, told.reason, told.asked) != (None, None, None):
        raise BadInput("'author', 'reason' and 'asked' are of what was decided 'by' somebody; add 'by', or leave them out")


def check_currency(currency: str, site: Site) -> None:
    """Raise BadInput for money that nothing of a site is paid in."""
    known = sorted({one.currency for one in site.tariffs})
    if currency not in known:
        raise BadInput(
            f"currency '{currency}' is that of no tariff of site '{site.name}', which has {', '.join(known) or 'none'};"
            " this money would be for nothing: return it"
        )
