"""Upcasters: how a payload of a retired type becomes one of the type that replaced it.

A published event never changes. When a meaning changes, the type gets a new version and an upcaster here;
readers apply the chain until they reach a type of the codec table. A payload is a plain mapping, as decoded.

The worked example is ``frame.observed.v0``, of trials before the first release: boxes were
``[x, y, width, height, score]`` lists without tracklets' uncertainty, and the clock was not named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Payload = Mapping[str, Any]
Upcaster = Callable[[Payload], tuple[str, Payload]]


def frame_observed_v0(old: Payload) -> tuple[str, Payload]:
    """Name the clock honestly as unsynced, and give each box the 5 % error such detectors had."""
    boxes = [
        {
            "tracklet": tracklet,
            "kind": "car",
            "score": score,
            "box_px": [x, y, x + width, y + height],
            "box_sigma_px": [0.05 * width, 0.05 * height],
        }
        for tracklet, (x, y, width, height, score) in zip(old["tracklets"], old["boxes_xywhs"], strict=True)
    ]
    kept = {name: old[name] for name in ("camera", "frame_px", "detector")}
    return "frame.observed.v1", {**kept, "clock": "unsynced", "boxes": boxes}


UPCASTERS: Mapping[str, Upcaster] = {"frame.observed.v0": frame_observed_v0}


def upcast(type_name: str, payload: Payload) -> tuple[str, Payload]:
    """Apply upcasters until none fits; a payload of a current type comes back as it is."""
    while (step := UPCASTERS.get(type_name)) is not None:
        type_name, payload = step(payload)
    return type_name, payload
