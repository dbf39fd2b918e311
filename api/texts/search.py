"""The search of every page.

Both languages; terms are never varied (see `api.words`).
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    "sr_title": ("搜索", "Search"),
    "sr_what": ("小区、设备、故障编号", "Compound, device, fault id"),
    "sr_lead": (
        "按名称、楼栋、编号或厂家编号查找；多个词须同时符合。",
        "By name, building, id or the vendor's number; several words must all fit.",
    ),
    "sr_nothing_asked": ("输入要找的小区、设备或故障", "Say which compound, device or fault"),
    "sr_examples": (
        "例如：祥云里 1号充电棚、xiangyunli-gate-1、端口过温。按 / 搜索（故障列表里是它自己的）。",
        "For example: 祥云里 1号充电棚, xiangyunli-gate-1, port overtemperature. The key / goes"
        " here; in the list of faults it finds within the list.",
    ),
    "sr_none": ("没有与“{q}”相符的", "Nothing fits “{q}”"),
    "sr_none_means": (
        "少写几个字再试。停用的设备和已关闭的故障在别处：",
        "Try fewer characters. Devices out of service and closed faults are elsewhere:",
    ),
    "sr_retired": ("停用的设备", "devices out of service"),
    "sr_past_faults": ("全部故障", "All faults"),
    "sr_compounds": ("小区", "Compounds"),
    "sr_compound": ("小区", "Compound"),
    "sr_devices": ("设备", "Devices"),
    "sr_households": ("{n} 户", "{n} households"),
    "sr_more_places": ("另有 {n} 个小区，多写几个字", "{n} more compounds: add a word"),
    "nav_critical": ("处危急", "critical"),
}
