"""What a training run was asked to do; the same recipe on the same data is the same run."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from perception.training.batches import Stage
from perception.training.randomize import MILD, STRONG


class DetectorRecipe(Struct, frozen=True, kw_only=True):
    """Settings of a detector's training.

    Attributes:
        input_px: width and height of the network's input.
        small_px: input during the first ``small_share`` of the epochs: cheaper steps while the network learns the coarse.
        mild_share: last share of the epochs, without mosaics and with mild changes, and with YOLOX's L1 loss.
        peak_rate: of AdamW.
        bfloat16: autocast of the network's forward pass.
        start: id of the detector whose weights training starts from; empty for random ones.
    """

    seed: int = 1
    start: str = ""
    input_px: tuple[int, int] = (640, 352)
    small_px: tuple[int, int] = (480, 256)
    small_share: float = 0.4
    mild_share: float = 0.2
    batch: int = 16
    peak_rate: float = 2e-3
    weight_decay: float = 0.03
    average_decay: float = 0.9985
    max_gradient: float = 10.0
    bfloat16: bool = True

    @classmethod
    def continued(cls, seed: int, start: str, *, bfloat16: bool = True) -> DetectorRecipe:
        """For weights that know the coarse already: full size throughout, half the rate, more of the mild epochs."""
        return cls(seed=seed, start=start, small_share=0.0, mild_share=0.3, peak_rate=1e-3, bfloat16=bfloat16)

    def stage(self, progress: float) -> Stage:
        """How the epoch that starts at this progress draws its pictures."""
        size_px = self.small_px if progress < self.small_share else self.input_px
        return Stage(size_px, MILD if self.is_mild(progress) else STRONG)

    def is_mild(self, progress: float) -> bool:
        """Whether this is among the last, mild epochs."""
        return progress >= 1.0 - self.mild_share

    def cost(self, progress: float) -> float:
        """Work of the epoch that starts here, as a share of one at full size."""
        size_px = self.stage(progress).size_px
        return size_px[0] * size_px[1] / (self.input_px[0] * self.input_px[1])

    def digest(self, data: str, epochs: int) -> str:
        """Names recipe, data and length: 12 hexadecimal digits."""
        framed = msgspec.json.encode([self, data, epochs])
        return hashlib.blake2b(framed, digest_size=6).hexdigest()


class EmbedderRecipe(Struct, frozen=True, kw_only=True):
    """Settings of an embedder's training.

    Attributes:
        side_px: of the network's input.
        small_px: input during the first ``small_share`` of the epochs: cheaper steps while the network learns the coarse.
        per_vehicle: crops of each vehicle in a batch.
        temperature: of the contrastive loss.
        smoothing: of the classifier's labels.
        start: id of the embedder whose weights training starts from; empty for random ones.
    """

    seed: int = 1
    start: str = ""
    side_px: int = 128
    small_px: int = 96
    small_share: float = 0.5
    per_vehicle: int = 6
    temperature: float = 0.07
    smoothing: float = 0.1
    peak_rate: float = 2e-3
    weight_decay: float = 0.03
    average_decay: float = 0.998
    bfloat16: bool = True

    @classmethod
    def continued(cls, seed: int, start: str, *, bfloat16: bool = True) -> EmbedderRecipe:
        """For weights that know the coarse already: full size throughout, half the rate."""
        return cls(seed=seed, start=start, small_share=0.0, peak_rate=1e-3, bfloat16=bfloat16)

    def side_at(self, progress: float) -> int:
        """Side of the crops in the epoch that starts at this progress, px."""
        return self.small_px if progress < self.small_share else self.side_px

    def cost(self, progress: float) -> float:
        """Work of the epoch that starts here, as a share of one at full size."""
        return (self.side_at(progress) / self.side_px) ** 2

    def digest(self, data: str, epochs: int) -> str:
        """Names recipe, data and length: 12 hexadecimal digits."""
        return hashlib.blake2b(msgspec.json.encode([self, data, epochs]), digest_size=6).hexdigest()
