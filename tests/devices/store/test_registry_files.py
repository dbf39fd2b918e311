"""Registry files: what was written is read the same, and a bad file says where it is bad."""

import builtins
import csv
import dataclasses
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.columns import COLUMNS, COMPOUNDS, DEVICES, FIRMS, table_of
from devices.inventory import (
    ATTRIBUTES,
    COMPOUND_COLUMNS,
    FIELDS,
    FIRM_COLUMNS,
    BadRegistry,
    parse,
)
from devices.registry import Device, Registry
from devices.store import registry_files
from devices.store.registry_files import (
    UPLOADED,
    SpreadsheetsMissing,
    read,
    tables,
    template,
    write,
)

KNOWN = parse(
    {
        "firms": [{"id": "yaxin", "name": {"zh": "亚新", "en": "Yaxin"}}],
        "compounds": [
            {"id": "garden", "name": {"zh": "花园", "en": "G"}, "firm": "yaxin", "households": 294}
        ],
    }
)
HEAD = "id,kind,compound,name,interval_s,external_id,protocol"


def with_devices(*devices: Device) -> Registry:
    return Registry(KNOWN.firms.values(), KNOWN.compounds.values(), devices)


def a_gate(device: str = "gate-1", **more: Any) -> Device:
    fields: dict[str, Any] = {"name": "东门", "interval_s": 60}
    return Device(device, "gate", "garden", **(fields | more))


DISTRICT = with_devices(
    Device("gw-1", "gateway", "garden", "网关", 60),
    a_gate(parent="gw-1", attributes={"form": "barrier"}, building="3", unit="2"),
    Device("shed-1", "shed", "garden", "棚", 30, protocol="juy", external_id="869012345678901"),
    Device(
        "lamp-1",
        "lamp",
        "garden",
        "路灯, “北”",
        900,
        circuit="c-1",
        attributes={"lamp_count": 8, "nominal_power_w": 9.5, "metered": True, "iccid": "0898601"},
        commissioned_at_ms=1_795_399_200_123,
    ),
)


def plain(registry: Registry) -> list[object]:
    return [
        {key: dataclasses.asdict(item) for key, item in part.items()}
        for part in (registry.firms, registry.compounds, registry.devices)
    ]


def problems_of(path: Path, known: Registry = KNOWN) -> list[str]:
    with pytest.raises(BadRegistry) as raised:
        read(path, known)
    return [str(problem) for problem in raised.value.problems]


def a_file(folder: Path, content: bytes | str, name: str = "district.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def a_workbook(folder: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    path = folder / "district.xlsx"
    book.save(path)
    return path


@pytest.mark.parametrize("name", ["d.json", "d.csv", "d.xlsx", "D.XLSX"])
def test_what_was_written_is_read_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, DISTRICT)
    assert plain(read(path, KNOWN)) == plain(DISTRICT)
    assert list(tmp_path.iterdir()) == [path]  # no draft is left


def test_a_json_file_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write(path, DISTRICT)
    assert plain(read(path, Registry())) == plain(DISTRICT)


def test_a_json_file_has_one_device_a_line(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    write(path, DISTRICT)
    (line,) = [line for line in path.read_text().splitlines() if '"gate-1"' in line]
    assert json.loads(line.rstrip(","))["name"] == "东门"


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
DANGEROUS = st.sampled_from(
    ["=1+1", "+1", "-1", "@SUM(A1)", "'=x", "''=x", "'x", "＝1", "-", '"', '"1"']
)


@given(
    name=DANGEROUS | WORDS,
    building=DANGEROUS | WORDS,
    note=DANGEROUS | WORDS | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(-1e15, 1e15),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("suffix", [".json", ".csv", ".xlsx"])
def test_text_that_looks_like_a_formula_comes_back_as_it_was(
    tmp_path: Path, suffix: str, name: str, building: str, note: Any
) -> None:
    registry = with_devices(a_gate(name=name, building=building, attributes={"note": note}))
    path = tmp_path / f"d{suffix}"
    write(path, registry)
    again = read(path, KNOWN)
    assert plain(again) == plain(registry)
    assert isinstance(again.devices["gate-1"].attributes["note"], str) == isinstance(note, str)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "'=x"])
def test_no_cell_of_a_csv_file_is_a_formula(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.csv"
    write(path, with_devices(a_gate(name=text, attributes={"note": text, "offset": -5})))
    (row,) = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
    assert row["name"] == f"'{text}"
    assert row["attributes.note"][0] in "'\""
    assert row["attributes.offset"] == "-5"  # a number stays a number


def test_no_cell_of_a_workbook_is_a_formula_and_numbers_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "d.xlsx"
    write(path, with_devices(a_gate(name="=1+1", external_id="869012345678901")))
    sheet = openpyxl.load_workbook(path).active
    row = dict(zip([cell.value for cell in sheet[1]], sheet[2], strict=True))
    assert (row["name"].value, row["name"].data_type) == ("=1+1", "s")
    assert (row["external_id"].value, row["external_id"].number_format) == ("869012345678901", "@")
    assert (row["interval_s"].value, row["interval_s"].data_type) == (60, "n")


class TestSpreadsheets:
    def test_devices_are_added_to_what_is_known(self, tmp_path: Path) -> None:
        path = a_file(tmp_path, f"{HEAD}\ngate-9,gate,garden,西门,,,\n")
        registry = read(path, DISTRICT)
        assert len(registry.devices) == 5
        assert registry.devices["gate-9"].name == "西门"

    def test_spaces_and_empty_lines_and_a_mark_at_the_start_do_not_matter(
        self, tmp_path: Path
    ) -> None:
        content = b"\xef\xbb\xbf id , kind,compound ,,\r\n\r\n gate-1 ,gate, garden ,,\r\n,,,,\r\n"
        assert list(read(a_file(tmp_path, content), KNOWN).devices) == ["gate-1"]

    def test_problems_name_file_and_line(self, tmp_path: Path) -> None:
        content = (
            f"{HEAD}\n"
            'gate-1,gate,garden,"two\nlines",60,,\n'
            "gate-2,gate,atlantis,,x,,\n"
            "\n"
            "lamp-1,lamp,garden,,,8.69E+14,tasmota\n"
        )
        assert problems_of(a_file(tmp_path, content)) == [
            "district.csv, line 2, name: 'two\\nlines' has control characters, or is no Unicode",
            "district.csv, line 4, interval_s: 'x' is not a number",
            "district.csv, line 6, external_id: 8.69E+14 was shortened by a spreadsheet: "
            "write it as text",
            "district.csv, line 4, compound: there is no compound 'atlantis'",
        ]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("", "district.csv: is empty: the first line has the names of the columns"),
            ("\n,\n", "district.csv: is empty"),
            ("id,kind\n", "district.csv, line 1: the column 'compound' is missing"),
            ("id,kind,compound,id\n", "district.csv, line 1: the column 'id' is there twice"),
            ("id,kind,compound\na,gate,garden,x\n", "line 2: 'x' is in a column without a name"),
            ("id,,kind,compound\na,x,gate,garden\n", "line 2: 'x' is in a column without a name"),
            ('id,kind,compound\n"a,gate\n', "district.csv, line 2: is not CSV: unexpected end"),
            (b"id,kind,compound\n\xff\xff,gate,x\n", "district.csv, line 2: is not UTF-8"),
            (",".join(["id", "kind", "compound", *map(str, range(200))]), "203 columns are more"),
        ],
    )
    def test_a_csv_file_that_is_none_is_refused(
        self, tmp_path: Path, content: str | bytes, problem: str
    ) -> None:
        (found,) = problems_of(a_file(tmp_path, content))
        assert problem in found

    def test_more_lines_than_the_limit_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry_files, "MAX_LINES", 2)
        lines = [f"gate-{n},gate,garden" for n in range(3)]
        content = "\n".join(["id,kind,compound", *lines[:2]])
        assert len(read(a_file(tmp_path, content), KNOWN).devices) == 2
        content = "\n".join(["id,kind,compound", *lines])
        assert problems_of(a_file(tmp_path, content)) == [
            "district.csv, line 4: more than 2 lines are too many for one file"
        ]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_headings_may_be_chinese_in_every_encoding_that_spreadsheets_save(
        self, tmp_path: Path, encoding: str
    ) -> None:
        content = "设备编号,类型,小区,名称,上报间隔（秒）\ngate-9,智能门禁,花园,西门,45\n"
        gate = read(a_file(tmp_path, content.encode(encoding)), KNOWN).devices["gate-9"]
        assert (gate.kind, gate.compound, gate.name, gate.interval_s) == (
            "gate",
            "garden",
            "西门",
            45,
        )

    def test_a_file_of_compounds_is_known_by_its_headings(self, tmp_path: Path) -> None:
        content = "Compound ID,Chinese name,Firm,Households\nyard,大院,亚新,80\n"
        registry = read(a_file(tmp_path, content), KNOWN)
        assert registry.compounds["yard"].firm == "yaxin"
        content = "小区编号,物业\nyard,nobody\n"
        assert problems_of(a_file(tmp_path, content), registry) == [
            "district.csv, line 2, firm: there is no firm 'nobody'"
        ]

    @pytest.mark.parametrize(
        ("headings", "table"),
        [
            ("物业编号,中文名,联系人", FIRMS),
            ("firm_id,name_zh", FIRMS),
            ("id,name_zh", COMPOUNDS),  # as ever
            ("小区编号,中文名,物业编号", COMPOUNDS),
            ("设备编号,类型,小区", DEVICES),
        ],
    )
    def test_firms_are_known_by_how_their_id_is_headed(self, headings: str, table: str) -> None:
        assert table_of(headings.split(",")) == table

    def test_a_file_of_firms_adds_and_changes_them(self, tmp_path: Path) -> None:
        content = "Firm ID,Chinese name,Contacts\nyaxin,亚新物业,\nnew,新来,李伟 0371\n"
        registry = read(a_file(tmp_path, content), KNOWN)
        assert registry.firms["yaxin"].name.zh == "亚新物业"
        assert registry.firms["new"].name.en == "新来"
        content = "firm_id,name_zh,colour\nNEW,新,red\nother,\n"
        assert problems_of(a_file(tmp_path, content), KNOWN) == [
            "district.csv, line 2: there is no column 'colour'",
            "district.csv, line 2, id: 'NEW' is not an id ([a-z0-9][a-z0-9-]{0,62})",
            "district.csv, line 3, name.zh: is missing",
        ]

    @given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_any_bytes_are_rows_or_refused(self, content: bytes) -> None:
        try:
            found = tables(content, ".csv", UPLOADED)
        except BadRegistry as error:
            assert error.problems  # noqa: PT017 - either outcome is right
        else:
            assert set(found) <= set(COLUMNS)


class TestTemplates:
    @pytest.mark.parametrize("language", ["zh", "en"])
    @pytest.mark.parametrize("table", [DEVICES, COMPOUNDS, FIRMS])
    @pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
    def test_an_empty_template_is_read_as_nothing(
        self, suffix: str, table: str, language: str
    ) -> None:
        found = tables(template(suffix, table, language), suffix)
        assert set(found) == ({table} if suffix == ".csv" else set(COLUMNS))
        assert not any(found.values())

    def test_a_filled_template_brings_compounds_and_their_devices(self, tmp_path: Path) -> None:
        book = openpyxl.load_workbook(io.BytesIO(template(".xlsx", DEVICES, "zh")))
        firms, compounds, devices = book["物业公司"], book["小区"], book["设备"]
        firms.append(["newcomer", "新来", None, "王建国, 0371-6600"])
        compounds.append(["yard", "大院", None, "新来", 80])
        devices.append(["gate-9", "智能门禁", "yard"])
        path = tmp_path / "d.xlsx"
        book.save(path)
        registry = read(path, KNOWN)
        assert registry.devices["gate-9"].compound == "yard"
        assert registry.compounds["yard"].households == 80
        assert registry.compounds["yard"].firm == "newcomer"
        assert registry.firms["newcomer"].contacts[0].name == "王建国"

    def test_every_column_that_files_may_have_has_a_heading(self) -> None:
        assert set(COLUMNS[DEVICES]) == {*FIELDS, *ATTRIBUTES}
        assert set(COLUMNS[COMPOUNDS]) == set(COMPOUND_COLUMNS)
        assert set(COLUMNS[FIRMS]) == set(FIRM_COLUMNS)


class TestWorkbooks:
    HEAD = ("id", "kind", "compound", "name", "external_id", "interval_s", "nominal_power_w")

    def test_numbers_of_a_workbook_are_read_as_what_the_column_wants(self, tmp_path: Path) -> None:
        path = a_workbook(
            tmp_path, list(self.HEAD), ["lamp-1", "lamp", "garden", 7, 869012345678901, 60.0, 9.5]
        )
        lamp = read(path, KNOWN).devices["lamp-1"]
        assert (lamp.name, lamp.external_id, lamp.interval_s) == ("7", "869012345678901", 60)
        assert lamp.attributes == {"nominal_power_w": 9.5}

    def test_a_formula_and_an_error_are_refused_by_name(self, tmp_path: Path) -> None:
        path = a_workbook(
            tmp_path,
            list(self.HEAD),
            ["lamp-1", "lamp", "garden", "=A2"],
            ["lamp-2", "lamp", "garden", "#REF!"],
        )
        assert problems_of(path) == [
            "district.xlsx, line 2: D2 has a formula: write the value itself",
            "district.xlsx, line 3: D3 has the error #REF!",
        ]

    def test_problems_name_the_line_of_the_sheet(self, tmp_path: Path) -> None:
        path = a_workbook(tmp_path, list(self.HEAD), [], ["lamp-1", "lamp", "atlantis"])
        assert problems_of(path) == [
            "district.xlsx, line 3, compound: there is no compound 'atlantis'"
        ]

    def test_a_workbook_that_unpacks_to_too_much_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(257):
                archive.writestr(f"{number}", bytes(2**20))
        assert problems_of(path) == ["bomb.xlsx: unpacks to more than 256 MiB"]

    def test_what_is_uploaded_may_be_less(self) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(49):
                archive.writestr(f"{number}", bytes(2**20))
        with pytest.raises(BadRegistry, match="unpacks to more than 48 MiB"):
            tables(packed.getvalue(), ".xlsx", UPLOADED)
        with pytest.raises(BadRegistry, match="is larger than 2 MiB"):
            tables(bytes(2**21 + 1), ".csv", UPLOADED)
        few = dataclasses.replace(UPLOADED, lines=2)
        content = b"id,kind,compound\n" + b"a,gate,garden\n" * 3
        with pytest.raises(BadRegistry, match="more than 2 lines"):
            tables(content, ".csv", few)

    def test_a_workbook_with_entities_is_refused(self, tmp_path: Path) -> None:
        path = a_workbook(tmp_path, list(self.HEAD))
        hostile = tmp_path / "hostile.xlsx"
        with zipfile.ZipFile(path) as sound, zipfile.ZipFile(hostile, "w") as made:
            for part in sound.infolist():
                text = sound.read(part)
                if part.filename.endswith("sheet1.xml"):
                    text = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text
                made.writestr(part, text)
        assert "declares entities" in problems_of(hostile)[0]

    def test_a_sheet_that_begins_a_million_lines_down_is_refused(self) -> None:
        book = openpyxl.Workbook()
        for column, text in enumerate(self.HEAD, 1):
            book.active.cell(60_000, column, text)
        packed = io.BytesIO()
        book.save(packed)
        with pytest.raises(BadRegistry, match="has more than 20000 lines"):
            tables(packed.getvalue(), ".xlsx", UPLOADED)

    def test_any_damage_to_a_workbook_is_a_bad_registry(self, tmp_path: Path) -> None:
        path = tmp_path / "d.xlsx"
        write(path, DISTRICT)
        sound = path.read_bytes()
        dice = random.Random(7)
        for _ in range(150):
            damaged = bytearray(sound)
            for _ in range(dice.randint(1, 12)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            path.write_bytes(damaged[: dice.choice([len(damaged), dice.randrange(len(damaged))])])
            try:
                registry = read(path, KNOWN)
            except BadRegistry as error:
                assert str(error).startswith("d.xlsx")  # noqa: PT017 - either outcome is right
            else:
                assert plain(registry) == plain(DISTRICT)  # the damage was where nobody reads

    def test_without_the_package_the_error_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = builtins.__import__

        def without_openpyxl(name: str, *rest: Any, **more: Any) -> object:
            if name.partition(".")[0] == "openpyxl":
                raise ModuleNotFoundError(f"No module named {name!r}")
            return real(name, *rest, **more)

        path = a_workbook(tmp_path, list(self.HEAD))
        monkeypatch.setattr(builtins, "__import__", without_openpyxl)
        with pytest.raises(SpreadsheetsMissing, match=r"courtyard\[spreadsheets\]"):
            read(path, KNOWN)
        with pytest.raises(SpreadsheetsMissing, match=r"courtyard\[spreadsheets\]"):
            write(path, KNOWN)


class TestJson:
    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ('{"firms": [],\n "devices": ]}', "d.json, line 2 column 13: is not JSON"),
            ('{"firms": [{"id": "a", "id": "b"}]}', "d.json: an object has 'id' twice"),
            ('{"devices": [{"interval_s": NaN}]}', "d.json: NaN is not a number in JSON"),
            ('{"x": ' + "[" * 100_000, "d.json: is not JSON that a registry could be"),
            ('{"x": ' + "1" * 5000 + "}", "d.json: is not JSON that a registry could be"),
            ("[]", "d.json, the file: [] is not an object"),
            (b'{"\xff": 1}', "d.json, line 1: is not UTF-8"),
            ('{"devices": [{"kind": "gate"}]}', "d.json, devices[0].id: is missing"),
        ],
    )
    def test_a_json_file_that_is_no_registry_is_refused(
        self, tmp_path: Path, content: str | bytes, problem: str
    ) -> None:
        assert problems_of(a_file(tmp_path, content, "d.json"))[0].startswith(problem)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("d.xls", "d.xls: does not end in .json, .csv, .xlsx (save it as .xlsx)"),
        ("d", "d: does not end in .json, .csv, .xlsx"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    assert problems_of(a_file(tmp_path, "", name)) == [problem]
    with pytest.raises(BadRegistry) as refused:
        write(tmp_path / name, KNOWN)
    assert str(refused.value) == problem


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "d.csv") == ["d.csv: cannot be read: No such file or directory"]


def test_a_file_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_files, "MAX_BYTES", 10)
    assert problems_of(a_file(tmp_path, "x" * 11)) == ["district.csv: is larger than 0 MiB"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.json"
    write(path, KNOWN)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, DISTRICT)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
