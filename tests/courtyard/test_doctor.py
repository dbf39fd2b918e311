"""What the doctor finds out about a broker and a data directory."""

import socket
import threading
from pathlib import Path

import pytest

from courtyard.doctor import (
    data_directory,
    journal,
    lock_holder,
    rules,
    sqlite_libraries,
    try_broker,
)
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from devices.rule_files import SHOWN
from devices.store import rule_sets
from devices.store.database import writing
from devices.store.journal import JournalWriter
from devices.store.registry import save
from ingest.broker_url import BrokerAddress
from tests.brokers import HOST, SERVERS, free_port
from tests.ingest.judge.district import START_MS, a_registry, a_shed


@pytest.mark.broker
@pytest.mark.parametrize("name", SERVERS)
def test_a_broker_that_lets_us_in(tmp_path: Path, name: str) -> None:
    with SERVERS[name](tmp_path) as server:
        assert try_broker(BrokerAddress(HOST, server.port)) is None


def test_nothing_listens() -> None:
    trouble = try_broker(BrokerAddress(HOST, free_port()))
    assert trouble is not None
    assert trouble.startswith("nothing listens there")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"\x20\x02\x00\x05", "may not connect"),
        (b"\x20\x02\x00\x04", "password"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no MQTT broker"),
        (b"", "no MQTT broker"),
    ],
)
def test_what_a_broker_says_is_passed_on(answer: bytes, says: str) -> None:
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        trouble = try_broker(BrokerAddress(HOST, server.getsockname()[1], "ingest", "secret"))
        thread.join(10)
    assert trouble is not None
    assert says in trouble
    assert "secret" not in trouble


def test_a_data_directory_that_others_can_read(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    tmp_path.chmod(0o755)
    (finding,) = data_directory(settings)
    assert finding.good is False
    assert "chmod 700" in finding.text
    tmp_path.chmod(0o700)
    (finding,) = data_directory(settings)
    assert finding.good is True


def test_who_writes_the_journal_is_named(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    assert lock_holder(settings.journal_path) is None
    with JournalWriter(settings.journal_path, lambda: 1):
        found = {finding.subject: finding for finding in journal(settings)}
        assert "is running" in found["ingest"].text
        assert lock_holder(settings.journal_path)
    found = {finding.subject: finding for finding in journal(settings)}
    assert "is not running" in found["ingest"].text


def test_the_sqlite_libraries_are_named_with_what_they_are_for(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    texts = [finding.text for finding in sqlite_libraries(settings)]
    assert any("journal" in text for text in texts)
    assert any("operational database" in text for text in texts)


def with_rules(settings: Settings, text: str) -> None:
    """This rule file is in force, however it came in, in a district with one shed."""
    engine = open_operational(settings)
    with writing(engine) as connection:
        save(connection, a_registry(*a_shed()), START_MS)
        rule_sets.save(connection, text, "li-min", START_MS)
    engine.dispose()


def test_where_there_is_no_database_nothing_is_said_of_rules(tmp_path: Path) -> None:
    assert list(rules(load_settings({"COURTYARD_DATA_DIR": str(tmp_path)}))) == []


def test_without_a_rule_file_that_is_all_that_is_said(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    open_operational(settings).dispose()
    (finding,) = rules(settings)
    assert (finding.good, finding.text.partition(":")[0]) == (None, "no rule file was imported")


def test_a_rule_file_that_fits_is_in_order(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    with_rules(settings, "[[override]]\ndevice = 'shed'\nSHED_OVERTEMP.delay_s = 5\n")
    (finding,) = rules(settings)
    assert (finding.good, finding.text) == (True, "rule set 1 is in order: 3 figures changed")


def test_what_no_longer_fits_of_a_rule_file_is_bad_and_told_with_its_line(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    with_rules(
        settings,
        "[[override]]\nSHED_OVERTEMP.delay_s = 5\nSHED_GONE.delay_s = 5\n"
        "[[override]]\ndevice = 'shed-7'\nSHED_OVERTEMP.delay_s = 9\n",
    )
    unknown, gone, advice = rules(settings)
    assert (unknown.good, gone.good, advice.good) == (False, False, None)
    assert unknown.text.startswith("rule set 1, line 3: there is no fault 'SHED_GONE'")
    assert gone.text.startswith("rule set 1, line 5: the registry has no device 'shed-7'")
    assert "courtyard rules import" in advice.text


def test_of_very_many_errors_the_rest_is_counted(tmp_path: Path) -> None:
    settings = load_settings({"COURTYARD_DATA_DIR": str(tmp_path)})
    with_rules(settings, "[[override]]\nSHED_GONE.delay_s = 5\n" * (SHOWN + 7))
    *bad, advice = rules(settings)
    assert len(bad) == SHOWN
    assert advice.text.startswith("7 more are wrong; ")
