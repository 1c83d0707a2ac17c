"""Triangle meshes made of a few kinds of part. Metres; shape letters: V vertices, F triangles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from perception.synthetic.render.materials import Colour

Floats = NDArray[np.float32]
Colours = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float32]]
"""From (…, 3) cell centres and (…, 3) outward normals to (…, 4) vertex colours."""


class Mesh(NamedTuple):
    """Vertices that are not shared between faces of different normal or colour.

    Attributes:
        positions: (V, 3) metres.
        normals: (V, 3) unit, outwards.
        colours: (V, 4) as ``materials`` has them.
        triangles: (F, 3) indices.
    """

    positions: Floats
    normals: Floats
    colours: Floats
    triangles: NDArray[np.uint32]


class MeshBuilder:
    """Collects parts, then gives one mesh."""

    def __init__(self) -> None:
        self._positions: list[Floats] = []
        self._normals: list[Floats] = []
        self._colours: list[Floats] = []
        self._triangles: list[NDArray[np.uint32]] = []
        self._n = 0

    def add(self, positions: ArrayLike, normals: ArrayLike, colours: ArrayLike, triangles: ArrayLike) -> None:
        """Vertices with one normal and colour each, or one for all of them."""
        points = np.asarray(positions, np.float32).reshape(-1, 3)
        self._positions.append(points)
        self._normals.append(np.broadcast_to(np.asarray(normals, np.float32), points.shape))
        self._colours.append(np.broadcast_to(np.asarray(colours, np.float32), (len(points), 4)))
        self._triangles.append(np.asarray(triangles, np.uint32).reshape(-1, 3) + np.uint32(self._n))
        self._n += len(points)

    def quad(self, corners: ArrayLike, normal: ArrayLike, paint: Colour) -> None:
        """A flat face of (4, 3) corners in order around it."""
        self.add(corners, normal, paint, [[0, 1, 2], [0, 2, 3]])

    def fan(self, ring: ArrayLike, normal: ArrayLike, paint: Colour) -> None:
        """A flat star-shaped face of a (K, 3) ring around its mean."""
        points = np.asarray(ring, np.float32)
        k = len(points)
        index = np.arange(k)
        triangles = np.stack([index, (index + 1) % k, np.full(k, k)], axis=1)
        self.add(np.concatenate([points, points.mean(axis=0, keepdims=True)]), normal, paint, triangles)

    def box(self, centre: ArrayLike, half: ArrayLike, paint: Colour, turn: float = 0.0) -> None:
        """A cuboid with its half sizes, turned about the vertical by radians."""
        cos, sin = np.cos(turn), np.sin(turn)
        rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        normals = np.concatenate([np.eye(3), -np.eye(3)])
        across = np.roll(normals, 1, axis=1)
        upwards = np.cross(normals, across)
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        faces = normals[:, None] + signs[:, 0, None] * across[:, None] + signs[:, 1, None] * upwards[:, None]
        points = (faces * np.asarray(half)) @ rotation.T + np.asarray(centre)
        index = 4 * np.arange(6)[:, None]
        triangles = np.concatenate([index + np.array([0, 1, 2]), index + np.array([0, 2, 3])])
        self.add(points.reshape(-1, 3), np.repeat(normals @ rotation.T, 4, axis=0), paint, triangles)

    def tube(self, start: ArrayLike, end: ArrayLike, radius_m: float, paint: Colour, n_sides: int = 6) -> None:
        """The side of a round bar."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        turn = np.arange(n_sides) * (2 * np.pi / n_sides)
        out = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * np.cross(axis, side)
        index, after = np.arange(n_sides), (np.arange(n_sides) + 1) % n_sides
        triangles = np.concatenate(
            [np.stack([index, after, index + n_sides], axis=1), np.stack([after, after + n_sides, index + n_sides], axis=1)]
        )
        self.add(np.concatenate([a + radius_m * out, b + radius_m * out]), np.concatenate([out, out]), paint, triangles)

    def ellipsoid(self, centre: ArrayLike, radii: ArrayLike, paint: Colour, n: tuple[int, int] = (8, 6)) -> None:
        """A closed surface around a centre; ``n`` counts meridians and parallels."""
        around, up = np.linspace(0, 2 * np.pi, n[0] + 1), np.linspace(-np.pi / 2, np.pi / 2, n[1] + 1)
        unit = np.stack(
            [
                np.cos(up)[:, None] * np.cos(around),
                np.cos(up)[:, None] * np.sin(around),
                np.tile(np.sin(up)[:, None], n[0] + 1),
            ],
            axis=-1,
        )
        middle = np.asarray(centre, float)
        normals = unit / np.asarray(radii)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        row = np.arange(n[1])[:, None] * (n[0] + 1) + np.arange(n[0])
        a, b = row.ravel(), row.ravel() + n[0] + 1
        triangles = np.concatenate([np.stack([a, a + 1, b + 1], axis=1), np.stack([a, b + 1, b], axis=1)])
        self.add(middle + unit * np.asarray(radii), normals.reshape(-1, 3), paint, triangles)

    def surface(
        self, grid: NDArray[np.float64], inside: NDArray[np.float64], paint: Colours | Colour, crease: float = 0.6
    ) -> None:
        """A surface over a grid of points, smooth where neighbouring faces nearly agree and sharp elsewhere.

        Args:
            grid: (N, M, 3) points.
            inside: (N, 3) a point within the body for each row; normals turn away from it.
            paint: the colour, or what gives each cell its own.
            crease: the cosine between a face's normal and the mean normal of a corner under which the corner stays sharp.
        """
        a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
        flat = np.cross(c - a, d - b)
        area = np.linalg.norm(flat, axis=-1, keepdims=True)
        flat = flat / np.maximum(area, 1e-9)
        centre = (a + b + c + d) / 4
        outwards = ((centre - (inside[:-1] + inside[1:])[:, None] / 2) * flat).sum(axis=-1, keepdims=True)
        flat = np.where(outwards < 0, -flat, flat)
        mean = np.zeros_like(grid)
        for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)):
            mean[i : i + flat.shape[0], j : j + flat.shape[1]] += flat * area
        mean /= np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
        corners = np.stack([mean[:-1, :-1], mean[1:, :-1], mean[1:, 1:], mean[:-1, 1:]], axis=2)
        sharp = np.broadcast_to(flat[:, :, None], corners.shape)
        normals = np.where((corners * sharp).sum(axis=-1, keepdims=True) > crease, corners, sharp)
        paints = paint(centre, flat) if callable(paint) else np.broadcast_to(paint, (*centre.shape[:2], 4))
        kept = (area[..., 0] > 1e-6).ravel()
        points = np.stack([a, b, c, d], axis=2).reshape(-1, 4, 3)[kept]
        index = 4 * np.arange(len(points))[:, None]
        triangles = np.concatenate([index + np.array([0, 1, 2]), index + np.array([0, 2, 3])])
        self.add(
            points, normals.reshape(-1, 4, 3)[kept].reshape(-1, 3), np.repeat(paints.reshape(-1, 4)[kept], 4, axis=0), triangles
        )

    def polygon(self, ring: Sequence[tuple[float, ...]], z: float, paint: Colour) -> None:
        """A horizontal face over a ring without holes, facing up."""
        self.area(shapely.Polygon(ring), z, paint)

    def area(self, shape: BaseGeometry, z: float, paint: Colour) -> None:
        """A horizontal face over a polygon or several, facing up."""
        for part in shapely.get_parts(shape):
            for piece in shapely.get_parts(shapely.constrained_delaunay_triangles(part)):
                points = np.array(piece.exterior.coords)[:3, :2]
                self.add(np.column_stack([points, np.full(3, z)]), (0.0, 0.0, 1.0), paint, [[0, 1, 2]])

    def build(self) -> Mesh:
        """Everything added so far as one mesh."""
        if not self._positions:
            three, four = np.zeros((0, 3), np.float32), np.zeros((0, 4), np.float32)
            return Mesh(three, three, four, np.zeros((0, 3), np.uint32))
        return Mesh(
            np.ascontiguousarray(np.concatenate(self._positions)),
            np.ascontiguousarray(np.concatenate(self._normals)),
            np.ascontiguousarray(np.concatenate(self._colours)),
            np.ascontiguousarray(np.concatenate(self._triangles)),
        )
