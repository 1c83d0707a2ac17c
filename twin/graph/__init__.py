"""The site as a graph: what stands still is built from its model, what changes is a fold of its facts."""

from twin.graph.apply import apply
from twin.graph.model import SiteGraph, site_graph
from twin.graph.query import state
from twin.graph.routes import Routes, zone_graph

__all__ = ["Routes", "SiteGraph", "apply", "site_graph", "state", "zone_graph"]
