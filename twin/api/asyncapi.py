"""AsyncAPI 3.0: facts and observations as they travel, made from the codec table and the types of the live feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from site_models.schema import Site
from twin.api.site_words import NOT_FROM_OUTSIDE, filled
from twin.events.codec import FACT_TYPES, OBSERVATION_TYPES
from twin.events.docstrings import described
from twin.events.schemas import fact_schema, payload_schemas, recorded_observation_schema
from twin.events.wire import OF_SITE
from twin.feeds.delta import LiveMessage

_SCHEMA = "#/components/schemas/{name}"
_CLOUDEVENT = "application/cloudevents+json"
_ABOUT = """Facts are CloudEvents 1.0 JSON: the type is `type`, the content `data`, the place in the fact log `position`.
A correction is a further fact that names in `supersedes` what it corrects. The same facts come by four ways: live as changes of
the site's state, leased from a durable subscription, sent to a webhook, and in a Kafka topic. How to ask for them over HTTP is
in [openapi.json](/openapi.json)."""

LIVE = "live"
LEASED = "leasedFacts"
WEBHOOK = "webhook"
KAFKA_FACTS = "kafkaFacts"
KAFKA_OBSERVATIONS = "kafkaObservations"
SENT = "observations"
RECORD = "ObservationRecord"
_KEYED = {"kafka": {"key": {"type": "string", "description": "The site's name."}, "bindingVersion": "0.5.0"}}


def document(
    *, version: str, sites: Iterable[Site] = (), facts_topic: str = "twin-facts", topic: str = "twin-observations"
) -> dict[str, Any]:
    """The description of everything that is sent without being asked for each time.

    Args:
        topic, facts_topic: in a broker, where the settings name no others.
    """
    data, of_events = payload_schemas(_SCHEMA)
    live_schemas, live_components = msgspec.json.schema_components(get_args(LiveMessage), ref_template=_SCHEMA)
    live_names = [one["$ref"].rsplit("/", 1)[1] for one in live_schemas]
    facts = {name: fact_schema(name, data[name]) for name in FACT_TYPES}
    observations = {name: recorded_observation_schema(name, data[name]) for name in OBSERVATION_TYPES}
    told = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Spatial Twin events",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(live_names, facts_topic=facts_topic, topic=topic),
        "operations": _operations(live_names),
        "components": {
            "schemas": {
                **of_events,
                **{name: described(schema) for name, schema in live_components.items()},
                **facts,
                **observations,
                RECORD: _record(),
            },
            "messages": {
                **{name: _message(name, live_components[name]["description"]) for name in live_names},
                **{name: _event(name, data[name], is_fact=True) for name in FACT_TYPES},
                **{name: _event(name, data[name], is_fact=False) for name in OBSERVATION_TYPES},
                RECORD: {
                    "name": RECORD,
                    "contentType": "application/msgpack",
                    "summary": "An observation as the broker keeps it.",
                    "payload": {"$ref": _SCHEMA.format(name=RECORD)},
                    "bindings": _KEYED,
                },
            },
        },
    }
    return filled(told, sites)


def _message(name: str, about: str) -> dict[str, Any]:
    return {
        "name": name,
        "contentType": "application/json",
        "summary": about.splitlines()[0],
        "payload": {"$ref": _SCHEMA.format(name=name)},
    }


def _event(name: str, data: Mapping[str, Any], *, is_fact: bool) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "contentType": _CLOUDEVENT,
        "summary": str(data.get("description", name)).splitlines()[0],
        "tags": [{"name": "fact" if is_fact else "observation"}],
        "payload": {"$ref": _SCHEMA.format(name=name)},
        **({"bindings": _KEYED} if is_fact else {}),
    }


def _record() -> dict[str, Any]:
    """A msgpack array; see ``twin.log.kafka.records``, which is an adapter that not every service has."""
    places = {
        "format": {"const": 1},
        "type": {"enum": sorted(OBSERVATION_TYPES)},
        "occurred_at": {"type": "integer", "description": "Microseconds since 1970-01-01 UTC."},
        "device": {"type": "string"},
        "boot_epoch": {"type": "integer"},
        "sequence": {"type": "integer"},
        "payload": {"type": "string", "format": "binary", "description": "The event's `data` with its `type`, as msgpack."},
    }
    items = [{"title": name, **schema} for name, schema in places.items()]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}


def _channels(live_names: list[str], *, facts_topic: str, topic: str) -> dict[str, Any]:
    site = {"description": "A site that is served.", OF_SITE: "site"}
    facts, sent = _messages(FACT_TYPES), _messages(one for one in OBSERVATION_TYPES if one not in NOT_FROM_OUTSIDE)
    return {
        LIVE: {
            "address": "/v1/sites/{site}/live",
            "title": "The live feed",
            "description": "A WebSocket: a snapshot of the state, then what changed. A delta fits a client whose `epoch` is "
            "its own and whose last `seq` is its `prev`; `?epoch=&seq=` goes on where a connection broke off.",
            "parameters": {"site": site},
            "messages": _messages(live_names),
            "bindings": {"ws": {"method": "GET", "query": _live_query()}},
        },
        LEASED: {
            "address": "/v1/sites/{site}/subscriptions/{name}/lease",
            "title": "Facts of a durable subscription",
            "description": "Facts that fit the subscription's filter, at least once and in order within each session: "
            "the `event` of each of an answer's `deliveries`.",
            "parameters": {"site": site, "name": {"description": "The subscription's name."}},
            "messages": facts,
            "bindings": {"http": {"bindingVersion": "0.3.0"}},
        },
        WEBHOOK: {
            "address": None,
            "title": "Facts sent to an address",
            "description": "A POST for each fact to the address that a webhook names, signed as Standard Webhooks says: "
            "`webhook-id`, `webhook-timestamp`, `webhook-signature`. Only a 2xx answer acknowledges it.",
            "messages": facts,
        },
        KAFKA_FACTS: {
            "address": facts_topic,
            "title": "Facts in a broker",
            "description": "Every fact, where a broker is set up; the key is the site's name: its facts keep their order.",
            "messages": facts,
            "bindings": {"kafka": {"topic": facts_topic, "bindingVersion": "0.5.0"}},
        },
        KAFKA_OBSERVATIONS: {
            "address": topic,
            "title": "Observations in a broker",
            "description": "What sensors saw, before it is folded; the key is the site's name.",
            "messages": _messages([RECORD]),
            "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
        },
        SENT: {
            "address": "/v1/sites/{site}/observations",
            "title": "Observations from outside",
            "description": "What sensors and other systems saw, by POST: one a line, or an array.",
            "parameters": {"site": site},
            "messages": sent,
        },
    }


def _live_query() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "epoch": {"type": "string", "description": "Of the last message that was taken."},
            "seq": {"type": "string", "pattern": "^[0-9]{1,18}$", "description": "Of the last message that was taken."},
        },
    }


def _messages(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations(live_names: list[str]) -> dict[str, Any]:
    facts = tuple(FACT_TYPES)
    return {
        "watch": _operation("send", LIVE, live_names, "The service sends what changes to whoever watches."),
        "lease": _operation("send", LEASED, facts, "The service gives facts to whoever leases them."),
        "callWebhook": _operation("send", WEBHOOK, facts, "The service sends facts to an address."),
        "publishFacts": _operation("send", KAFKA_FACTS, facts, "The service puts facts into the broker."),
        "readObservations": _operation("receive", KAFKA_OBSERVATIONS, [RECORD], "The service folds what is in the broker."),
        "takeObservations": _operation(
            "receive",
            SENT,
            [one for one in OBSERVATION_TYPES if one not in NOT_FROM_OUTSIDE],
            "The service takes observations.",
        ),
    }


def _operation(action: str, channel: str, names: Iterable[str], about: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": about,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }
