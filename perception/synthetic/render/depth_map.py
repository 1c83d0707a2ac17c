"""Depths of a stage from one direction, over an area of the ground: who is in the sun, and what has a roof above it."""

from __future__ import annotations

from typing import Any, Protocol

from perception.synthetic.render import shaders

_NEAR_M, _FAR_M, _AWAY_M = 10.0, 400.0, 200.0
_BIAS_TEXELS = 1.6


class Engine(Protocol):
    """What a stage lends: Panda3D's ``core`` module, the scene's root, and buffers."""

    core: Any
    root: Any

    def buffer(self, name: str, size_px: tuple[int, int], properties: Any, sort: int) -> Any:
        """An offscreen buffer."""
        ...


class DepthMap:
    """An orthographic camera that draws depths only, of the nodes whose mask has its bit.

    Attributes:
        depths: the engine's texture.
    """

    def __init__(self, engine: Engine, name: str, size_px: int, mask: int, sort: int) -> None:
        core = engine.core
        self._engine, self._size_px = engine, size_px
        self.depths = core.Texture()
        self.depths.setFormat(core.Texture.FDepthComponent)
        self.depths.setMinfilter(core.SamplerState.FTShadow)
        self.depths.setMagfilter(core.SamplerState.FTShadow)
        self.depths.setWrapU(core.SamplerState.WMClamp)
        self.depths.setWrapV(core.SamplerState.WMClamp)
        properties = core.FrameBufferProperties()
        properties.setRgbaBits(8, 8, 8, 8)
        properties.setDepthBits(24)
        self._buffer = engine.buffer(name, (size_px, size_px), properties, sort)
        self._buffer.addRenderTexture(self.depths, core.GraphicsOutput.RTMBindOrCopy, core.GraphicsOutput.RTPDepth)
        self._lens = core.OrthographicLens()
        camera = core.Camera(name, self._lens)
        camera.setCameraMask(core.BitMask32(mask))
        state = core.NodePath("state")
        state.setShader(core.Shader.make(core.Shader.SL_GLSL, shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT), 100)
        camera.setInitialState(state.getState())
        self._camera = engine.root.attachNewNode(camera)
        self._buffer.makeDisplayRegion().setCamera(self._camera)

    def switch(self, is_on: bool) -> None:
        """Whether the next drawing renders it."""
        self._buffer.setActive(is_on)

    def aim(self, middle_m: tuple[float, float], direction: Any, reach_m: float) -> Any:
        """Look at the ground around a point from a direction; returns the matrix from the site frame to its clip space."""
        core = self._engine.core
        towards = core.Vec3(direction)
        towards.normalize()
        target = core.Point3(middle_m[0], middle_m[1], 0.0)
        self._lens.setFilmSize(2 * reach_m, 2 * reach_m)
        self._lens.setNearFar(_NEAR_M, _FAR_M)
        self._camera.setPos(target + towards * _AWAY_M)
        self._camera.lookAt(target)
        return core.LMatrix4f(self._engine.root.getTransform(self._camera).getMat() * self._lens.getProjectionMat())

    def bias(self, reach_m: float) -> float:
        """How much deeper a point must be to lie in shadow, as a share of the depths: a little over one texel's."""
        return _BIAS_TEXELS * (2 * reach_m / self._size_px) / (_FAR_M - _NEAR_M)
