"""What lists and charts say while they hold nothing: why that is, and what to do next.

Both languages (see `api.words`). `em_to_…` are the words of links; the others follow what the page
itself says first, which is with the page's own texts.
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    # links
    "em_to_all": ("显示全部", "Show everything"),
    "em_to_open": ("看未处理的故障", "See what is to be dealt with"),
    "em_to_all_faults": ("全部故障，含已关闭的", "All faults, also those that are over"),
    "em_to_catalogue": ("故障目录", "Fault catalogue"),
    "em_to_import": ("从文件导入", "Import a file"),
    "em_to_device": ("登记一台设备", "Add a device"),
    "em_to_compound": ("添加小区", "Add a compound"),
    "em_to_firm": ("添加物业公司", "Add a property firm"),
    "em_to_contacts": ("填写联系人", "Enter contacts"),
    "em_to_registry": ("登记册", "Registry"),
    "em_to_unknown": ("看未登记的设备", "See unknown senders"),
    "em_to_template": ("下载模板", "Download a template"),
    "em_to_pick_file": ("选文件", "Pick a file"),
    "em_to_user": ("添加用户", "Add a user"),
    "em_to_token": ("发一个令牌", "Make a token"),
    "em_to_users": ("用户", "Users"),
    "em_to_target": ("添加目标", "Add a target"),
    "em_to_targets": ("看各目标的设置", "See the settings of targets"),
    "em_to_route": ("添加规则", "Add a route"),
    "em_to_routes": ("看规则", "See the routes"),
    "em_to_dry_run": ("试算一个故障会通知谁", "Try whom a fault would be told to"),
    "em_to_person": ("添加人员", "Add a person"),
    "em_to_roster": ("排值班表", "Make a roster"),
    "em_to_stand_in": ("安排代班", "Arrange a stand-in"),
    "em_to_year": ("录入一年", "Enter a year"),
    "em_to_window": ("安排维护", "Plan maintenance"),
    "em_to_quarantine": ("看隔离的消息", "See what is in quarantine"),
    "em_to_data": ("看数据页", "See the ingestion page"),
    "em_to_messages": ("看它发来的消息", "See what it sent"),
    "em_to_readings": ("看它的读数", "See its readings"),
    "em_to_device_page": ("回设备页", "To the device"),
    "em_to_compound_page": ("回小区页", "To the compound"),
    "em_to_sheds": ("看充电棚", "See the sheds"),
    "em_to_longer": ("选更长的时间", "Pick a longer time"),
    "em_to_export": ("申请一份", "Ask for one"),
    "em_to_rules": ("看全部阈值", "See all thresholds"),
    "em_to_correct": ("更正一天", "Correct a day"),
    "em_to_imports": ("回导入列表", "To all imports"),
    "em_to_whole_list": ("看全部行", "See all lines"),
    "em_to_what_is": ("这是什么", "What this is"),
    # why, and what to do
    "em_operations": ("由区值班登记。", "Operations staff enter them."),
    "em_audit": ("还没有人改过什么。", "Nobody has changed anything yet."),
    "em_audit_means": (
        "登录、设置和每次操作，从第一次起都记在这里，改不掉也删不掉。",
        "Each log-in, setting and action is written here from the first one on, and stays.",
    ),
    "em_users_means": (
        "给每个人各建一个，有自己的密码；程序用令牌。",
        "Make one for each person, with a password of their own; programs use tokens.",
    ),
    "em_tokens_means": (
        "程序用令牌读接口；只显示一次，随时可以作废。",
        "Programs read the API with one; it is shown once and can be revoked at any time.",
    ),
    "em_account": (
        "要用密码登录，先建一个用户。",
        "To log in with a password, make a user first.",
    ),
    "em_compounds": ("还没有小区。", "There are no compounds yet."),
    "em_compounds_means": (
        "从文件一次导入，或逐个添加；每个小区属于一家物业公司，先添加公司。",
        "Import all of them from a file, or add one at a time. Each belongs to a property firm, "
        "which comes first.",
    ),
    "em_compound_first": (
        "设备都在某个小区里：先添加小区，或从文件连小区一起导入。",
        "A device belongs to a compound: add that first, or import both from a file.",
    ),
    "em_firms_means": (
        "每个小区属于一家公司，公司的人只看到自己的小区。",
        "Each compound belongs to one, whose people see their own compounds only.",
    ),
    "em_devices": ("还没有设备。", "There are no devices yet."),
    "em_devices_means": (
        "从文件导入，或逐台登记。已经在发消息的，在“未登记”里一点就能登记。",
        "Import a file, or add one at a time. What is sending already waits under “Unknown "
        "senders”, one click from being added.",
    ),
    "em_imports_means": (
        "选一个表格文件：先逐行预览，确认后才写入，写入后还能撤销。",
        "Pick a spreadsheet: it is previewed line by line, written once you agree, and can be "
        "undone.",
    ),
    "em_unknown_means": (
        "没有登记就发消息的设备会出现在这里，附原文。",
        "Devices that send without being in the registry appear here, with what they sent.",
    ),
    "em_first_means": (
        "新故障会自动出现。",
        "New faults appear here by themselves.",
    ),
    "em_blind_means": (
        "先看本系统哪一步停了。",
        "See first which part of this system stands still.",
    ),
    "em_no_open_means": (
        "有了会自动出现。",
        "One that comes appears here by itself.",
    ),
    "em_past_means": (
        "故障关闭后留在这里，可查谁何时处理。",
        "Faults stay here once they are over, with who dealt with them and when.",
    ),
    "em_values_never": (
        "收到它的第一条消息后就有了。若它应当在线，看它发来过什么。",
        "There will be something after its first message. If it should be online, see what it "
        "sent.",
    ),
    "em_children_means": (
        "登记设备时把它写成上级，就会列在这里。",
        "Devices that name it as their parent are listed here.",
    ),
    "em_sessions_means": (
        "第一次充电开始后列在这里。",
        "They are listed here from the first charge on.",
    ),
    "em_stops_means": (
        "充电结束后按原因计数。",
        "Charges are counted by why they ended, once they end.",
    ),
    "em_sheds_means": (
        "登记充电棚后，插座状态和用量都在这里。",
        "Once a shed is registered, its sockets and their usage are here.",
    ),
    "em_away_means": (
        "哪一步停了，看数据页。",
        "Which part stands still is on the ingestion page.",
    ),
    "em_decoder_means": (
        "消息原样保存，有了解码器可以重放。",
        "They are kept as they came, and can be replayed once there is one.",
    ),
    "em_routes_means": (
        "规则说明哪些故障通知谁：先建目标，再建规则。",
        "A route says which faults are told to whom: a target first, then a route.",
    ),
    "em_deliveries": ("还没有发过通知。", "Nothing was sent yet."),
    "em_deliveries_means": (
        "有故障、又有规则通向目标时，每一条都记在这里，附对方的回答。",
        "When there is a fault and a route for it, each message is here with the answer to it.",
    ),
    "em_people_means": (
        "写上电话和目标，值班表才找得到人。",
        "With a phone number and a target, a roster can reach them.",
    ),
    "em_stand_ins_means": (
        "有人请假时，在这里写明谁代到何时。",
        "When somebody is away, say here who takes their turns, and until when.",
    ),
    "em_holidays_means": (
        "没有它，节假日按平常的周几算。",
        "Without it holidays count as the weekday that they fall on.",
    ),
    "em_dry_run_means": (
        "加一条合适的规则，或改掉挡住它的那一条。",
        "Add a route that fits, or change what holds it back.",
    ),
    "em_windows_means": (
        "施工前安排好，其间的故障记录在案、不打扰人。",
        "Plan work beforehand: faults meanwhile are recorded and disturb nobody.",
    ),
    "em_pick_first_none": (
        "还没有小区，先登记。",
        "There are no compounds yet: register them first.",
    ),
    "em_exports_places": (
        "还没有小区，没有可导出的。",
        "There are no compounds yet, so there is nothing to export.",
    ),
    "em_pace_means": (
        "一直没有，就是 courtyard ingest 没有在运行；courtyard doctor 逐项检查。",
        "If it stays like this, courtyard ingest is not running; courtyard doctor checks what is.",
    ),
    "em_refused_means": (
        "不能用的消息按原因留在这里，改好后可以重放。",
        "Messages that cannot be used are kept here by reason, and can be replayed after a repair.",
    ),
    "em_alarms_means": (
        "本系统自身的故障，和设备的分开列出。",
        "This system's own troubles are listed apart from those of devices.",
    ),
    "em_corrections_means": (
        "已定的用量有错时，更正一天并写明原因；前后数字都留着。",
        "Where final usage is wrong, correct a day and say why; the figures before are kept.",
    ),
    "em_exclusions_means": (
        "电表跳变等不可信的读数不计入用量，会列在这里。",
        "Readings that cannot be true, like a jumping register, are left out of usage and listed "
        "here.",
    ),
    "em_rules_never_means": (
        "此刻全部按故障目录。改动从一条规则的页面开始。",
        "All holds as the catalogue says. A change begins on the page of a rule.",
    ),
    "em_no_figures_means": (
        "它凭事实判定，没有可调的限值。",
        "It goes by a fact, and there is no limit to move.",
    ),
    "em_plan": (
        "还没有设备，画不出平面图。",
        "There are no devices yet, so there is no plan to draw.",
    ),
    "em_no_contacts_means": (
        "写在小区或物业公司的登记里，这里就能拨。",
        "Enter them with the compound or its firm, and they can be dialled from here.",
    ),
}
