"""Number plates as they were read, as evidence for one vehicle: by edit distance, never by equality.

A reader misses and confuses characters, reads a sign for a plate, or the plate of who stands behind. Of one vehicle two
readings differ by a character or two; of two vehicles they agree by chance only. What is concluded is a log-likelihood ratio
between bounds, which adds to that of looks: a plate alone makes nobody of anybody, and the way must be possible all the same.

Source: Oliveira-Neto, Han & Jeong, "Online license plate matching procedures using license-plate recognition machines and
new weighted edit distance" (2012), on likelihoods of readings of one and of two vehicles.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from twin.fusion.gating import ln1

MOST_NATS, LEAST_NATS = 7.0, -5.0
_LETTERS, _DIGITS = 20.0, 9.0  # a character of one plate is read alike nine times in ten, of another's once in 22, or in ten
_DIFFER = 0.1  # of one plate one in ten is not, of two nearly all are
_ONE_PLATE = 20.0  # readings with a larger ratio back each other
_CONFUSED = 1.0  # characters that readers take for each other say nothing
_N_SHORT, _N_LONG = 4, 16  # fewer characters are no plate, nor are more
_MOST_RATIO = 1e6  # both bounds on nats are passed by far
_ALIKE = {"O": "0", "Q": "0", "D": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "B": "8", "G": "6"}


class Read(Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """A plate as it was read: capital letters and digits, and how sure the reader was, 0..1."""

    text: str
    score: float


Plates = tuple[Read, ...]


def read(text: str, score: float) -> Read | None:
    """A reading with nothing but its characters; None where there are too few of them, or too many."""
    bare = "".join(one for one in text.upper() if one.isalnum())
    return Read(bare, min(max(score, 0.0), 1.0)) if _N_SHORT <= len(bare) <= _N_LONG else None


def log_likelihood_ratio(ours: Plates, theirs: Plates) -> float:
    """Evidence in nats that two vehicles' readings are of one plate; 0 where either has none."""
    if not ours or not theirs:
        return 0.0
    one, other = _likeliest(ours), _likeliest(theirs)
    share = one.score * other.score
    ratio = share * _ratio(one.text, other.text) + (1.0 - share)
    return min(max(ln1(ratio), LEAST_NATS), MOST_NATS)


@lru_cache(maxsize=4_096)
def _likeliest(plates: Plates) -> Read:
    """The reading that the others agree with most, surer by those that do: each of them may be wrong by itself.

    Of equals the first.
    """
    best, best_worth, doubt = plates[0], -1.0, 1.0
    for one in plates:
        worth, missed = 0.0, 1.0
        for other in plates:
            if _ratio(one.text, other.text) > _ONE_PLATE:
                worth, missed = worth + other.score, missed * (1.0 - 0.9 * other.score)
        if worth > best_worth:
            best, best_worth, doubt = one, worth, missed
    return Read(best.text, 1.0 - doubt)


@lru_cache(maxsize=16_384)
def _ratio(one: str, other: str) -> float:
    """How much likelier two readings are of one plate than of two: the best alignment, a factor for each character.

    Multiplied, not summed: no logarithm, so that machines agree.
    """
    before = [1.0]
    for _ in other:
        before.append(before[-1] * _DIFFER)
    for mine in one:
        row = [before[0] * _DIFFER]
        for n, theirs in enumerate(other):
            met = before[n] * _of_pair(mine, theirs)
            row.append(max(met, row[-1] * _DIFFER, before[n + 1] * _DIFFER))
        before = row
    return min(before[-1], _MOST_RATIO)


def _of_pair(mine: str, theirs: str) -> float:
    if mine == theirs:
        return _DIGITS if mine.isdigit() else _LETTERS
    return _CONFUSED if _ALIKE.get(mine, mine) == _ALIKE.get(theirs, theirs) else _DIFFER
