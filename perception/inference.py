"""Running a model file: OpenVINO where it is installed, else ONNX Runtime."""

from __future__ import annotations

import importlib.util
import queue
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from perception.model_file import model_file
from twin.errors import MissingExtra, ModelError

Runtime = Literal["auto", "openvino", "onnxruntime"]
Floats = NDArray[np.float32]


class Network(Protocol):
    """A loaded model with one picture input."""

    @property
    def runtime(self) -> str:
        """Its name and version."""
        ...

    @property
    def parallel(self) -> int:
        """How many threads may run it at once, to some gain."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Batch, channels, height, width; None where the model takes any."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the exporter wrote into the model, such as ``names``."""
        ...

    def run(self, batch: Floats) -> list[Floats]:
        """(N, 3, H, W) to every output, in the model's order; from any thread; raises ModelError."""
        ...


def open_network(path: Path, runtime: Runtime = "auto", *, is_parallel: bool = False) -> Network:
    """Load an ``.onnx`` file, or an OpenVINO ``.xml`` file or the folder that holds one.

    Args:
        is_parallel: for every frame of many cameras: several are run at once, where the runtime can, on all cores together;
            else for a picture now and then, on one core, where the runtime can.

    Raises:
        ModelError: no such file, not a model, or not one with a single NCHW picture input.
        MissingExtra: the runtime that this needs is not installed.
    """
    file = model_file(path)
    if file.suffix.lower() not in (".onnx", ".xml"):
        raise ModelError(f"model file '{path}' ends in '{path.suffix}'; .onnx and .xml (OpenVINO) files can be run")
    kind = _chosen(file, runtime)
    network: Network = _OpenVino(file, is_parallel=is_parallel) if kind == "openvino" else _OnnxRuntime(file)
    shape = network.input_shape
    if len(shape) != 4 or shape[1] != 3:
        raise ModelError(f"model '{path}' takes an input of shape {shape}; one picture input (N, 3, H, W) is needed")
    return network


class _OpenVino:
    def __init__(self, path: Path, *, is_parallel: bool) -> None:
        import openvino

        self.runtime = f"openvino {openvino.__version__.split('-')[0]}"
        try:
            core = openvino.Core()
            model = core.read_model(str(path))
            # f32 also where the processor has bf16: the same boxes on every machine and as from ONNX Runtime
            hint: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
            if not is_parallel:
                # more threads spin while they wait for each other: half as much processor time again for a small picture
                hint |= {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
            compiled = core.compile_model(model, "CPU", hint)
        except (RuntimeError, OSError) as wrong:
            raise ModelError(f"OpenVINO cannot load '{path}': {_first_line(wrong)}; check that it is a whole model") from None
        if len(model.inputs) != 1:
            raise ModelError(f"model '{path}' has {len(model.inputs)} inputs; one picture input is needed")
        sizes = model.inputs[0].get_partial_shape()
        self.input_shape = tuple(size.get_length() if size.is_static else None for size in sizes)
        self.metadata = _openvino_metadata(model, path)
        self.parallel = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") if is_parallel else 1
        self._outputs = compiled.outputs
        self._requests = queue.SimpleQueue[Any]()  # one serves one thread at a time
        for _ in range(self.parallel):
            self._requests.put(compiled.create_infer_request())
        self._path = path

    def run(self, batch: Floats) -> list[Floats]:
        request = self._requests.get()
        try:
            # shared: the batch outlives the call, and what comes out is copied before the request serves another thread
            results = request.infer([batch], share_inputs=True, share_outputs=True)
            return [np.array(results[output], np.float32) for output in self._outputs]
        except RuntimeError as wrong:
            raise ModelError(f"'{self._path}' failed on input {batch.shape}: {_first_line(wrong)}") from None
        finally:
            self._requests.put(request)


class _OnnxRuntime:
    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.parallel = 1  # a session's threads are its own
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
        except Exception as wrong:  # its exception classes share no public root
            raise ModelError(
                f"ONNX Runtime cannot load '{path}': {_first_line(wrong)}; check that it is a whole model"
            ) from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelError(f"model '{path}' has {len(inputs)} inputs; one picture input is needed")
        self.input_shape = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._name = inputs[0].name
        self._path = path

    def run(self, batch: Floats) -> list[Floats]:
        try:
            results = self._session.run(None, {self._name: batch})
        except Exception as wrong:  # as above
            raise ModelError(f"'{self._path}' failed on input {batch.shape}: {_first_line(wrong)}") from None
        return [np.asarray(result, np.float32) for result in results]


def _chosen(file: Path, runtime: Runtime) -> str:
    installed = [name for name in ("openvino", "onnxruntime") if importlib.util.find_spec(name)]
    wanted = ["openvino"] if file.suffix.lower() == ".xml" else ["openvino", "onnxruntime"]
    if runtime != "auto":
        wanted = [name for name in wanted if name == runtime]
    usable = [name for name in wanted if name in installed]
    if not usable:
        raise MissingExtra(
            f"'{file.name}' with --runtime {runtime} needs {' or '.join(wanted) or 'openvino'}, installed here: "
            f"{', '.join(installed) or 'neither'}; install '.[openvino]' or '.[edge]'"
        )
    return usable[0]


def _openvino_metadata(model: Any, path: Path) -> Mapping[str, str]:
    if model.has_rt_info(["framework"]):  # where its ONNX reader puts the file's metadata
        return {str(key): str(getattr(value, "value", value)) for key, value in model.get_rt_info(["framework"]).value.items()}
    beside = path.with_name("metadata.yaml")
    if not beside.is_file():
        return {}
    # ultralytics writes "names:" and then one "  0: person" a line
    block = re.search(r"^names:\n((?:\s+\d+:.*\n?)+)", beside.read_text(), re.MULTILINE)
    rows = re.findall(r"(\d+):\s*(.+)", block.group(1)) if block else []
    return {"names": repr({int(index): name.strip().strip("'\"") for index, name in rows})} if rows else {}


def _first_line(wrong: BaseException) -> str:
    lines = [line.strip() for line in str(wrong).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(wrong).__name__
