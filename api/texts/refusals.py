"""What a field of a form has to be, for whoever wrote something else: `rf_` and its name."""

TEXTS: dict[str, tuple[str, str]] = {
    "rf_name": ("名称：须填写，不超过 60 个字。", "Name: write one, of 60 characters at most."),
    "rf_url": (
        "地址：不符合该通道的要求。机器人从其设置中整条复制（以 https:// 开头），邮件写收件地址。",
        "Address: not what this channel takes. Copy a robot's whole from its settings (https://…);"
        " for e-mail, write the addresses.",
    ),
    "rf_unreached": (
        "地址：此刻找不到或连不上这台服务器。核对拼写，再看本系统能否解析这个名称、能否上网。",
        "Address: this server is not found or not reached just now. Check the spelling, then "
        "whether this system can resolve the name and reach the network.",
    ),
    "rf_barred": (
        "地址：不能发往这里。须以 https:// 开头、不含用户名；内网地址先由管理员在 "
        "COURTYARD_ALERTS_ALLOW 里放行。",
        "Address: nothing is sent there. It begins with https:// and has no user name; private "
        "ones are allowed by COURTYARD_ALERTS_ALLOW.",
    ),
    "rf_secret": (
        "密钥：不符合该通道的格式。从机器人设置中整条复制。",
        "Secret: not as this channel's are. Copy it whole from the robot's settings.",
    ),
    "rf_secret_before": (
        "保留旧密钥：须同时填写新密钥。",
        "To keep the secret of before, write the new one.",
    ),
    "rf_firm": (
        "物业：不能选这一家；物业公司只能为自己设置，也只收到本公司小区的故障。",
        "Firm: not this one. A firm arranges its own, and hears of its own compounds only.",
    ),
    "rf_language": ("语言：选中文或英文。", "Language: Chinese or English."),
    "rf_phone": (
        "电话：3 至 30 位数字，可含 +、空格、括号和短横线。",
        "Telephone: 3 to 30 digits, with +, blanks, brackets and hyphens.",
    ),
    "rf_target": (
        "通知对象：选一个现有的目标、人员或值班表。",
        "To whom: choose one target, person or roster that there is.",
    ),
    "rf_targets": (
        "通知目标：只能选同一物业现有的目标，最多 10 个。",
        "Targets: of the same firm, that there are, 10 at most.",
    ),
    "rf_person": ("人员：选一位现有的人员。", "Person: choose one that there is."),
    "rf_people": (
        "轮班人员：至少一位，且属于同一物业。",
        "Who takes turns: one at least, all of the same firm.",
    ),
    "rf_levels": (
        "各级人员：须是同一物业现有的人员。",
        "Levels: people of the same firm, that there are.",
    ),
    "rf_rotation": ("轮班方式：选每天或每周。", "Turns: daily or weekly."),
    "rf_starts_on": (
        "起始日期：写成 2026-11-23，且在三年之内。",
        "First day: like 2026-11-23, within three years.",
    ),
    "rf_handover": (
        "交班时间：写成 08:00，在 00:00 与 23:59 之间。",
        "Handover: like 08:00, from 00:00 to 23:59.",
    ),
    "rf_timezone": ("时区：写成 Asia/Shanghai。", "Time zone: like Asia/Shanghai."),
    "rf_by": (
        "替班人：选同一物业的另一位人员。",
        "Who stands in: somebody else of the same firm.",
    ),
    "rf_roster": (
        "值班表：选同一物业现有的值班表。",
        "Roster: one of the same firm, that there is.",
    ),
    "rf_from": ("开始时间：填写日期和时间。", "Begin: write a date and a time."),
    "rf_to": (
        "结束时间：须在开始之后、尚未过去，且相隔不超过一年。",
        "End: after the beginning, to come, and within a year of it.",
    ),
    "rf_note": ("备注：不超过 200 个字。", "Note: 200 characters at most."),
    "rf_when": (
        "时段：选日子，时间写成 08:30 至 17:30，两者不能相同。",
        "Hours: choose days; times like 08:30 to 17:30, which differ.",
    ),
    "rf_compound": (
        "小区：选一个现有的小区；计划维护须写明小区、类型、设备或故障代码之一。",
        "Compound: choose one that there is; maintenance names one, a kind, devices or codes.",
    ),
    "rf_devices": (
        "设备：填写所选小区、所选类型的设备编号，用空格隔开。",
        "Devices: ids of that compound and kind, with blanks between.",
    ),
    "rf_codes": (
        "故障代码：从目录中选，且属于所选类型；安全类故障只能对指明的设备暂停通知。",
        "Codes: of the catalogue and of that kind; safety faults are held only for named devices.",
    ),
    "rf_starts_at": ("开始时间：在一年之内。", "Begin: within a year."),
    "rf_ends_at": (
        "结束时间：须在开始之后、尚未过去，且不超过 31 天。",
        "End: to come, after the beginning, and within 31 days of it.",
    ),
    "rf_reason": ("原因：须填写，不能太长。", "Reason: write one, not too long."),
    "rf_owner": ("负责人：须填写，不能太长。", "Who answers for it: write a name, not too long."),
    "rf_kind": ("类型：选一种现有的类型。", "Kind: choose one that there is."),
    "rf_code": ("故障：从目录中选一种。", "Fault: choose one of the catalogue."),
    "rf_severity": ("级别：从 P1 至 P4 中选。", "Severity: from P1 to P4."),
    "rf_device": (
        "设备：须在所选小区，且与该故障的类型相符。",
        "Device: in that compound, and of the fault's kind.",
    ),
    "rf_at": (
        "时间：写成 2026-11-23T10:00，在前后一年之内。",
        "Time: like 2026-11-23T10:00, less than a year away.",
    ),
    "rf_quiet_from": ("静默时段：时间写成 22:00。", "Quiet hours: times like 22:00."),
    "rf_quiet_to": (
        "静默时段：开始与结束须一起填写，不能相同，也不能太长。",
        "Quiet hours: both begin and end, which differ, and not too long.",
    ),
    "rf_daily_summary_at": (
        "日报时间：写成 08:00；Alertmanager 不接收日报。",
        "Daily summary: a time like 08:00; an Alertmanager takes none.",
    ),
    "rf_steps": (
        "各级通知：一级比一级晚，时间算法相同；危急故障至少一级，级数不能太多。",
        "Levels: each later than the one before, by the same kind of time; P1 has one at least.",
    ),
    "rf_minutes": ("分钟：写数字，如 15。", "Minutes: a number, like 15."),
    "rf_after_s": (
        "各级的分钟数：太短或太长。",
        "Minutes of a level: too few or too many.",
    ),
    "rf_remind_every_s": (
        "提醒间隔：太短或太长；不提醒则留空。",
        "Reminders: too often or too seldom; leave it empty for none.",
    ),
    "rf_off": (
        "放假：每行写名称、首日和末日，如“元旦 2027-01-01 2027-01-03”；日期须在该年、先后正确、"
        "互不重叠，调休上班的须是周末且不在假期内。",
        "Holidays: a line each, name, first day and last, like 2027-01-01; days of that year, in"
        " order and apart; days to make up are weekends outside of them.",
    ),
    "rf_work": (
        "调休上班：写成 2027-02-06，用空格隔开。",
        "Days to make up: like 2027-02-06, with blanks between.",
    ),
    "rf_nth": ("第 {n} 行 {what}", "Line {n}. {what}"),
    "rf_other": (
        "填写的内容不能用，没有保存。",
        "What was written cannot be used: nothing was saved.",
    ),
    "rf_too_many": (
        "数量已达上限，没有保存：先删除不用的。",
        "There are as many as there may be; nothing was saved: delete some first.",
    ),
    "rf_named": (
        "值班表里还有此人，没有删除：先移出值班表。",
        "A roster names them; nothing was deleted: take them out of it first.",
    ),
    "rf_away": (
        "本服务启动时没有启用通知通道，不能新建或测试目标。",
        "This server was started without channels; it can neither make nor test targets.",
    ),
}
