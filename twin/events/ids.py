"""Names of identifiers and units, and the deterministic identifiers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NewType

from site_models.schema import CameraId as CameraId
from site_models.schema import LevelId as LevelId
from site_models.schema import PortalId as PortalId
from site_models.schema import SiteId as SiteId
from site_models.schema import StallId as StallId
from site_models.schema import ZoneId as ZoneId

TrackletId = NewType("TrackletId", str)
VehicleId = NewType("VehicleId", str)
SessionId = NewType("SessionId", str)
EventId = NewType("EventId", str)
CropId = NewType("CropId", str)
DecisionId = NewType("DecisionId", str)
PaymentId = NewType("PaymentId", str)
DeviceId = NewType("DeviceId", str)

Micros = int
"""Microseconds since 1970-01-01 UTC. A field of this type ends in ``_at`` and is RFC 3339 in JSON."""

SECOND: Micros = 1_000_000


def observation_id(site: str, device: str, boot_epoch: int, sequence: int) -> EventId:
    """The id of an observation: the same device key gives the same id on every resend."""
    boot, number = str(boot_epoch), str(sequence)
    framed = f"{_framed_alike('observation', site, device, boot)}{len(number)}:{number}"
    return EventId(hashlib.blake2b(framed.encode(), digest_size=16).hexdigest())


@lru_cache(maxsize=4_096)  # a fact's is asked for by the fold, by whoever stores it, and by what supersedes it
def fact_id(site: str, fold_version: str, cause: int, ordinal: int) -> EventId:
    """The id of a fact: hash(site, fold version, triggering position, ordinal), 128 bits in hex."""
    position, place = str(cause), str(ordinal)
    framed = f"{_framed_alike('fact', site, fold_version)}{len(position)}:{position}{len(place)}:{place}"
    return EventId(hashlib.blake2b(framed.encode(), digest_size=16).hexdigest())


def name_of(prefix: str, *parts: str) -> str:
    """A short name that only the evidence determines, whenever and in whichever order it arrived; URL-safe.

    56 bits: among a million names of a site, two are the same with a probability of 7e-6.
    """
    return f"{prefix}-{_digest('name', prefix, *parts)[:14]}"


def _digest(*parts: str) -> str:
    return hashlib.blake2b(_framed(*parts).encode(), digest_size=16).hexdigest()


def _framed(*parts: str) -> str:
    return "".join([f"{len(part)}:{part}" for part in parts])


_framed_alike = lru_cache(maxsize=1_000)(_framed)
"""Of what many identifiers begin with."""
