"""Batches of observations as somebody would send them who may not, or who sends again what was sent, changed or not.

A batch is stored first, by the key that may. Whatever comes then must leave what is stored as it is, leave the other site
alone, store all or nothing, and store nothing that is unsigned, forged or replayed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from twin.access.keys import SCOPES
from twin.events.codec import to_cloudevent
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId
from twin.events.observations import FrameObserved

from .site_day import PROOF_SITE, START_AT
from .two_sites import HERE, THERE, TwoSites
from .workload import observation

_MOST_EVENTS = 6
_OWN_DEVICES = ("twin-worker", "operators", "payments", "calibrations", "site-editor")


class Sent(NamedTuple):
    """A request, and what is right to answer.

    Attributes:
        statuses: None: any, as long as what is stored stays as it is.
        outcomes: of each event, where it is answered 200; None: any but "stored" for keys that are stored.
    """

    what: str
    key: str | None
    body: bytes
    statuses: tuple[int, ...] | None
    outcomes: tuple[str, ...] | None = None
    site: str = HERE


async def refuted(world: TwoSites, seed: int) -> str | None:
    """What was taken and may not be, or None."""
    draw = random.Random(f"batch {seed}")
    batch = _batch(draw, seed)
    stored = await _post(world, world.key_by[HERE, "ingest"], _body(batch))
    if stored.status_code != 200 or set(_outcomes(stored)) != {"stored"}:
        return f"a right batch was answered {stored.status_code}: {stored.text[:200]}"
    sent = draw.choice(_WAYS)(world, draw, batch)
    before = [(await world.log.heads(site)).observations for site in (HERE, THERE)]
    kept = await world.log.observations(HERE, after=before[0] - len(batch), limit=len(batch))
    answer = await _post(world, sent.key, sent.body, sent.site)
    after = [(await world.log.heads(site)).observations for site in (HERE, THERE)]
    still = await world.log.observations(HERE, after=before[0] - len(batch), limit=len(batch))
    wrong = _wrong(sent, answer, [now - was for now, was in zip(after, before, strict=True)], batch)
    if wrong is None and [one.event for one in still] != [one.event for one in kept]:
        wrong = "what was stored before has changed"
    return None if wrong is None else f"{sent.what}: {wrong}"


def _wrong(sent: Sent, answer: Any, more: list[int], batch: list[ObservationEvent]) -> str | None:
    status = answer.status_code
    if sent.statuses is not None and status not in sent.statuses:
        return f"was answered {status}, and one of {sent.statuses} is right: {answer.text[:200]}"
    if status >= 500:
        return f"was answered {status}: {answer.text[:200]}"
    if more[1]:
        return f"{more[1]} events were stored at the other site"
    if status != 200:
        return f"{more[0]} events were stored though the answer is {status}" if more[0] else None
    outcomes = _outcomes(answer)
    if more[0] != outcomes.count("stored"):
        return f"{more[0]} events were stored, and {outcomes.count('accepted')} are said to be"
    if sent.outcomes is not None:
        return None if tuple(outcomes) == sent.outcomes else f"was answered {outcomes}, and {list(sent.outcomes)} is right"
    known = {one.key for one in batch}
    again = [outcome for outcome, key in zip(outcomes, _keys(sent.body), strict=True) if key in known]
    return f"a key that is stored was answered {again}" if "stored" in again else None


def _unsigned(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    what, key = draw.choice(list(world.strangers.items()))
    return Sent(f"a new batch with a key that is {what}", key, _body(_later(batch)), (401,))


def _by_other_sites_key(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    scope = draw.choice(SCOPES)
    return Sent(
        f"a new batch with the other site's key for '{scope}'", world.key_by[THERE, scope], _body(_later(batch)), (403,)
    )


def _by_other_scope(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    scope = draw.choice([one for one in SCOPES if one not in ("ingest", "admin")])
    return Sent(f"a new batch with a key for '{scope}'", world.key_by[HERE, scope], _body(_later(batch)), (403,))


def _to_other_site(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    given = draw.choice((batch, _later(batch)))
    return Sent("a batch of here sent there", world.key_by[THERE, "ingest"], _body(given), (422,), site=THERE)


def _with_other_sites(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    forged = _later(batch)
    at = draw.randrange(len(forged))
    forged[at] = replace(forged[at], site=THERE)
    return Sent("a batch with an event of there", world.key_by[HERE, "ingest"], _body(forged), (422,))


def _as_the_twin(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    forged = _later(batch)
    at = draw.randrange(len(forged))
    device = DeviceId(draw.choice(_OWN_DEVICES))
    forged[at] = replace(forged[at], key=replace(forged[at].key, device=device))
    return Sent(f"a batch with an event of '{device}'", world.key_by[HERE, "ingest"], _body(forged), (422,))


def _replayed(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    order = draw.sample(batch, len(batch))
    return Sent("a batch again", world.key_by[HERE, "ingest"], _body(order), (200,), ("duplicate",) * len(order))


def _altered(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    altered, outcomes = list(batch), ["duplicate"] * len(batch)
    for at in draw.sample(range(len(batch)), draw.randint(1, len(batch))):
        altered[at] = replace(batch[at], occurred_at=batch[at].occurred_at + draw.choice((-1, 1)) * draw.randint(1, 10**7))
        outcomes[at] = "refused"
    return Sent("a batch again with other times", world.key_by[HERE, "ingest"], _body(altered), (200,), tuple(outcomes))


def _damaged(world: TwoSites, draw: random.Random, batch: list[ObservationEvent]) -> Sent:
    body = bytearray(_body(batch))
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        at = draw.randrange(len(body))
        match draw.choice(("flip", "flip", "digit", "cut", "put", "twice")):
            case "flip":
                body[at] ^= 1 << draw.randrange(8)
            case "digit":
                body[at] = ord(draw.choice("0123456789"))
            case "cut":
                del body[at : at + draw.randint(1, 20)]
            case "put":
                body[at:at] = draw.randbytes(draw.randint(1, 8))
            case _:
                body[at:at] = body[at : at + 40]
        if not body:
            break
    return Sent("a batch again with other bytes", world.key_by[HERE, "ingest"], bytes(body), None)


_WAYS: tuple[Callable[[TwoSites, random.Random, list[ObservationEvent]], Sent], ...] = (
    _unsigned,
    _by_other_sites_key,
    _by_other_scope,
    _to_other_site,
    _with_other_sites,
    _as_the_twin,
    _replayed,
    _altered,
    _damaged,
    _damaged,
)


def _batch(draw: random.Random, seed: int) -> list[ObservationEvent]:
    """Frames of a device that no other run has, nor comes to by a few other bytes."""
    device = DeviceId(f"edge-{random.Random(f'device {seed}').randbytes(8).hex()}")
    camera = PROOF_SITE.cameras[0]
    found = list[ObservationEvent]()
    for sequence in range(1, draw.randint(1, _MOST_EVENTS) + 1):
        made = observation(1, sequence)
        assert isinstance(made.payload, FrameObserved)
        payload = replace(made.payload, camera=camera.id, frame_px=camera.frame_px)
        key = DeviceKey(device=device, boot_epoch=1, sequence=sequence)
        found.append(replace(made, site=HERE, key=key, occurred_at=START_AT + sequence * 100_000, payload=payload))
    return found


def _later(batch: list[ObservationEvent]) -> list[ObservationEvent]:
    """As new as it was before it was stored."""
    return [replace(one, key=replace(one.key, sequence=one.key.sequence + 100)) for one in batch]


def _body(batch: list[ObservationEvent]) -> bytes:
    return b"\n".join(msgspec.json.encode(to_cloudevent(one)) for one in batch)


async def _post(world: TwoSites, key: str | None, body: bytes, site: str = HERE) -> Any:
    headers = {"content-type": "application/x-ndjson"} | ({} if key is None else {"authorization": f"Bearer {key}"})
    return await world.http.post(f"/v1/sites/{site}/observations", content=body, headers=headers)


def _outcomes(answer: Any) -> list[str]:
    return [one["outcome"] for one in answer.json()["receipts"]]


def _keys(body: bytes) -> list[DeviceKey]:
    """Of a body that was read, what its events are keyed by."""
    events = [msgspec.json.decode(line) for line in body.split(b"\n") if line.strip()]
    return [DeviceKey(device=one["device"], boot_epoch=int(one["bootepoch"]), sequence=int(one["sequence"])) for one in events]
