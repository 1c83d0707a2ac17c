"""Process settings: one frozen class, read from environment variables that begin with ``TWIN_``.

``TWIN_PORT=9000`` sets ``port``. Lists are separated by the operating system's path separator (``:``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from twin.errors import SettingsError
from twin.structured_logging import LogFormat

PREFIX = "TWIN_"
SECRETS = frozenset({"qdrant_api_key"})

_WITHIN = re.compile(r"(://[^/:@]*:)[^@/]*@")  # a password in an address
CLIENT_KEY = "TWIN_API_KEY"
"""What programs that ask a service find their key in; the service itself has no use for it."""

_Positive = Annotated[int, Meta(ge=1)]
_PositiveSeconds = Annotated[float, Meta(gt=0, le=3600)]
_Days = Annotated[float, Meta(gt=0, le=36_500)]
_Port = Annotated[int, Meta(ge=0, le=65535)]


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that a process may be told from outside.

    Attributes:
        data_dir: where the log, the keys, the crops and the search index are kept.
        database_url: ``postgresql://USER@HOST/NAME``; None keeps the log in ``data_dir``/log.db.
        site_dirs: folders of the sites to serve, each with a site.toml.
        host: address to listen on; others than loopback need ``access`` to be ``keys``.
        port: TCP port; 0 takes a free one.
        hosts: names and addresses, separated by commas, that the service may be asked for by, beside those of loopback and
            ``host``; ``*``: any; None: any where keys are asked for, else none.
        crop_quota_bytes: encrypted crops kept per site; the oldest go first.
        crop_limit_bytes: largest crop accepted.
        past_cache_bytes: memory for unpacked strips of the past, of all sites together; see time-travel.md.
        queued_events: observations that may wait for the log's writer before ingest answers 503.
        fold_batch: most observations in one transaction of the fold.
        snapshot_every: observations between two snapshots of the fold.
        tick_interval_s: seconds between two clock ticks of the fusion worker.
        keep_observations_days: days after which observations are cut, at a saved state of the fold; None keeps them.
        keep_movement_days: the same for facts about movement; all others are kept for good.
        retention_every_s: seconds between two looks at what is older.
        kafka_brokers: ``HOST:PORT``, several separated by commas: observations are kept there, and several processes on one
            PostgreSQL database share the sites out; None keeps observations in the database.
        kafka_topic: the topic of the observations.
        kafka_facts_topic: the topic that facts are published to.
        kafka_partitions: of a topic that is made; one partition's sites are folded in one process.
        kafka_group: the consumer group of the processes that fold.
        qdrant_url: ``http://HOST:6333`` of a Qdrant server or cluster that keeps the search indexes; None keeps them in
            ``data_dir``/search.
        qdrant_api_key: what that server asks for; a secret.
        qdrant_replication: copies of each site's points in the cluster, a majority of which acknowledges a write.
        embedder: the ONNX model that the cameras' crops were embedded with, for picture search; None is whichever of the
            built-in colour descriptor and the packaged model fits the views.
        webhook_allow: receivers of webhooks that are not public, or not behind TLS, separated by commas: HOST, HOST:PORT, or a
            range of addresses such as 10.0.0.0/8; None: webhooks reach public addresses over https alone.
        access: ``keys``: nobody is let in without one; ``open`` or None: everybody on this machine is, and nobody else.
        session_hours: after which a browser has to log in again.
        trusted_proxies: addresses or ranges, separated by commas, or ``*``: whose word is taken for who asks and whether by
            HTTPS.
        reads_per_s: requests that one key may make a second; None: 200 with keys, any number where access is open. The same of:
        searches_per_s: image searches; 20.
        ingest_per_s: requests that send observations, crops, pictures or payments, over 10 s; 1,000.
        ingest_mb_per_s: observations and crops; 64 MB.
        audit_days: days after which is forgotten who searched, decided, and opened plates and pictures.
        log_level: DEBUG, INFO, WARNING or ERROR; what ``twin serve`` and ``twin work`` say on standard error.
        log_format: text, or json: an object a line.
        drain_s: seconds between a signal to stop, from when ``/readyz`` answers 503, and the end of new connections.
    """

    data_dir: Path = Path("twin-data")
    database_url: str | None = None
    site_dirs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: _Port = 8600
    hosts: str | None = None
    crop_quota_bytes: _Positive = 2_000_000_000
    crop_limit_bytes: _Positive = 4_000_000
    past_cache_bytes: Annotated[int, Meta(ge=0)] = 64_000_000
    queued_events: _Positive = 20_000
    fold_batch: _Positive = 500
    snapshot_every: _Positive = 5_000
    tick_interval_s: _PositiveSeconds = 0.1
    keep_observations_days: _Days | None = None
    keep_movement_days: _Days | None = None
    retention_every_s: Annotated[float, Meta(gt=0, le=86_400)] = 3_600.0
    kafka_brokers: Annotated[str, Meta(min_length=3)] | None = None
    kafka_topic: Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]{1,249}$")] = "twin-observations"
    kafka_facts_topic: Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]{1,249}$")] = "twin-facts"
    kafka_partitions: Annotated[int, Meta(ge=1, le=10_000)] = 8
    kafka_group: Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]{1,249}$")] = "twin-fusion"
    qdrant_url: Annotated[str, Meta(pattern="^https?://.+")] | None = None
    qdrant_api_key: str | None = None
    qdrant_replication: Annotated[int, Meta(ge=1, le=100)] = 1
    embedder: Path | None = None
    access: Annotated[str, Meta(pattern="^(open|keys)$")] | None = None
    session_hours: Annotated[float, Meta(gt=0, le=8_760)] = 12.0
    trusted_proxies: str = "127.0.0.1,::1"
    reads_per_s: _Positive | None = None
    searches_per_s: _Positive | None = None
    ingest_per_s: _Positive | None = None
    ingest_mb_per_s: Annotated[int, Meta(ge=2)] | None = None
    audit_days: _Days = 365.0
    webhook_allow: str | None = None
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    log_format: LogFormat = "text"
    drain_s: Annotated[float, Meta(ge=0, le=300)] = 0.0

    @property
    def log_location(self) -> str | Path:
        """What ``SqlLog.open`` takes."""
        return self.database_url or self.data_dir / "log.db"

    def told(self) -> dict[str, Any]:
        """Every setting as JSON has it, for people to read: secrets are left out, also the password within an address."""
        values = msgspec.to_builtins(self, enc_hook=str)
        for name in SECRETS & {name for name, value in values.items() if value is not None}:
            values[name] = "(set)"
        return {name: _WITHIN.sub(r"\1(set)@", value) if isinstance(value, str) else value for name, value in values.items()}

    @property
    def has_keys(self) -> bool:
        """Whether nobody is let in without a key."""
        return self.access == "keys"

    @property
    def access_location(self) -> str | Path:
        """What ``AccessStore.open`` takes: the database that processes share, or a file of its own."""
        url = self.database_url
        return url if url is not None and url.startswith("postgresql") else self.data_dir / "access.db"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read settings from variables; the others keep their defaults.

        Raises:
            SettingsError: a ``TWIN_`` variable that is not a setting, or a value out of its range; names all such.
        """
        given = {name: text for name, text in environ.items() if name.startswith(PREFIX) and name != CLIENT_KEY}
        name_by_variable = {PREFIX + field.upper(): field for field in cls.__struct_fields__}
        faults = [f"{name} is not a setting" for name in given if name not in name_by_variable]
        values: dict[str, Any] = {}
        for variable in sorted(set(given) & set(name_by_variable)):
            try:
                values[name_by_variable[variable]] = _value(name_by_variable[variable], given[variable])
            except msgspec.ValidationError as wrong:
                faults.append(f"{variable}={given[variable]!r}: {wrong}")
        if faults:
            known = ", ".join(sorted(name_by_variable))
            raise SettingsError(f"{'; '.join(sorted(faults))}. Known settings are {known}")
        return cls(**values)


_KIND_BY_NAME = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _value(name: str, text: str) -> Any:
    kind = _KIND_BY_NAME[name]
    value = [one for one in text.split(os.pathsep) if one] if kind == tuple[Path, ...] else text
    return msgspec.convert(value, kind, strict=False, dec_hook=_decode)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value and "\x00" not in value:
        return Path(value)
    raise msgspec.ValidationError(f"Expected `path`, got {value!r}")
