"""The default district: the totals of a district's renovation report, laid out as a fleet.

Real are the totals, ten names, three firms and the figures of 教工小区. Everything else is made up
from one fixed seed, and is the same on every machine and in every run: only `random()` is used,
whose sequence Python guarantees; shuffles and normal deviates are our own.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import TypeVar

from devices.ids import port_id
from devices.messages import Value
from devices.registry import Compound, Device, Firm, Name, Registry

T = TypeVar("T")

SEED = 20201201
HOUSEHOLDS = 39_167
COMPOUNDS = 225
GATES = 349
BARRIERS = 60
SHEDS = 134
COMPOUNDS_WITH_SHEDS = 118
STREET_LAMPS = 2_886
CAMERAS = 820
SHED_SIZES = {20: 10, 12: 80, 10: 44}  # ports of a shed: how many such sheds
CIRCUIT_SIZES = {6: 60, 7: 100, 8: 130, 9: 168, 10: 130, 11: 100, 12: 60}  # lamps: circuits
LIFTS = {"yaxin-meihao-xinyuan": 4, "xinghuajie-60-haoyuan": 2}

JIAOGONG = "jiaogong-xiaoqu"
JIAOGONG_HOUSEHOLDS = 294
HOUSEHOLDS_A_UNIT = 14  # 294 households in 21 units
UNITS_A_BUILDING = 3.5  # 21 units in 6 buildings

GATE_S, SHED_S, LAMP_S, CAMERA_S, LIFT_S, GATEWAY_S = 30, 60, 900, 300, 60, 60
TASMOTA_S = 300

FIRMS = (
    Firm("yaxin", Name("亚新", "Yaxin")),
    Firm("zhengmei", Name("正美", "Zhengmei")),
    Firm("kangqiao", Name("康桥", "Kangqiao")),
)
NAMED = (
    ("xiangyunli", "祥云里", "Xiangyunli"),
    (JIAOGONG, "教工小区", "Jiaogong Compound"),
    ("yaxin-meihao-xinyuan", "亚新美好新苑", "Yaxin Meihao Xinyuan"),
    ("xinghuajie-60-haoyuan", "兴华街60号院", "Xinghua Street No. 60 Yard"),
    ("qiliyan-dongjie-50-haolou", "齐礼阎东街50号楼", "Qiliyan East Street Building 50"),
    ("baoquanjie-28-haoyuan", "保全街28号院", "Baoquan Street No. 28 Yard"),
    ("jinxiang-huayuan", "金祥花园", "Jinxiang Garden"),
    ("xinghua-beijie-6-haoyuan", "兴华北街6号院", "Xinghua North Street No. 6 Yard"),
    ("lvyun-xiaoqu", "绿云小区", "Lüyun Compound"),
    ("lianxin-hutong", "连心胡同", "Lianxin Hutong"),
)
SIDES = ("东门", "南门", "西门", "北门")


def registry(vendors: float = 0.0) -> Registry:
    """The whole district. vendors: the share (0 to 1) of sheds that speak JUY and of lamp circuits
    that speak Tasmota; every other figure is the same for every share.
    """
    if not 0.0 <= vendors <= 1.0:
        raise ValueError(f"vendors is a share from 0 to 1, not {vendors}")
    compounds = _compounds(Random(SEED))  # noqa: S311 - a layout, not a secret
    return Registry(FIRMS, compounds, _devices(compounds, vendors))


def first(whole: Registry, compounds: int) -> Registry:
    """The first so many compounds of a district, with their devices and every firm."""
    if compounds < 1:
        raise ValueError(f"at least 1 compound, not {compounds}")
    kept = list(whole.compounds.values())[:compounds]
    names = {compound.id for compound in kept}
    devices = (device for device in whole.devices.values() if device.compound in names)
    return Registry(whole.firms.values(), kept, devices, whole.revision)


def shares(
    total: int, weights: Sequence[float], least: int = 0, most: Sequence[int] | None = None
) -> list[int]:
    """`total` split in proportion to `weights`, by largest remainder, within [least, most].

    Raises ValueError when the bounds cannot hold the total.
    """
    caps = list(most) if most is not None else [total] * len(weights)
    if not least * len(weights) <= total <= sum(caps):
        raise ValueError(f"{total} does not fit into {len(weights)} parts of {least} to {caps}")
    parts = [least] * len(weights)
    left = total - sum(parts)
    rest = list(range(len(weights)))
    while True:
        weight = sum(weights[i] for i in rest)
        exact = {i: left * weights[i] / weight for i in rest}
        full = [i for i in rest if least + exact[i] > caps[i]]
        if not full:
            break
        for i in full:  # they get what they can hold, and the others share what is left
            left -= caps[i] - least
            parts[i] = caps[i]
            rest.remove(i)
    for i in rest:
        parts[i] += int(exact[i])
    left -= sum(int(exact[i]) for i in rest)
    by_remainder = sorted(
        (i for i in rest if parts[i] < caps[i]), key=lambda i: (int(exact[i]) - exact[i], i)
    )
    for i in by_remainder[:left]:
        parts[i] += 1
    return parts


def _normal(rng: Random) -> float:
    return math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())


def _shuffled(items: Iterable[T], rng: Random) -> list[T]:
    deck = list(items)
    for i in range(len(deck) - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        deck[i], deck[j] = deck[j], deck[i]
    return deck


def _compounds(rng: Random) -> list[Compound]:
    names = list(NAMED) + [
        (f"mock-{n:03d}", f"模拟小区{n:03d}", f"Mock Compound {n:03d}")
        for n in range(len(NAMED) + 1, COMPOUNDS + 1)
    ]
    others = [name for name, _, _ in names if name != JIAOGONG]
    drawn = [max(24.0, 150 * math.exp(0.55 * _normal(rng))) for _ in others]
    split = shares(HOUSEHOLDS - JIAOGONG_HOUSEHOLDS, drawn, least=24)
    households = {JIAOGONG: JIAOGONG_HOUSEHOLDS, **dict(zip(others, split, strict=True))}
    # 75 each: 亚新美好新苑 is Yaxin's by its name, so the round begins there
    begin = [name for name, _, _ in names].index("yaxin-meihao-xinyuan")
    return [
        Compound(
            id=name,
            name=Name(zh, en),
            firm=FIRMS[(n - begin) % len(FIRMS)].id,
            households=households[name],
            latitude=round(34.735 + 0.03 * _normal(rng), 5),
            longitude=round(113.63 + 0.03 * _normal(rng), 5),
            synthetic=name.startswith("mock-"),
        )
        for n, (name, zh, en) in enumerate(names)
    ]


def _devices(compounds: Sequence[Compound], vendors: float) -> Iterator[Device]:
    rng = Random(SEED + 1)  # noqa: S311 - as above
    households = [float(compound.households) for compound in compounds]
    units = [max(1, round(compound.households / HOUSEHOLDS_A_UNIT)) for compound in compounds]
    gates = shares(GATES, households, least=1, most=[4] * COMPOUNDS)
    barriers = _barriers(gates, households)
    sheds = _sheds(compounds, rng)
    street = shares(STREET_LAMPS, [h * (0.7 + 0.6 * rng.random()) for h in households], least=2)
    stairs = shares(sum(CIRCUIT_SIZES.values()), [float(n) for n in units], least=1, most=units)
    cameras = shares(CAMERAS, households, least=1)

    circuit_sizes = iter(_shuffled((n for n, of in CIRCUIT_SIZES.items() for _ in range(of)), rng))
    supplies = _shuffled((n * 10 < 7 * sum(stairs) for n in range(sum(stairs))), rng)
    wants_juy = set(_shuffled(range(SHEDS), rng)[: round(vendors * SHEDS)])
    wants_tasmota = set(_shuffled(range(sum(stairs)), rng)[: round(vendors * sum(stairs))])

    shed_no = circuit_no = 0
    for n, compound in enumerate(compounds):
        place = _Place(compound, units[n])
        yield place.device("gateway", "gateway", "网关", GATEWAY_S, parent=None)
        sides = _shuffled(SIDES, rng)
        yield from _gates(place, sides, gates[n], barriers[n])
        for k, ports in enumerate(sheds[n]):
            yield from _shed(place, k + 1, ports, shed_no, juy=shed_no in wants_juy)
            shed_no += 1
        wattage = (30, 40, 50, 60)[int(rng.random() * 4)]
        for k in range(street[n]):
            yield _street_lamp(place, k, wattage)
        wattage = (7, 9, 12)[int(rng.random() * 3)]
        for k in range(stairs[n]):
            yield _stair(
                place,
                k,
                place.unit(k * units[n] // stairs[n]),
                circuit_no,
                lamps=next(circuit_sizes),
                wattage=wattage,
                switched=supplies[circuit_no],
                tasmota=circuit_no in wants_tasmota,
            )
            circuit_no += 1
        views = _views(place, sides, gates[n], len(sheds[n]))
        for k, (name, building) in enumerate(islice(views, cameras[n])):
            yield place.device(
                "camera", f"camera-{k + 1:02d}", name, CAMERA_S, building=building, channels=1
            )
        for k in range(LIFTS.get(compound.id, 0)):
            yield _lift(place, k)


def _gates(place: "_Place", sides: Sequence[str], count: int, barriers: int) -> Iterator[Device]:
    for k in range(count):
        form = "barrier" if k >= count - barriers else "pedestrian"
        name = f"车辆道闸 {sides[k]}" if form == "barrier" else f"门禁 {sides[k]}"
        yield place.device("gate", f"gate-{k + 1}", name, GATE_S, form=form)


def _street_lamp(place: "_Place", k: int, wattage: int) -> Device:
    return place.device(
        "lamp",
        f"lamp-{k + 1:03d}",
        f"路灯{k + 1:03d}",
        LAMP_S,
        circuit=f"{place.compound.id}-street-{k // 24 + 1}",
        granularity="lamp",
        lamp_count=1,
        nominal_power_w=wattage,
        supply="permanent",
    )


def _lift(place: "_Place", k: int) -> Device:
    building, unit = place.unit(k)
    name = f"{building}{unit}电梯"
    return place.device("lift", f"lift-{k + 1}", name, LIFT_S, building=building, unit=unit)


def _barriers(gates: Sequence[int], households: Sequence[float]) -> list[int]:
    """How many of a compound's gates are for vehicles: the largest with a second gate have one."""
    able = sorted((n for n, of in enumerate(gates) if of > 1), key=lambda n: (-households[n], n))
    chosen = set(able[:BARRIERS])
    return [1 if n in chosen else 0 for n in range(len(gates))]


def _sheds(compounds: Sequence[Compound], rng: Random) -> list[list[int]]:
    """The port counts of the sheds of each compound; empty where there is none."""
    jiaogong = next(n for n, compound in enumerate(compounds) if compound.id == JIAOGONG)
    # a district builds sheds where people are: drawn without replacement, by households
    ranked = sorted(
        (n for n in range(len(compounds)) if n != jiaogong),
        key=lambda n: -((1 - rng.random()) ** (1 / compounds[n].households)),
    )
    having = sorted([jiaogong, *ranked[: COMPOUNDS_WITH_SHEDS - 1]])
    largest = sorted(having, key=lambda n: (-compounds[n].households, n))
    two = set([n for n in largest if n != jiaogong][: SHEDS - COMPOUNDS_WITH_SHEDS])
    places = [n for n in having for _ in range(2 if n in two else 1)]
    big = SHED_SIZES[20]
    by_size = sorted(range(SHEDS), key=lambda k: (-compounds[places[k]].households, k))
    by_size.remove(places.index(jiaogong))
    sizes = [0] * SHEDS
    for k in by_size[:big]:
        sizes[k] = 20
    sizes[places.index(jiaogong)] = 12
    rest = _shuffled([12] * (SHED_SIZES[12] - 1) + [10] * SHED_SIZES[10], rng)
    for k in by_size[big:]:
        sizes[k] = rest.pop()
    ports: list[list[int]] = [[] for _ in compounds]
    for k, n in enumerate(places):
        ports[n].append(sizes[k])
    return ports


class _Place:
    """A compound's buildings and units, and the making of its devices."""

    def __init__(self, compound: Compound, units: int) -> None:
        self.compound = compound
        self.units = units
        self.buildings = max(1, round(units / UNITS_A_BUILDING))

    def unit(self, k: int) -> tuple[str, str]:
        """Building and unit of the `k`-th unit of the compound, counted from 0."""
        k %= self.units
        building = k * self.buildings // self.units
        before = -(-building * self.units // self.buildings)
        return f"{building + 1}号楼", f"{k - before + 1}单元"

    def device(
        self,
        kind: str,
        suffix: str,
        name: str,
        interval_s: int,
        *,
        parent: str | None = "gateway",
        circuit: str | None = None,
        protocol: str = "native",
        external_id: str = "",
        vendor: str = "",
        building: str = "",
        unit: str = "",
        **attributes: Value,
    ) -> Device:
        return Device(
            id=f"{self.compound.id}-{suffix}",
            kind=kind,
            compound=self.compound.id,
            name=name,
            interval_s=interval_s,
            parent=None if parent is None else f"{self.compound.id}-{parent}",
            circuit=circuit,
            protocol=protocol,
            external_id=external_id,
            vendor=vendor,
            building=building,
            unit=unit,
            attributes={**attributes, "synthetic": True},
        )


def _shed(place: _Place, k: int, ports: int, shed_no: int, *, juy: bool) -> Iterator[Device]:
    suffix, imei = f"shed-{k}", _imei(shed_no)
    shed = place.device(
        "shed",
        suffix,
        f"{k}号充电棚",
        SHED_S,
        parent=None,  # its own 4G modem: no gateway's outage is its own
        protocol="juy" if juy else "native",
        external_id=imei if juy else "",
        vendor="JUY" if juy else "",
        ports=ports,
        imei=imei,
    )
    yield shed
    for port_no in range(1, ports + 1):
        port = port_id(suffix, port_no)
        name = f"{k}号充电棚 {port_no}号插座"
        yield place.device("port", port, name, SHED_S, parent=suffix, port_no=port_no)


def _imei(n: int) -> str:
    """A 15-digit IMEI with a right check digit (Luhn); its type code is not an assigned one."""
    body = f"860000{n + 1:08d}"
    doubled = [int(d) * (1 + k % 2) for k, d in enumerate(body)]
    return f"{body}{-sum(d // 10 + d % 10 for d in doubled) % 10}"


def _stair(
    place: _Place,
    k: int,
    where: tuple[str, str],
    circuit_no: int,
    *,
    lamps: int,
    wattage: int,
    switched: bool,
    tasmota: bool,
) -> Device:
    building, unit = where
    suffix = f"stair-{k + 1:02d}"
    return place.device(
        "lamp",
        suffix,
        f"{building}{unit}楼道灯",
        TASMOTA_S if tasmota else LAMP_S,
        circuit=f"{place.compound.id}-{suffix}",
        protocol="tasmota" if tasmota else "native",
        # the three last bytes of a MAC address, as Tasmota names itself; odd factor: all different
        external_id=f"tasmota_{(0x2D1F * circuit_no + 0x5EED01) & 0xFFFFFF:06X}" if tasmota else "",
        vendor="Tasmota" if tasmota else "",
        building=building,
        unit=unit,
        granularity="circuit",
        lamp_count=lamps,
        nominal_power_w=wattage,
        supply="switched" if switched else "permanent",
    )


def _views(
    place: _Place, sides: Sequence[str], gates: int, sheds: int
) -> Iterator[tuple[str, str]]:
    """Where cameras look, the most needed first: name and building; never ends."""
    for side in sides[:gates]:
        yield f"监控 {side}", ""
    for k in range(sheds):
        yield f"监控 {k + 1}号充电棚", ""
    for k in range(place.buildings):
        yield f"监控 {k + 1}号楼", f"{k + 1}号楼"
    k = 0
    while True:
        k += 1
        yield f"监控 院内{k}", ""
