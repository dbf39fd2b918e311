"""Settings: read once, from the environment and an optional TOML file, into frozen values.

Each is `COURTYARD_` and its name in capitals; in the file it has the bare name in small letters.
The environment wins. What may hold a password can also be given as `COURTYARD_…_FILE`, a file with
the value in it. An unknown name is an error: a misspelt setting would be ignored in silence.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from courtyard.errors import UsageError

PREFIX = "COURTYARD_"
CONFIG = f"{PREFIX}CONFIG"
# Set by the test suites for themselves; a part that a test starts inherits them.
FOREIGN_PREFIXES = (f"{PREFIX}TEST_", f"{PREFIX}FAILPOINTS")

SHORTEST_KEY_BYTES = 16
INGEST_METRICS_PORT, ALERTS_METRICS_PORT = 9101, 9102

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse_duration(raw: object) -> timedelta:
    """`"24h"`, `"90s"`, `"200ms"`; raises ValueError."""
    if isinstance(raw, timedelta):
        return raw
    match = _DURATION.fullmatch(str(raw).strip())
    if match is None:
        raise ValueError(f"{raw!r} is not a duration like 24h, 10m, 90s or 200ms")
    number, unit = match.groups()
    return timedelta(milliseconds=float(number) * _UNITS_MS[unit])


def format_duration(value: timedelta) -> str:
    """The shortest form that `parse_duration` reads back."""
    left_ms = round(value / timedelta(milliseconds=1))
    unit, size_ms = next(
        (unit, size_ms)
        for unit, size_ms in reversed(_UNITS_MS.items())
        if left_ms % size_ms == 0 and (left_ms or unit == "s")
    )
    return f"{left_ms // size_ms}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    Field(gt=timedelta(0)),
]
Port = Annotated[int, Field(ge=1, le=65535)]


def _broker_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        return value
    url = urlsplit(text)
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ValueError("is not like mqtt://user:password@host:1883 or mqtts://host:8883")
    if url.path not in ("", "/") or url.query:
        raise ValueError("has something after host and port; mqtt://host:1883 is all there is")
    _ = url.port  # raises ValueError for one that is no port
    return value


def _database_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        return value
    from sqlalchemy.engine import make_url  # takes longer to import than all of this
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value.get_secret_value())
    except ArgumentError:
        raise ValueError(
            "is not a database URL like postgresql+psycopg://user:password@host/courtyard"
        ) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError(f"names {url.get_backend_name()}; SQLite and PostgreSQL are known")
    return value


def _secret_key(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value().encode()) < SHORTEST_KEY_BYTES:
        raise ValueError(f"is shorter than {SHORTEST_KEY_BYTES} bytes and could be guessed")
    return value


def _journal_url(value: str) -> str:
    if value:
        raise ValueError("must be empty: this version keeps its journal in the data directory")
    return value


def _web_url(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme not in ("http", "https") or not url.hostname):
        raise ValueError("is not like http://host:8086")
    return value.rstrip("/")


def _public_url(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme not in ("http", "https") or not url.hostname or url.query):
        raise ValueError("is not like https://courtyard.example.org")
    return value.rstrip("/")


def _issuer(value: str) -> str:
    """As it stands in the provider's tokens, to the letter: nothing is taken off."""
    url = urlsplit(value)
    is_here = url.hostname in ("localhost", "127.0.0.1", "::1")
    if value and (
        not (url.scheme == "https" or (url.scheme == "http" and is_here))
        or not url.hostname
        or url.query
        or url.fragment
        or url.username is not None
    ):
        raise ValueError("is not like https://id.example.org/realms/district (http on loopback)")
    return value


def role_mapping(text: str) -> dict[str, tuple[str, str | None]]:
    """`"duty=operator, yaxin-staff=firm:yaxin"`: role and firm by what a claim has, in order.

    Raises ValueError.
    """
    mapping: dict[str, tuple[str, str | None]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        value, _, meant = (part.strip() for part in entry.rpartition("="))
        role, _, firm = meant.partition(":")
        if (
            not value
            or role not in ("operator", "firm", "viewer")
            or (role == "firm") != bool(firm)
        ):
            raise ValueError(
                f"{entry!r} is not like duty=operator, staff=firm:yaxin or inspection=viewer"
            )
        mapping.setdefault(value, (role, firm or None))
    return mapping


def _roles(value: str) -> str:
    role_mapping(value)
    return value


def _allowed(value: str) -> str:
    from alerts.outgoing import parse_allowed  # only where it is set

    if value:
        parse_allowed(value)
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        from alerts.channels.email import parse_smtp

        parse_smtp(value.get_secret_value())
    return value


# A day, the 48 h until it is final, and one more for the readings before it.
LEAST_TELEMETRY_RETENTION = timedelta(days=4)


def _telemetry_retention(value: timedelta) -> timedelta:
    if value < LEAST_TELEMETRY_RETENTION:
        raise ValueError(
            f"is less than {format_duration(LEAST_TELEMETRY_RETENTION)}: usage is provisional for"
            " 48 h after its day, and until then it may be worked out again from its readings"
        )
    return value


class Settings(BaseSettings):
    """All settings. Secrets do not show when it is printed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(Path("data"), description="where the embedded stores and keys are kept")
    broker_url: Annotated[SecretStr, AfterValidator(_broker_url)] = Field(
        SecretStr(""), description="mqtt://user:password@host:1883, mqtts://…; empty: embedded"
    )
    broker_ca: Path | None = Field(
        None, description="certificate authority of an mqtts:// broker; empty: the system's"
    )
    broker_mqtt: Literal["auto", "5", "3.1.1"] = Field(
        "auto", description="version of MQTT; auto: 5, and 3.1.1 where the broker knows no 5"
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = Field(
        SecretStr(""), description="SQLAlchemy URL; empty: SQLite in the data directory"
    )
    journal_url: Annotated[str, AfterValidator(_journal_url)] = Field(
        "", description="empty: SQLite in the data directory"
    )
    influxdb_url: Annotated[str, AfterValidator(_web_url)] = Field(
        "", description="InfluxDB 2; empty: embedded telemetry store"
    )
    influxdb_token: SecretStr = Field(SecretStr(""), description="may read and write the bucket")
    influxdb_org: str = Field("", description="organisation")
    influxdb_bucket: str = Field("", description="bucket")
    telemetry_retention: Annotated[Duration, AfterValidator(_telemetry_retention)] | None = Field(
        None,
        description="how long readings are kept; empty: 400d, in the embedded store 30d",
    )
    influxdb_set_retention: bool = Field(
        False, description="true: give the bucket the rule of telemetry_retention at the start"
    )
    api_host: str = Field("127.0.0.1", min_length=1, description="address that the API listens on")
    api_port: Port = Field(8000, description="port of API and console; of the demo too")
    metrics_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address that /metrics of ingest and alerts listens on",
    )
    metrics_port: Port | None = Field(
        None, description="port of /metrics; empty: 9101 for ingest, 9102 for alerts"
    )
    secret_key: Annotated[SecretStr, AfterValidator(_secret_key)] = Field(
        SecretStr(""), description="keyed hashes; empty: made and kept in the data directory"
    )
    journal_retention: Duration = Field(
        timedelta(hours=24), description="how long the journal keeps what all have read"
    )
    audit_every: Duration = Field(
        timedelta(minutes=1), description="how often journal, accounts and telemetry are compared"
    )
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        "", description="where people reach the console, for links in alerts; empty: no links"
    )
    alerts_allow: Annotated[str, AfterValidator(_allowed)] = Field(
        "", description="private hosts and networks that alerts may be sent to, by http too"
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp_url)] = Field(
        SecretStr(""),
        description="smtp://user:password@host:587?from=address, smtps://…; empty: no e-mail",
    )
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        "", description="OpenID Connect provider to log in with; empty: none"
    )
    oidc_client_id: str = Field("", description="what the provider calls courtyard")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="of that client; empty: a public client"
    )
    oidc_name: str = Field("SSO", max_length=40, description="what the button is called")
    oidc_scopes: str = Field("openid profile", description="what is asked for; with openid")
    oidc_user_claim: str = Field("preferred_username", description="claim that holds the user name")
    oidc_email_domain: str = Field(
        "", description="with oidc_user_claim email: the domain whose names are ours"
    )
    oidc_role_claim: str = Field("", description="claim with groups or roles, like realm.roles")
    oidc_roles: Annotated[str, AfterValidator(_roles)] = Field(
        "", description="duty=operator,staff=firm:yaxin: who is made a user; empty: nobody"
    )
    fonts: Path | None = Field(
        None, description="directory with a Chinese font, for PDF reports; empty: the system's"
    )
    log: Literal["text", "json"] | None = Field(
        None, description="text or json; empty: text on a terminal, else json"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings' own
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` was handed: it alone knows unknown names and `…_FILE`."""
        return (init_settings,)

    @model_validator(mode="after")
    def _influxdb_is_whole(self) -> "Settings":
        if self.influxdb_url:
            for name in ("influxdb_token", "influxdb_org", "influxdb_bucket"):
                value = getattr(self, name)
                if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                    raise ValueError(f"{variable(name)}: must be set when InfluxDB is used")
        if self.influxdb_set_retention and not self.influxdb_url:
            raise ValueError(
                f"{variable('influxdb_set_retention')}: there is no InfluxDB; the embedded store"
                " keeps readings as long as telemetry_retention says without it"
            )
        return self

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> "Settings":
        if not self.oidc_issuer:
            return self
        for name in ("oidc_client_id", "public_url"):
            if not getattr(self, name):
                raise ValueError(f"{variable(name)}: must be set when a login provider is used")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError(f"{variable('oidc_scopes')}: must have openid in it")
        if bool(self.oidc_roles) != bool(self.oidc_role_claim):
            raise ValueError(f"{variable('oidc_roles')}: goes with {variable('oidc_role_claim')}")
        if (self.oidc_user_claim == "email") != bool(self.oidc_email_domain):
            raise ValueError(
                f"{variable('oidc_email_domain')}: goes with {variable('oidc_user_claim')}=email"
            )
        return self

    def metrics_port_or(self, usual: int) -> int:
        """The port of /metrics of a part that has this one unless another is set."""
        return self.metrics_port or usual

    @property
    def database(self) -> str:
        """The database URL to open, with its password."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'courtyard.db'}"

    @property
    def is_database_embedded(self) -> bool:
        return self.database.startswith("sqlite")

    @property
    def readings_kept(self) -> timedelta:
        """How long readings are to be kept."""
        return self.telemetry_retention or timedelta(days=400 if self.influxdb_url else 30)

    @property
    def journal_path(self) -> Path:
        return self.data_dir / "journal.db"

    @property
    def telemetry_path(self) -> Path:
        return self.data_dir / "telemetry.db"


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


SECRETS = tuple(
    name for name, field in Settings.model_fields.items() if field.annotation is SecretStr
)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` and its TOML file give; UsageError names the wrong one."""
    given: dict[str, Any] = {}
    source: dict[str, str] = {}  # name of the setting → what to call it in an error
    if path := environ.get(CONFIG):
        for key, value in _read_toml(path).items():
            name, content = _resolve(key, value, f"{key} in {path}")
            given[name], source[name] = content, f"{key} in {path}"
    from_environment: set[str] = set()
    for key, raw in environ.items():
        if not key.startswith(PREFIX) or key == CONFIG or key.startswith(FOREIGN_PREFIXES):
            continue
        name, content = _resolve(key.removeprefix(PREFIX).lower(), raw, key)
        if name in from_environment:
            raise UsageError(f"{source[name]} and {key} are both set: set one of them")
        from_environment.add(name)
        given[name], source[name] = content, key
    # An empty variable is how compose files and shells say "not set".
    given = {name: value for name, value in given.items() if value != ""}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise UsageError(_first_line(error, source)) from None


def _read_toml(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{CONFIG}: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{CONFIG}: {path} is not TOML: {error}") from None


def _resolve(key: str, raw: object, called: str) -> tuple[str, object]:
    """The setting that `key` means and its value, read from a file for `…_file`."""
    if key in Settings.model_fields:
        return key, raw
    name = key.removesuffix("_file")
    if name not in SECRETS or name == key:
        raise UsageError(f"{called}: there is no such setting; the README lists them")
    if raw == "":
        return name, ""
    try:
        return name, Path(str(raw)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{called}: {raw} cannot be read: {error}") from None


def _first_line(error: ValidationError, source: Mapping[str, str]) -> str:
    """One line for the first thing that is wrong, without the value: it may be a secret."""
    first = error.errors(include_url=False, include_context=False)[0]
    text = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return text
    name = str(first["loc"][0])
    return f"{source.get(name, variable(name))}: {text}"


def secret_key(settings: Settings) -> bytes:
    """The key of this installation: as set, else made once and kept in the data directory."""
    if given := settings.secret_key.get_secret_value():
        return given.encode()
    return kept_secret(settings.data_dir / "secret.key").encode()


def kept_secret(path: Path) -> str:
    """The secret in `path`; made there, readable by the owner alone, if there is none yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written aside and linked: of two processes that start together both read one key.
        fresh = path.with_name(f"{path.name}.{token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text("ascii").strip()
