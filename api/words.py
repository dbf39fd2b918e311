"""The console's texts, in both languages of the product.

Terms are those of the fault catalogue and are never varied. zh: the fact, then the place, then the
consequence; full-width punctuation, a blank between figure and unit. en: sentence case.
"""

from collections.abc import Mapping
from typing import Literal

from devices.registry import Name

Language = Literal["zh", "en"]

_TEXTS: Mapping[str, tuple[str, str]] = {
    "product": ("楼院", "Courtyard"),
    "district": ("二七区", "Erqi"),
    "overview": ("总览", "Overview"),
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
    "h_ms": ("{ms} ms", "{ms} ms"),
    "h_store": ("遥测库", "Telemetry"),
    "h_forward": ("待转存 {n}", "{n} to forward"),
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
    # severities
    "p1": ("危急", "Critical"),
    "p2": ("重要", "Major"),
    "p3": ("一般", "Minor"),
    "p4": ("提示", "Notice"),
    "suspected": ("疑似", "Suspected"),
    "n_p1": ("危急 {n}", "{n} critical"),
    "n_p2": ("重要 {n}", "{n} major"),
    "n_p3": ("一般 {n}", "{n} minor"),
    "n_p4": ("提示 {n}", "{n} notices"),
    "sep": (" · ", " · "),
    "comma": ("，", ", "),
    "semicolon": ("；", "; "),
    "stop": ("。", "."),
    "quoted_list": ("、", ", "),
    # verdict
    "v_fault": ("{place} {fault}", "{place}: {fault}"),
    "v_ack_left": ("{left} 内须确认", "acknowledge within {left}"),
    "v_ack_late": ("确认超时 {late}", "acknowledgement overdue by {late}"),
    "v_minor": ("无危急与重要故障", "No critical or major faults"),
    "v_calm": ("全区无故障", "No faults in the district"),
    "v_calm_firm": ("所辖小区无故障", "No faults in your compounds"),
    "v_blind": ("设备状态未知", "Device states unknown"),
    "v_extra": ("另有{parts}", "also {parts}"),
    "v_suspected": ("疑似 {n}", "{n} suspected"),
    "v_suppressed": ("已归并 {n}", "{n} suppressed"),
    "v_compounds": ("{n} 个小区有故障", "{n} compounds with faults"),
    "v_households": ("危急与重要涉及 {n} 户", "critical and major ones concern {n} households"),
    # figures
    "gates_online": ("门禁在线", "Gates online"),
    "sheds_online": ("充电棚在线", "Sheds online"),
    "charging_now": ("充电中", "Charging"),
    "lamp_on_rate": ("亮灯率", "Lamp-on rate"),
    "lamps_lit": ("亮灯", "Lamps lit"),
    "cameras_online": ("监控在线", "Cameras online"),
    "lifts_online": ("电梯在线", "Lifts online"),
    "of_n": ("/{n}", "/{n}"),
    "and_unknown": (" · 未知 {n}", " · {n} unknown"),
    "dark_unknown": (" 不亮 {dark} · 未知 {unknown}", " {dark} dark · {unknown} unknown"),
    "none_here": ("无", "None"),
    "not_known": ("未知", "Unknown"),
    # worst first
    "first": ("先处理", "Deal with first"),
    "first_note": (
        "危急在前，同级未确认、最久的在前",
        "Critical first, then the oldest unanswered",
    ),
    "first_none": ("没有待处理的故障。", "Nothing to deal with."),
    "first_none_blind": (
        "判定停滞，新故障此刻看不到。",
        "The judge stands still: new faults cannot be seen.",
    ),
    "all_faults": ("全部 {n} 处故障", "All {n} faults"),
    "whole_compound": ("全小区", "Whole compound"),
    "s_open": ("待确认", "Open"),
    "s_acknowledged": ("已确认", "Acknowledged"),
    "s_cleared": ("已恢复，待确认", "Over, to be acknowledged"),
    "s_closed": ("已关闭", "Closed"),
    "by_whom": ("{state}，{who}", "{state} by {who}"),
    "assigned": ("已指派 {who}", "assigned to {who}"),
    "with_suppressed": ("含 {n} 项已归并", "with {n} suppressed"),
    "late_data": ("补传数据", "late data"),
    "times": ("第 {n} 次", "{n} times"),
    "ack_left": ("确认 剩 {left}", "{left} to acknowledge"),
    "ack_late": ("确认 超时 {late}", "overdue by {late}"),
    "party_property": ("物业", "Property firm"),
    "party_vendor": ("厂商", "Vendor"),
    "party_grid": ("供电", "Grid"),
    "party_network": ("通信", "Network"),
    "party_resident": ("居民", "Resident"),
    "recovered": ("刚恢复", "Just recovered"),
    "recovered_note": ("近 30 分钟", "last 30 minutes"),
    "recovered_none": ("近 30 分钟没有恢复的故障。", "Nothing recovered in the last 30 minutes."),
    # board
    "n_compounds": ("{n} 个小区", "{n} compounds"),
    "filter_name": ("小区名", "Compound"),
    "filter_label": ("按小区名筛选", "Filter by name"),
    "firm_choice": ("物业公司", "Property firm"),
    "all": ("全部", "All"),
    "only_trouble": ("只看有故障（{n}）", "Only with faults ({n})"),
    "also_calm": ("也显示无故障的 {n} 个", "Also show the {n} without faults"),
    "k_charging": ("充电中", "Charging"),
    "k_lit": ("亮灯", "Lit"),
    "k_down": ("底线：在线比例，有离线才画", "Line: share online, drawn only when some are not"),
    "k_unknown": ("状态未知", "State unknown"),
    "k_mock": ("模043＝模拟小区043", "M043 = Mock Compound 043"),
    "firm_name": ("{name}物业", "{name}"),
    "calm_n": ("{n} 个无故障", "{n} without faults"),
    "mock_short": ("模{n}", "M{n}"),
    "no_shed": ("无棚", "No shed"),
    "no_compounds": (
        "还没有小区。用 courtyard registry import 导入。",
        "No compounds yet: courtyard registry import brings them.",
    ),
    "no_match": ("没有这个名字的小区。", "No compound of that name."),
    "t_up": ("设备 {online}/{total} 在线", "{online} of {total} devices online"),
    "t_unknown": ("{n} 台未知", "{n} unknown"),
    "t_faults": ("{severity}：{fault}，共 {n} 处故障", "{severity}: {fault}, {n} faults in all"),
    "t_calm": ("无故障", "no faults"),
    "t_charging": ("充电 {n}/{of}", "charging {n} of {of}"),
    "t_no_shed": ("无充电棚", "no shed"),
    "t_lit": ("亮灯 {n}/{of}", "{n} of {of} lamps lit"),
    "t_lamps_unknown": ("灯 {n} 盏未知", "{n} lamps unknown"),
    # foot
    "as_of": ("数据截至 {at}", "As of {at}"),
    "live": ("实时更新", "Updated live"),
    "live_lost": ("实时更新中断，正在重连", "Live updates interrupted, reconnecting"),
    "live_wait": ("正在连接", "Connecting"),
    "yes": ("是", "Yes"),
    "no": ("否", "No"),
    "firm": ("物业公司", "Property firm"),
    "synthetic": ("模拟数据", "Simulated"),
    "more_devices": ("只显示前 {n} 台", "Only the first {n} are shown"),
    "code": ("代码", "Code"),
    "answered": ("处理", "Answer"),
    "occurrences": ("发生次数", "Occurrences"),
    "live_off": ("没有脚本：刷新页面看新数据", "Without scripts: reload for news"),
    "beijing": ("时间为北京时间", "Times are Beijing time"),
    "mock_note": (
        "带“模拟”的小区与全部设备数据均为模拟数据",
        "Mock compounds and all device data are simulated",
    ),
    # login and errors
    "login_title": ("登录", "Log in"),
    "login_token": ("令牌", "Token"),
    "login_hint": ("令牌由 courtyard token create 生成。", "courtyard token create makes a token."),
    "login_wrong": (
        "令牌无效或已撤销。核对后再试。",
        "This token is unknown or revoked. Check it and try again.",
    ),
    "login_demo": (
        "演示：在本机不登录也可查看。",
        "Demo: on this machine you may look without logging in.",
    ),
    "p_401": ("须先登录", "Log in first"),
    "p_403": ("不允许", "Not allowed"),
    "p_404": ("没有这个页面，或不归你看", "Nothing here for you"),
    "p_409": ("有人先一步", "Somebody was faster"),
    "p_422": ("地址里有不能用的参数", "A parameter cannot be used"),
    "p_503": ("此刻不可用，稍后再试", "Not available now, try again soon"),
    "p_other": ("出错了", "Something went wrong"),
    "to_overview": ("回总览", "To the overview"),
    "docs_title": ("接口文档", "API documentation"),
    "docs_no_script": (
        "此页需要脚本；文档也在 /openapi.json。",
        "This page needs scripts; the document is at /openapi.json.",
    ),
    # compound, fault and fault list
    "position": ("位置", "Place"),
    "households_n": ("{n} 户", "{n} households"),
    "open_faults": ("未关闭的故障", "Open faults"),
    "no_open_faults": ("没有未关闭的故障。", "No open faults."),
    "devices": ("设备", "Devices"),
    "no_devices": ("没有登记设备。", "No devices registered."),
    "kind": ("类型", "Kind"),
    "device": ("设备", "Device"),
    "state": ("状态", "State"),
    "last_seen": ("最近收到", "Last seen"),
    "values": ("最近数值", "Latest values"),
    "d_online": ("在线", "Online"),
    "d_offline": ("离线", "Offline"),
    "d_unknown": ("未知", "Unknown"),
    "d_never_seen": ("从未上线", "Never seen"),
    "r_lwt": ("遗嘱", "last will"),
    "r_heartbeat_missed": ("心跳缺失", "heartbeat missed"),
    "r_parent_down": ("上级离线", "parent down"),
    "r_power_cut": ("停电", "power cut"),
    "r_platform_down": ("本系统停滞", "our own outage"),
    "r_never_seen": ("从未上线", "never seen"),
    "since": ("自 {at}", "since {at}"),
    "ago": ("{age}前", "{age} ago"),
    "never": ("从未", "Never"),
    "severity": ("级别", "Severity"),
    "fault": ("故障", "Fault"),
    "place": ("地点", "Place"),
    "began": ("发生", "Began"),
    "responsible": ("责任", "Responsible"),
    "show_open": ("未关闭", "Open"),
    "show_all": ("全部", "All"),
    "older": ("更早的", "Older"),
    "no_faults": ("没有符合条件的故障。", "No faults match."),
    "now_do": ("现在做", "Do now"),
    "evidence": ("依据", "Evidence"),
    "history": ("经过", "History"),
    "h_raised": ("发现", "Raised"),
    "h_reopened": ("再次发生", "Came back"),
    "h_worsened": ("加重", "Got worse"),
    "h_over": ("恢复", "Over"),
    "h_acknowledged": ("确认", "Acknowledged"),
    "h_assigned": ("指派", "Assigned"),
    "h_commented": ("备注", "Comment"),
    "h_closed": ("关闭", "Closed"),
    "h_shelved": ("搁置", "Shelved"),
    "h_unshelved": ("取消搁置", "Taken off the shelf"),
    "h_shelf_ended": ("搁置到期", "Shelf ended"),
    "h_maintenance_ended": ("维护结束", "Maintenance ended"),
    "h_onsite": ("到场", "On site"),
    "h_repaired": ("已修复，待验证", "Repaired, to be verified"),
    "h_confirmed": ("核实属实", "Confirmed"),
    "h_suppressed": ("归并", "Suppressed"),
    "h_released": ("不再归并", "No longer suppressed"),
    "h_reclassified": ("改判原因", "Another cause"),
    "h_retired": ("设备变更，关闭", "Device changed, closed"),
    "h_history_ends": ("回填历史结束", "End of back-filled history"),
    "system": ("系统", "System"),
    "acknowledge": ("确认", "Acknowledge"),
    "comment": ("备注", "Comment"),
    "close": ("关闭", "Close"),
    "note": ("说明", "Note"),
    "cannot_act": ("登录后可以确认、备注、关闭。", "Log in to acknowledge, comment and close."),
    "viewer_cannot": ("只读身份不能处理故障。", "A viewer cannot act on faults."),
    "moved_on": (
        "有人先一步：这是现在的状态，刚才的操作没有执行。",
        "Somebody was faster: this is the state now; nothing was done.",
    ),
    "note_needed": ("备注不能为空。", "A comment needs words."),
    "is_suppressed": ("由另一故障解释，已归并", "Explained by another fault, suppressed"),
    "root": ("根因", "Root cause"),
    "our_system": ("本系统", "Our system"),
    "none_known": ("无", "None"),
    # what became of the messages
    "ingestion": ("数据", "Data"),
    "i_lead": (
        "每一条收到的消息都有下落。",
        "Every message that was received is accounted for.",
    ),
    "i_range": ("时间范围", "Range"),
    "i_today": ("今天", "Today"),
    "i_all": ("全部", "All time"),
    "i_whole": ("全区", "Whole district"),
    "i_unassigned": ("归属未知", "Unknown origin"),
    "i_show": ("查看", "Show"),
    "i_account": ("收支账", "Account"),
    "i_account_note": (
        "四个去处互不重叠；加起来等于收到的条数",
        "Four destinations that do not overlap; they add up to what was received",
    ),
    "i_received": ("收到", "Received"),
    "i_stored": ("存入", "Stored"),
    "i_duplicate": ("重复", "Duplicate"),
    "i_quarantined": ("隔离", "Quarantined"),
    "i_pending": ("待处理", "Pending"),
    "i_balanced": ("差额，一条不少", "Balance: none missing"),
    "i_imbalance": ("差额，账目不平", "Balance: accounts are off"),
    "i_unknown_balance": (
        "差额未知：此处读不到日志",
        "Balance unknown: the journal cannot be read here",
    ),
    "i_picture": (
        "收到 {received} 条：存入 {stored}，重复 {duplicate}，隔离 {quarantined}，待处理 {pending}",
        "{received} received: {stored} stored, {duplicate} duplicate, {quarantined} quarantined, "
        "{pending} pending",
    ),
    "i_all_n": ("全部 {n} 条", "All {n} messages"),
    "i_stored_pct": ("已存入 {pct} %", "Stored {pct} %"),
    "i_magnified": ("放大其余 {n} 条", "The other {n}, magnified"),
    "i_duplicate_means": ("同一条又来一次，只算一次", "the same again, counted once"),
    "i_quarantined_means": ("看不懂，原文留着", "not understood, kept as it came"),
    "i_pending_means": ("正在判定", "being judged"),
    "i_marks": (
        "“存入”中：迟到 {late} 条，计入历史与用量，不改变当前状态；部分可用 {partial} 条；"
        "设备时间不可信 {clock} 条；保留消息 {retained} 条。",
        "Among the stored: {late} late ones count in history and usage and never change the "
        "present; {partial} in part usable; {clock} with an implausible device time; "
        "{retained} retained.",
    ),
    "i_nothing": ("还没有收到消息。", "Nothing was received yet."),
    "i_telemetry": ("遥测库", "Telemetry store"),
    "i_telemetry_note": ("数据点；全部时间", "Points; all time"),
    "i_confirmed": ("已确认", "Confirmed"),
    "i_dead": ("拒收", "Dead"),
    "i_behind": ("待转存（条）", "Messages to forward"),
    "i_alarms": ("本系统告警", "Our own alarms"),
    "i_no_alarms": ("没有未关闭的本系统告警。", "No open alarms of our own."),
    "i_reason": ("原因", "Reason"),
    "i_count": ("条数", "Messages"),
    "i_refused": ("最新隔离", "Newest in quarantine"),
    "i_refused_note": (
        "原文保留，个人信息入库前已去除",
        "Kept as they came; personal data was removed before",
    ),
    "i_none_refused": ("没有被隔离的消息。", "Nothing is in quarantine."),
    "i_at": ("收到", "Received"),
    "i_from": ("来源与原文", "Source and payload"),
    "i_part": ("其余已存入", "the rest is stored"),
    "i_not_kept": ("（不留内容）", "(payload not kept)"),
    "q_not_json": ("不是 JSON", "Not JSON"),
    "q_bad_text": ("文字无法解码", "Undecodable text"),
    "q_too_deep": ("嵌套过深", "Nested too deep"),
    "q_too_large": ("超过 64 KiB", "Above 64 KiB"),
    "q_bad_type": ("类型不符", "Wrong type"),
    "q_bad_number": ("数值无法解析", "Unusable number"),
    "q_out_of_range": ("数值越界", "Out of range"),
    "q_duplicate_key": ("键重复", "Duplicate key"),
    "q_bad_topic": ("主题不符", "Bad topic"),
    "q_unknown_device": ("未登记设备", "Unknown device"),
    "q_wrong_place": ("小区或类型不符", "Wrong compound or kind"),
    "q_identity": ("冒用其他设备", "Another device's identity"),
    "q_clock": ("补传数据时间不可信", "Implausible time in a replay"),
    "q_conflict": ("同序号内容不同", "Same number, other content"),
    "q_rate_limited": ("发送过快", "Too many messages"),
    "q_bad_checksum": ("校验和不符", "Bad checksum"),
    "q_bad_frame": ("帧格式不符", "Bad frame"),
    "q_unsupported": ("暂不支持", "Unsupported"),
    "q_unredactable": ("无法去除个人信息", "Personal data not removable"),
    "q_journal_corrupt": ("日志记录损坏", "Damaged journal record"),
    "q_crashed_decoder": ("致解码进程崩溃", "Killed the decoder"),
    "q_refused_by_database": ("数据库拒收", "Refused by the database"),
    "party_operator": ("区值班", "Operations"),
    # what showed an alarm of ours
    "e_away_since_ms": ("断开自", "Away since"),
    "e_back_ms": ("恢复于", "Back at"),
    "e_away_s": ("断开时长（秒）", "Away for (s)"),
    "e_step_s": ("跳变（秒）", "Step (s)"),
    "e_ever_returned": ("曾返回过", "Ever returned"),
    "e_deaf_since_ms": ("听不到，自", "Deaf since"),
    "e_deaf_until_ms": ("听不到，至", "Deaf until"),
    "e_deaf_s": ("听不到时长（秒）", "Deaf for (s)"),
    "e_used_pct": ("磁盘已用（%）", "Disk used (%)"),
    "e_acks_withheld": ("已停止确认收到", "Acknowledgements withheld"),
    "e_error": ("报错", "Error"),
    "e_store": ("存储", "Store"),
    "e_lag_s": ("滞后（秒）", "Behind by (s)"),
    "e_missing": ("缺少（条）", "Missing (messages)"),
    "e_places": ("不平处数", "Places that are off"),
    "e_where": ("何处：小区、时段、收到、入账", "Where: compound, hour, received, accounted"),
    "e_telemetry_missing": ("遥测库缺少（点）", "Missing points"),
    "e_telemetry_checked": ("已抽查（点）", "Points looked for"),
    "e_device": ("设备", "Device"),
    "e_point_ms": ("数据点时间", "Time of the point"),
    # what showed a gap in a device's own numbers
    "e_boot": ("设备启动号", "Boot"),
    "e_from_seq": ("从序号", "From number"),
    "e_to_seq": ("至序号", "To number"),
    "e_missing_before_boot": ("此前启动另缺（条）", "Missing of the boot before"),
    "e_since_ms": ("起于", "Since"),
}

_UNITS = {
    "zh": ((86_400, " 天"), (3_600, " 小时"), (60, " 分"), (1, " 秒")),
    "en": ((86_400, " d"), (3_600, " h"), (60, " min"), (1, " s")),
}


def say(language: Language, word: str, **values: object) -> str:
    """The text for `word`; KeyError for one that is not in the list."""
    text = _TEXTS[word][0 if language == "zh" else 1]
    return text.format(**values) if values else text


def knows(word: str) -> bool:
    """Whether there is a text for `word`."""
    return word in _TEXTS


def named(language: Language, name: Name) -> str:
    return name.zh if language == "zh" else name.en


def duration(language: Language, seconds: float) -> str:
    """A length of time in words, its two largest units: 1 小时 40 分."""
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in _UNITS[language]:
        count, left = divmod(left, size)
        if count or (unit == _UNITS[language][-1][1] and not words):
            words.append(f"{count}{unit}")
        elif words:
            break
        if len(words) == 2:
            break
    # Seconds count only in the first ten minutes.
    if len(words) == 2 and seconds >= 600 and words[-1].endswith(_UNITS[language][-1][1]):
        words.pop()
    return " ".join(words)


def countdown(seconds: float) -> str:
    """What is left of a deadline, as m:ss."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def grouped(number: float) -> str:
    """1,245"""
    return f"{number:,.0f}"
