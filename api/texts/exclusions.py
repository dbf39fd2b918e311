"""What is left out of usage: steps of registers that cannot have been drawn."""

TEXTS: dict[str, tuple[str, str]] = {
    "ux_title": ("未计入用量的读数", "Left out of usage"),
    "ux_lead": (
        "电表读数跳变，超过设备可能用电：差额不计入用量，此后从新的读数继续计。"
        "插座的跳变另报“计量异常”故障；路灯的只列在此处。",
        "A register jumped by more than the device can have drawn: the difference is in no figure,"
        " and counting goes on from the new reading. Of a socket it is a metering fault as well; of"
        " a lamp it is listed here alone.",
    ),
    "ux_count": ("{n} 次，共 {kwh} kWh", "{n} times, {kwh} kWh in all"),
    "ux_all": ("查看全部", "Show all"),
    "ux_none": ("没有未计入的读数。", "Nothing was left out."),
    "ux_when": ("时间", "When"),
    "ux_since": ("上次读数 {at}", "reading before: {at}"),
    "ux_readings": ("读数", "Readings"),
    "ux_excluded": ("未计入", "Left out"),
    "ux_why": ("原因", "Why"),
    "ux_notice": (
        "电表读数跳变 {n} 次，共 {kwh} kWh 未计入用量。",
        "Registers jumped {n} times: {kwh} kWh are left out of these figures.",
    ),
}
