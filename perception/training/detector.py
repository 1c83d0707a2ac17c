# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Trains the vehicle detector on rendered frames within a time budget; resumes from its checkpoint."""

from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from perception.training.batches import Batch, RandomizedFrames, batches, samples_of
from perception.training.device import PROCESSOR
from perception.training.frames_dataset import KINDS, FramesDataset, decoded
from perception.training.recipe import DetectorRecipe
from perception.training.schedule import average_decay, epochs_that_fit, learning_rate
from perception.training.start_weights import load_exported
from perception.training.yolox_nano import build_network
from twin.errors import BadInput, ModelError

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
_N_TIMED = 8
_N_START = 4  # batches whose statistics the weights of an exported detector are put back with


@dataclass(frozen=True, slots=True)
class Length:
    """How long to train: so many epochs, or as many as fit the minutes on this machine.

    Attributes:
        stop_after: end the run early after so many epochs in all; the checkpoint can be resumed.
    """

    minutes: float = 95.0
    epochs: int | None = None
    stop_after: int | None = None


@dataclass
class Run:
    """All that changes while training, and all that a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: int
    epoch: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    _names: tuple[str, ...] = field(default=("network", "average", "optimizer"), init=False, repr=False)

    def state(self, identity: str) -> dict[str, Any]:
        """What a checkpoint stores; ``identity`` names the recipe and data."""
        states = {name: getattr(self, name).state_dict() for name in self._names}
        counts = {"epochs": self.epochs, "epoch": self.epoch, "step": self.step, "elapsed_s": self.elapsed_s}
        return {"identity": identity, **states, **counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for name in self._names:
            getattr(self, name).load_state_dict(state[name])
        self.epochs, self.epoch, self.step = int(state["epochs"]), int(state["epoch"]), int(state["step"])
        self.elapsed_s = float(state["elapsed_s"])


class DetectorTraining:
    """One training run in a folder: its checkpoint, its metrics and its cache of decoded frames.

    Args:
        start: an exported detector whose weights to start from; random ones without it.
        device: where the steps run; pictures are drawn on the processor.

    Raises:
        BadInput: the folder's checkpoint belongs to another recipe or other data.
        ModelError: ``start`` is no detector of this kind.
        ModelError: while training, the loss is no longer a number.
    """

    def __init__(
        self,
        dataset: FramesDataset,
        out: Path,
        recipe: DetectorRecipe,
        length: Length,
        *,
        start: Path | None = None,
        threads: int = 2,
        workers: int = 1,
        device: torch.device = PROCESSOR,
    ) -> None:
        started = time.monotonic()
        torch.set_num_threads(threads)
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._recipe, self._length, self._workers = out, recipe, length, workers
        self._dataset = dataset
        self._frames = RandomizedFrames(dataset, decoded(dataset, out), recipe.input_px, recipe.seed)
        self._identity = recipe.digest(dataset.digest, 0)
        self._start, self._device = start, device
        self.run = self._started()
        self.run.elapsed_s += time.monotonic() - started

    @property
    def digest(self) -> str:
        """Names recipe, data and length of this run."""
        return self._recipe.digest(self._dataset.digest, self.run.epochs)

    def train(self) -> nn.Module:
        """Train to the end, or to ``stop_after``; returns the averaged network."""
        last = self._last()
        while self.run.epoch < last:
            started = time.monotonic()
            sums = self._epoch()
            self.run.epoch += 1
            epoch_s = time.monotonic() - started
            self.run.elapsed_s += epoch_s
            self._replan(epoch_s)
            self._save()
            self._log(sums)
            last = self._last()
        return self.run.average

    def _last(self) -> int:
        return min(self._length.stop_after or self.run.epochs, self.run.epochs)

    def _started(self) -> Run:
        network = build_network(len(KINDS), self._recipe.seed)
        network = network.to(self._device, memory_format=torch.channels_last).train()
        path = self._out / CHECKPOINT
        if self._start and not path.is_file():
            load_exported(network, self._start, self._first_pictures())
        average = copy.deepcopy(network).eval()
        optimizer = _adamw(network, self._recipe)
        run = Run(network, average, optimizer, epochs=self._length.epochs or 0)
        if path.is_file():
            state = torch.load(path, weights_only=True, map_location=self._device)
            if state["identity"] != self._identity:
                raise BadInput(
                    f"'{path}' is of recipe and data {state['identity']}, but this run is {self._identity}; "
                    "give another --out or the settings and frames of that run"
                )
            run.restore(state)
            run.epochs = self._length.epochs or run.epochs
        elif not run.epochs:
            run.epochs = self._epochs_in_time(run)
        return run

    def _first_pictures(self) -> Tensor:
        wanted = samples_of(0, self._recipe.stage(0.0), self._frames.order(0), self._recipe.batch)[:_N_START]
        drawn = batches(self._frames, wanted, workers=0)
        return torch.cat([batch.pictures for batch in drawn]).to(self._device, torch.float32, memory_format=torch.channels_last)

    def _epochs_in_time(self, run: Run) -> int:
        """Epochs that fit the budget, from the time of a few steps of a copy at full size."""
        trial, stage = copy.deepcopy(run.network), self._recipe.stage(1.0)
        optimizer = _adamw(trial, self._recipe)
        epoch = samples_of(0, stage, self._frames.order(0), self._recipe.batch)
        wanted = (epoch * 2 * _N_TIMED)[: 2 * _N_TIMED]
        started, n = 0.0, 0
        for batch in batches(self._frames, wanted, self._workers):
            self._step(trial, optimizer, batch)
            n += 1
            if n == len(wanted) // 2:
                started = time.monotonic()
        step_s = (time.monotonic() - started) / max(n - len(wanted) // 2, 1)
        return epochs_that_fit(60.0 * self._length.minutes, len(epoch) * step_s, self._recipe.cost)

    def _epoch(self) -> dict[str, float]:
        """One pass over the frames; mean losses."""
        run, recipe = self.run, self._recipe
        progress = run.epoch / run.epochs
        wanted = samples_of(run.epoch, recipe.stage(progress), self._frames.order(run.epoch), recipe.batch)
        run.network.head.use_l1 = recipe.is_mild(progress)
        sums: dict[str, float] = {}
        for index, batch in enumerate(batches(self._frames, wanted, self._workers)):
            rate = learning_rate((run.epoch + index / len(wanted)) / run.epochs, recipe.peak_rate)
            for group in run.optimizer.param_groups:
                group["lr"] = rate
            losses = self._step(run.network, run.optimizer, batch)
            _move_average(run.average, run.network, average_decay(run.step, recipe.average_decay))
            run.step += 1
            if not math.isfinite(losses["total_loss"]):
                raise ModelError(f"the loss is {losses['total_loss']} at step {run.step}; lower the recipe's peak_rate")
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value / len(wanted)
        return sums

    def _step(self, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> dict[str, float]:
        pictures = batch.pictures.to(self._device).float()
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._recipe.bfloat16):
            losses = network(pictures, batch.labels.to(self._device))
        optimizer.zero_grad(set_to_none=True)
        losses["total_loss"].backward()
        nn.utils.clip_grad_norm_(network.parameters(), self._recipe.max_gradient)
        optimizer.step()
        return {name: float(torch.as_tensor(value).detach()) for name, value in losses.items()}

    def _replan(self, epoch_s: float) -> None:
        """As many epochs as fit at the last one's speed; once the mild epochs have begun, no more than were planned."""
        run, recipe = self.run, self._recipe
        if self._length.epochs is not None or run.epoch >= run.epochs:
            return
        last = (run.epoch - 1) / run.epochs
        left_s = 60.0 * self._length.minutes - run.elapsed_s
        fitting = epochs_that_fit(left_s, epoch_s / recipe.cost(last), recipe.cost, run.epoch)
        run.epochs = min(fitting, run.epochs) if recipe.is_mild(last) else fitting

    def _save(self) -> None:
        partial = self._out / f"{CHECKPOINT}.partial"
        torch.save(self.run.state(self._identity), partial)
        os.replace(partial, self._out / CHECKPOINT)

    def _log(self, losses: dict[str, float]) -> None:
        run = self.run
        line = {"epoch": run.epoch, "epochs": run.epochs, "step": run.step, "elapsed_s": round(run.elapsed_s, 1)}
        line |= {"rate": run.optimizer.param_groups[0]["lr"]} | {name: round(value, 5) for name, value in losses.items()}
        with (self._out / METRICS).open("ab") as opened:
            opened.write(msgspec.json.encode(line) + b"\n")


def _adamw(network: nn.Module, recipe: DetectorRecipe) -> torch.optim.Optimizer:
    """AdamW that decays the weights of convolutions only. Source: Loshchilov & Hutter (2019)."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    free = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(0.9, 0.99), foreach=True)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and of batch statistics."""
    old: list[Tensor] = [value for value in average.state_dict().values() if value.is_floating_point()]
    new: list[Tensor] = [value for value in network.state_dict().values() if value.is_floating_point()]
    torch._foreach_lerp_(old, new, 1.0 - decay)
