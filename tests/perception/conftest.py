"""What the tests of perception share: painted videos, a detector that finds painted rectangles, real servers."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import onnx
import pytest
import uvicorn
from onnx import TensorProto, helper
from starlette.applications import Starlette

from site_models.schema import Camera, CameraId, GroundHomography, LevelId

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # blue, green, red
CLASSES = ("car", "person", "bus")  # what red, green and blue rectangles are


@pytest.fixture
def paint() -> Callable[..., np.ndarray]:
    """``paint(size_px, (colour, box), …)``: rectangles on grey."""

    def painted(size_px: tuple[int, int], *shapes: tuple[tuple[int, int, int], Sequence[float]]) -> np.ndarray:
        image = np.full((size_px[1], size_px[0], 3), 90, np.uint8)
        for colour, box in shapes:
            x1, y1, x2, y2 = (round(edge) for edge in box)
            image[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = colour
        return image

    return painted


@pytest.fixture
def drive(paint) -> Callable[..., list[np.ndarray]]:
    """``drive(n, size_px, step_px)``: a red car that drives to the right."""

    def driven(n: int, size_px: tuple[int, int] = (320, 192), step_px: float = 4.0) -> list[np.ndarray]:
        return [paint(size_px, (RED, (10 + step_px * i, 60, 90 + step_px * i, 120))) for i in range(n)]

    return driven


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """``write_video(path, images, fps=10, metadata={})``: H.264, in the container that the suffix names."""

    def written(path: Path, images: Sequence[np.ndarray], *, fps: int = 10, metadata: dict[str, str] | None = None) -> Path:
        options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
        with av.open(str(path), mode="w", options=options) as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream("libx264", rate=fps)
            stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": "10", "g": "10", "bf": "0"}
            stream.codec_context.time_base = Fraction(1, fps)
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(stream.encode(None))
        return path

    return written


@pytest.fixture
def camera() -> Camera:
    return Camera(
        id=CameraId("north"),
        level=LevelId("0"),
        frame_px=(320, 192),
        geometry=GroundHomography(matrix=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
    )


@pytest.fixture
def colour_detector(tmp_path: Path) -> Callable[..., Path]:
    """``colour_detector(head="yolov8", side_px=320, names=True)``: an ONNX file that finds red, green, blue rectangles."""

    def made(head: str = "yolov8", side_px: int = 320, *, names: bool = True) -> Path:
        path = tmp_path / f"colours_{head}_{side_px}_{names}.onnx"
        onnx.save(_colour_model(head, side_px, names), path)
        return path

    return made


@pytest.fixture
def rtsp() -> Iterator[ModuleType]:
    """The module of the RTSP server; its servers are closed after the test."""
    spec = importlib.util.spec_from_file_location("rtsp_server", Path(__file__).with_name("rtsp_server.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    opened: list = []
    original = module.RtspServer.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        opened.append(self)

    module.RtspServer.__init__ = init
    yield module
    for server in opened:
        server.close()


class ServedApp:
    """A Starlette app on a real port, which can be stopped and started again."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> ServedApp:
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, host="127.0.0.1", port=self.port, log_level="error", timeout_graceful_shutdown=1, ws="none"
            )
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None


@pytest.fixture
def serve() -> Iterator[Callable[[Starlette], ServedApp]]:
    """``serve(app)``: the app on a real port, not yet started."""
    served: list[ServedApp] = []

    def made(app: Starlette) -> ServedApp:
        served.append(ServedApp(app))
        return served[-1]

    yield made
    for one in served:
        one.stop()


def _colour_model(head: str, side: int, names: bool) -> onnx.ModelProto:
    """Bounding boxes of all pixels of each colour, in the raw form of a head: one box a colour, in its first cells."""
    is_yolox = head == "yolox"
    top = 255.0 if is_yolox else 1.0
    red, green, blue = (2, 1, 0) if is_yolox else (0, 1, 2)
    cells = sum((side // stride) ** 2 for stride in (8, 16, 32))
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}

    def const(name: str, value: object, kind: type = np.float32) -> str:
        array = np.asarray(value, kind)
        constants.setdefault(name, onnx.numpy_helper.from_array(array, name))
        return name

    def op(kind: str, *inputs: str, out: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    columns: list[str] = []
    for row, (channel, others) in enumerate(((red, (green, blue)), (green, (red, blue)), (blue, (red, green)))):
        p = f"c{row}_"
        own = op("Gather", "images", const(p + "own", [channel], np.int64), out=p + "own_plane", axis=1)
        rest = op("Gather", "images", const(p + "others", others, np.int64), out=p + "rest", axis=1)
        most = op("ReduceMax", rest, out=p + "most", axes=[1], keepdims=1)
        lead = op("Sub", own, most, out=p + "lead")
        mask = op("Cast", op("Greater", lead, const("least", 0.5 * top), out=p + "is"), out=p + "mask", to=TensorProto.FLOAT)
        score = op("ReduceMax", mask, out=p + "score4", axes=[1, 2, 3], keepdims=1)
        score = op("Reshape", score, const("one", [1, 1, 1], np.int64), out=p + "score")
        centre, size = [], []
        for axis, name, shape in ((2, "x", (1, 1, 1, side)), (3, "y", (1, 1, side, 1))):
            line = op("ReduceMax", mask, out=p + name + "line", axes=[axis], keepdims=1)
            up = const(f"{name}up", np.arange(1, side + 1).reshape(shape))
            down = const(f"{name}down", np.arange(side, 0, -1).reshape(shape))
            high4 = op("ReduceMax", op("Mul", line, up, out=p + name + "u"), out=p + name + "h4", axes=[1, 2, 3], keepdims=1)
            back4 = op("ReduceMax", op("Mul", line, down, out=p + name + "d"), out=p + name + "b4", axes=[1, 2, 3], keepdims=1)
            high = op("Reshape", high4, "one", out=p + name + "high")
            low = op("Sub", const("side", float(side)), op("Reshape", back4, "one", out=p + name + "b"), out=p + name + "low")
            sum_ = op("Add", low, high, out=p + name + "sum")
            centre.append(op("Mul", sum_, const("half", 0.5), out=p + name + "c"))
            size.append(op("Max", op("Sub", high, low, out=p + name + "w0"), const("tiny", 1e-3), out=p + name + "w"))
        if is_yolox:
            # cell (row, 0) of stride 8: centre = (offset + cell) 8, size = exp(log size) 8
            scaled = [op("Mul", one, const("eighth", 0.125), out=one + "8") for one in (*centre, *size)]
            centre = [op("Sub", scaled[0], const(p + "cell", float(row)), out=p + "ox"), scaled[1]]
            size = [op("Log", scaled[2], out=p + "lw"), op("Log", scaled[3], out=p + "lh")]
        zero = const("zero", np.zeros((1, 1, 1)))
        classes = [score if index == row else zero for index in range(3)]
        objectness = [const("sure", np.ones((1, 1, 1)))] if is_yolox else []
        columns.append(op("Concat", *centre, *size, *objectness, *classes, out=p + "column", axis=1))
    found = op("Concat", *columns, out="found", axis=2)
    pads = const("pads", [0, 0, 0, 0, 0, cells - 3], np.int64)
    length = 8 if is_yolox else 7
    if is_yolox:
        padded = op("Pad", found, pads, out="padded")
        op("Transpose", padded, out="output", perm=[0, 2, 1])
        shape = [1, cells, length]
    else:
        op("Pad", found, pads, out="output")
        shape = [1, length, cells]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
        list(constants.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    if names:
        entry = model.metadata_props.add()
        entry.key, entry.value = "names", repr(dict(enumerate(CLASSES)))
    onnx.checker.check_model(model)
    return model
