# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Where a training runs: on a GPU where there is one, else on the processor."""

from __future__ import annotations

import torch

from twin.errors import BadInput

PROCESSOR = torch.device("cpu")


def training_device(name: str = "auto") -> torch.device:
    """The device of this name; ``auto`` is the first GPU that torch can use, else the processor.

    Raises:
        BadInput: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadInput(f"'{name}' names no device of torch; give auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(
            f"--device {name}, but torch {torch.__version__} finds {torch.cuda.device_count()} GPUs here; give --device cpu, "
            "or install the CUDA build of torch"
        )
    if device.type not in ("cpu", "cuda"):
        raise BadInput(f"training on '{name}' is not supported; give auto, cpu, cuda or cuda:1")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether this device computes with bfloat16 itself; where it is emulated, a step takes half as long again."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def described(device: torch.device, threads: int) -> str:
    """For a model card: what the training ran on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "one thread of a CPU" if threads == 1 else f"{threads} threads of a CPU"
