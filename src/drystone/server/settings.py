# SPDX-License-Identifier: Apache-2.0
"""Settings of the server: flags, environment and a TOML file become typed values. Read only here.

A flag wins over the environment, that over the file, that over the default. A key that does not
exist and a value that does not fit stop the start: a setting with a typing error in it must not
be taken for a default. docs/reference/settings.md holds the table of ``describe_settings``.
"""

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import platformdirs

from drystone.core import limits
from drystone.core.errors import Misconfigured

ENVIRONMENT_PREFIX: Final = "DRYSTONE_SERVER_"
CONFIG_VARIABLE: Final = "DRYSTONE_SERVER_CONFIG"
FILE_NAME: Final = "drystone.toml"

_CLOUDS: Final = ("AWS_", "AZURE_", "GOOGLE_")


class BadSetting(Misconfigured):
    """A setting has a value that does not fit, or there is no such setting."""

    code = "bad-setting"


class UnreadableSettings(Misconfigured):
    """The settings file is missing, may not be read, or is not TOML."""

    code = "unreadable-settings"


def _setting(default: Any, text: str, **bounds: Any) -> Any:
    """Returns a dataclass field with what is needed to check and to document it."""
    return field(default=default, metadata={"text": text, **bounds})


def _default_data_dir() -> Path:
    return platformdirs.user_data_path("drystone-server", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """All that an operator can choose. Immutable; made by ``load_settings`` or, in tests, here."""

    data_dir: Path = field(
        default_factory=_default_data_dir,
        metadata={
            "text": "Folder of everything the server keeps; made, for its owner only, if missing.",
            "shown": "`drystone-server` in the user's folder for application data",
        },
    )
    database: str = _setting(
        "sqlite",
        "Where accounts, trees and the block index are kept: `sqlite`, a file in the data"
        " directory, or the URL of a PostgreSQL (`postgresql://user:password@host/database`).",
        starts=("sqlite", "postgresql://", "postgres://"),
        is_private=True,
        shown_values="`sqlite` or a URL",
    )
    database_replica: str = _setting(
        "none",
        "A hot standby of the PostgreSQL, from which listings, histories and pages of changes are"
        " read as long as it keeps up: `none`, or its URL.",
        starts=("none", "postgresql://", "postgres://"),
        is_private=True,
        shown_values="`none` or a URL",
    )
    database_writes: int = _setting(
        4,
        "Transactions that each process writes side by side on a PostgreSQL, each in a namespace"
        " of its own.",
        least=1,
        most=64,
    )
    objects: str = _setting(
        "files",
        "Where packs are kept: `files`, in the data directory; a folder elsewhere"
        " (`file:///srv/packs`); or the address of a place in an object store"
        " (`s3://bucket/folder`, `az://container/folder`, `gs://bucket/folder`).",
        starts=("files", "file://", "s3://", "az://", "gs://"),
        is_private=True,
        shown_values="`files` or an address",
    )
    transfer: str = _setting(
        "auto",
        "How blocks travel between devices and `objects`: `relay`: through the server; `direct`:"
        " large ones straight to the store and from it, by signed requests, and the server does not"
        " start if it cannot sign; `auto`: `direct` where it can.",
        choices=("auto", "relay", "direct"),
    )
    master_key: str = _setting(
        "file",
        "Where the master key is, with which packs in the data directory are encrypted: `file`,"
        " in the data directory, made at the first start; `file:PATH`; `env:NAME`, a variable;"
        " `command:PROGRAM ARGUMENTS`, which prints it; or `none`: packs are not encrypted.",
        starts=("file", "env:", "command:", "none"),
        is_private=True,
        shown_values="`file`, `file:PATH`, `env:NAME`, `command:…` or `none`",
    )
    bell: str = _setting(
        "local",
        "How workers tell each other that something was committed: `local`, where there is one"
        " machine, or the address of a Valkey or Redis (`valkey://:password@host:6379/0`,"
        " `valkeys://` with TLS) or of a NATS (`nats://user:password@host:4222`, `tls://`).",
        starts=("local", "valkey://", "valkeys://", "redis://", "rediss://", "nats://", "tls://"),
        is_private=True,
        shown_values="`local` or an address",
    )
    cache: str = _setting(
        "none",
        "Where listings are kept that were read from the database, for whoever asks again: `none`,"
        " or the address of a Valkey or Redis, as of `bell`; nobody else may get into it.",
        starts=("none", "valkey://", "valkeys://", "redis://", "rediss://"),
        is_private=True,
        shown_values="`none` or an address",
    )
    outlet: str = _setting(
        "none",
        "Where journals are published for other systems: `none`, or the address of a NATS with"
        " JetStream (`nats://user:password@host:4222?subject=drystone`).",
        starts=("none", "nats://", "tls://"),
        is_private=True,
        shown_values="`none` or an address",
    )
    host: str = _setting("127.0.0.1", "Address to listen on. Others than loopback want TLS.")
    port: int = _setting(8440, "TCP port to listen on; 0 takes any free one.", least=0, most=65535)
    tls_certificate: Path | None = _setting(  # noqa: RUF009  it returns a field
        None, "PEM file with the certificate and its chain; together with `tls_key`."
    )
    tls_key: Path | None = _setting(  # noqa: RUF009  it returns a field
        None, "PEM file with the certificate's private key."
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (), "Addresses of reverse proxies whose `X-Forwarded-For` tells the caller's address."
    )
    log_format: str = _setting(
        "auto",
        "How logs look; `auto`: text on a terminal, else JSON.",
        choices=("auto", "text", "json"),
    )
    log_level: str = _setting(
        "info",
        "The least important line that is logged.",
        choices=("debug", "info", "warning", "error"),
    )
    metrics: str = _setting(
        "none",
        "Address and port at which `/metrics` is told to Prometheus, for instance"
        " `127.0.0.1:9464`; `none`: nowhere. Whoever reaches it can read it.",
        pattern=re.compile(r"none|(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}"),
        shown_values="`none` or HOST:PORT",
    )
    tracing: str = _setting(
        "none",
        "Address of an OpenTelemetry collector that takes traces by OTLP over HTTP, for instance"
        " `http://127.0.0.1:4318`; `none`: no traces.",
        starts=("none", "http://", "https://"),
        is_private=True,
        shown_values="`none` or a URL",
    )
    workers: int = _setting(
        1,
        "Processes that answer requests, behind one address. More than one make use of more than"
        " one processor; each has its own threads, and connections to a database.",
        least=1,
        most=64,
    )
    read_threads: int = _setting(
        4, "Threads of each worker that read the database.", least=1, most=64
    )
    stop_grace_s: float = _setting(
        30.0,
        "Seconds that requests in flight get to end when the server is told to stop.",
        least=0,
        most=3600,
    )
    password_memory_kib: int = _setting(
        19 * 1024, "Memory of one password hash (argon2id), in KiB.", least=1024, most=4 << 20
    )
    password_rounds: int = _setting(2, "Rounds of one password hash (argon2id).", least=1, most=100)

    journal_lag_s: float = _setting(
        300.0,
        "Seconds after which what was committed stands beside the packs, too, from where a lost"
        " database can be rebuilt; 0: nothing is written there.",
        least=0,
        most=86_400,
    )

    brake_entries: int = _setting(
        limits.BRAKE_ENTRIES_MIN,
        "Entries that one device may delete or overwrite within `brake_window_s` before the server"
        " asks, if they are more than `brake_percent` of all; 0 turns this off.",
        least=0,
        most=1_000_000_000,
    )
    brake_percent: int = _setting(
        limits.BRAKE_PERCENT_MIN,
        "Share of all entries, in percent, above which `brake_entries` counts.",
        least=1,
        most=100,
    )

    brake_window_s: float = _setting(
        float(limits.BRAKE_WINDOW_S),
        "Seconds over which that is summed up; what is younger does not count.",
        least=1,
        most=86_400,
    )

    keep_history_days: int = _setting(
        0,
        "Days for which what was deleted or replaced can be restored; 0: for ever.",
        least=0,
        most=36_500,
    )
    collect_every_h: float = _setting(
        24.0,
        "Hours between two runs that collect what nothing refers to any more; 0: only when"
        " `drystone admin collect` is called.",
        least=0,
        most=8_760,
    )
    collect_age_h: float = _setting(
        limits.COLLECT_AGE_S / 3600,
        "Hours for which what nothing refers to is kept after that was found out; less than 48 is"
        " for emergencies.",
        least=0,
        most=87_600,
    )
    scrub_bytes_per_s: float = _setting(
        float(4 * limits.MIB),
        "Bytes of packs that are read and verified in a second, in the background, each pack about"
        " once a month; 0: only when `drystone admin scrub` is called.",
        least=0,
        most=100_000_000_000,
    )
    quarantine_days: float = _setting(
        limits.QUARANTINE_S / 86_400,
        "Days for which collected packs stay on the disk, out of use, before they are removed.",
        least=1,
        most=3_650,
    )

    def __post_init__(self) -> None:
        if self.database_replica != "none" and self.database == "sqlite":
            raise BadSetting(
                "database_replica is set, and the database is SQLite, which has none",
                advice="Set database to the PostgreSQL whose replica it is, or leave it out.",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadSetting(
                "only one of tls_certificate and tls_key is set",
                advice="Set both to serve TLS, or none.",
            )

    @property
    def is_embedded(self) -> bool:
        """True if the metadata are a file in the data directory."""
        return self.database == "sqlite"

    @property
    def has_tls(self) -> bool:
        """True if the server itself speaks TLS."""
        return self.tls_certificate is not None


class SettingLine(NamedTuple):
    """One setting, as documented."""

    key: str
    environment: str
    values: str
    default: str
    text: str


def load_settings(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ServerSettings:
    """Returns the settings in force.

    Args:
        flags: From the command line, by the settings' names; None values count as not given.
            ``config`` names the file, instead of ``drystone.toml`` in the data directory.
        environment: ``os.environ`` if None. ``DRYSTONE_SERVER_PORT`` sets ``port``, and so on.

    Raises:
        BadSetting: There is no such setting, or the value does not fit. Names the source.
        UnreadableSettings: The file that was named is not there, or a file is not TOML.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    variables = os.environ if environment is None else environment  # noqa: TID251  only here
    surroundings = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in variables.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    named_file = given.pop("config", None) or surroundings.pop("config", None)
    outer = {
        **_check_all(surroundings, f"the environment ({ENVIRONMENT_PREFIX}…)"),
        **_check_all(given, "the command line"),
    }
    if named_file is not None:
        path = Path(str(named_file)).expanduser()
        return ServerSettings(**{**_read_file(path), **outer})
    data_dir = outer.get("data_dir") or _default_data_dir()
    path = data_dir / FILE_NAME
    inner = _read_file(path, may_lack=True)
    if "data_dir" in inner:
        raise BadSetting(
            f"{path} sets data_dir, but it is read because it lies in the data directory",
            advice="Remove the line, or name the file with --config.",
        )
    return ServerSettings(**{**inner, **outer})


def find_variable(name: str) -> str | None:
    """Returns a variable of the environment that a setting names; None if it is not set."""
    return os.environ.get(name)  # noqa: TID251  only here


def read_cloud_environment() -> dict[str, str]:
    """Returns the clouds' own variables, with the credentials that their tools use too.

    They are no settings of ours: their names and meanings are the clouds'. Never shown.
    """
    variables = os.environ  # noqa: TID251  only here
    return {name: value for name, value in variables.items() if name.startswith(_CLOUDS)}


def check_settings(values: Mapping[str, object]) -> None:
    """Raises ``BadSetting`` if one of these, from the command line, does not fit."""
    _check_all(values, "the command line")


def describe_settings() -> list[SettingLine]:
    """Returns every setting, for docs/reference/settings.md."""
    return [
        SettingLine(
            item.name,
            ENVIRONMENT_PREFIX + item.name.upper(),
            _describe_values(item),
            item.metadata.get("shown") or _show_default(item.default),
            item.metadata["text"],
        )
        for item in dataclasses.fields(ServerSettings)
    ]


def _read_file(path: Path, *, may_lack: bool = False) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        if may_lack and isinstance(error, FileNotFoundError | NotADirectoryError):
            return {}
        raise UnreadableSettings(
            f"the settings file {path} cannot be read: {error.strerror}",
            advice="Check its name and who may read it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableSettings(
            f"the settings file {path} is not TOML: {error}", advice="Correct that place."
        ) from error
    return _check_all(values, str(path))


def _check_all(values: Mapping[str, object], source: str) -> dict[str, Any]:
    """Returns the values in their types.

    Raises:
        BadSetting: Names the key, the source, and what would fit.
    """
    fields = {item.name: item for item in dataclasses.fields(ServerSettings)}
    checked = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            raise BadSetting(
                f"{source}: there is no setting {key!r}",
                advice=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(fields)}.",
            )
        try:
            checked[key] = _check(fields[key], value)
        except ValueError as error:
            # Nothing is shown of what may hold a secret: an address, or a key in its place's stead.
            is_private = fields[key].metadata.get("is_private")
            shown = "has a value" if is_private else f"is {value!r}"
            raise BadSetting(
                f"{source}: {key} {shown}, which does not fit",
                advice=f"It takes {_article_of(fields[key])}{_describe_values(fields[key])}.",
            ) from error
    return checked


def _check(item: "dataclasses.Field[Any]", value: object) -> Any:
    """Returns one value in its type; raises ``ValueError`` if it does not fit."""
    if item.type in (Path, Path | None):
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError(value)
        return Path(value).expanduser().absolute()
    if item.type == tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ValueError(value)
        return tuple(name.strip() for name in names if name.strip())
    if item.type is str:
        if not isinstance(value, str) or not value:
            raise ValueError(value)
        if value not in item.metadata.get("choices", (value,)):
            raise ValueError(value)
        pattern: re.Pattern[str] | None = item.metadata.get("pattern")
        if pattern is not None and not pattern.fullmatch(value):
            raise ValueError(value)
        if not value.startswith(item.metadata.get("starts", "")):
            raise ValueError(value)
        return value
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004  one kind of error for all that does not fit
    number = int(str(value)) if item.type is int else float(str(value))
    if not item.metadata["least"] <= number <= item.metadata["most"]:
        raise ValueError(value)
    return number


def _article_of(item: "dataclasses.Field[Any]") -> str:
    return "" if {"shown_values", "choices"} & item.metadata.keys() else "a "


def _describe_values(item: "dataclasses.Field[Any]") -> str:
    if "shown_values" in item.metadata:
        return str(item.metadata["shown_values"])
    if "choices" in item.metadata:
        return " or ".join(f"`{choice}`" for choice in item.metadata["choices"])
    if "least" in item.metadata:
        kind = "whole number" if item.type is int else "number"
        least, most = item.metadata["least"], item.metadata["most"]
        return f"{kind} from {least:,} to {most:,}"
    if item.type == tuple[str, ...]:
        return "list of texts (in the environment: with commas)"
    return "path" if item.type in (Path, Path | None) else "text"


def _show_default(value: object) -> str:
    return "none" if value in (None, ()) else f"`{value}`"
