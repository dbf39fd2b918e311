"""Reading a registry: everything wrong is told at once, and what was read is written the same."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.inventory import (
    MAX_PORTS,
    PROTOCOLS,
    BadRegistry,
    Problem,
    contacts_of,
    contacts_text,
    device_entry,
    dump,
    dump_rows,
    parse,
    parse_compound,
    parse_entries,
    parse_firm,
    parse_rows,
    read_compound_rows,
    read_rows,
)
from devices.kinds import KINDS
from devices.registry import Compound, Contact, Device, Firm, Name, Registry


def a_document(*devices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "firms": [{"id": "yaxin", "name": {"zh": "亚新", "en": "Yaxin"}}],
        "compounds": [
            {"id": place, "name": {"zh": "花园", "en": place}, "firm": "yaxin", "households": 294}
            for place in ("garden", "court")
        ],
        "devices": list(devices),
    } | more


def a_gate(**more: Any) -> dict[str, Any]:
    return {"id": "gate-1", "kind": "gate", "compound": "garden", "name": "东门"} | more


def a_shed(**more: Any) -> dict[str, Any]:
    return {
        "id": "shed-1",
        "kind": "shed",
        "compound": "garden",
        "name": "1号棚",
        "protocol": "juy",
        "external_id": "869012345678901",
        "attributes": {"ports": 12},
    } | more


def plain(registry: Registry) -> list[object]:
    return [
        {key: dataclasses.asdict(item) for key, item in part.items()}
        for part in (registry.firms, registry.compounds, registry.devices)
    ]


def problems_of(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(BadRegistry) as raised:
        parse(document)
    return [(problem.where, problem.what) for problem in raised.value.problems]


def the_problem_of(document: Any) -> str:
    (problem,) = problems_of(document)
    return ": ".join(problem)


WITHOUT_DEVICES = parse(a_document())


class TestReading:
    def test_a_full_entry_is_read(self) -> None:
        document = a_document(
            {"id": "gw-1", "kind": "gateway", "compound": "garden"},
            a_gate(
                parent="gw-1",
                circuit="c-2",
                protocol="facesluice",
                external_id="123456",
                vendor="Face",
                model="F-2",
                building="3",
                unit="2",
                interval_s=45,
                attributes={"form": "barrier", "door_count": 2},
                commissioned_at="2026-11-23T18:00:00.123+08:00",
                decommissioned_at="2027-01-01T00:00:00Z",
            ),
        )
        gate = parse(document).devices["gate-1"]
        assert dataclasses.asdict(gate) == dataclasses.asdict(
            Device(
                id="gate-1",
                kind="gate",
                compound="garden",
                name="东门",
                interval_s=45,
                parent="gw-1",
                circuit="c-2",
                protocol="facesluice",
                external_id="123456",
                vendor="Face",
                model="F-2",
                building="3",
                unit="2",
                attributes={"form": "barrier", "door_count": 2},
                commissioned_at_ms=1_795_428_000_123,
                decommissioned_at_ms=1_798_761_600_000,
            )
        )

    def test_firms_and_compounds_are_read(self) -> None:
        contact = {"name": "李伟", "phone": "0371-6", "role": "值班"}
        registry = parse(
            {
                "firms": [{"id": "yaxin", "name": {"zh": "亚新"}, "contacts": [contact]}],
                "compounds": [
                    {
                        "id": "garden",
                        "name": {"zh": "花园", "en": "Garden"},
                        "firm": "yaxin",
                        "synthetic": True,
                        "contacts": [contact],
                        "households": 294,
                        "timezone": "Asia/Urumqi",
                        "latitude": 43.8,
                        "longitude": 87.6,
                    }
                ],
            }
        )
        li_wei = Contact("李伟", "0371-6", "值班")
        assert registry.firms == {"yaxin": Firm("yaxin", Name("亚新", "亚新"), (li_wei,))}
        assert registry.compounds == {
            "garden": Compound(
                "garden",
                Name("花园", "Garden"),
                "yaxin",
                294,
                "Asia/Urumqi",
                43.8,
                87.6,
                True,
                (li_wei,),
            )
        }

    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"port"}))
    def test_the_kind_gives_the_interval_and_the_id_the_name(self, kind: str) -> None:
        document = a_document({"id": "d-1", "kind": kind, "compound": "garden"})
        device = parse(document).devices["d-1"]
        assert device.interval_s == KINDS[kind].interval_s
        assert (device.name, device.protocol, device.external_id) == ("d-1", "native", "")
        assert device.parent is None

    def test_null_is_absent(self) -> None:
        document = a_document(a_gate(parent=None, circuit=None, interval_s=None, attributes=None))
        assert parse(document).devices["gate-1"].interval_s == KINDS["gate"].interval_s


class TestPorts:
    def test_a_shed_makes_its_ports(self) -> None:
        registry = parse(a_document(a_shed(interval_s=20, building="3", vendor="JUY")))
        assert list(registry.devices) == ["shed-1", *(f"shed-1-p{n:02d}" for n in range(1, 13))]
        port = registry.port("shed-1", 7)
        assert port is not None
        assert dataclasses.asdict(port) == dataclasses.asdict(
            Device(
                id="shed-1-p07",
                kind="port",
                compound="garden",
                name="1号棚 7号插座",
                interval_s=20,
                parent="shed-1",
                protocol="juy",
                vendor="JUY",
                building="3",
                attributes={"port_no": 7},
            )
        )

    def test_the_ports_of_a_synthetic_shed_are_synthetic(self) -> None:
        registry = parse(a_document(a_shed(attributes={"ports": 1, "synthetic": True, "x": 1})))
        assert registry.devices["shed-1-p01"].attributes == {"port_no": 1, "synthetic": True}

    def test_a_port_with_an_entry_of_its_own_keeps_it(self) -> None:
        port = {
            "id": "shed-1-p03",
            "kind": "port",
            "compound": "garden",
            "parent": "shed-1",
            "name": "雨棚下",
            "attributes": {"port_no": 3, "nominal_power_w": 500},
        }
        registry = parse(a_document(port, a_shed()))
        assert len(registry.devices) == 13
        assert registry.devices["shed-1-p03"].name == "雨棚下"

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"id": "other"}, "devices[1].id: port 3 of shed-1 is shed-1-p03, not other"),
            ({"parent": None}, "devices[1].parent: a port needs the shed that it belongs to"),
            ({"attributes": {}}, "devices[1].attributes: a port needs its port_no"),
            (
                {"attributes": {"port_no": MAX_PORTS + 1}},
                "devices[1].attributes.port_no: 65 is not a whole number in 1…64",
            ),
        ],
    )
    def test_a_port_that_no_message_could_reach_is_refused(
        self, change: dict[str, Any], problem: str
    ) -> None:
        port = {
            "id": "shed-1-p03",
            "kind": "port",
            "compound": "garden",
            "parent": "shed-1",
            "attributes": {"port_no": 3},
        }
        found = problems_of(a_document(a_shed(), port | change))
        assert problem in [": ".join(one) for one in found]

    def test_a_shed_whose_ports_would_have_too_long_ids_is_refused(self) -> None:
        found = problems_of(a_document(a_shed(id="s" * 60, attributes={"ports": 1})))
        assert found == [("devices[0].id", f"{'s' * 60} is too long an id for a shed with ports")]


class TestProblems:
    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"id": None}, "devices[0].id: is missing"),
            ({"id": "Gate_1"}, "devices[0].id: 'Gate_1' is not an id"),
            ({"id": "gate-1\n"}, "devices[0].id: 'gate-1\\n' is not an id"),
            ({"id": "platform"}, "devices[0].id: 'platform' is taken by courtyard itself"),
            ({"kind": "door"}, "devices[0].kind: 'door' is not one of"),
            ({"kind": None}, "devices[0].kind: is missing"),
            ({"compound": "atlantis"}, "devices[0].compound: there is no compound 'atlantis'"),
            ({"parent": "nothing"}, "devices[0].parent: there is no device 'nothing'"),
            ({"parent": "gate-1"}, "devices[0].parent: its parents lead back to it"),
            ({"protocol": "modbus"}, "devices[0].protocol: 'modbus' is not one of native, "),
            ({"protocol": "tasmota"}, "devices[0].external_id: is missing: tasmota knows"),
            ({"external_id": "8.69012E+14"}, "devices[0].external_id: 8.69012E+14 was shortened"),
            ({"external_id": 5}, "devices[0].external_id: 5 is not text"),
            ({"interval_s": 0}, "devices[0].interval_s: 0 is outside 1…604800"),
            ({"interval_s": 1.5}, "devices[0].interval_s: 1.5 is not a whole number"),
            ({"interval_s": True}, "devices[0].interval_s: True is not a number"),
            ({"interval_s": "60"}, "devices[0].interval_s: '60' is not a number"),
            ({"interval_s": float("nan")}, "devices[0].interval_s: nan is outside"),
            ({"interval_s": 10**400}, "devices[0].interval_s: 1000"),
            ({"name": "x" * 257}, "longer than 256 characters"),
            ({"name": "门\x00"}, "has control characters"),
            ({"name": "\ud800"}, "is no Unicode"),
            ({"name": " 东门"}, "begins or ends with a space"),
            ({"protcol": "juy"}, "devices[0].protcol: there is no such field"),
            ({"attributes": {"ports": 3}}, "devices[0].attributes.ports: 3 is for a shed only"),
            ({"attributes": {"form": "wing"}}, "is not one of pedestrian, barrier"),
            ({"attributes": {"nominal_power_w": 0}}, "is not a power in W"),
            ({"attributes": {"lamp_count": 2.5}}, "is not a whole number in 1…1000"),
            ({"attributes": {"x": [1]}}, "devices[0].attributes.x: [1] is no text, number or flag"),
            ({"attributes": {"x": float("inf")}}, "attributes.x: inf is not a usable number"),
            ({"attributes": {"x": 10**400}}, "is not a usable number"),
            ({"attributes": {"Ports": 1}}, "devices[0].attributes: 'Ports' is not [a-z]"),
            ({"attributes": {f"a{n}": 1 for n in range(65)}}, "65 are too many: at most 64"),
            ({"attributes": []}, "devices[0].attributes: [] is not an object"),
            ({"commissioned_at": "yesterday"}, "devices[0].commissioned_at: 'yesterday' is not a"),
            ({"commissioned_at": "2026-11-23T10:00:00"}, "is not a time like"),  # whose zone?
            ({"commissioned_at": "0001-01-01T00:00:00+14:00"}, "is not a time like"),
        ],
    )
    def test_a_device_that_makes_no_sense_is_refused(
        self, change: dict[str, Any], problem: str
    ) -> None:
        assert problem in the_problem_of(a_document(a_gate(**change)))

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"firm": "nobody"}, "compounds[0].firm: there is no firm 'nobody'"),
            ({"households": None}, "compounds[0].households: is missing"),
            ({"households": -1}, "compounds[0].households: -1 is outside 0…1000000"),
            ({"timezone": "Mars/Olympus"}, "compounds[0].timezone: 'Mars/Olympus' is not a time"),
            ({"timezone": "../etc/passwd"}, "is not a time zone"),
            ({"timezone": "Asia"}, "is not a time zone"),
            ({"latitude": 90.1}, "compounds[0].latitude: 90.1 is outside -90…90"),
            ({"longitude": float("inf")}, "compounds[0].longitude: inf is outside"),
            ({"name": {"en": "Garden"}}, "compounds[0].name.zh: is missing"),
            ({"name": "花园"}, "compounds[0].name: '花园' is not an object"),
            ({"contacts": [{"tel": "1"}]}, "compounds[0].contacts[0].tel: there is no such field"),
            ({"synthetic": 1}, "compounds[0].synthetic: 1 is not true or false"),
            ({"id": "unassigned"}, "compounds[0].id: 'unassigned' is taken by courtyard itself"),
        ],
    )
    def test_a_compound_that_makes_no_sense_is_refused(
        self, change: dict[str, Any], problem: str
    ) -> None:
        document = a_document()
        document["compounds"] = [document["compounds"][0] | change]
        assert problem in "\n".join(": ".join(found) for found in problems_of(document))

    def test_everything_is_told_at_once(self) -> None:
        document = a_document(
            a_gate(kind="door", interval_s=-1),
            a_gate(id="gate-2", compound="atlantis", extra=1),
            shops=[],
        )
        document["firms"][0]["id"] = "Ya Xin"
        assert [where for where, _ in problems_of(document)] == [
            "firms[0].id",
            "devices[0].kind",
            "devices[0].interval_s",
            "devices[1].extra",
            "shops",
            "compounds[0].firm",
            "compounds[1].firm",
            "devices[1].compound",
        ]

    def test_a_bad_parent_does_not_make_its_children_bad(self) -> None:
        document = a_document(
            {"id": "gw-1", "kind": "gateway", "compound": "garden", "interval_s": -1},
            a_gate(parent="gw-1"),
        )
        assert [where for where, _ in problems_of(document)] == ["devices[0].interval_s"]

    def test_an_id_that_comes_twice_is_told_where_it_comes_again(self) -> None:
        document = a_document(a_gate(), a_gate())
        assert the_problem_of(document) == "devices[1]: 'gate-1' is at devices[0] already"

    def test_a_name_in_a_protocol_belongs_to_one_device(self) -> None:
        lamps = [
            {"id": f"lamp-{n}", "kind": "lamp", "compound": "garden", "external_id": "plug"}
            for n in (1, 2, 3)
        ]
        for lamp, protocol in zip(lamps, ("tasmota", "tasmota", "shelly"), strict=True):
            lamp["protocol"] = protocol
        assert the_problem_of(a_document(*lamps)) == (
            "devices[1].external_id: lamp-1 is 'plug' in tasmota already"
        )

    def test_a_parent_in_another_compound_is_refused(self) -> None:
        gateway = {"id": "gw-1", "kind": "gateway", "compound": "court"}
        assert the_problem_of(a_document(gateway, a_gate(parent="gw-1"))) == (
            "devices[1].parent: gw-1 is in court, and gate-1 in garden"
        )

    def test_a_ring_of_parents_is_told_once(self) -> None:
        ring = [a_gate(id=f"g-{n}", parent=f"g-{(n + 1) % 3}") for n in range(3)]
        tail = a_gate(id="tail", parent="g-0")
        assert the_problem_of(a_document(tail, *ring)) == (
            "devices[1].parent: its parents lead back to it: g-0 → g-1 → g-2 → g-0"
        )

    @pytest.mark.parametrize("document", [[], "text", None, {"devices": {}}, {"devices": [1]}])
    def test_what_is_no_registry_is_refused(self, document: Any) -> None:
        assert problems_of(document)

    def test_a_long_list_of_problems_is_cut_in_the_text_only(self) -> None:
        error = BadRegistry([Problem(f"line {n}", "wrong") for n in range(51)])
        assert str(error).endswith("line 49: wrong\n… and 1 more")
        assert len(error.problems) == 51


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True).filter(lambda i: i != "platform")
FREE_VALUES = st.one_of(
    WORDS,
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(-1e15, 1e15),
    st.sampled_from(["true", "12", "-1.5", "1e3", '"quoted"', "007", "+1", "=A1", "'", "'=x"]),
)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    ids = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    devices: list[Device] = []
    for number, identifier in enumerate(ids):
        kind = draw(st.sampled_from(sorted(set(KINDS) - {"port"})))
        attributes = draw(st.dictionaries(st.sampled_from(["x", "floor", "note"]), FREE_VALUES))
        if kind == "shed":
            attributes["ports"] = draw(st.integers(1, 20))
        protocol = draw(st.sampled_from(PROTOCOLS))
        devices.append(
            Device(
                id=identifier,
                kind=kind,
                compound="garden",
                name=draw(WORDS),
                interval_s=draw(st.integers(1, 3600)),
                parent=draw(st.sampled_from([None, *ids[:number]])),
                circuit=draw(st.none() | WORDS),
                protocol=protocol,
                external_id=f"{number}-{draw(WORDS)}",
                vendor=draw(st.just("") | WORDS),
                model=draw(st.just("") | WORDS),
                building=draw(st.just("") | WORDS),
                unit=draw(st.just("") | WORDS),
                attributes=attributes,
                commissioned_at_ms=draw(
                    st.none() | st.integers(946_684_800_000, 4_102_444_799_999)
                ),
            )
        )
    bare = Registry(WITHOUT_DEVICES.firms.values(), WITHOUT_DEVICES.compounds.values(), devices)
    return parse(dump(bare))  # with the ports of the sheds


@given(registries())
def test_what_was_dumped_is_parsed_the_same(registry: Registry) -> None:
    again = parse(json.loads(json.dumps(dump(registry))))
    assert plain(again) == plain(registry)
    assert dump(again) == dump(registry)


@given(registries())
def test_what_was_dumped_as_rows_is_parsed_the_same(registry: Registry) -> None:
    columns, rows = dump_rows(registry)
    assert all(set(row) <= set(columns) for row in rows)
    again = parse_rows(enumerate(rows, 2), WITHOUT_DEVICES)
    assert plain(again) == plain(registry)
    types = [{k: type(v) for k, v in d.attributes.items()} for d in again.devices.values()]
    assert types == [
        {k: type(v) for k, v in d.attributes.items()} for d in registry.devices.values()
    ]


def test_made_ports_are_not_dumped_and_changed_ones_are() -> None:
    registry = parse(a_document(a_shed()))
    assert [device["id"] for device in dump(registry)["devices"]] == ["shed-1"]
    port = dataclasses.replace(registry.devices["shed-1-p02"], name="雨棚下")
    changed = Registry(
        registry.firms.values(),
        registry.compounds.values(),
        (registry.devices | {port.id: port}).values(),
    )
    assert [device["id"] for device in dump(changed)["devices"]] == ["shed-1", "shed-1-p02"]
    assert plain(parse(dump(changed))) == plain(changed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*a_shed(), "devices", "firms", "compounds", "parent", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_registry_or_a_bad_registry(raw: Any) -> None:
    for document in (raw, {"devices": [raw]}, a_document(a_gate(x=raw)), a_document(raw, a_shed())):
        try:
            registry = parse(document)
        except BadRegistry as error:
            assert error.problems  # noqa: PT017 - either outcome is right
        else:
            assert plain(parse(dump(registry))) == plain(registry)


class TestRows:
    def rows(self, *rows: dict[str, str], known: Registry = WITHOUT_DEVICES) -> Registry:
        return parse_rows(enumerate(rows, 2), known)

    def problems(self, *rows: dict[str, str], known: Registry = WITHOUT_DEVICES) -> list[str]:
        with pytest.raises(BadRegistry) as raised:
            self.rows(*rows, known=known)
        return [str(problem) for problem in raised.value.problems]

    def test_a_row_is_a_device(self) -> None:
        row = {
            "id": "lamp-1",
            "kind": "lamp",
            "compound": "garden",
            "name": "",
            "interval_s": "900",
            "granularity": "circuit",
            "lamp_count": "8",
            "nominal_power_w": "9.5",
            "attributes.metered": "true",
            "attributes.iccid": "89860123456789012345",
            "attributes.floor": "007",
        }
        lamp = self.rows(row).devices["lamp-1"]
        assert (lamp.name, lamp.interval_s) == ("lamp-1", 900)
        assert lamp.attributes == {
            "granularity": "circuit",
            "lamp_count": 8,
            "nominal_power_w": 9.5,
            "metered": True,
            "iccid": "89860123456789012345",
            "floor": "007",
        }

    def test_rows_add_to_what_is_known(self) -> None:
        known = parse(a_document(a_gate(), a_shed()))
        registry = self.rows(
            {"id": "gate-1", "kind": "gate", "compound": "garden", "name": "西门"},
            {"id": "gate-2", "kind": "gate", "compound": "court"},
            known=known,
        )
        assert len(registry.devices) == len(known.devices) + 1
        assert registry.devices["gate-1"].name == "西门"
        assert registry.firms == known.firms

    def test_a_row_of_a_known_shed_takes_its_made_ports_along(self) -> None:
        port = {"id": "shed-1-p02", "kind": "port", "compound": "garden", "parent": "shed-1"}
        port |= {"name": "雨棚下", "attributes": {"port_no": 2}}  # type: ignore[dict-item]
        known = parse(a_document(a_shed(), port))
        row = {"id": "shed-1", "kind": "shed", "compound": "garden", "name": "东棚", "ports": "14"}
        registry = self.rows(row, known=known)
        assert registry.devices["shed-1-p01"].name == "东棚 1号插座"
        assert registry.devices["shed-1-p02"].name == "雨棚下"
        assert registry.devices["shed-1-p14"].protocol == "juy"

    def test_what_has_no_column_stays_and_what_is_empty_goes(self) -> None:
        known = parse(a_document(a_gate(building="3", unit="2", attributes={"form": "barrier"})))
        row = {"id": "gate-1", "kind": "gate", "compound": "garden", "unit": ""}
        gate = self.rows(row, known=known).devices["gate-1"]
        assert (gate.name, gate.building, gate.unit) == ("东门", "3", "")
        assert gate.attributes == {"form": "barrier"}
        lift = self.rows(row | {"kind": "lift"}, known=known).devices["gate-1"]
        assert lift.attributes == {}

    def test_kinds_and_compounds_may_be_named_as_people_name_them(self) -> None:
        known = parse(
            {
                "firms": [{"id": "yaxin", "name": {"zh": "亚新"}}],
                "compounds": [
                    {"id": "xiangyunli", "name": {"zh": "祥云里"}, "firm": "yaxin", "households": 1}
                ],
            }
        )
        row = {"id": "gate-1", "kind": KINDS["gate"].zh, "compound": "祥云里"}
        gate = self.rows(row, known=known).devices["gate-1"]
        assert (gate.kind, gate.compound) == ("gate", "xiangyunli")

    def test_two_compounds_of_one_name_are_named_by_their_ids(self) -> None:
        row = {"id": "gate-1", "kind": "gate", "compound": "花园"}
        assert self.problems(row)[0].startswith("line 2, compound: '花园' is not an id")

    def test_everything_wrong_is_told_beside_what_is_right(self) -> None:
        rows = [
            {"id": "gate-1", "kind": "gate", "compound": "garden"},
            {"id": "gate-2", "kind": "gate", "compound": "atlantis", "interval_s": "often"},
        ]
        read = read_rows(enumerate(rows, 2), WITHOUT_DEVICES)
        assert read.lines == {2: "gate-1", 3: "gate-2"}
        assert read.things["gate-1"].compound == "garden"
        assert {problem.word for problem in read.problems} == {"no_number", "no_compound"}

    def test_problems_name_the_line(self) -> None:
        good = {"id": "gate-1", "kind": "gate", "compound": "garden"}
        assert self.problems(
            good | {"interval_s": "often"},
            good | {"id": "lamp-1", "kind": "lamp", "lamp_count": "0", "parent": "x"},
            good,
        ) == [
            "line 2, interval_s: 'often' is not a number",
            "line 3, lamp_count: 0 is not a whole number in 1…1000",
            "line 4: 'gate-1' is at line 2 already",
            "line 3, parent: there is no device 'x'",
        ]

    def test_an_unknown_column_is_told_once(self) -> None:
        rows = [
            {"id": f"g-{n}", "kind": "gate", "compound": "garden", "protcol": ""} for n in (1, 2)
        ]
        (problem,) = self.problems(*rows)
        assert problem.startswith("line 2: there is no column 'protcol'")

    def test_a_name_that_a_known_device_has_is_refused(self) -> None:
        known = parse(a_document(a_shed()))
        row = {"id": "shed-2", "kind": "shed", "compound": "garden", "protocol": "juy"}
        assert self.problems(row | {"external_id": "869012345678901"}, known=known) == [
            "line 2, external_id: shed-1 is '869012345678901' in juy already"
        ]

    def test_a_gateway_cannot_move_away_from_its_devices(self) -> None:
        known = parse(
            a_document(
                {"id": "gw-1", "kind": "gateway", "compound": "garden"}, a_gate(parent="gw-1")
            )
        )
        row = {"id": "gw-1", "kind": "gateway", "compound": "court"}
        assert self.problems(row, known=known) == [
            "gate-1.parent: gw-1 is in court, and gate-1 in garden"
        ]


class TestCompoundRows:
    def test_a_row_is_a_compound(self) -> None:
        row = {
            "id": "yard",
            "name_zh": "大院",
            "firm": "yaxin",
            "households": "80",
            "latitude": "34.7",
            "contacts": "李伟, 0371-6601, 值班；王五，0371-6602",
        }
        yard = read_compound_rows([(2, row)], WITHOUT_DEVICES).things["yard"]
        assert (yard.name, yard.households, yard.latitude) == (Name("大院", "大院"), 80, 34.7)
        assert yard.contacts == (
            Contact("李伟", "0371-6601", "值班"),
            Contact("王五", "0371-6602", ""),
        )
        assert contacts_of(contacts_text(yard.contacts)) == [
            dataclasses.asdict(contact) for contact in yard.contacts
        ]

    def test_what_has_no_column_stays(self) -> None:
        row = {"id": "garden", "households": "295"}
        garden = read_compound_rows([(2, row)], WITHOUT_DEVICES).things["garden"]
        assert garden == dataclasses.replace(WITHOUT_DEVICES.compounds["garden"], households=295)

    def test_problems_name_the_line(self) -> None:
        rows = [{"id": "garden", "firm": "nobody"}, {"id": "garden", "colour": "red"}]
        read = read_compound_rows(enumerate(rows, 2), WITHOUT_DEVICES)
        assert [str(problem) for problem in read.problems] == [
            "line 2, firm: there is no firm 'nobody'",
            "line 3: there is no column 'colour'",
            "line 3: 'garden' is at line 2 already",
        ]


class TestEntries:
    def test_a_device_out_of_service_needs_no_name_in_its_protocol(self) -> None:
        known = parse(a_document(a_shed()))
        entry = device_entry(known.devices["shed-1"]) | {"external_id": ""}
        with pytest.raises(BadRegistry, match=r"shed-1\.external_id: is missing"):
            parse_entries([entry], known)
        entry["decommissioned_at"] = "2026-11-23T10:00:00Z"
        assert parse_entries([entry], known).devices["shed-1"].external_id == ""

    def test_firms_and_compounds_are_read_one_by_one(self) -> None:
        firm = parse_firm({"id": "new", "name": {"zh": "新"}})
        assert firm == Firm("new", Name("新", "新"))
        with pytest.raises(BadRegistry, match="firm: there is no firm 'new'"):
            parse_compound(
                {"id": "yard", "name": {"zh": "大院"}, "firm": "new", "households": 1},
                WITHOUT_DEVICES,
            )
