"""Availability of a compound's devices; the words of each kind are those of reports."""

TEXTS: dict[str, tuple[str, str]] = {
    "av_behind": ("可用率另成一页", "Availability has a page of its own"),
    "av_title": ("可用率", "Availability"),
    "av_kind": ("类型", "Kind"),
    "av_devices": ("设备", "Devices"),
    "av_own": ("不计停电断网", "Without upstream outages"),
    "av_out": ("离线，设备小时", "Out, device-hours"),
    "av_upstream": ("其中停电断网", "Of that no power or network"),
    "av_planned": ("计划维护，设备小时", "Planned work, device-hours"),
    "av_usable": ("可用插座", "Usable sockets"),
    "av_means": (
        "可用率 = 1 − 离线 ÷ 已知在用时间；计划维护与无从得知的时间不计入。",
        "Availability = 1 − out ÷ known time in service; planned work and what nobody can know are "
        "left out.",
    ),
    "av_means_lamp": ("灯具只计应亮时段。", "Lamps count while they are to burn."),
    "av_means_port": (
        "可用插座还须无故障、所在充电棚有电。",
        "A usable socket is also without fault, in a shed with power.",
    ),
    "av_unheard": (
        "其中 {time} 平台收不到该小区任何消息，不计入。",
        "For {time} of it nothing of this compound could reach us: it is left out.",
    ),
}
