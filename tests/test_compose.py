"""`docker-compose.yml`, `Dockerfile` and `deploy/` agree with the settings and the command line."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from courtyard.cli import app
from courtyard.settings import Settings, load_settings
from ingest.adapters import ADAPTERS
from tests.brokers import HOST, Mosquitto, free_port, missing

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
A_VALUE = "0123456789abcdef0123456789abcdef"


def environment(service: dict[str, Any]) -> dict[str, str]:
    """The service's variables: every `${…:?…}` filled in, what may stay empty left so."""
    given = service.get("environment", {})
    values = {key: re.sub(r"\$\{[A-Z_]+:-\}", "", str(value)) for key, value in given.items()}
    return {key: re.sub(r"\$\{[^}]*\}", A_VALUE, value) for key, value in values.items()}


def test_the_production_shape_is_there() -> None:
    parts = {"mosquitto", "influxdb", "postgres", "ingest", "api", "alerts", "simulators"}
    assert parts <= SERVICES.keys()
    assert SERVICES["simulators"]["profiles"] == ["simulators"]
    assert "profiles" not in SERVICES["ingest"]


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_accepted(name: str) -> None:
    settings = load_settings(environment(OURS[name]))
    if name != "simulators":
        assert settings.database.startswith("postgresql://")
        assert settings.influxdb_url


def test_only_known_settings_are_used_anywhere() -> None:
    known = {f"COURTYARD_{name.upper()}" for name in Settings.model_fields}
    for text in (DOCKERFILE, (ROOT / "docker-compose.yml").read_text()):
        used = set(re.findall(r"COURTYARD_[A-Z_]+", text))
        assert used
        assert used <= known


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_exists(name: str) -> None:
    words: list[str] = OURS[name].get("command", ["api"])
    command: Any = typer.main.get_command(app)
    for word in words:
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        assert word in command.commands, words
        command = command.commands[word]
    is_whole = not hasattr(command, "commands") or command.invoke_without_command
    assert is_whole, f"{words} is only the beginning of a command"


def test_every_image_is_pinned_to_one_version() -> None:
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) >= 4
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)*$", image), image


def test_our_image_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert {service["image"] for service in OURS.values()} == {f"courtyard:{version[1]}"}


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file(), source
            else:
                assert source in COMPOSE["volumes"]


def test_what_a_service_waits_for_is_a_service_that_can_become_so() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            other = SERVICES[name]
            if wait["condition"] == "service_healthy":
                assert "test" in other["healthcheck"], name
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert other["restart"] == "no", name


def test_every_password_is_asked_for_and_listed() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text)
    assert asked
    optional = {"PUBLIC_URL", "ALERTS_ALLOW", "SMTP_URL"}
    for name, rest in asked:
        is_optional = name in optional or name.startswith("OIDC_")
        assert rest == (":-" if is_optional else ":?set it in .env"), name
    listed = re.findall(
        r"^([A-Z_]+)=$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE
    )
    assert sorted({name for name, _ in asked}) == sorted(listed)


def test_the_image_is_built_from_files_that_are_there_and_are_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_the_image_runs_as_nobody_in_particular() -> None:
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    assert re.search(r"^USER courtyard$", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage


class ProductionMosquitto(Mosquitto):
    """Mosquitto with the files of `deploy/mosquitto`, on ports and in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.parts_port = free_port()
        for name, user in (("parts", "ingest"), ("devices", "simulators")):
            passwords = self.directory / f"{name}.passwd"
            tool = shutil.which("mosquitto_passwd") or missing("mosquitto_passwd", "mosquitto")
            subprocess.run([tool, "-b", "-c", passwords, user, A_VALUE], check=True, timeout=10)
            shutil.copy(ROOT / "deploy" / "mosquitto" / f"{name}.acl", self.directory)

    def command(self) -> list[str]:
        text = (ROOT / "deploy" / "mosquitto" / "mosquitto.conf").read_text()
        text = re.sub(r"/mosquitto/(data|config)/", f"{self.directory}/", text)
        text = text.replace("listener 1883", f"listener {self.port} {HOST}")
        text = text.replace("listener 1884", f"listener {self.parts_port} {HOST}")
        conf = self.directory / "conf"
        conf.write_text(f"user {pwd.getpwuid(os.getuid()).pw_name}\n{text}")
        return [self._binary, "-c", str(conf)]


def publish(port: int, topic: str, *login: str) -> int:
    """Exit code of mosquitto_pub: MQTT 5 is told whether the broker took the message."""
    tool = shutil.which("mosquitto_pub") or missing("mosquitto_pub", "mosquitto-clients")
    message = ["-V", "5", "-q", "1", "-t", topic, "-m", "{}"]
    done = subprocess.run(
        [tool, "-h", HOST, "-p", str(port), *login, *message], capture_output=True, timeout=20
    )
    refused = b"Not authorized" in done.stderr or b"not authorised" in done.stderr.lower()
    return done.returncode or int(refused)


@pytest.mark.broker
def test_the_brokers_configuration_lets_in_whom_it_should_and_nobody_else(tmp_path: Path) -> None:
    field, ingest = ("-u", "simulators", "-P", A_VALUE), ("-u", "ingest", "-P", A_VALUE)
    reading, probe = "courtyard/v1/lvyun-xiaoqu/gate/gate-1/telemetry", "courtyard/v1/_probe/one"
    with ProductionMosquitto(tmp_path) as broker:
        assert publish(broker.port, reading, *field) == 0
        assert publish(broker.port, "JUY/D2S/860000000000017/82/DEV", *field) == 0
        assert publish(broker.parts_port, probe, *ingest) == 0

        assert publish(broker.port, reading) != 0, "without a password"
        assert publish(broker.port, reading, "-u", "simulators", "-P", "wrong") != 0
        assert publish(broker.port, probe, *field) != 0, "the probe is ingest's own"
        assert publish(broker.parts_port, reading, *field) != 0, "the field on ingest's listener"


@pytest.mark.broker
def test_ingest_may_read_what_every_adapter_asks_for(tmp_path: Path) -> None:
    sub = shutil.which("mosquitto_sub") or missing("mosquitto_sub", "mosquitto-clients")
    filters = [name for adapter in ADAPTERS.values() for name in adapter.filters]
    with ProductionMosquitto(tmp_path) as broker:
        for name in filters:
            topic = name.replace("courtyard/v1/+/+/+/+", "courtyard/v1/a/gate/b/status")
            topic = topic.replace("+", "x")
            field = ("-u", "simulators", "-P", A_VALUE, "-r")  # retained, so it can be asked for
            assert publish(broker.port, topic, *field) == 0, topic
            ingest = ["-h", HOST, "-p", str(broker.parts_port), "-u", "ingest", "-P", A_VALUE]
            read = [sub, *ingest, "-t", name, "-C", "1", "-W", "10", "-F", "%t"]
            done = subprocess.run(read, capture_output=True, text=True, timeout=20)
            assert done.stdout.strip() == topic, done.stderr
