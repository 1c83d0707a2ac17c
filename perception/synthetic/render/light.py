"""Light and weather: where the sun stands, how bright the sky is, what the camera makes of it. Linear RGB."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

Rgb = tuple[float, float, float]
Hour = Literal["day", "low", "cloud", "dusk", "night"]
HOURS: tuple[Hour, ...] = get_args(Hour)
"""``day``: a high sun; ``low``: long shadows; ``cloud``: none; ``dusk``; ``night``: lamps and headlights only."""


class Light(NamedTuple):
    """The light of one moment.

    Attributes:
        sun_direction: unit, towards the sun.
        sun, sky, ground, horizon: radiance from the sun, from above, from below and from the side.
        exposure: the camera's gain.
        wetness: 0 is dry, 1 a film of water.
        rain: 0 is none, 1 is heavy.
        lamp: colour and strength of the site's lamps; zero when they are off.
        has_headlights: whether moving vehicles have theirs on.
        haze: extinction a metre.
        asphalt: reflectance of the dry road.
    """

    hour: Hour
    sun_direction: tuple[float, float, float]
    sun: Rgb
    sky: Rgb
    ground: Rgb
    horizon: Rgb
    exposure: float
    wetness: float
    rain: float
    lamp: Rgb
    has_headlights: bool
    haze: float
    asphalt: float


def light(rng: np.random.Generator, hour: Hour, *, rain: float = 0.0, wetness: float | None = None) -> Light:
    """A light of this kind; everything else is drawn."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation, sun, sky, horizon, exposure = _sky(rng, hour)
    if rain > 0:
        sun, sky, horizon = sun * (1 - 0.9 * rain), sky * (1 - 0.25 * rain), _grey(horizon) * (1 - 0.2 * rain)
    ground = (0.35 * sky + 0.15 * np.sin(elevation) * sun) * 0.8
    is_dark = hour in ("dusk", "night")
    lamp_colour = np.array([1.0, 0.8, 0.5]) if rng.random() < 0.5 else np.array([0.85, 0.95, 1.0])
    wet = wetness if wetness is not None else (rng.uniform(0.6, 1.0) if rain > 0 else 0.0)
    return Light(
        hour=hour,
        sun_direction=(
            float(np.cos(azimuth) * np.cos(elevation)),
            float(np.sin(azimuth) * np.cos(elevation)),
            float(np.sin(elevation)),
        ),
        sun=_rgb(sun),
        sky=_rgb(sky),
        ground=_rgb(ground),
        horizon=_rgb(horizon),
        exposure=float(exposure),
        wetness=float(wet),
        rain=rain,
        lamp=_rgb(lamp_colour * rng.uniform(0.9, 1.8)) if is_dark else (0.0, 0.0, 0.0),
        has_headlights=is_dark or rain > 0,
        haze=float(rng.choice([0.0, 0.0006, 0.002])) + 0.004 * rain,
        asphalt=float(rng.uniform(0.09, 0.22)),
    )


def any_light(rng: np.random.Generator) -> Light:
    """Any hour and weather, as training wants it."""
    hour: Hour = HOURS[int(rng.choice(len(HOURS), p=[0.28, 0.16, 0.24, 0.14, 0.18]))]
    rain = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.15 else 0.0
    wetness = float(rng.uniform(0.3, 0.9)) if rain == 0 and rng.random() < 0.12 else None
    return light(rng, hour, rain=rain, wetness=wetness)


def other_light(rng: np.random.Generator) -> Light:
    """Light that ``any_light`` never gives: sun heights between and beyond its own, fog, lamps of other colours."""
    one = any_light(rng)
    if sum(one.sun) > 0.5:
        elevation = rng.uniform(0.41, 0.49) if rng.random() < 0.5 else rng.uniform(1.22, 1.4)
        azimuth = rng.uniform(0, 2 * np.pi)
        flat = np.cos(elevation)
        direction = (float(np.cos(azimuth) * flat), float(np.sin(azimuth) * flat), float(np.sin(elevation)))
        one = one._replace(sun_direction=direction)
    if sum(one.lamp) > 0:
        one = one._replace(
            lamp=_rgb(np.array([1.0, 0.6, 0.2] if rng.random() < 0.5 else [0.8, 1.0, 0.8]) * rng.uniform(0.8, 2.0))
        )
    return one._replace(haze=float(rng.uniform(0.004, 0.010))) if rng.random() < 0.25 else one


def _sky(rng: np.random.Generator, hour: Hour) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, float]:
    """Elevation of the sun (radians), its radiance, the sky's, the horizon's, and the exposure."""
    if hour == "day":
        sun = np.array([1.0, 0.95, 0.86]) * rng.uniform(2.0, 3.2)
        sky = np.array([0.50, 0.62, 0.85]) * rng.uniform(0.7, 1.1)
        return rng.uniform(0.5, 1.2), sun, sky, np.array([0.90, 0.95, 1.0]) * rng.uniform(0.9, 1.4), rng.uniform(0.75, 1.15)
    if hour == "low":
        sun = np.array([1.0, 0.72, 0.42]) * rng.uniform(1.4, 2.4)
        sky = np.array([0.50, 0.55, 0.72]) * rng.uniform(0.5, 0.9)
        return rng.uniform(0.18, 0.4), sun, sky, np.array([1.0, 0.85, 0.7]) * rng.uniform(0.8, 1.2), rng.uniform(0.9, 1.4)
    if hour == "cloud":
        sky = np.array([0.95, 1.0, 1.07]) * rng.uniform(0.8, 1.2)
        return (
            rng.uniform(0.7, 1.3),
            np.full(3, rng.uniform(0.05, 0.5)),
            sky,
            sky * rng.uniform(0.9, 1.2),
            rng.uniform(0.85, 1.3),
        )
    if hour == "dusk":
        sun = np.array([1.0, 0.55, 0.3]) * rng.uniform(0.0, 0.4)
        sky = np.array([0.35, 0.45, 0.75]) * rng.uniform(0.25, 0.5)
        return rng.uniform(0.1, 0.25), sun, sky, np.array([0.8, 0.6, 0.55]) * rng.uniform(0.3, 0.6), rng.uniform(1.3, 2.2)
    sky = np.array([0.30, 0.35, 0.50]) * rng.uniform(0.06, 0.16)
    return 0.9, np.zeros(3), sky, sky * 0.7, rng.uniform(1.6, 2.6)


def _grey(rgb: np.ndarray) -> np.ndarray:
    return 0.3 * rgb + 0.7 * rgb.mean()


def _rgb(values: np.ndarray) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
