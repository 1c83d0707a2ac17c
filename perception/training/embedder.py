# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Trains the vehicle embedder on rendered crops, on a CPU, within a time budget; resumes from its checkpoint."""

from __future__ import annotations

import copy
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from perception.training.crops_dataset import CropsDataset
from perception.training.embedder_batches import CropSampler
from perception.training.embedder_network import EMBEDDING, EmbedderNetwork, identity_loss
from perception.training.schedule import average_decay, learning_rate
from twin.errors import BadInput

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, RGB, as ``perception.embed`` normalizes crops."""

_SHARE_OF_CLASSES = 0.5


class EmbedderRecipe(Struct, frozen=True, kw_only=True):
    """Settings of an embedder's training.

    Attributes:
        side_px: of the network's input.
        per_vehicle: crops of each vehicle in a batch.
        temperature: of the contrastive loss.
        smoothing: of the classifier's labels.
    """

    seed: int = 1
    side_px: int = 128
    per_vehicle: int = 6
    temperature: float = 0.1
    smoothing: float = 0.1
    peak_rate: float = 2e-3
    weight_decay: float = 0.03
    average_decay: float = 0.998
    bfloat16: bool = True

    def digest(self, data: str, epochs: int) -> str:
        """Names recipe, data and length: 12 hexadecimal digits."""
        return hashlib.blake2b(msgspec.json.encode([self, data, epochs]), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class EmbedderLength:
    """How long to train: so many epochs, and no longer than the minutes; ``stop_after`` ends a run early, to be resumed."""

    epochs: int = 30
    minutes: float = 95.0
    stop_after: int | None = None


class EmbedderTraining:
    """One training run in a folder: its checkpoint and its metrics.

    An epoch that would end after the budget is not begun: the last rate is then not the lowest, and the log says so.

    Raises:
        BadInput: the folder's checkpoint belongs to another recipe or other data.
    """

    def __init__(
        self, dataset: CropsDataset, out: Path, recipe: EmbedderRecipe, length: EmbedderLength, *, threads: int = 2
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(recipe.seed)
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._recipe, self._length = out, recipe, length
        self._sampler = CropSampler(dataset, recipe.seed, recipe.per_vehicle, recipe.side_px)
        self.network = EmbedderNetwork().to(memory_format=torch.channels_last).train()
        self.classes = nn.Linear(EMBEDDING, len(self._sampler.number_of), bias=False)
        self.average = copy.deepcopy(self.network).eval()
        parameters = [*self.network.parameters(), *self.classes.parameters()]
        self._optimizer = torch.optim.AdamW(parameters, lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
        self._identity = recipe.digest(dataset.digest, 0)
        self.digest = recipe.digest(dataset.digest, length.epochs)
        self.epoch, self.step, self.elapsed_s = 0, 0, 0.0
        self._resume()

    @property
    def options(self) -> str:
        """Of the command that repeats this run."""
        return f"--epochs {self._length.epochs} --seed {self._recipe.seed}"

    def train(self) -> EmbedderNetwork:
        """Train to the end; returns the averaged network."""
        last = self._length.epochs if self._length.stop_after is None else min(self._length.stop_after, self._length.epochs)
        longest_s = 0.0
        while self.epoch < last and self.elapsed_s + longest_s <= 60.0 * self._length.minutes:
            started = time.monotonic()
            losses = self._epoch()
            seconds = time.monotonic() - started
            longest_s = max(longest_s, seconds)
            self.epoch += 1
            self.elapsed_s += seconds
            self._save()
            self._log(losses)
        return self.average

    def _epoch(self) -> dict[str, float]:
        recipe, sums = self._recipe, {"identity": 0.0, "classes": 0.0}
        n = self._sampler.n_batches
        for index, batch in enumerate(self._sampler.epoch(self.epoch)):
            rate = learning_rate((self.epoch + index / n) / self._length.epochs, recipe.peak_rate)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            identity, classes = self._losses(batch.pictures, batch.vehicles)
            self._optimizer.zero_grad(set_to_none=True)
            (identity + _SHARE_OF_CLASSES * classes).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self._optimizer.step()
            self._move_average(average_decay(self.step, recipe.average_decay))
            self.step += 1
            sums["identity"] += float(identity.detach()) / n
            sums["classes"] += float(classes.detach()) / n
        return sums

    def _losses(self, pictures: NDArray[np.uint8], vehicles: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        wanted = torch.from_numpy(vehicles)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._recipe.bfloat16):
            embeddings = self.network(normalized(pictures))
        embeddings = embeddings.float()
        scores = self.classes(embeddings)
        classes = functional.cross_entropy(scores, wanted, label_smoothing=self._recipe.smoothing)
        return identity_loss(embeddings, wanted, self._recipe.temperature), classes

    @torch.no_grad()
    def _move_average(self, decay: float) -> None:
        old = [value for value in self.average.state_dict().values() if value.is_floating_point()]
        new = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        torch._foreach_lerp_(old, new, 1.0 - decay)

    def _state(self) -> dict[str, Any]:
        parts = {"network": self.network, "classes": self.classes, "average": self.average, "optimizer": self._optimizer}
        counts = {"epoch": self.epoch, "step": self.step, "elapsed_s": self.elapsed_s, "identity": self._identity}
        return {name: part.state_dict() for name, part in parts.items()} | counts

    def _resume(self) -> None:
        path = self._out / CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state["identity"] != self._identity:
            raise BadInput(
                f"'{path}' is of recipe and data {state['identity']}, but this run is {self._identity}; "
                "give another --out or the settings and crops of that run"
            )
        self.network.load_state_dict(state["network"])
        self.classes.load_state_dict(state["classes"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.elapsed_s = int(state["epoch"]), int(state["step"]), float(state["elapsed_s"])

    def _save(self) -> None:
        partial = self._out / f"{CHECKPOINT}.partial"
        torch.save(self._state(), partial)
        os.replace(partial, self._out / CHECKPOINT)

    def _log(self, losses: dict[str, float]) -> None:
        line = {"epoch": self.epoch, "epochs": self._length.epochs, "step": self.step, "elapsed_s": round(self.elapsed_s, 1)}
        line |= {"rate": self._optimizer.param_groups[0]["lr"]} | {name: round(value, 5) for name, value in losses.items()}
        with (self._out / METRICS).open("ab") as opened:
            opened.write(msgspec.json.encode(line) + b"\n")


def normalized(pictures: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) BGR bytes to (B, 3, S, S) RGB as ImageNet normalizes them."""
    rgb = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).permute(0, 3, 1, 2).float() / 255.0
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((rgb - mean) / std).contiguous(memory_format=torch.channels_last)
