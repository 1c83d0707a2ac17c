# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Trains the vehicle embedder on rendered crops within a time budget; resumes from its checkpoint."""

from __future__ import annotations

import copy
import itertools
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from perception.training.crops_dataset import CropsDataset
from perception.training.device import PROCESSOR
from perception.training.embedder_batches import CropBatch, CropSampler
from perception.training.embedder_network import EMBEDDING, EmbedderNetwork, identity_loss
from perception.training.recipe import EmbedderRecipe
from perception.training.schedule import average_decay, epochs_that_fit, learning_rate
from perception.training.start_weights import load_exported
from twin.errors import BadInput, ModelError

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, RGB, as ``perception.embed`` normalizes crops."""

_SHARE_OF_CLASSES = 0.5
_N_TIMED = 6
_N_START = 128  # crops from which a start's normalizations are told


@dataclass(frozen=True, slots=True)
class EmbedderLength:
    """How long to train: so many epochs, or as many as fit the minutes on this machine.

    Attributes:
        stop_after: end the run early after so many epochs in all; the checkpoint can be resumed.
    """

    minutes: float = 95.0
    epochs: int | None = None
    stop_after: int | None = None


class EmbedderTraining:
    """One training run in a folder: its checkpoint and its metrics.

    Args:
        start: an exported embedder whose weights to start from; random ones without it.
        device: where the steps run; crops are drawn on the processor.

    Raises:
        BadInput: the folder's checkpoint belongs to another recipe or other data.
        ModelError: ``start`` is no embedder of this kind.
        ModelError: while training, the loss is no longer a number.
    """

    def __init__(
        self,
        dataset: CropsDataset,
        out: Path,
        recipe: EmbedderRecipe,
        length: EmbedderLength,
        *,
        start: Path | None = None,
        threads: int = 2,
        device: torch.device = PROCESSOR,
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(recipe.seed)
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._recipe, self._length, self._device = out, recipe, length, device
        self._sampler = CropSampler(dataset, recipe.seed, recipe.per_vehicle)
        self.network = EmbedderNetwork().to(device, memory_format=torch.channels_last).train()
        if start and not (out / CHECKPOINT).is_file():
            load_exported(self.network, start, self._first_pictures())
        self.classes = nn.Linear(EMBEDDING, len(self._sampler.number_of), bias=False).to(device)
        self.average = copy.deepcopy(self.network).eval()
        self._optimizer = _adamw((self.network, self.classes), recipe)
        self._identity, self._data = recipe.digest(dataset.digest, 0), dataset.digest
        self.epochs, self.epoch, self.step, self.elapsed_s = length.epochs or 0, 0, 0, 0.0
        self._resume()
        if not self.epochs:
            self.epochs = self._epochs_in_time()

    @property
    def digest(self) -> str:
        """Names recipe, data and length of this run."""
        return self._recipe.digest(self._data, self.epochs)

    def train(self) -> EmbedderNetwork:
        """Train to the end, or to ``stop_after``; returns the averaged network."""
        while self.epoch < min(self._length.stop_after or self.epochs, self.epochs):
            started = time.monotonic()
            losses = self._epoch()
            seconds = time.monotonic() - started
            self.epoch += 1
            self.elapsed_s += seconds
            self._replan(seconds)
            self._save()
            self._log(losses)
        return self.average

    def _first_pictures(self) -> Tensor:
        batch = next(self._sampler.epoch(0, self._recipe.side_px))
        return normalized(batch.pictures[:_N_START], self._device)

    def _epochs_in_time(self) -> int:
        """Epochs that fit the budget, from the time of a few steps, which are then forgotten."""
        before = copy.deepcopy(self._state())
        batches = itertools.islice(itertools.cycle(self._sampler.epoch(0, self._recipe.side_px)), 2 * _N_TIMED)
        started = began = time.monotonic()
        for number, batch in enumerate(batches):
            if number == _N_TIMED:
                started = time.monotonic()
            self._step(batch)
        step_s = (time.monotonic() - started) / _N_TIMED
        self._restore(before)
        self.elapsed_s += time.monotonic() - began
        left_s = 60.0 * self._length.minutes - self.elapsed_s
        return epochs_that_fit(left_s, step_s * self._sampler.n_batches, self._recipe.cost)

    def _replan(self, epoch_s: float) -> None:
        """As many epochs as fit at the last one's speed; once crops have their full size, no more than were planned."""
        if self._length.epochs is not None or self.epoch >= self.epochs:
            return
        recipe, last = self._recipe, (self.epoch - 1) / self.epochs
        left_s = 60.0 * self._length.minutes - self.elapsed_s
        fitting = epochs_that_fit(left_s, epoch_s / recipe.cost(last), recipe.cost, self.epoch)
        self.epochs = fitting if last < recipe.small_share else min(fitting, self.epochs)

    def _epoch(self) -> dict[str, float]:
        """One pass over the crops; mean losses."""
        sums, n = {"identity": 0.0, "classes": 0.0}, self._sampler.n_batches
        side_px = self._recipe.side_at(self.epoch / self.epochs)
        for index, batch in enumerate(self._sampler.epoch(self.epoch, side_px)):
            rate = learning_rate((self.epoch + index / n) / self.epochs, self._recipe.peak_rate)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            losses = self._step(batch)
            if not math.isfinite(sum(losses.values())):
                raise ModelError(f"the losses are {losses} at step {self.step}; lower the recipe's peak_rate")
            for name, value in losses.items():
                sums[name] += value / n
        return sums

    def _step(self, batch: CropBatch) -> dict[str, float]:
        identity, classes = self._losses(batch.pictures, batch.vehicles)
        self._optimizer.zero_grad(set_to_none=True)
        (identity + _SHARE_OF_CLASSES * classes).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._optimizer.step()
        self._move_average(average_decay(self.step, self._recipe.average_decay))
        self.step += 1
        return {"identity": float(identity.detach()), "classes": float(classes.detach())}

    def _losses(self, pictures: NDArray[np.uint8], vehicles: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        wanted = torch.from_numpy(vehicles).to(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._recipe.bfloat16):
            embeddings = self.network(normalized(pictures, self._device))
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
        states = {name: part.state_dict() for name, part in self._parts().items()}
        counts = {"epochs": self.epochs, "epoch": self.epoch, "step": self.step, "elapsed_s": self.elapsed_s}
        return states | counts | {"identity": self._identity}

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "classes": self.classes, "average": self.average, "optimizer": self._optimizer}

    def _restore(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epochs, self.epoch, self.step = int(state["epochs"]), int(state["epoch"]), int(state["step"])
        self.elapsed_s = float(state["elapsed_s"])

    def _resume(self) -> None:
        path = self._out / CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True, map_location=self._device)
        if state["identity"] != self._identity:
            raise BadInput(
                f"'{path}' is of recipe and data {state['identity']}, but this run is {self._identity}; "
                "give another --out or the settings and crops of that run"
            )
        self._restore(state)
        self.epochs = self._length.epochs or self.epochs

    def _save(self) -> None:
        partial = self._out / f"{CHECKPOINT}.partial"
        torch.save(self._state(), partial)
        os.replace(partial, self._out / CHECKPOINT)

    def _log(self, losses: dict[str, float]) -> None:
        line = {"epoch": self.epoch, "epochs": self.epochs, "step": self.step, "elapsed_s": round(self.elapsed_s, 1)}
        line |= {"rate": self._optimizer.param_groups[0]["lr"]} | {name: round(value, 5) for name, value in losses.items()}
        with (self._out / METRICS).open("ab") as opened:
            opened.write(msgspec.json.encode(line) + b"\n")


def normalized(pictures: NDArray[np.uint8], device: torch.device = PROCESSOR) -> Tensor:
    """(B, S, S, 3) BGR bytes to (B, 3, S, S) RGB as ImageNet normalizes them, channels last in memory."""
    mean, std = (torch.tensor(values, device=device) for values in (MEAN, STD))
    rgb = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).to(device).float()
    rgb = rgb.sub_(255.0 * mean).mul_(1.0 / (255.0 * std))  # before it is permuted, which makes it ten times as slow
    return rgb.permute(0, 3, 1, 2)


def _adamw(parts: tuple[nn.Module, ...], recipe: EmbedderRecipe) -> torch.optim.Optimizer:
    """AdamW that decays matrices and convolutions only. Source: Loshchilov & Hutter (2019)."""
    parameters = [parameter for part in parts for parameter in part.parameters()]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    free = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, foreach=True)
