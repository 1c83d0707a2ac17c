"""A passage through closed ticks in event time: each is fused, and states are noted on the way to go back to."""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.ids import Micros
from twin.fusion import silence
from twin.fusion.emission import Emission
from twin.fusion.pending import Tick
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState
from twin.fusion.step import Step
from twin.fusion.views import embed
from twin.rules.window import Core, Stretch


class Passage:
    """Goes on from a core."""

    def __init__(
        self, core: Core, stretches: tuple[Stretch, ...], scene: Scene, emission: Emission, *, is_again: bool = False
    ) -> None:
        """``is_again``: it is the past that is fused again, beside the present."""
        self._fusion, self._deliveries = core.fusion, core.deliveries
        self._scene, self._emission = scene, emission
        self._parameters = scene.parameters
        self._is_again = is_again
        self._stretches = list(stretches)
        self._n_told = 0  # of what was concluded: in a stretch already
        self._step: Step | None = None

    def fuse(self, number: int, tick: Tick) -> None:
        """Fuse a closed tick; they come in order."""
        at = number * self._parameters.tick_us
        if at >= self._stretches[-1].from_at + self._parameters.checkpoint_us:
            self._tell()
            self._stretches.append(Stretch(at, self._core()))
        if tick.looks:
            self._fusion = embed(self._settled(), tick.looks, self._scene, self._emission)
        self._expire(at)
        if tick.scores:
            self._stepping().rate(tick.scores)
        if tick.frames:
            self._deliveries = silence.take(self._deliveries, tick.frames, self._emission)
            self._stepping().fuse(tick.frames)

    def paused(self) -> tuple[Core, tuple[Stretch, ...]]:
        """The core after the ticks until here, to go on from, and the stretches to it."""
        self._tell()
        return self._core(), tuple(self._stretches)

    def finished(self, closed_at: Micros) -> tuple[Core, tuple[Stretch, ...]]:
        """The core after all that was seen up to a time, and the stretches to it."""
        self._expire(closed_at)
        return self.paused()

    def _expire(self, at: Micros) -> None:
        self._deliveries = silence.expire(self._deliveries, at, self._parameters.idle_us, self._emission)
        self._stepping().expire(at)

    def _stepping(self) -> Step:
        self._step = self._step or Step(self._fusion, self._scene, self._emission, is_again=self._is_again)
        return self._step

    def _settled(self) -> FusionState:
        if self._step is not None:
            self._fusion, self._step = self._step.finished(), None
        return self._fusion

    def _core(self) -> Core:
        return Core(self._settled(), self._deliveries)

    def _tell(self) -> None:
        newest = self._stretches[-1]
        said = (*newest.said, *self._emission.concluded[self._n_told :])
        self._stretches[-1] = replace(newest, said=said)
        self._n_told = len(self._emission.concluded)
