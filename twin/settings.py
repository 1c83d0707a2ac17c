"""Process settings: one frozen class, read from environment variables that begin with ``TWIN_``.

``TWIN_PORT=9000`` sets ``port``. Lists are separated by the operating system's path separator (``:``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from twin.errors import SettingsError

PREFIX = "TWIN_"

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
        host: address to listen on; only loopback ones until access control exists.
        port: TCP port; 0 takes a free one.
        crop_quota_bytes: encrypted crops kept per site; the oldest go first.
        crop_limit_bytes: largest crop accepted.
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
        log_level: DEBUG, INFO, WARNING or ERROR.
    """

    data_dir: Path = Path("twin-data")
    database_url: str | None = None
    site_dirs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: _Port = 8600
    crop_quota_bytes: _Positive = 2_000_000_000
    crop_limit_bytes: _Positive = 4_000_000
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
    webhook_allow: str | None = None
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @property
    def log_location(self) -> str | Path:
        """What ``SqlLog.open`` takes."""
        return self.database_url or self.data_dir / "log.db"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read settings from variables; the others keep their defaults.

        Raises:
            SettingsError: a ``TWIN_`` variable that is not a setting, or a value out of its range; names all such.
        """
        given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
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
