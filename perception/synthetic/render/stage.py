"""A scene that is drawn without a display, by Panda3D on software OpenGL: pictures, and which pixel shows whom.

A stage holds meshes at poses and any number of views of it. One ``draw`` renders the shadow maps once and every view.
Only one stage can exist in a process at a time (the engine is a singleton): close it before opening the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render import shaders
from perception.synthetic.render.depth_map import DepthMap
from perception.synthetic.render.geometry import geometry_node
from perception.synthetic.render.grain import grain
from perception.synthetic.render.light import Light
from perception.synthetic.render.mesh import Mesh
from site_models.schema import Pinhole
from twin.errors import BadInput, MissingExtra

Bytes = NDArray[np.uint8]

_FAR_M, _NEAR_M = 900.0, 0.3
_SHADOW_PX, _COVER_PX = 2048, 1024
_MAX_IDENTITY = 65_535
_DARK = 0.01
_SEEN_BY_VIEWS, _SEEN_BY_SUN, _SEEN_FROM_ABOVE = 1, 2, 4  # bits of the cameras that see a node

_NEAR_TO_FAR: tuple[shaders.Surface, ...] = (
    "vehicle",
    "solid",
    "ground",
    "sky",
)  # drawn in this order: what is hidden costs nothing

_CONFIG = """
window-type offscreen
load-display p3headlessgl
audio-library-name null
win-size 8 8
sync-video 0
notify-level warning
textures-power-2 none
"""


class Shot(NamedTuple):
    """One view's picture.

    Attributes:
        bgr: (H, W, 3) uint8.
        identities: (H, W) uint16, 0 where no actor is seen.
    """

    bgr: Bytes
    identities: NDArray[np.uint16]


class Canvas(NamedTuple):
    """An undistorted picture plane: its focal length in pixels, and the slopes x/z, y/z of its first corner."""

    focal_px: float
    left: float
    top: float


class Finish(NamedTuple):
    """What one actor's surface looks like now; see ``shaders``."""

    paint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 0.8
    dirt: float = 0.0
    headlights: float = 0.0
    brake_lights: float = 0.0
    plate_heights_m: tuple[float, float] = (0.0, 0.0)


class Beam(NamedTuple):
    """A headlight: where it is, and the unit direction it points to; site frame."""

    position_m: tuple[float, float, float]
    direction: tuple[float, float, float]


class Actor:
    """A mesh that can be moved."""

    def __init__(self, node: Any, stage: Stage) -> None:
        self._node, self._stage = node, stage

    def place(self, x_m: float, y_m: float, z_m: float, heading_deg: float) -> None:
        """Stand at a point, turned counter-clockwise from x."""
        self._node.setPosHpr(x_m, y_m, z_m, heading_deg, 0.0, 0.0)

    def finish(self, finish: Finish) -> None:
        """Give it a surface."""
        core = self._stage.core
        self._node.setShaderInputs(
            paint=core.Vec3(*finish.paint),
            wear=core.Vec4(finish.gloss, finish.dirt, finish.headlights, finish.brake_lights),
            plate_z=core.Vec2(*finish.plate_heights_m),
        )

    def set_plate(self, bgr: Bytes) -> None:
        """Give it its registration's (H, W, 3) picture."""
        self._node.setShaderInput("plate_picture", self._stage.texture(bgr))

    def show(self, is_shown: bool) -> None:
        """Take it on stage or off."""
        if is_shown:
            self._node.unstash()
        else:
            self._node.stash()

    def remove(self) -> None:
        """Take it off for good."""
        self._node.removeNode()


class View:
    """One camera: a pinhole of its own size in pixels, without lens distortion."""

    def __init__(self, stage: Stage, size_px: tuple[int, int], number: int) -> None:
        core = stage.core
        self._stage, self.size_px = stage, size_px
        properties = core.FrameBufferProperties()
        properties.setRgbaBits(8, 8, 8, 8)
        properties.setAuxRgba(1)
        properties.setDepthBits(24)
        self._buffer = stage.buffer(f"view {number}", size_px, properties, 10 + number)
        self._picture, self._identities = core.Texture(), core.Texture()
        copy = core.GraphicsOutput.RTMCopyRam
        self._buffer.addRenderTexture(self._picture, copy, core.GraphicsOutput.RTPColor)
        self._buffer.addRenderTexture(self._identities, copy, core.GraphicsOutput.RTPAuxRgba0)
        self._buffer.setClearColor((0, 0, 0, 0))
        self._buffer.setClearActive(core.GraphicsOutput.RTPAuxRgba0, True)
        self._buffer.setClearValue(core.GraphicsOutput.RTPAuxRgba0, (0, 0, 0, 0))
        self._lens = core.PerspectiveLens()
        self._lens.setNearFar(_NEAR_M, _FAR_M)
        camera = core.Camera(f"view {number}", self._lens)
        camera.setCameraMask(core.BitMask32(_SEEN_BY_VIEWS))
        self._camera = stage.root.attachNewNode(camera)
        self._buffer.makeDisplayRegion().setCamera(self._camera)

    def look(self, pose: Pinhole, canvas: Canvas) -> None:
        """Stand where the camera stands; of the pose, position and rotation are used, not its lens."""
        core, (width, height) = self._stage.core, self.size_px
        focal, left, top = canvas
        r, (x, y, z) = pose.rotation, pose.position_m
        rows = (r[0], r[1], r[2], 0, r[6], r[7], r[8], 0, -r[3], -r[4], -r[5], 0, x, y, z, 1)
        self._camera.setMat(core.LMatrix4f(*(float(value) for value in rows)))
        centre_x, centre_y = left * focal + width / 2, top * focal + height / 2
        self._lens.setFocalLength(1.0)
        self._lens.setFilmSize(width / focal, height / focal)
        self._lens.setFilmOffset(centre_x / focal, -centre_y / focal)
        state = core.NodePath("state")
        state.setShaderInput("eye", core.Vec3(float(x), float(y), float(z)))
        self._camera.node().setInitialState(state.getState())

    def switch(self, is_on: bool) -> None:
        """Whether ``draw`` renders this view."""
        self._buffer.setActive(is_on)

    def close(self) -> None:
        """Give the buffer back."""
        self._stage.release(self._buffer)
        self._camera.removeNode()

    def shot(self) -> Shot:
        """What the last ``draw`` saw."""
        width, height = self.size_px
        bgra = np.frombuffer(self._picture.getRamImage(), np.uint8).reshape(height, width, 4)[::-1]
        who = np.frombuffer(self._identities.getRamImage(), np.uint8).reshape(height, width, 4)[::-1]
        identities = (who[..., 2].astype(np.uint16) | (who[..., 1].astype(np.uint16) << 8)).astype(np.uint16)
        return Shot(np.ascontiguousarray(bgra[..., :3]), identities)


class Stage:
    """Scenery, actors, light and views.

    Raises:
        MissingExtra: Panda3D is not installed.
        BadInput: it has no software OpenGL here.
    """

    def __init__(self, seed: int = 0) -> None:
        try:
            from direct.showbase.ShowBase import ShowBase
            from panda3d import core  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without types
        except ImportError as error:
            raise MissingExtra(
                "drawing pictures needs Panda3D; install the extra: pip install 'spatial-twin[render]'"
            ) from error
        self.core: Any = core
        core.loadPrcFileData("", _CONFIG)
        self._show: Any = ShowBase(windowType="offscreen")
        if self._show.win is None:
            self._show.destroy()
            raise BadInput("Panda3D could not open a headless OpenGL; install Mesa's software driver (Debian: libgl1-mesa-dri)")
        self.root = core.NodePath("stage")
        self.root.setTwoSided(True)
        self._groups: dict[shaders.Surface, Any] = {
            surface: self._group(surface, order) for order, surface in enumerate(_NEAR_TO_FAR)
        }
        self._shaders: dict[str, Any] = {}
        self._light: Light | None = None
        self._n_views = 0
        self._sun = DepthMap(self, "sun", _SHADOW_PX, _SEEN_BY_SUN, 1)
        self._cover = DepthMap(self, "cover", _COVER_PX, _SEEN_FROM_ABOVE, 2)
        white = np.full((4, 16, 3), 230, np.uint8)
        self.root.setShaderInputs(
            noise=self.texture(grain(seed)),
            shadow_map=self._sun.depths,
            cover_map=self._cover.depths,
            plate_picture=self.texture(white),
            who=core.Vec4(0, 0, 0, 0),
            paint=core.Vec3(1, 1, 1),
            wear=core.Vec4(0.8, 0, 0, 0),
            plate_z=core.Vec2(0, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the engine back."""
        self._show.destroy()

    def view(self, size_px: tuple[int, int]) -> View:
        """Another camera with a picture of this size."""
        self._n_views += 1
        return View(self, size_px, self._n_views)

    def add(
        self, mesh: Mesh, surface: shaders.Surface, identity: int = 0, *, casts_shadow: bool = True, decal: int = 0
    ) -> Actor:
        """Put a mesh on stage.

        Args:
            surface: what it is made of; each kind has its materials.
            identity: its number in ``Shot.identities``; 0 for scenery.
            decal: over surfaces in the same plane with a lower number.

        Raises:
            BadInput: an identity over 65,535.
        """
        if not 0 <= identity <= _MAX_IDENTITY:
            raise BadInput(f"identity {identity} does not fit the picture of identities; use 0 to {_MAX_IDENTITY}")
        node = self._groups[surface].attachNewNode(geometry_node(self.core, mesh))
        if not casts_shadow:
            node.hide(self.core.BitMask32(_SEEN_BY_SUN | _SEEN_FROM_ABOVE))
        if decal:
            node.setDepthOffset(decal)
        if identity:
            node.setShaderInput("who", self.core.Vec4((identity & 255) / 255.0, (identity >> 8) / 255.0, 0, 1))
        return Actor(node, self)

    def set_light(
        self, light: Light, lamps_m: Sequence[tuple[float, float, float]], extent_m: tuple[float, float, float, float]
    ) -> None:
        """Light the stage; shadows are drawn within ``extent_m`` (min x, min y, max x, max y)."""
        core, self._light = self.core, light
        x, y = (extent_m[0] + extent_m[2]) / 2, (extent_m[1] + extent_m[3]) / 2
        reach = math.hypot(extent_m[2] - extent_m[0], extent_m[3] - extent_m[1]) / 2 + 4.0
        direction = core.Vec3(*light.sun_direction)
        self._sun.switch(sum(light.sun) > _DARK)
        self.root.setShaderInputs(
            shadow_matrix=self._sun.aim((x, y), direction, reach),
            cover_matrix=self._cover.aim((x, y), core.Vec3(0.0, 1e-3, 1.0), reach),
            shadow_bias=self._sun.bias(reach),
            sun_direction=direction,
            sun=core.Vec3(*light.sun),
            sky=core.Vec3(*light.sky),
            ground=core.Vec3(*light.ground),
            horizon=core.Vec3(*light.horizon),
            air=core.Vec4(light.exposure, light.wetness, light.haze, light.asphalt),
            clouds=0.9 if light.hour in ("cloud", "dusk", "low") or light.rain else 0.55,
            lamp_colour=core.Vec3(*light.lamp),
        )
        self._set_lamps(lamps_m if sum(light.lamp) > _DARK else (), (x, y))
        self.set_beams(())

    def set_beams(self, beams: Sequence[Beam]) -> None:
        """Headlights that are on; only the first few are lit."""
        core, lit = self.core, list(beams)[: shaders.MAX_BEAMS]
        sources, targets = core.PTA_LVecBase4f(), core.PTA_LVecBase4f()
        for one in lit:
            sources.pushBack(core.Vec4(*one.position_m, 1.0))
            targets.pushBack(core.Vec4(*one.direction, 0.0))
        for _ in range(shaders.MAX_BEAMS - len(lit)):
            sources.pushBack(core.Vec4(0, 0, -100, 0))
            targets.pushBack(core.Vec4(0, 0, -1, 0))
        self.root.setShaderInputs(beam_from=sources, beam_to=targets, n_beams=len(lit))
        self._choose_shaders(has_beams=bool(lit))

    def draw(self) -> None:
        """Render shadows and every view that is on."""
        self._show.graphicsEngine.renderFrame()
        self.core.TransformState.garbageCollect()  # the engine's own loop does this; without it every frame's states stay
        self.core.RenderState.garbageCollect()

    def texture(self, bgr: Bytes) -> Any:
        """A picture for the shader."""
        texture = self.core.Texture()
        height, width = bgr.shape[:2]
        texture.setup2dTexture(width, height, self.core.Texture.TUnsignedByte, self.core.Texture.FRgb)
        texture.setRamImage(np.ascontiguousarray(bgr[::-1]).tobytes())
        texture.setMinfilter(self.core.SamplerState.FTLinearMipmapLinear)
        texture.setMagfilter(self.core.SamplerState.FTLinear)
        return texture

    def buffer(self, name: str, size_px: tuple[int, int], properties: Any, sort: int) -> Any:
        """An offscreen buffer of the engine's."""
        core, show = self.core, self._show
        made = show.graphicsEngine.makeOutput(
            show.pipe,
            name,
            sort,
            properties,
            core.WindowProperties.size(*size_px),
            core.GraphicsPipe.BFRefuseWindow,
            show.win.getGsg(),
            show.win,
        )
        if made is None:
            raise BadInput(
                f"no off-screen buffer of {size_px[0]} x {size_px[1]} pixels could be opened; ask for a smaller picture"
            )
        return made

    def release(self, buffer: Any) -> None:
        """Close one of ``buffer``'s."""
        self._show.graphicsEngine.removeWindow(buffer)

    def _group(self, surface: str, order: int) -> Any:
        group = self.root.attachNewNode(surface)
        group.setBin("fixed", order)
        return group

    def _choose_shaders(self, *, has_beams: bool) -> None:
        light = self._light
        if light is None:
            return
        has_sun, has_lamps, is_wet = sum(light.sun) > _DARK, sum(light.lamp) > _DARK, light.wetness > 0
        for surface, group in self._groups.items():
            text = shaders.fragment(surface, has_sun=has_sun, has_lamps=has_lamps, has_beams=has_beams, is_wet=is_wet)
            if text not in self._shaders:
                self._shaders[text] = self.core.Shader.make(self.core.Shader.SL_GLSL, shaders.VERTEX, text)
            group.setShader(self._shaders[text])

    def _set_lamps(self, lamps_m: Sequence[tuple[float, float, float]], middle_m: tuple[float, float]) -> None:
        near = sorted(lamps_m, key=lambda at: math.dist(at[:2], middle_m))[: shaders.MAX_LAMPS]
        lamps = self.core.PTA_LVecBase4f()
        for x, y, z in near:
            lamps.pushBack(self.core.Vec4(x, y, z, 1.0))
        for _ in range(shaders.MAX_LAMPS - len(near)):
            lamps.pushBack(self.core.Vec4(0, 0, -100, 0))
        self.root.setShaderInputs(lamps=lamps, n_lamps=len(near))
