"""Detector classes and the vehicle kinds that they stand for."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from twin.events.observations import VehicleKind

KIND_BY_NAME: Mapping[str, VehicleKind] = MappingProxyType(
    {
        "car": "car",
        "sedan": "car",
        "suv": "car",
        "taxi": "car",
        "vehicle": "car",
        "van": "van",
        "minivan": "van",
        "truck": "truck",
        "lorry": "truck",
        "pickup": "truck",
        "bus": "bus",
        "motorcycle": "motorcycle",
        "motorbike": "motorcycle",
        "bicycle": "bicycle",
        "bike": "bicycle",
        "cyclist": "bicycle",
    }
)

COCO: tuple[str, ...] = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
"""The 80 classes of the COCO detection set, in its order."""


def kinds_of(names: Sequence[str]) -> tuple[VehicleKind | None, ...]:
    """The vehicle kind of every class; None for what is no vehicle."""
    return tuple(KIND_BY_NAME.get(name.strip().lower()) for name in names)


def parse_names(text: str) -> tuple[str, ...] | None:
    """Class names as exporters write them into a model: ``{0: 'person', 1: 'bicycle'}`` or a list; None if neither."""
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(value, dict):
        if sorted(value) != list(range(len(value))):
            return None
        value = [value[index] for index in range(len(value))]
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None
