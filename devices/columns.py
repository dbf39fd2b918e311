"""Columns of registry files as people name them: their headings in both languages, and what is
written below. The names that programs use are those of `devices.inventory`, and always good.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from devices.inventory import PROTOCOLS
from devices.kinds import KINDS

DEVICES, COMPOUNDS, FIRMS = "devices", "compounds", "firms"
# What a sheet of a workbook may be called.
SHEETS: Mapping[str, tuple[str, str]] = {
    DEVICES: ("设备", "Devices"),
    COMPOUNDS: ("小区", "Compounds"),
    FIRMS: ("物业公司", "Firms"),
}

_KINDS = "、".join(f"{kind.zh} {name}" for name, kind in KINDS.items())
_NOT_LETTERS = re.compile(r"[\s_()（）·.-]+")


@dataclass(frozen=True, slots=True)
class Column:
    """zh, en: its heading. means_zh, means_en: what is written below. example: one such text."""

    zh: str
    en: str
    means_zh: str
    means_en: str
    example: str = ""


COLUMNS: Mapping[str, Mapping[str, Column]] = {
    DEVICES: {
        "id": Column(
            "设备编号",
            "Device ID",
            "必填。小写字母、数字和连字符，全区唯一；以后不改",
            "Needed. Lower-case letters, digits and hyphens; unique, and for good",
            "xiangyunli-gate-3",
        ),
        "kind": Column(
            "类型",
            "Kind",
            f"必填。{_KINDS}",
            f"Needed. One of {', '.join(KINDS)}",
            "gate",
        ),
        "compound": Column(
            "小区",
            "Compound",
            "必填。小区编号，或没有重名的小区名",
            "Needed. A compound's ID, or its name where only one has it",
            "xiangyunli",
        ),
        "parent": Column(
            "上级设备",
            "Parent",
            "所在网关（或插座所属充电棚）的设备编号",
            "ID of the gateway it hangs on, or of a port's shed",
            "xiangyunli-gw",
        ),
        "circuit": Column(
            "回路",
            "Circuit",
            "供电回路，同名即同路",
            "Supply circuit; the same name is the same one",
        ),
        "name": Column("名称", "Name", "不填即为设备编号", "The ID when empty", "东门 2 号"),
        "protocol": Column(
            "协议",
            "Protocol",
            f"不填为 native；{'、'.join(PROTOCOLS)}",
            f"native when empty; one of {', '.join(PROTOCOLS)}",
            "native",
        ),
        "external_id": Column(
            "协议内编号",
            "External ID",
            "设备在厂家协议里的编号（IMEI、主题名）。按文本填写，勿用科学计数",
            "Its name in the vendor's protocol (IMEI, topic), as text: no 8.69E+14",
        ),
        "vendor": Column("厂家", "Vendor", "", ""),
        "model": Column("型号", "Model", "", ""),
        "building": Column("楼栋", "Building", "如 3", "Such as 3", "3"),
        "unit": Column("单元", "Unit", "如 2", "Such as 2", "2"),
        "interval_s": Column(
            "上报间隔（秒）",
            "Report interval (s)",
            "不填按类型的默认值",
            "The kind's own when empty",
            "30",
        ),
        "commissioned_at": Column(
            "投用时间",
            "In service since",
            "如 2026-11-23T10:00:00+08:00",
            "As 2026-11-23T10:00:00Z",
        ),
        "decommissioned_at": Column(
            "停用时间",
            "Out of service since",
            "留空即在用；列留空可恢复使用",
            "Empty: in service, or in service again",
        ),
        "ports": Column("插座数", "Ports", "只用于充电棚，1 到 64", "Of a shed, 1 to 64"),
        "port_no": Column("插座号", "Port number", "只用于插座", "Of a port"),
        "form": Column(
            "形式", "Form", "门禁：pedestrian 人行、barrier 车行", "Gates: pedestrian or barrier"
        ),
        "granularity": Column(
            "粒度", "Granularity", "照明：lamp 单灯、circuit 回路", "Lamps: lamp or circuit"
        ),
        "lamp_count": Column("灯数", "Lamps", "1 到 1000", "1 to 1000"),
        "nominal_power_w": Column("额定功率（W）", "Rated power (W)", "单灯", "Of one lamp"),
        "supply": Column(
            "供电",
            "Supply",
            "照明：switched 亮灯时才有电",
            "Lamps: switched means powered only while lit",
        ),
    },
    COMPOUNDS: {
        "id": Column(
            "小区编号",
            "Compound ID",
            "必填。小写字母、数字和连字符，全区唯一；以后不改",
            "Needed. Lower-case letters, digits and hyphens; unique, and for good",
            "xiangyunli",
        ),
        "name_zh": Column("中文名", "Chinese name", "新小区必填", "Needed for a new one", "祥云里"),
        "name_en": Column("英文名", "English name", "不填同中文名", "The Chinese one when empty"),
        "firm": Column(
            "物业",
            "Firm",
            "新小区必填。物业编号或名称",
            "Needed for a new one: ID or name",
            "yaxin",
        ),
        "households": Column("户数", "Households", "新小区必填", "Needed for a new one", "213"),
        "timezone": Column("时区", "Time zone", "不填为 Asia/Shanghai", "Asia/Shanghai when empty"),
        "latitude": Column("纬度", "Latitude", "度", "In degrees", "34.7466"),
        "longitude": Column("经度", "Longitude", "度", "In degrees", "113.6254"),
        "synthetic": Column(
            "虚构", "Made up", "true：演示用的虚构小区", "true: made up for a demonstration"
        ),
        "contacts": Column(
            "联系人",
            "Contacts",
            "姓名, 电话, 职务；多人之间用分号",
            "name, phone, role; several between semicolons",
            "李伟, 0371-6601, 值班",
        ),
    },
    FIRMS: {
        "id": Column(
            "物业编号",
            "Firm ID",
            "必填。小写字母、数字和连字符，唯一；以后不改",
            "Needed. Lower-case letters, digits and hyphens; unique, and for good",
            "yaxin",
        ),
        "name_zh": Column("中文名", "Chinese name", "新物业必填", "Needed for a new one", "亚新"),
        "name_en": Column(
            "英文名", "English name", "不填同中文名", "The Chinese one when empty", "Yaxin"
        ),
        "contacts": Column(
            "联系人",
            "Contacts",
            "姓名, 电话, 职务；多人之间用分号",
            "name, phone, role; several between semicolons",
            "王建国, 0371-6600, 经理",
        ),
    },
}


def heading(table: str, column: str, language: str) -> str:
    """A column's heading; its own name where there is none."""
    known = COLUMNS[table].get(column)
    if known is None:
        return column
    return known.zh if language == "zh" else known.en


def column_of(table: str, written: str) -> str:
    """The column that a heading names, in either language; as written where it names none."""
    return _HEADINGS[table].get(_folded(written), written)


def table_of(headings: list[str]) -> str:
    """Which table it is that has these headings.

    Firms have no column that compounds have not: theirs is known by how the ID is headed.
    """
    compounds = {column_of(COMPOUNDS, written) for written in headings}
    devices = {column_of(DEVICES, written) for written in headings}
    if "kind" in devices:
        return DEVICES
    names_firms = any(_folded(written) in _FIRM_IDS for written in headings)
    if names_firms and not compounds & {"id", "firm", "households"}:
        return FIRMS
    return COMPOUNDS if compounds & {"firm", "households", "name_zh"} else DEVICES


def _folded(written: str) -> str:
    return _NOT_LETTERS.sub("", written).casefold()


def _headings(table: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, column in COLUMNS[table].items():
        for written in (name, column.zh, column.en, column.zh.split("（")[0]):
            found[_folded(written)] = name
    return found


_HEADINGS = {table: _headings(table) for table in COLUMNS}
_FIRM_IDS = {_folded(COLUMNS[FIRMS]["id"].zh), _folded(COLUMNS[FIRMS]["id"].en)}
