"""Settings: what is read, what is refused, and that no secret is ever shown."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courtyard.errors import WRONG_USAGE, UsageError
from courtyard.settings import (
    SECRETS,
    format_duration,
    kept_secret,
    load_settings,
    parse_duration,
    role_mapping,
    secret_key,
)


def test_nothing_set_gives_the_embedded_parts() -> None:
    settings = load_settings({"PATH": "/bin"})
    assert settings.broker_url.get_secret_value() == ""
    assert settings.database == "sqlite:///data/courtyard.db"
    assert settings.is_database_embedded
    assert settings.influxdb_url == ""
    assert settings.api_port == 8000
    assert settings.journal_retention == timedelta(hours=24)


def test_readings_are_kept_as_long_as_their_store_can() -> None:
    influxdb = {
        "COURTYARD_INFLUXDB_URL": "http://host:8086",
        "COURTYARD_INFLUXDB_TOKEN": "t",
        "COURTYARD_INFLUXDB_ORG": "o",
        "COURTYARD_INFLUXDB_BUCKET": "b",
    }
    assert load_settings({}).readings_kept == timedelta(days=30)
    assert load_settings(influxdb).readings_kept == timedelta(days=400)
    set_ = {"COURTYARD_TELEMETRY_RETENTION": "4d", "COURTYARD_INFLUXDB_SET_RETENTION": "true"}
    settings = load_settings(influxdb | set_)
    assert settings.readings_kept == timedelta(days=4)
    assert settings.influxdb_set_retention is True


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "courtyard.toml"
    file.write_text('api_port = 8100\napi_host = "0.0.0.0"\njournal_retention = "2h"\n')
    settings = load_settings({"COURTYARD_CONFIG": str(file), "COURTYARD_API_PORT": "8200"})
    assert (settings.api_port, settings.api_host) == (8200, "0.0.0.0")
    assert settings.journal_retention == timedelta(hours=2)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"COURTYARD_API_PORT": "eighty"}, "COURTYARD_API_PORT: "),
        ({"COURTYARD_API_PORT": "65536"}, "COURTYARD_API_PORT: "),
        ({"COURTYARD_JOURNAL_RETENTION": "a day"}, "COURTYARD_JOURNAL_RETENTION: "),
        ({"COURTYARD_JOURNAL_RETENTION": "0s"}, "COURTYARD_JOURNAL_RETENTION: "),
        ({"COURTYARD_TELEMETRY_RETENTION": "3d"}, "COURTYARD_TELEMETRY_RETENTION: is less than 4d"),
        ({"COURTYARD_TELEMETRY_RETENTION": "long"}, "COURTYARD_TELEMETRY_RETENTION: "),
        (
            {"COURTYARD_INFLUXDB_SET_RETENTION": "true"},
            "COURTYARD_INFLUXDB_SET_RETENTION: there is",
        ),
        ({"COURTYARD_JOURNAL_URL": "kafka://host:9092/topic"}, "COURTYARD_JOURNAL_URL: "),
        ({"COURTYARD_BROKER_URL": "tcp://host:1883"}, "COURTYARD_BROKER_URL: "),
        ({"COURTYARD_BROKER_URL": "mqtt://host:port"}, "COURTYARD_BROKER_URL: "),
        ({"COURTYARD_BROKER_URL": "mqtt://host/topic"}, "COURTYARD_BROKER_URL: "),
        ({"COURTYARD_DATABASE_URL": "courtyard.db"}, "COURTYARD_DATABASE_URL: "),
        ({"COURTYARD_DATABASE_URL": "mysql://host/courtyard"}, "COURTYARD_DATABASE_URL: "),
        ({"COURTYARD_INFLUXDB_URL": "host:8086"}, "COURTYARD_INFLUXDB_URL: "),
        ({"COURTYARD_INFLUXDB_URL": "http://host:8086"}, "COURTYARD_INFLUXDB_TOKEN: "),
        ({"COURTYARD_LOG": "xml"}, "COURTYARD_LOG: "),
        ({"COURTYARD_SECRET_KEY": "too short"}, "COURTYARD_SECRET_KEY: "),
        ({"COURTYARD_BROKR_URL": "mqtt://host"}, "COURTYARD_BROKR_URL: there is no such setting"),
        ({"COURTYARD_API_PORT_FILE": "/x"}, "COURTYARD_API_PORT_FILE: there is no such setting"),
        ({"COURTYARD_SECRET_KEY_FILE": "/does/not/exist"}, "COURTYARD_SECRET_KEY_FILE: "),
        ({"COURTYARD_CONFIG": "/does/not/exist"}, "COURTYARD_CONFIG: "),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(environ: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(environ)
    text = str(caught.value)
    assert text.startswith(says)
    assert "\n" not in text
    assert caught.value.exit_code == WRONG_USAGE


def test_a_wrong_key_in_the_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "courtyard.toml"
    file.write_text("api_prt = 8100\n")
    with pytest.raises(UsageError, match=f"api_prt in {file}: there is no such setting"):
        load_settings({"COURTYARD_CONFIG": str(file)})
    file.write_text("api_port = \n")
    with pytest.raises(UsageError, match="is not TOML"):
        load_settings({"COURTYARD_CONFIG": str(file)})


def test_an_empty_variable_means_not_set() -> None:
    assert load_settings({"COURTYARD_API_PORT": "", "COURTYARD_LOG": ""}).api_port == 8000


def test_the_test_suites_own_variables_are_none_of_ours() -> None:
    load_settings({"COURTYARD_TEST_INFLUXDB_URL": "http://127.0.0.1:8086"})
    load_settings({"COURTYARD_FAILPOINTS": "R6:kill"})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a key out of a file\n")
    settings = load_settings({"COURTYARD_SECRET_KEY_FILE": str(file)})
    assert settings.secret_key.get_secret_value() == "a key out of a file"
    with pytest.raises(UsageError, match="both set"):
        load_settings({"COURTYARD_SECRET_KEY_FILE": str(file), "COURTYARD_SECRET_KEY": "other"})


def test_no_secret_is_printed() -> None:
    settings = load_settings(
        {
            "COURTYARD_BROKER_URL": "mqtt://ingest:hunter2@host",
            "COURTYARD_DATABASE_URL": "postgresql+psycopg://u:hunter2@host/courtyard",
            "COURTYARD_INFLUXDB_URL": "http://host:8086",
            "COURTYARD_INFLUXDB_TOKEN": "hunter2",
            "COURTYARD_INFLUXDB_ORG": "erqi",
            "COURTYARD_INFLUXDB_BUCKET": "courtyard",
            "COURTYARD_SECRET_KEY": "hunter2hunter2hunter2",
            "COURTYARD_SMTP_URL": "smtp://u:hunter2@host:587",
        }
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert set(SECRETS) == {
        "broker_url",
        "database_url",
        "influxdb_token",
        "secret_key",
        "smtp_url",
        "oidc_client_secret",
    }


def test_no_secret_is_in_an_error() -> None:
    for name in SECRETS:
        with pytest.raises(UsageError) as caught:
            load_settings({f"COURTYARD_{name.upper()}": "hunter2", "COURTYARD_API_PORT": "no"})
        assert "hunter2" not in str(caught.value)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path / "new")})
    key = secret_key(settings)
    assert len(key) == 64
    assert secret_key(settings) == key
    (file,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_given_key_is_not_written_down(tmp_path: Path) -> None:
    given = {"COURTYARD_DATA_DIR": str(tmp_path), "COURTYARD_SECRET_KEY": "a key that was given"}
    assert secret_key(load_settings(given)) == b"a key that was given"
    assert list(tmp_path.iterdir()) == []


def test_two_kept_secrets_differ(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "a") != kept_secret(tmp_path / "b")


@given(st.integers(0, 10**12))
def test_a_duration_prints_back_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


A_PROVIDER = {
    "COURTYARD_OIDC_ISSUER": "https://id.example.org/realms/district/",
    "COURTYARD_OIDC_CLIENT_ID": "courtyard",
    "COURTYARD_PUBLIC_URL": "https://courtyard.example.org",
}


class TestLoginProviders:
    def test_an_issuer_stays_as_it_is_to_the_letter(self) -> None:
        settings = load_settings(A_PROVIDER)
        assert settings.oidc_issuer.endswith("/district/")
        assert settings.oidc_roles == "", "nobody is made a user"

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"COURTYARD_OIDC_ISSUER": "http://id.example.org"}, "OIDC_ISSUER"),
            ({"COURTYARD_OIDC_ISSUER": "https://id.example.org?x=1"}, "OIDC_ISSUER"),
            ({"COURTYARD_OIDC_ISSUER": "https://me@id.example.org"}, "OIDC_ISSUER"),
            ({"COURTYARD_OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
            ({"COURTYARD_PUBLIC_URL": ""}, "PUBLIC_URL"),
            ({"COURTYARD_OIDC_SCOPES": "profile"}, "OIDC_SCOPES"),
            ({"COURTYARD_OIDC_USER_CLAIM": "email"}, "OIDC_EMAIL_DOMAIN"),
            ({"COURTYARD_OIDC_EMAIL_DOMAIN": "example.org"}, "OIDC_EMAIL_DOMAIN"),
            ({"COURTYARD_OIDC_ROLES": "duty=operator"}, "OIDC_ROLE"),
            ({"COURTYARD_OIDC_ROLE_CLAIM": "groups"}, "OIDC_ROLE"),
            ({"COURTYARD_OIDC_ROLES": "duty=king"}, "OIDC_ROLES"),
            ({"COURTYARD_OIDC_ROLES": "staff=firm"}, "OIDC_ROLES"),
            ({"COURTYARD_OIDC_ROLES": "duty=operator:yaxin"}, "OIDC_ROLES"),
            ({"COURTYARD_OIDC_ROLES": "operator"}, "OIDC_ROLES"),
        ],
    )
    def test_half_a_provider_is_none(self, wrong: dict[str, str], named: str) -> None:
        with pytest.raises(UsageError, match=f"COURTYARD_{named}"):
            load_settings(A_PROVIDER | wrong)

    def test_roles_are_read_in_their_order(self) -> None:
        mapping = role_mapping("a=b=operator, staff=firm:yaxin,look=viewer,look=operator,")
        assert list(mapping.items()) == [
            ("a=b", ("operator", None)),
            ("staff", ("firm", "yaxin")),
            ("look", ("viewer", None)),
        ]
