"""What the frame of every page says, and what is said of our own health.

Both languages; terms are never varied (see `api.words`).
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    "product": ("楼院", "Courtyard"),
    "district": ("二七区", "Erqi"),
    "overview": ("总览", "Overview"),
    "alerts": ("告警", "Alerts"),
    "faults": ("故障", "Faults"),
    "api": ("接口", "API"),
    "skip": ("跳到正文", "Skip to content"),
    "main_nav": ("主导航", "Main"),
    "other_language": ("EN", "中文"),
    "log_in": ("登录", "Log in"),
    "log_out": ("退出", "Log out"),
    "visitor": ("访客，只看", "Visitor, read only"),
    # roles
    "role_operator": ("区值班", "Operations"),
    "role_firm": ("物业", "Property firm"),
    "role_viewer": ("只读", "Viewer"),
    # our own health
    "health": ("本系统自身的健康", "Health of this system"),
    "health_ok": ("本系统正常", "System normal"),
    "health_degraded": ("本系统降级", "System degraded"),
    "health_down": ("本系统停滞", "System standing still"),
    "h_field": ("设备", "Devices"),
    "h_field_rate": ("{rate} 条/秒", "{rate} msg/s"),
    "h_broker": ("消息服务器", "Broker"),
    "h_probe": ("探针 {age}前", "Probe {age} ago"),
    "h_no_probe": ("探针未返回", "No probe back yet"),
    "h_journal": ("日志", "Journal"),
    "h_journal_n": ("{n} 条", "{n} messages"),
    "h_journal_unknown": ("此处读不到", "Not readable here"),
    "h_judge": ("判定", "Judge"),
    "h_waiting": ("待判 {n}", "{n} waiting"),
    "h_never": ("尚未开始", "Not started"),
    "h_database": ("数据库", "Database"),
    "h_away": ("无法访问", "Away"),
    "h_ms": ("{ms} ms", "{ms} ms"),
    "h_store": ("遥测库", "Telemetry"),
    "h_forward": ("待转存 {n}", "{n} to forward"),
    "h_alerts_ok": ("目标 {n} 个", "{n} targets"),
    "h_alerts_none": ("没有目标", "No targets"),
    "h_alerts_broken": ("{n} 个目标待修", "{n} broken"),
    "h_alerts_still": ("停滞 {age}", "Still for {age}"),
    "h_alerts_behind": ("落后 {age}", "{age} behind"),
    "h_history": ("历史回填", "History"),
    "h_filled": ("{percent}%", "{percent} % filled in"),
    "outage": (
        "设备状态未知：本系统判定停滞 {age}",
        "Device states unknown: our judge stands still, {age}",
    ),
    "outage_never": (
        "设备状态未知：本系统尚未收到探针",
        "Device states unknown: no probe back yet",
    ),
    "outage_means": (
        "离线计时已停，不会误报离线；已收下的消息不丢，恢复后补判。",
        "Offline timers are stopped, so nothing is called offline by mistake; "
        "what was received is kept and judged afterwards.",
    ),
    "platform_faults": ("本系统告警：{names}", "Our own alarms: {names}"),
    "n_p1": ("危急 {n}", "{n} critical"),
    "n_p2": ("重要 {n}", "{n} major"),
    "n_p3": ("一般 {n}", "{n} minor"),
    "n_p4": ("提示 {n}", "{n} notices"),
    "quoted_list": ("、", ", "),
}
