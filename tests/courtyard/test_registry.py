"""Files for the registry on the command line: looked at, imported, put back."""

from pathlib import Path

import pytest

from courtyard.errors import CommandError, UsageError
from courtyard.registry import (
    import_registry,
    list_imports,
    list_unknown,
    preview_import,
    serve_device,
    undo_import,
    write_template,
)
from courtyard.settings import Settings, load_settings
from courtyard.stores import open_operational
from devices.inventory import BadRegistry
from devices.registry import Compound, Device, Firm, Name, Registry
from devices.store.database import reading, writing
from devices.store.registry import load, save

HEAD = "id,kind,compound,name\n"
GARDEN = Compound("garden", Name("花园", "Garden"), "yaxin", 294)


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    made = load_settings({"COURTYARD_DATA_DIR": str(data_dir)})
    engine = open_operational(made)
    with writing(engine) as connection:
        known = Registry([Firm("yaxin", Name("亚新", "Yaxin"))], [GARDEN],
                         [Device("gate-1", "gate", "garden", "东门", 30)])  # fmt: skip
        save(connection, known, 1)
    engine.dispose()
    return made


def a_file(folder: Path, lines: str, name: str = "d.csv") -> str:
    path = folder / name
    path.write_text(HEAD + lines)
    return str(path)


def devices(settings: Settings) -> dict[str, Device]:
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            return load(connection).devices
    finally:
        engine.dispose()


def test_a_preview_says_what_each_line_would_do_and_writes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    lines = "gate-1,gate,garden,南门\ngate-2,gate,花园,西门\ngate-3,gate,atlantis,x\n"
    told, is_right = preview_import(settings, a_file(tmp_path, lines))
    assert not is_right
    assert told.splitlines() == [
        "devices, line 2: gate-1: changed: name '东门' → '南门'",
        "devices, line 3: gate-2: added",
        "devices, line 4: gate-3: wrong: compound there is no compound 'atlantis'",
        "1 added, 1 changed, 0 unchanged, 1 wrong; nothing was written",
    ]
    assert list(devices(settings)) == ["gate-1"]
    assert list_imports(settings) == ""


def test_an_import_is_undone_by_its_id(settings: Settings, tmp_path: Path) -> None:
    path = a_file(tmp_path, "gate-1,gate,garden,南门\ngate-2,gate,garden,西门\n")
    told, undo = import_registry(settings, path, 0, None, "li").splitlines()
    assert told.startswith("1 devices added, 1 changed")
    import_id = undo.rpartition(" ")[2]
    assert import_id in list_imports(settings)
    assert undo_import(settings, import_id, "li").startswith("undone: 0 devices added, 2 changed")
    after = devices(settings)
    assert after["gate-1"].name == "东门"
    assert after["gate-2"].decommissioned_at_ms is not None
    assert undo_import(settings, import_id, "li") == "undone before"
    with pytest.raises(CommandError, match="there is no import x"):
        undo_import(settings, "x", "li")


def test_importing_twice_changes_nothing_and_is_no_import(
    settings: Settings, tmp_path: Path
) -> None:
    path = a_file(tmp_path, "gate-2,gate,garden,西门\n")
    import_registry(settings, path, 0, None)
    assert import_registry(settings, path, 0, None).startswith("nothing changed")
    assert len(list_imports(settings).splitlines()) == 1


def test_a_wrong_line_stops_all_of_it(settings: Settings, tmp_path: Path) -> None:
    path = a_file(tmp_path, "gate-2,gate,garden,x\ngate-3,gate,atlantis,x\n")
    with pytest.raises(BadRegistry, match=r"d\.csv, line 3, compound: there is no compound"):
        import_registry(settings, path, 0, None)
    assert list(devices(settings)) == ["gate-1"]


def test_a_template_is_written_once(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert "--preview" in write_template(file, "compounds", "en")
    assert file.read_text("utf-8-sig").startswith("Compound ID,")
    with pytest.raises(CommandError, match="is there already"):
        write_template(file, "compounds", "en")
    with pytest.raises(UsageError, match="does not end in"):
        write_template(tmp_path / "t.pdf", "devices", "zh")
    assert preview_import(settings, str(file)) == (
        "0 added, 0 changed, 0 unchanged, 0 wrong; nothing was written",
        True,
    )


def test_a_device_is_retired_and_restored(settings: Settings) -> None:
    assert "1 changed" in serve_device(settings, "gate-1", retire=True)
    assert devices(settings)["gate-1"].decommissioned_at_ms is not None
    assert "1 changed" in serve_device(settings, "gate-1", retire=False)
    with pytest.raises(CommandError, match="there is no device x"):
        serve_device(settings, "x", retire=True)


def test_nobody_unknown_is_an_empty_list(settings: Settings) -> None:
    assert list_unknown(settings) == ""


def test_a_preview_is_of_a_table(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text("{}")
    for source in ("erqi", str(path)):
        with pytest.raises(UsageError):
            preview_import(settings, source)
