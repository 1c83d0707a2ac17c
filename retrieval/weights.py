"""What evidence is worth when vehicles are ranked: nats by class, learned from a site's confirmed identities. Pure.

A vehicle's score is the sum of what speaks for it, and scores are compared with each other and with that of nobody known:
P(v) = exp(s_v) / (exp(s_nobody) + sum of exp(s_u)), which is a probability if the weights were fitted to be one (McFadden,
"Conditional logit analysis of qualitative choice behavior", 1974).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import exp, fsum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from retrieval.appearance import LookModel
from twin.errors import BadInput

SCHEMA = "twin.search_weights/1"

T = TypeVar("T")


class Terms(Struct, frozen=True, kw_only=True):
    """Weights of one kind of question.

    Attributes:
        look, reciprocal, plate, colour: of nats of likeness, of the agreement of neighbourhoods (0..1), of plates and colours.
        kind, presence, reach, own: nats of each class.
        nobody: the score of a vehicle that the twin does not know.
    """

    look: float = 1.0
    reciprocal: float = 1.0
    plate: float = 1.0
    colour: float = 1.0
    kind: dict[str, float] = field(default_factory=lambda: {"same": 0.3, "other": -1.5, "unknown": 0.0})
    presence: dict[str, float] = field(default_factory=dict[str, float])
    reach: dict[str, float] = field(default_factory=dict[str, float])
    own: dict[str, float] = field(default_factory=dict[str, float])
    nobody: float = 2.0


FREE = Terms()
ANCHORED = Terms(
    presence={
        "in_view": 2.5,
        "beside_view": 1.0,
        "elsewhere": -3.0,
        "lost_near": 1.0,
        "lost_far": -2.5,
        "not_come": -2.0,
        "gone": -2.0,
        "unknown": 0.0,
    },
    reach={"standing": 0.8, "driving": 0.4, "racing": -1.0, "impossible": -4.0, "no_way": -4.0, "unknown": 0.0},
    own={"itself": 4.0, "same_moment": -3.0, "seconds": -1.0, "minute": -0.5, "apart": 0.3},
)


class Temper(Struct, frozen=True, kw_only=True):
    """By how much answers are told more or less surely where views are of one embedder: a factor on all nats.

    Attributes:
        free, anchored: as of ``Weights``.
    """

    free: float = 1.0
    anchored: float = 1.0


class Weights(Struct, frozen=True, kw_only=True):
    """All that ranking rests on.

    Attributes:
        free, anchored: without, and with, where and when the probe was seen.
        looks, tempers: by embedder, "name@version".
        learned_from: in words: which site, which time, how many probes.
    """

    schema: str = SCHEMA
    free: Terms = FREE
    anchored: Terms = ANCHORED
    looks: dict[str, LookModel] = field(default_factory=dict[str, LookModel])
    tempers: dict[str, Temper] = field(default_factory=dict[str, Temper])
    learned_from: str = "nothing: set by hand"

    @property
    def version(self) -> str:
        """Names these weights: 12 hexadecimal digits of their content. Those without tempers keep the name that they had."""
        told = msgspec.to_builtins(self)
        if not self.tempers:
            del told["tempers"]
        return hashlib.blake2b(msgspec.json.encode(told, order="sorted"), digest_size=6).hexdigest()

    def look_of(self, embedder: str) -> LookModel:
        """The model of an embedder's looks; another version's of the same name, else a usual one."""
        return _of(self.looks, embedder, LookModel())

    def of(self, embedder: str) -> Weights:
        """As they are worth where views are of this embedder; another version's of the same name, else as they are."""
        temper = _of(self.tempers, embedder, Temper())
        if temper == Temper():
            return self
        return replace(self, free=scaled(self.free, temper.free), anchored=scaled(self.anchored, temper.anchored))


def _of(known: Mapping[str, T], embedder: str, usual: T) -> T:
    if embedder in known:
        return known[embedder]
    name = embedder.partition("@")[0]
    akin = sorted(each for each in known if each.partition("@")[0] == name)
    return known[akin[-1]] if akin else usual


def scaled(terms: Terms, factor: float) -> Terms:
    """The same order of vehicles, told more or less surely."""

    def times(value: float | dict[str, float]) -> Any:
        return {name: factor * nats for name, nats in value.items()} if isinstance(value, dict) else factor * value

    return Terms(**{name: times(getattr(terms, name)) for name in Terms.__struct_fields__})


def read_weights(encoded: bytes, source: str) -> Weights:
    """Weights from JSON.

    Raises:
        BadInput: they are none, or of another schema.
    """
    try:
        weights = msgspec.json.decode(encoded, type=Weights)
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise BadInput(f"'{source}' holds no weights of search: {wrong}; learn them again with `twin learn search`") from None
    if weights.schema != SCHEMA:
        raise BadInput(f"'{source}' has schema '{weights.schema}', this release reads '{SCHEMA}'; learn the weights again")
    return weights


def probabilities(scores: Sequence[float], nobody: float) -> list[float]:
    """Of each score against the others and nobody; they sum to less than 1.

    >>> probabilities([0.0, 0.0], 0.0)
    [0.3333333333333333, 0.3333333333333333]
    """
    most = max([*scores, nobody])
    shares = [exp(score - most) for score in scores]
    total = fsum(shares) + exp(nobody - most)
    return [share / total for share in shares]
