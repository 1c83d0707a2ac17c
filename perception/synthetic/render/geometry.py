"""From a mesh to what the engine draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.synthetic.render.mesh import Mesh


def geometry_node(core: Any, mesh: Mesh) -> Any:
    """A node with the mesh's vertices (position, normal, colour) and triangles; ``core`` is Panda3D's module."""
    layout = core.GeomVertexFormat.getV3n3c4()
    stride = layout.getArray(0).getStride()
    rows = np.zeros((len(mesh.positions), stride), np.uint8)
    rows[:, 0:12] = np.ascontiguousarray(mesh.positions, np.float32).view(np.uint8).reshape(-1, 12)
    rows[:, 12:24] = np.ascontiguousarray(mesh.normals, np.float32).view(np.uint8).reshape(-1, 12)
    rows[:, 24:28] = np.rint(mesh.colours * 255).astype(np.uint8)
    vertices = core.GeomVertexData("mesh", layout, core.Geom.UHStatic)
    vertices.uncleanSetNumRows(len(rows))
    vertices.modifyArrayHandle(0).copyDataFrom(rows.tobytes())
    faces = core.GeomTriangles(core.Geom.UHStatic)
    faces.setIndexType(core.Geom.NTUint32)
    indices = faces.modifyVertices()
    indices.uncleanSetNumRows(mesh.triangles.size)
    indices.modifyHandle().copyDataFrom(mesh.triangles.astype(np.uint32).tobytes())
    geometry = core.Geom(vertices)
    geometry.addPrimitive(faces)
    node = core.GeomNode("mesh")
    node.addGeom(geometry)
    return node
