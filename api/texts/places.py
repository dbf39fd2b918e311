"""What the page of a compound says of its places: the site plan, buildings, what stands outside.

Both languages; terms are never varied (see `api.words`).
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    # figures
    "cp_open": ("未关闭故障", "Open faults"),
    "cp_networked": ("联网设备在线", "Networked devices online"),
    "cp_passages": ("今日通行", "Passages today"),
    "cp_times": ("次", ""),
    "cp_seen": ("最近消息", "Last message"),
    # faults
    "cp_recent": ("近 30 天的故障", "Faults of the last 30 days"),
    "cp_recent_none": ("近 30 天没有已关闭的故障。", "No fault was closed in the last 30 days."),
    "cp_lasted": ("持续 {lasted}", "for {lasted}"),
    "cp_more": ("另有 {n} 处未关闭", "{n} more are open"),
    "cp_all_faults": ("全部故障", "All faults"),
    # places
    "pl_title": ("设备，按楼和单元", "Devices by building and unit"),
    "pl_note": (
        "{n} 台，合 {lamps} 盏灯、{sockets} 个插座",
        "{n} devices: {lamps} lamps, {sockets} sockets",
    ),
    "pl_heard": ("最近收到", "Last heard"),
    "pl_units": ("{n} 单元", "{n} units"),
    "pl_gates": ("院内门禁", "Gates"),
    "pl_sheds": ("院内充电棚", "Charging sheds"),
    "pl_lamps": ("院内路灯", "Street lamps"),
    "pl_security": ("院内监控", "Security points"),
    "pl_links": ("网关等", "Gateways and others"),
    "pl_lit": ("{n}/{of} 亮", "{n}/{of} lit"),
    "pl_asleep": ("白天断电 {n}", "{n} without power by day"),
    "pl_charging": ("{n}/{of} 充电", "{n}/{of} charging"),
    "pl_online": ("{n}/{of} 在线", "{n}/{of} online"),
    "pl_security_of": ("监控 {n}/{of} 在线", "Security {n}/{of} online"),
    "pl_lamp_on": ("亮", "lit"),
    "pl_lamp_off": ("未亮", "not lit"),
    "pl_port_on": ("充电中", "charging"),
    "pl_port_off": ("空闲", "free"),
    # site plan
    "sp_title": ("示意图", "Site plan"),
    "sp_note": ("按登记的楼与单元生成，不是测绘", "Made from the registry: no survey"),
    "sp_lit": ("灯亮", "Lit"),
    "sp_unlit": ("未亮", "Not lit"),
    "sp_in_use": ("插座占用", "In use"),
    "sp_free": ("空闲", "Free"),
    "sp_gate_key": ("门", "Gate"),
    "sp_camera_key": ("监控", "Security point"),
    "sp_gateway_key": ("网关", "Gateway"),
    "sp_offline": ("离线", "Offline"),
    "sp_unknown": ("未知", "Unknown"),
    "sp_told": ("示意图：{parts}。", "Site plan: {parts}."),
    "sp_wrong": ("有故障或离线：{parts}。", " With faults or offline: {parts}."),
    "sp_buildings": ("{n} 栋楼", "{n} buildings"),
    "sp_gate": ("{n} 个门", "{n} gates"),
    "sp_shed": ("{n} 座充电棚", "{n} charging sheds"),
    "sp_camera": ("{n} 个监控点", "{n} security points"),
    "sp_blind": (
        "本系统判定停滞：此刻谁在线、灯亮不亮都未知。",
        "Our judge stands still: who is online and what is lit is unknown now.",
    ),
}
