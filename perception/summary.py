"""What a run did, as ``twin.perceive/1``."""

from __future__ import annotations

from msgspec import Struct


class CameraSummary(Struct, kw_only=True):
    """One camera's share of a run; counts grow while it runs.

    Attributes:
        frames: frames that went through the detector.
        detections: vehicles of at least the least score.
        dropped: frames left out in real time because the detector was late.
        error: why the source ended early.
    """

    frames: int = 0
    detections: int = 0
    tracklets: int = 0
    embeddings: int = 0
    dropped: int = 0
    fps: float = 0.0
    error: str | None = None


class DeliverySummary(Struct, kw_only=True):
    """What became of the observations that went to a service.

    Attributes:
        spooled: observations that still wait in the spool.
        rejected: observations that the service refused; they are in the spool's ``rejected.jsonl``.
        expired: resends of what the service has stored once and cut since.
    """

    delivered: int
    spooled: int
    rejected: int
    expired: int = 0
    trouble: str | None = None


class RunSummary(Struct, kw_only=True):
    """The JSON that ``perceive run --json`` prints."""

    schema: str = "twin.perceive/1"
    site: str
    cameras: dict[str, CameraSummary]
    detector: str
    embedder: str
    attributes: str | None = None
    plates: str | None = None
    runtime: str
    seconds: float
    delivery: DeliverySummary | None = None

    @property
    def is_whole(self) -> bool:
        """No camera ended early and nothing was refused."""
        return all(camera.error is None for camera in self.cameras.values()) and not (self.delivery and self.delivery.rejected)
