"""What the menu, the tour, the glossary and the page of language and colours say.

Both languages; terms are never varied (see `api.words`). A term is `term_…`, what it means
`what_…`.
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    "more": ("更多", "More"),
    "help": ("帮助", "Help"),
    "what_is": ("“{term}”是什么", "What is “{term}”?"),
    # language and colours
    "display": ("语言与外观", "Language and colours"),
    "dp_language": ("语言", "Language"),
    "dp_theme": ("外观", "Colours"),
    "dp_system": ("跟随系统", "As the system"),
    "dp_light": ("浅色", "Light"),
    "dp_dark": ("深色", "Dark"),
    "dp_save": ("保存", "Save"),
    "dp_saved": ("已保存。", "Saved."),
    "dp_of_user": (
        "语言随账号保存，换一台设备登录也一样；外观和导览只保存在这个浏览器里。",
        "The language is kept with your account, also for other devices; "
        "colours and the tour are kept in this browser.",
    ),
    "dp_of_browser": ("都保存在这个浏览器里。", "All of it is kept in this browser."),
    "dp_tour_again": ("再看一次导览", "Show the tour again"),
    # the tour
    "tr_title": ("三步上手", "Three steps to begin with"),
    "tr_step": ("第 {n} 步，共 3 步", "Step {n} of 3"),
    "tr_1": ("看“先处理”", "Look at “Deal with first”"),
    "tr_1_text": (
        "此刻最要紧的排在最前：什么故障、在哪里、影响多少户、还剩多少时间。"
        "页顶的深色条只说本系统自身。",
        "The worst of this moment comes first: what, where, how many households, how much time is "
        "left. The strip at the top is about this system only.",
    ),
    "tr_2": ("点开一个故障", "Open a fault"),
    "tr_2_text": (
        "页上有现在该做什么、该打给谁、凭什么判定；主按钮是确认，之后可记到场、修复。",
        "It says what to do now, whom to call and what showed it; the main button acknowledges, "
        "and afterwards you note who is on site and what was repaired.",
    ),
    "tr_3": ("安排告警发给谁", "Say who is told"),
    "tr_3_text": (
        "在“告警”里加一个群机器人或邮箱，发一条测试；再定哪些故障发给谁、谁值班。",
        "Under Alerts, add a chat robot or a mailbox and send a test; then say which faults "
        "lead to "
        "whom, and who is on duty.",
    ),
    "tr_next": ("下一步", "Next"),
    "tr_back": ("上一步", "Back"),
    "tr_done": ("知道了，不再显示", "Got it, do not show again"),
    # help
    "hp_lead": (
        "每个词的意思、图形、按键，和所有故障的目录。",
        "What each word, shape and key means, and the catalogue of all faults.",
    ),
    "hp_words": ("词语", "Words"),
    "hp_shapes": ("图形", "Shapes"),
    "hp_keys": ("按键", "Keys"),
    "hp_keys_note": (
        "光标在输入框里时，单键不起作用。",
        "Single keys rest while a field has the focus.",
    ),
    "hp_key_search": ("查找", "Search"),
    "hp_key_moves": ("故障列表：下一条、上一条", "List of faults: next, previous"),
    "hp_key_open": ("打开", "Open"),
    "hp_key_pick": ("选中", "Select"),
    "hp_key_ack": ("确认", "Acknowledge"),
    "hp_key_shelve": ("搁置", "Shelve"),
    "hp_key_comment": ("备注", "Comment"),
    "hp_key_overview": ("去总览", "To the overview"),
    "hp_key_faults": ("去故障", "To the faults"),
    "hp_key_charging": ("去充电", "To charging"),
    "hp_key_data": ("去数据", "To the data"),
    "hp_key_help": ("显示按键表", "List of keys"),
    "hp_key_escape": ("收起菜单，离开输入框", "Close a menu, leave a field"),
    "hp_key_points": (
        "图表：上一点、下一点的数值",
        "Chart: the figures of the previous, next point",
    ),
    "hp_key_zooms": ("曲线：放大、缩小", "Curve: zoom in, out"),
    "hp_key_pans": ("曲线：往前移、往后移", "Curve: earlier, later"),
    "hp_key_whole": ("曲线：还原", "Curve: as it was"),
    "hp_catalogue": ("故障目录", "Fault catalogue"),
    "hp_catalogue_lead": (
        "本系统能判定的 {n} 种故障：级别、责任方、持续多久才算、该做什么。",
        "The {n} faults that this system can raise: class, who is responsible, after how long, "
        "what to do.",
    ),
    "hp_find": ("按名称或代码查找", "Find by name or code"),
    "hp_delay": ("持续多久才算", "Raised after"),
    "hp_at_once": ("立即", "At once"),
    "hp_by_rule": ("按规律推断", "By its behaviour"),
    "hp_advice": ("该做什么", "What to do"),
    "hp_nothing": ("没有这样的故障，换一个词。", "There is no such fault: try another word."),
    "hp_safety": (
        "安全类：不归并、不能搁置，必须有人确认",
        "Safety: never suppressed or shelved, a person must acknowledge",
    ),
    "hp_docs": ("接口文档", "The API's documentation"),
    "hp_kind_any": ("任何设备", "Any device"),
    "hp_kind_compound": ("小区", "Compound"),
    "hp_kind_platform": ("本系统", "This system"),
    # groups of terms
    "tm_faults": ("故障", "Faults"),
    "tm_devices": ("设备", "Devices"),
    "tm_usage": ("用量", "Usage"),
    "tm_alerts": ("告警", "Alerts"),
    "tm_data": ("数据", "Data"),
    "tm_rules": ("阈值与权限", "Thresholds and access"),
    "tm_reasons": ("隔离的原因", "Why messages are quarantined"),
    "tm_reason_do": ("怎么办：{do}。", "What to do: {do}."),
    # faults
    "term_severity": ("级别", "Class"),
    "what_severity": (
        "P1 危急：人有危险，立即处理。P2 重要：很多人用不了。P3 一般。P4 提示：可以排期。"
        "形状和文字都写明，颜色只是重复。",
        "P1 critical: people are in danger, act at once. P2 major: many cannot use something. "
        "P3 minor. P4 notice: can be planned. Shape and word say it, colour repeats it.",
    ),
    "term_suspected": ("疑似", "Suspected"),
    "what_suspected": (
        "由一贯表现推断，没有直接证据：单独列出，不告警，不计时限。核实属实后变成故障，"
        "否则记为误报。",
        "A guess from behaviour, without direct evidence: listed apart, nobody is alerted, no "
        "clock "
        "runs. A person confirms it as a fault or calls it a false alarm.",
    ),
    "term_suppressed": ("归并", "Suppressed"),
    "what_suppressed": (
        "它是另一个故障（根因）的后果，例如网关断了，下面的设备都收不到。随根因一起处理，"
        "不单独告警。安全类从不归并。",
        "It follows from another fault, its root: with a gateway down, nothing below it can be "
        "heard. It is dealt with at its root and not alerted by itself. Safety faults never are.",
    ),
    "term_acknowledge": ("确认", "Acknowledge"),
    "what_acknowledge": (
        "有人说“我来处理”。之后不再升级；故障本身还在，直到恢复。",
        "Somebody says “I am on it”. It is escalated no further; the fault itself stays until it "
        "is over.",
    ),
    "term_deadline": ("时限", "Deadline"),
    "what_deadline": (
        "多久之内须确认、须修复，按级别定。上游停电、运营商故障或维护期间停表，"
        "停表的原因写在旁边。",
        "How soon it must be acknowledged and repaired, by its class. The clock pauses for a grid "
        "outage, the network operator or maintenance, and says why.",
    ),
    "term_cleared": ("已恢复，待确认", "Over, to be acknowledged"),
    "what_cleared": (
        "情况已经过去，但属于安全类：须有人看过并确认才会关闭。",
        "The condition is over, but it was a safety fault: a person must have looked before it is "
        "closed.",
    ),
    "term_shelved": ("搁置", "Shelved"),
    "what_shelved": (
        "暂时不管，写明原因和到期时间，到期自动回来。安全类故障不能搁置。",
        "Put aside with a reason until a time, when it comes back by itself. Safety faults cannot "
        "be shelved.",
    ),
    "term_maintenance": ("维护", "Maintenance"),
    "what_maintenance": (
        "事先登记的施工时段：其间的故障记录在案，不告警，不计时限。安全类须逐台列明设备才算在内。",
        "Work that was planned: faults meanwhile are recorded, not alerted, and no clock runs. "
        "Safety faults only where the devices are named one by one.",
    ),
    "term_impact": ("影响", "Impact"),
    "what_impact": (
        "多少户受影响，还剩什么可用。先处理的顺序按它排。",
        "How many households it concerns and what is left to them. What to deal with first is "
        "ranked by it.",
    ),
    "term_responsible": ("责任方", "Responsible"),
    "what_responsible": (
        "通常由谁处理：物业、厂商、供电、通信、居民或区值班。",
        "Who usually mends it: property firm, vendor, grid, network, resident or operations.",
    ),
    "term_open": ("待确认", "Open"),
    "what_open": (
        "已经报出、还没有人确认的故障。",
        "Raised, and not acknowledged by anybody yet.",
    ),
    "term_overdue": ("超时", "Overdue"),
    "what_overdue": (
        "过了时限还没有确认，或没有修复。",
        "Past the time in which it should have been acknowledged or repaired.",
    ),
    "term_answered": ("确认时间中位数", "Median time to acknowledge"),
    "what_answered": (
        "近 7 天报出、有人确认的故障，从报出到确认的时间：一半更快，一半更慢。"
        "今日新增、关闭和它只算筛选里的；疑似和已归并的不算。",
        "Of faults raised in the last 7 days and acknowledged: half were answered sooner, half "
        "later. It and what is new and closed today follow the filter, without suspected and "
        "suppressed ones.",
    ),
    "term_safety": ("安全类", "Safety tier"),
    "what_safety": (
        "烟雾、漏电、过温、被困等：不归并、不能搁置、不能停用，过去了也须有人确认。",
        "Smoke, leakage, heat, people trapped: never suppressed, shelved or switched off, and a "
        "person must acknowledge it even when it is over.",
    ),
    "term_late": ("补传数据", "Late data"),
    "what_late": (
        "设备断线时存下、后来补发的数据：入账，并改正用量；不改变此刻的状态。",
        "What a device kept while it was cut off and sent afterwards: stored, and usage is "
        "corrected by it; how things are now does not change.",
    ),
    # devices
    "term_parent": ("上级设备", "Parent"),
    "what_parent": (
        "它经哪台设备上报：插座经充电棚，充电棚经网关。上级断了，它的状态未知。",
        "Through which device it reports: a socket through its shed, a shed through its gateway. "
        "With that one down, its own state is unknown.",
    ),
    "term_unknown_sender": ("未登记设备", "Unknown senders"),
    "what_unknown_sender": (
        "在发消息、却不在登记册里的设备：消息进隔离，登记后可以重放。",
        "A device that sends and is not in the registry: its messages are quarantined, and can be "
        "judged again once it is added.",
    ),
    "term_synthetic": ("模拟数据", "Simulated"),
    "what_synthetic": (
        "由模拟器产生，不是真实设备。",
        "Made by a simulator, not by real devices.",
    ),
    "term_online": ("在线", "Online"),
    "what_online": (
        "在约定的间隔内收到过它的消息。保留的旧消息不算。",
        "It was heard within its interval. Retained old messages do not count.",
    ),
    "term_offline": ("离线", "Offline"),
    "what_offline": (
        "超过三个间隔（至少 90 秒）没有消息。旁边写明原因：遗嘱、心跳缺失、上级离线、停电。",
        "Silent for three intervals, at least 90 s. The reason stands beside it: last will, "
        "heartbeat missed, parent down, power cut.",
    ),
    "term_unknown": ("未知", "Unknown"),
    "what_unknown": (
        "无法判断好坏，例如上级断了，或本系统停滞。既不算在线也不算离线，不算亮也不算灭；"
        "单独计数，用虚线或斜纹表示。",
        "Nobody can tell, because its parent is down or this system stands still. It is neither "
        "online nor offline, neither lit nor dark: counted apart, drawn dashed or hatched.",
    ),
    "term_stale": ("几分前", "Minutes ago"),
    "what_stale": (
        "最后一次收到的时间。超过三个间隔的数值保留不动，旁边写明多久以前。",
        "When it was last heard. A value older than three intervals is kept, with its age "
        "beside it.",
    ),
    "term_clocks": ("三个时间", "Three clocks"),
    "what_clocks": (
        "设备自己的时间、本系统收到的时间、判定到的时间。设备时间离谱时用收到的时间，"
        "并报时钟偏差。",
        "The device's own time, when we received it, and up to when it was judged. Where a "
        "device's "
        "clock cannot be right, ours is used, and its drift is a fault.",
    ),
    "term_evidence": ("证据", "Evidence"),
    "what_evidence": (
        "判定这个故障的读数或事件，原样列出。",
        "The readings or events that showed this fault, as they were.",
    ),
    # usage
    "term_lamp_on_rate": ("亮灯率", "Lamp-on rate"),
    "what_lamp_on_rate": (
        "应亮时段内，亮着的灯占状态已知的灯的比例。未知的灯既不算亮也不算灭，单独列出。"
        "白天没有亮灯率。",
        "Of the lamps that should be lit and whose state is known, how many are. Unknown ones "
        "count "
        "as neither, and stand beside it. By day there is no rate.",
    ),
    "term_coverage": ("覆盖率", "Coverage"),
    "what_coverage": (
        "应收到的数据里收到了多少。缺的不当作零：覆盖率低时，合计只会少，不会多。",
        "How much of the data that was due arrived. What is missing is not zero: with low coverage "
        "a total can only be too small.",
    ),
    "term_provisional": ("暂计", "Provisional"),
    "what_provisional": (
        "当天结束后 48 小时内的用量，补传的数据还会改变它；之后为已定，只能经更正改变。",
        "Usage within 48 hours of the end of its day: late data may still change it. Afterwards it "
        "is final and changes only by a correction.",
    ),
    "term_correction": ("更正", "Correction"),
    "what_correction": (
        "改动已定的用量：谁、何时、为什么、前后各多少，都留在记录里。",
        "A change of final usage: who, when, why, and the figures before and after stay on record.",
    ),
    "term_final": ("已定", "Final"),
    "what_final": (
        "当天结束 48 小时后的用量：补传的数据不再改变它，只能经更正改变。",
        "Usage once 48 hours have passed since its day: late data changes it no more, only a "
        "correction does.",
    ),
    "term_exclusion": ("未计入用量的读数", "Left out of usage"),
    "what_exclusion": (
        "电表跳变等不可信的读数：不算进用量，逐条列出，写明少算多少。",
        "Readings that cannot be true, like a jumping register: not counted, and listed one by one "
        "with what is left out.",
    ),
    "term_availability": ("可用率", "Availability"),
    "what_availability": (
        "状态已知的时间里，设备可用的比例；分别给出含与不含上游停电、断网的值。",
        "Of the time in which its state is known, how much a device could be used; given with and "
        "without outages upstream.",
    ),
    "term_session": ("充电记录", "Session"),
    "what_session": (
        "一次充电：从插上到结束。设备没有报结束时由本系统推断，并写明是推断的。",
        "One charge from start to end. Where the device reported no end, this system infers one "
        "and "
        "says so.",
    ),
    "term_full_occupied": ("充满占位", "Full, occupied"),
    "what_full_occupied": (
        "已经充满、车还没拔：插座不空，也不耗电。",
        "Charged and not unplugged: the socket is not free, and draws nothing.",
    ),
    "term_utilisation": ("利用率", "Utilisation"),
    "what_utilisation": (
        "插座在充电的时间占总时间的比例。",
        "The share of time for which sockets were charging.",
    ),
    "term_turnover": ("周转", "Turnover"),
    "what_turnover": ("每个插座每天充电几次。", "Charges for each socket and day."),
    "term_denial_rate": ("拒绝率", "Denial rate"),
    "what_denial_rate": (
        "刷卡、刷脸等被拒绝的次数占全部次数的比例。",
        "Of all attempts to pass, by card, face and so on, those that were refused.",
    ),
    # alerts
    "term_target": ("目标", "Target"),
    "what_target": (
        "告警发到哪里：钉钉、企业微信、飞书的群机器人，邮箱，或网址。",
        "Where alerts are sent: a robot of DingTalk, WeCom or Feishu, a mailbox, or a web address.",
    ),
    "term_route": ("通知规则", "Route"),
    "what_route": (
        "哪些故障发给哪个目标、哪个人或哪个值班表。没有规则，就没有人被告知。",
        "Which faults lead to which target, person or roster. Without one nobody is told.",
    ),
    "term_roster": ("值班表", "Roster"),
    "what_roster": (
        "按天或按周轮换的人，可以顶班；告警发给此刻当班的人。",
        "People who take turns by day or week, with stand-ins; alerts go to whoever is on duty "
        "now.",
    ),
    "term_escalation": ("升级", "Escalation"),
    "what_escalation": (
        "没有人确认时，过一段时间告诉下一个人：先在物业内部，再到区里。",
        "While nobody acknowledges, the next one is told: first within the property firm, then the "
        "district.",
    ),
    "term_receipt": ("已收下", "Accepted"),
    "what_receipt": (
        "对方的服务器收下了消息；有没有人看过，群机器人并不知道。",
        "The other side's server took the message; whether somebody read it, a chat robot does not "
        "know.",
    ),
    "term_quiet_hours": ("免打扰", "Quiet hours"),
    "what_quiet_hours": (
        "夜里 P3、P4 先攒着，早上合成一条；P1、P2 照发。",
        "By night P3 and P4 wait and come as one digest in the morning; P1 and P2 are sent at "
        "once.",
    ),
    "term_stand_in": ("代班", "Stand-ins"),
    "what_stand_in": (
        "有人不在时，由另一人顶他的班，到时自动换回。",
        "Somebody who takes another’s turns for a time; it goes back by itself.",
    ),
    "term_dry_run": ("试算", "Dry run"),
    "what_dry_run": (
        "按真正的规则算一遍会怎样，什么都不写入，也不通知任何人。",
        "Works out by the real rules what would happen; nothing is written, nobody is told.",
    ),
    # thresholds and access
    "term_threshold": ("阈值", "Thresholds"),
    "what_threshold": (
        "什么时候算故障：限值、延时、级别。先是故障目录的，可以按小区、厂商、型号或单台设备改。",
        "When something counts as a fault: limits, delays, class. They are the catalogue’s until "
        "changed for a compound, a vendor, a model or one device.",
    ),
    "term_raises": ("报警限", "Raised at"),
    "what_raises": (
        "到了这个值，并持续到延时结束，就报故障。",
        "From this value on, held for the delay, the fault is raised.",
    ),
    "term_clears": ("恢复限", "Over at"),
    "what_clears": (
        "回到这个值才算恢复；在报警限与它之间，保持原来的判断，免得反复。",
        "Only back at this value it is over; between the two the last verdict stands, so that it "
        "does not flutter.",
    ),
    "term_delay": ("延时", "Delay"),
    "what_delay": (
        "情况要持续多久才报，免得一闪而过也打扰人。",
        "How long it must last before it is raised, so that a moment disturbs nobody.",
    ),
    "term_role": ("身份", "Role"),
    "what_role": (
        "区值班：全部，可以改。物业：只有自己的小区，可以处理。只读：全部，什么都不能改。",
        "Operations: everything, and may change it. Property firm: its own compounds, and may act "
        "there. Viewer: everything, and changes nothing.",
    ),
    "term_token": ("令牌", "Tokens"),
    "what_token": (
        "程序用它读接口，也可用来登录；只显示一次，随时可以作废。",
        "Programs read the API with it, and one can log in with it; it is shown once and can be "
        "revoked at any time.",
    ),
    "term_audit": ("审计记录", "Audit log"),
    "what_audit": (
        "谁在何时做了什么，只能追加；每条含前一条的摘要，改过就看得出。",
        "Who did what and when: only added to, and each entry holds the digest of the one before, "
        "so that a change would show.",
    ),
    # data
    "term_replay": ("重放", "Judge again"),
    "what_replay": (
        "把隔离的消息按现在的登记和解码再判一次，不会重复入账。",
        "A message in quarantine is judged once more, by the registry and decoders of now; nothing "
        "is counted twice.",
    ),
    "term_balance": ("差额", "Balance"),
    "what_balance": (
        "收到 = 入账 + 重复 + 隔离 + 待判。两边各自计数，相减必须为 0；不为 0 就是丢了或多算了，"
        "本系统会报警。",
        "Received = stored + duplicate + quarantined + pending. Both sides are counted on their "
        "own, "
        "and the difference must be 0; anything else is lost or counted twice, and raises an "
        "alarm.",
    ),
    "term_stored": ("入账", "Stored"),
    "what_stored": (
        "判定过并接受的消息，哪怕只有一部分能用。",
        "Judged and accepted, even if only a part of it could be used.",
    ),
    "term_duplicate": ("重复", "Duplicate"),
    "what_duplicate": (
        "设备重发的同一条消息：只算一次。",
        "The same message, sent again by the device: it counts once.",
    ),
    "term_quarantine": ("隔离", "Quarantined"),
    "what_quarantine": (
        "完全不能用的消息，按原因保存，修好后可以重放。",
        "Messages of which nothing could be used: kept by reason, and can be replayed after a "
        "repair.",
    ),
    "term_pending": ("待判", "Pending"),
    "what_pending": (
        "已经落盘、还没判定的消息。",
        "Safely on disk and not judged yet.",
    ),
    "term_partial": ("部分可用", "Partial"),
    "what_partial": (
        "消息里有几项不能用，其余照常入账。",
        "Some of its values could not be used, the others were stored.",
    ),
    "term_lag": ("滞后", "Lag"),
    "what_lag": (
        "最新收到的消息比已经处理到的晚多少。",
        "How far the newest message is ahead of what was processed.",
    ),
    "term_probe": ("探针", "Probe"),
    "what_probe": (
        "本系统每几秒给自己发一条消息，走完全程才算数。它不回来时，离线计时停住，"
        "设备记为未知而不是离线。",
        "A message this system sends itself every few seconds through the whole chain. While it "
        "does not come back, timers stand and devices are unknown instead of offline.",
    ),
    "term_journal": ("日志", "Journal"),
    "what_journal": (
        "收到的原始消息，先落盘再回执。后面的部分坏了也不会丢。",
        "Raw messages as they came, on disk before they are acknowledged. Whatever breaks behind "
        "it, they are there.",
    ),
    # why messages are quarantined: beside `q_…`, and `qa_…` with what to do
    "what_q_not_json": (
        "内容不是 JSON 文本。",
        "Its content is no JSON text.",
    ),
    "what_q_bad_text": (
        "文字既不是 UTF-8，也不是约定的编码。",
        "Its text is neither UTF-8 nor the encoding that was agreed.",
    ),
    "what_q_too_deep": (
        "括号套得太深，读它有风险。",
        "Brackets within brackets, deeper than is safe to read.",
    ),
    "what_q_too_large": (
        "超过 64 KiB，多半带着抓拍图片。",
        "More than 64 KiB, mostly because of a picture.",
    ),
    "what_q_bad_type": (
        "某一项的类型不对，例如该是数字却是文字。",
        "A value is of the wrong type, like text where a number is due.",
    ),
    "what_q_bad_number": (
        "数字写法无法读懂，例如 NaN。",
        "A number that cannot be read, like NaN.",
    ),
    "what_q_out_of_range": (
        "数值超出这个量可能的范围。",
        "Outside what the quantity can be.",
    ),
    "what_q_duplicate_key": (
        "同一个名称出现两次，不知该信哪个。",
        "One name stands twice, and which to believe nobody knows.",
    ),
    "what_q_bad_topic": (
        "主题不符合约定的形式。",
        "Its topic is not of the form that was agreed.",
    ),
    "what_q_unknown_device": (
        "登记册里没有这台设备。",
        "The registry has no such device.",
    ),
    "what_q_wrong_place": (
        "设备登记在别的小区，或是别的类型。",
        "The device is registered in another compound, or as another kind.",
    ),
    "what_q_identity": (
        "内容里的设备与主题里的不是同一台。",
        "The device in its content is not the one of its topic.",
    ),
    "what_q_clock": (
        "补传的数据，时间却不可能：不知道是什么时候的。",
        "Sent afterwards, with a time that cannot be: when it was is not known.",
    ),
    "what_q_conflict": (
        "同一序号来过，内容却不同。",
        "The same number came before with other content.",
    ),
    "what_q_rate_limited": (
        "发得太快，超出的部分不判。",
        "Sent too fast: what is above the limit is not judged.",
    ),
    "what_q_bad_checksum": (
        "校验和对不上，传输中坏了。",
        "The checksum does not fit: damaged on its way.",
    ),
    "what_q_bad_frame": (
        "帧的结构不符合厂商的协议。",
        "Its frame is not built as the vendor’s protocol says.",
    ),
    "what_q_unsupported": (
        "这种消息本系统还不会解。",
        "A kind of message that this system cannot read yet.",
    ),
    "what_q_unredactable": (
        "含个人信息而无法去除，不保存原文。",
        "Holds personal data that cannot be taken out, so it is not kept.",
    ),
    "what_q_journal_corrupt": (
        "日志里的这一条坏了，读不出。",
        "This record of the journal is damaged.",
    ),
    "what_q_crashed_decoder": (
        "解它的程序崩溃了。",
        "The program that reads it crashed on it.",
    ),
    "what_q_refused_by_database": (
        "数据库不收它的内容。",
        "The database does not take its content.",
    ),
}
