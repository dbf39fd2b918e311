"""What the pages of people, rosters and stand-ins say, and the dry run.

Both languages; terms are never varied (see `api.words`).
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    # duty: people, rosters, stand-ins, and the dry run
    "al_duty": ("值班", "Duty"),
    "al_dry_run": ("试算", "Dry run"),
    "du_rosters": ("值班表", "Rosters"),
    "du_none": (
        "还没有值班表。规则可以通向值班表：当班的人收到通知。",
        "There is no roster. A route may lead to one: whoever is on duty is told.",
    ),
    "du_now": ("当班", "On duty"),
    "du_until": ("至 {at}", "until {at}"),
    "du_next": ("之后", "Then"),
    "du_turns_daily": ("每天 {at} 交班，{n} 人轮流", "Hands over daily at {at}, {n} people"),
    "du_turns_weekly": ("每周 {at} 交班，{n} 人轮流", "Hands over weekly at {at}, {n} people"),
    "du_daily": ("每天", "Daily"),
    "du_weekly": ("每周", "Weekly"),
    "du_people": ("人员", "People"),
    "du_no_people": ("还没有人员。", "There are no people yet."),
    "du_reached": ("怎样找到", "Reached by"),
    "du_unreached": ("没有目标，收不到通知", "No target: nothing reaches them"),
    "du_stand_ins": ("代班", "Stand-ins"),
    "du_no_stand_ins": ("没有安排代班。", "Nobody stands in for anybody."),
    "du_stands_in": ("{by} 代 {person}", "{by} for {person}"),
    "du_all_rosters": ("所有值班", "All duty"),
    "du_stand_in_new": ("安排代班", "New stand-in"),
    "du_away": ("不在的人", "Who is away"),
    "du_by": ("由谁代", "Who stands in"),
    "du_where": ("哪个值班表", "In which roster"),
    "du_stand_in_make": ("安排", "Arrange"),
    "du_end_stand_in": ("结束代班：{by} 代 {person}？", "End it: {by} for {person}?"),
    "du_end_stand_in_means": (
        "现在起由本人值班；还没开始的直接取消。",
        "From now on it is their own duty again; one that has not begun never was.",
    ),
    "du_end_more": ("结束…", "End…"),
    "du_person_new": ("新人员", "New person"),
    "du_person_make": ("建立", "Make person"),
    "du_phone": ("电话", "Telephone"),
    "du_targets": ("通过哪些目标通知（每次全部）", "Told by these targets, all of them each time"),
    "du_no_targets": (
        "这里还没有目标：先在“目标”里建一个。",
        "There is no target here: make one under Targets first.",
    ),
    "du_roster_new": ("新值班表", "New roster"),
    "du_roster_make": ("建立", "Make roster"),
    "du_rotation": ("轮换", "Rotation"),
    "du_starts": ("第一班从哪天起", "First shift begins on"),
    "du_handover": ("交班时间", "Hands over at"),
    "du_order": ("轮流的顺序", "Order of turns"),
    "du_place": ("第 {n} 位", "No. {n}"),
    "du_levels": ("没人确认时再找谁", "Who is called next while nobody acknowledges"),
    "du_levels_means": (
        "不填即按顺序找下一位；可多选。",
        "Empty takes the next ones of the order; several may be picked.",
    ),
    "du_level": ("第 {n} 级", "Level {n}"),
    "du_call_now": ("此刻找谁", "Whom to call now"),
    "du_need_people": ("先建人员，再排值班表。", "Make people first, then a roster."),
    "du_delete_person": ("删除人员“{name}”？", "Delete person “{name}”?"),
    "du_delete_person_means": (
        "不再通过此人通知；通向此人的规则一起删除。还在值班表里的先移出。",
        "Nobody is told through them any more, and routes to them are deleted. Take them out of "
        "rosters first.",
    ),
    "du_delete_roster": ("删除值班表“{name}”？", "Delete roster “{name}”?"),
    "du_delete_roster_means": (
        "通向它的规则和它的代班一起结束。通知记录保留。",
        "Routes to it and its stand-ins end too. Deliveries stay on record.",
    ),
    "du_saved": ("已保存。", "Saved."),
    "du_person_made": ("人员已建立。", "The person is made."),
    "du_person_gone": ("人员已删除。", "The person is deleted."),
    "du_roster_made": ("值班表已建立。", "The roster is made."),
    "du_roster_gone": ("值班表已删除。", "The roster is deleted."),
    "du_stand_in_made": ("代班已安排。", "The stand-in is arranged."),
    "du_ended": ("代班已结束。", "It has ended."),
    "es_title": ("没人确认时", "While nobody answers"),
    "es_lead": (
        "从第一个人收到通知算起；有人确认就停",
        "Counted from when the first was told; it stops once somebody acknowledges",
    ),
    "es_firm": ("物业的下一级", "the firm, one level up"),
    "es_district": ("区值班", "the district"),
    "es_after": ("{age}后：{whom}", "after {age}: {whom}"),
    "es_after_working": ("{age}后（工作时间）：{whom}", "after {age} of working time: {whom}"),
    "es_none": ("不再通知别人。", "Nobody else is told."),
    "es_remind": (
        "安全类每 {age}再提醒，最多 {n} 次",
        "The safety tier is told again every {age}, {n} times at most",
    ),
    "es_default": ("默认", "By default"),
    "es_of_district": ("按区里的规定", "As the district has it"),
    "es_minutes": ("多少分钟后", "After minutes"),
    "es_whom": ("通知谁", "Tell"),
    "es_working": ("只算工作时间", "Count working time only"),
    "es_remind_min": (
        "安全类每几分钟再提醒（不填即不提醒）",
        "Minutes between reminders of safety faults (empty: none)",
    ),
    "es_back": ("恢复默认", "As before"),
    "ho_holidays": ("节假日", "Public holidays"),
    "ho_lead": (
        "规则里的“工作日”“周末”“节假日”按这里算；没有录入的年份只看星期",
        "What routes take for working days, weekends and holidays; a year without a list goes by "
        "the day of the week",
    ),
    "ho_none": ("还没有任何一年的安排。", "There is no list of any year."),
    "ho_came_with": ("随系统提供", "Came with the system"),
    "ho_enter": ("录入一年", "Enter a year"),
    "ho_enter_means": (
        "照国务院办公厅的通知录入整年，替换原来的；通知一般在前一年 11 月发布。",
        "All of a year as it was announced, in place of the list before; in China that is in "
        "November of the year before.",
    ),
    "ho_year": ("年份", "Year"),
    "ho_off": (
        "放假，每行一个：名称 第一天 最后一天",
        "Days off, a line each: name, first day, last day",
    ),
    "ho_work": ("上班的周末", "Weekends that are worked"),
    "ho_operators": ("只有区值班可以录入。", "Only operators enter them."),
    "dy_lead": (
        "假如此刻或某个时间发生这种故障，会通知谁，为什么；不发送，不记录",
        "Who would be told of such a fault, now or at some time, and why; nothing is sent or kept",
    ),
    "dy_device": ("设备编号（可代替小区）", "Device id (in place of the compound)"),
    "dy_at": ("时间（不填即现在）", "At (now if empty)"),
    "dy_try": ("试算", "Try"),
    "dy_told": ("会通知", "Would be told"),
    "dy_nobody": ("不会通知任何人", "Nobody would be told"),
    "dy_not": ("不通知的规则", "Routes by which nobody is"),
    "dy_why": ("为什么", "Why"),
    "dy_waits": ("目标待修，通知会等着：{why}", "The target is broken, so it waits: {why}"),
    "lane_alert": ("通知", "Alert"),
    "ds_pending": ("待送", "Waiting"),
    "ds_delivered": ("已收下", "Accepted"),
    "ds_suppressed": ("未通知", "Not told"),
    "ds_cancelled": ("已取消", "Cancelled"),
    "ds_failed": ("未送达", "Not delivered"),
    "dr_suspected": ("疑似，待人核实", "suspected, to be verified by a person"),
    "dr_flapping": ("反复", "flapping"),
    "dr_maintenance": ("维护", "maintenance"),
    "dr_shelved": ("已搁置", "shelved"),
    "dr_suppressed": ("已归并到根因", "suppressed by its root cause"),
    "dr_no_route": ("没有规则通向任何目标", "no route leads anywhere"),
    "dr_over_before_notice": ("通知前已恢复", "over before its notice was due"),
    "dr_older_than_target": ("发生在目标建立之前", "it happened before the target was made"),
    "dr_unreachable": ("规则通向的人没有目标", "whom the routes lead to has no target"),
    "dr_quiet_hours": ("安静时段，早上一起送", "quiet hours: with the digest of the morning"),
    "dr_answered": ("发送前已有人确认", "somebody had acknowledged it before it was sent"),
    "dr_given_up": ("24 小时未送达，已放弃", "given up after 24 hours"),
    "dr_other_firm": ("小区已换物业", "its compound has another firm now"),
    "dr_target_deleted": ("目标已删除", "the target was deleted"),
    "dr_handed_on": ("原目标未送达，转到这里", "handed on: it did not arrive where it was to go"),
    "ch_dingtalk": ("钉钉机器人", "DingTalk robot"),
    "ch_wecom": ("企业微信机器人", "WeCom robot"),
    "ch_feishu": ("飞书机器人", "Feishu or Lark robot"),
    "ch_email": ("邮件", "E-mail"),
    "ch_webhook": ("Webhook", "Webhook"),
    "ch_alertmanager": ("Alertmanager", "Alertmanager"),
    "ch_apprise": ("Apprise 服务", "Apprise service"),
    "ch_what_apprise": (
        "其他服务：Telegram、Slack、ntfy 等",
        "Other services: Telegram, Slack, ntfy and more",
    ),
    "ch_how_apprise": (
        "填 Apprise 的地址，密钥在地址里；各服务的写法见 github.com/caronc/apprise。"
        "它多半只看 HTTP 状态，钉钉、企业微信、飞书和邮件请用各自的渠道。",
        "Enter an address of Apprise, which has the secrets in it: github.com/caronc/apprise says "
        "how each service writes it. It mostly looks at the HTTP status only, so the robots and "
        "e-mail have channels of their own.",
    ),
    "ch_url_apprise": ("ntfys://ntfy.sh/…", "ntfys://ntfy.sh/…"),
    "ch_what_dingtalk": ("钉钉群里的自定义机器人", "A custom robot in a DingTalk group"),
    "ch_what_wecom": ("企业微信群里的消息推送", "A group's message push in WeCom"),
    "ch_what_feishu": ("飞书群里的自定义机器人", "A custom bot in a Feishu or Lark group"),
    "ch_what_email": ("一个或几个邮箱", "One or several mailboxes"),
    "ch_what_webhook": (
        "自己的接收程序，短信与电话也走这里",
        "A receiver of your own; SMS and calls go this way too",
    ),
    "ch_what_alertmanager": ("Prometheus Alertmanager", "Prometheus Alertmanager"),
    "ch_how_dingtalk": (
        "群设置 → 智能群助手 → 添加机器人 → 自定义。安全设置选“加签”，复制密钥；"
        "用关键词时填“楼院”。",
        "Group settings → Group assistant → Add robot → Custom. As security take the signature "
        "(加签) and copy the secret; as keyword enter Courtyard.",
    ),
    "ch_how_wecom": (
        "群右上角 ⋯ → 消息推送 → 添加，复制 Webhook 地址。没有密钥：有地址就能发送。",
        "Group menu ⋯ → Message push → Add, then copy the webhook address. There is no secret: "
        "who has the address can send.",
    ),
    "ch_how_feishu": (
        "群设置 → 群机器人 → 添加机器人 → 自定义机器人。安全设置选“签名校验”，复制密钥；"
        "用关键词时填“楼院”。",
        "Group settings → Bots → Add bot → Custom bot. As security take the signature and copy the "
        "secret; as keyword enter Courtyard.",
    ),
    "ch_how_email": (
        "邮件服务器由管理员用 COURTYARD_SMTP_URL 设置一次。这里填收件人，最多 20 个。",
        "The mail server is set once by an administrator, with COURTYARD_SMTP_URL. Enter the "
        "recipients here, 20 at most.",
    ),
    "ch_how_webhook": (
        "收 CloudEvents 格式的 POST，按 Standard Webhooks 签名；接收示例见 docs/alerts.md。"
        "下面的密钥是新生成的，现在复制给接收方。",
        "A POST with a CloudEvents body, signed as Standard Webhooks; docs/alerts.md has a "
        "receiver. The secret below is new: copy it to the receiver now.",
    ),
    "ch_how_alertmanager": (
        "填 Alertmanager 的地址，自动加 /api/v2/alerts。它不验签名：只让本系统访问它。",
        "Enter its address; /api/v2/alerts is added. It checks no signature: let only this system "
        "reach it.",
    ),
    "ch_url_dingtalk": (
        "https://oapi.dingtalk.com/robot/send?access_token=…",
        "https://oapi.dingtalk.com/robot/send?access_token=…",
    ),
    "ch_url_wecom": (
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
    ),
    "ch_url_feishu": (
        "https://open.feishu.cn/open-apis/bot/v2/hook/…",
        "https://open.feishu.cn/open-apis/bot/v2/hook/…",
    ),
    "ch_url_email": (
        "mailto:duty@example.org,chief@example.org",
        "mailto:duty@example.org,chief@example.org",
    ),
    "ch_url_webhook": (
        "https://hooks.example.org/courtyard",
        "https://hooks.example.org/courtyard",
    ),
    "ch_url_alertmanager": ("https://alerts.example.org", "https://alerts.example.org"),
    "ch_secret_dingtalk": ("SEC 开头，加签时填", "Begins with SEC; where it signs"),
    "ch_secret_feishu": ("签名校验时填", "Where signatures are checked"),
    "ch_secret_webhook": (
        "whsec_ 与 24 到 64 字节的 base64",
        "whsec_ and 24 to 64 bytes in base64",
    ),
    "note_needed": ("备注不能为空。", "A comment needs words."),
    "is_suppressed": ("由另一故障解释，已归并", "Explained by another fault, suppressed"),
    "root": ("根因", "Root cause"),
}
