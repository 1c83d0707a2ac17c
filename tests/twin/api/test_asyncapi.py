"""The description of events: whole, and what the service really sends fits it."""

import asyncio
import json

import jsonschema_rs
import pytest
from websockets.asyncio.client import connect

from twin.events.codec import FACT_TYPES, OBSERVATION_TYPES


@pytest.fixture
def a_day(story):
    """Facts of many types."""
    return story.any([(what, which, late, 0) for what in range(14) for which, late in ((1, 0), (2, 4))])


def references(value, path="#"):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield path, value["$ref"]
        for name, one in value.items():
            yield from references(one, f"{path}/{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from references(one, f"{path}/{number}")


def looked_up(document, reference):
    value = document
    for step in reference.removeprefix("#/").split("/"):
        value = value[step]
    return value


def validator(document, name):
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


async def read(running):
    return (await running.http.get("/asyncapi.json")).json()


async def test_every_reference_leads_somewhere(serve):
    async with serve() as running:
        document = await read(running)
    found = list(references(document))
    assert found
    for path, reference in found:
        assert looked_up(document, reference), f"{path} -> {reference}"


async def test_the_document_has_what_asyncapi_asks_for(serve):
    async with serve() as running:
        document = await read(running)
    assert (document["asyncapi"], document["info"]["title"]) == ("3.0.0", "Spatial Twin events")
    for name, operation in document["operations"].items():
        channel = looked_up(document, operation["channel"]["$ref"])
        assert operation["action"] in ("send", "receive"), name
        assert all(one["$ref"].startswith(operation["channel"]["$ref"]) for one in operation["messages"]), name
        assert channel["messages"], name
    for name, channel in document["channels"].items():
        named = set(channel.get("parameters", {}))
        assert named == {part[1:-1] for part in (channel["address"] or "").split("/") if part.startswith("{")}, name


async def test_every_type_of_event_has_a_message_and_a_channel(serve):
    async with serve() as running:
        document = await read(running)
    messages = document["components"]["messages"]
    assert set(FACT_TYPES) | set(OBSERVATION_TYPES) <= set(messages)
    for channel in ("leasedFacts", "webhook", "kafkaFacts"):
        assert set(document["channels"][channel]["messages"]) == set(FACT_TYPES)
    sent = set(document["channels"]["observations"]["messages"])
    assert set(OBSERVATION_TYPES) - sent == {"clock.ticked.v1", "fold.refuse_requested.v1"}


async def test_facts_fit_the_schema_of_their_type(serve, a_day):
    async with serve(a_day) as running:
        document = await read(running)
        facts = (await running.http.get("/v1/sites/lot/facts")).json()["facts"]
    assert len({fact["type"] for fact in facts}) >= 12
    for fact in facts:
        validator(document, fact["type"]).validate(fact)


async def test_a_fact_with_a_field_too_many_or_of_another_type_does_not_fit(serve, a_day):
    async with serve(a_day) as running:
        document = await read(running)
        (fact, *_) = (await running.http.get("/v1/sites/lot/facts")).json()["facts"]
    fits = validator(document, fact["type"])
    assert fits.is_valid(fact)
    assert not fits.is_valid({**fact, "data": {**fact["data"], "colour": "red"}})
    assert not fits.is_valid({**fact, "time": "noon"})
    assert not fits.is_valid({**fact, "type": "vehicle.left.v1"})


async def test_leased_facts_fit_the_schema_of_their_type(serve, a_day):
    async with serve(a_day) as running:
        document = await read(running)
        await running.http.put("/v1/sites/lot/subscriptions/x", json={"after": "0"})
        lease = (await running.http.post("/v1/sites/lot/subscriptions/x/lease", json={"limit": 100})).json()
    assert lease["deliveries"]
    for one in lease["deliveries"]:
        validator(document, one["event"]["type"]).validate(one["event"])


async def test_live_messages_fit_their_schemas(serve, listen, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        document = await read(running)
        kinds = {"snapshot": "LiveSnapshot", "delta": "LiveDelta", "ping": "LivePing"}
        seen = set()
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher, asyncio.timeout(20):
            number = 2
            while "delta" not in seen:
                message = json.loads(await watcher.recv())
                validator(document, kinds[message["type"]]).validate(message)
                seen.add(message["type"])
                await story.add(running.log, [story.event(number, story.moved(x=number), at=number)])
                number += 1
        place = f"epoch={message['epoch']}&seq={message['seq']}"
        async with connect(f"ws://{address}/v1/sites/lot/live?{place}") as watcher, asyncio.timeout(20):
            message = json.loads(await watcher.recv())
            validator(document, kinds[message["type"]]).validate(message)
        assert seen == {"snapshot", "delta"}
        assert set(document["channels"]["live"]["messages"]) == set(kinds.values())
