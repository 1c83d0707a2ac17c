"""The HTTP and WebSocket surface: ``create_app`` gives a Starlette application over services that others open and close."""

from twin.api.app import create_app
from twin.api.endpoint import Endpoint, Parameter
from twin.api.services import ApiLimits, Services

__all__ = ["ApiLimits", "Endpoint", "Parameter", "Services", "create_app"]
