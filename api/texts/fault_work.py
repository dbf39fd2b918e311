"""What the list of faults and the page of one say when people work with them.

Both languages; terms are never varied (see `api.words`).
"""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    # filters
    "fw_mine": ("我的", "Mine"),
    "fw_nobody": ("未指派", "Nobody's"),
    "fw_overdue": ("超时", "Overdue"),
    "fw_search": ("小区、设备、故障名", "Compound, device, fault"),
    "fw_filters": ("筛选", "Filters"),
    "fw_compound": ("小区", "Compound"),
    "fw_code": ("故障", "Fault"),
    "fw_whose": ("归属", "Whose"),
    "fw_assignee": ("指派给", "Assigned to"),
    "fw_only_overdue": ("只看超时", "Overdue only"),
    "fw_any_kind": ("各类设备", "Any device"),
    "fw_clear": ("清除筛选", "Clear filters"),
    "fw_matched": ("符合筛选的 {n} 处", "{n} match the filter"),
    "fw_total": ("共 {n} 处", "{n} in all"),
    "fw_saved": ("筛选已保存。", "The filter is saved."),
    "fw_forgotten": ("筛选已删除。", "The filter is deleted."),
    "fw_saved_filters": ("已存筛选", "Saved filters"),
    "fw_save": ("保存筛选…", "Save this filter…"),
    "fw_save_do": ("保存", "Save"),
    "fw_save_name": ("名称", "Name"),
    "fw_save_note": (
        "只有你看得到；把页面地址发给别人，就是分享这个筛选。同名的会被替换。",
        "Only you see it. To share it, send the address of this page. One of the same name is "
        "replaced.",
    ),
    "fw_forget": ("删除“{name}”…", "Delete “{name}”…"),
    "fw_forget_sure": ("删除已存筛选“{name}”", "Delete the saved filter “{name}”"),
    "fw_forget_do": ("删除", "Delete"),
    "fw_pinned": (
        "筛选之外，仍待确认的危急与安全故障",
        "Outside this filter: critical and safety faults that nobody has acknowledged",
    ),
    "fw_today": ("今日新增 / 关闭", "New / closed today"),
    "fw_answered": ("确认时间中位数", "Median time to acknowledge"),
    "fw_empty_filter": (
        "没有符合筛选的故障。",
        "No fault matches this filter.",
    ),
    "fw_empty_open": (
        "没有待处理的故障。新故障会自动出现在这里。",
        "There is nothing to deal with. New faults appear here by themselves.",
    ),
    "fw_empty_all": (
        "还没有报过任何故障。",
        "No fault was raised yet.",
    ),
    "fw_empty_shelved": (
        "没有搁置的故障。搁置的到时自动回来。",
        "Nothing is shelved. What is shelved comes back by itself in time.",
    ),
    "fw_empty_maintenance": (
        "没有因维护而不通知的故障。",
        "No fault is held back by maintenance.",
    ),
    "fw_empty_suspected": (
        "没有疑似故障。",
        "Nothing is suspected.",
    ),
    "fw_all_suspected": ("全部疑似", "All suspected"),
    "fw_first_page": ("第一页", "First page"),
    "key_search": ("搜索", "search"),
    "fw_pick_all": ("选择本页全部", "Select all on this page"),
    # acting on several
    "fw_n_picked": ("已选 {n} 处", "{n} selected"),
    "fw_acknowledge": ("确认…", "Acknowledge…"),
    "fw_assign": ("指派…", "Assign…"),
    "fw_shelve": ("搁置…", "Shelve…"),
    "fw_comment": ("备注…", "Comment…"),
    "fw_ask_acknowledge": ("确认所选故障", "Acknowledge the selected faults"),
    "fw_ask_assign": ("指派所选故障", "Assign the selected faults"),
    "fw_ask_shelve": ("搁置所选故障", "Shelve the selected faults"),
    "fw_ask_comment": ("给所选故障写备注", "Comment on the selected faults"),
    "fw_acknowledge_note": (
        "表示你已看到并负责处理：不再逐级上报。确认不能撤回，可以改派。",
        "It says that you have seen them and deal with them: nobody further is told. It cannot be "
        "taken back; you can hand them on.",
    ),
    "fw_assign_note": ("不填就是由你自己处理。", "Leave it empty to take them yourself."),
    "fw_shelve_note": (
        "到时仍未恢复就回到列表并通知。安全类故障不能搁置，会留在列表里。",
        "What still stands then is back, and people are told. Safety faults cannot be shelved and "
        "stay in the list.",
    ),
    "fw_reason": ("理由", "Reason"),
    "fw_until": ("或者到", "Or until"),
    "fw_reason_needed": ("搁置要写理由。", "Shelving needs a reason."),
    "fw_until_wrong": (
        "搁置的终点要在今后 31 天之内。",
        "A shelf ends within the next 31 days.",
    ),
    "fw_cancel": ("取消", "Cancel"),
    "fw_did_acknowledge": ("已确认 {n} 处", "{n} acknowledged"),
    "fw_did_assign": ("已指派 {n} 处", "{n} assigned"),
    "fw_did_shelve": ("已搁置 {n} 处", "{n} shelved"),
    "fw_did_comment": ("已备注 {n} 处", "{n} commented on"),
    "fw_missed": ("{n} 处没有执行", "{n} not done"),
    "fw_missed_title": ("没有执行的", "Not done"),
    "fw_why": ("原因", "Why"),
    "fw_first": ("{age}前已由 {who} {what}", "{what} by {who} {age} ago"),
    "fw_system_first": ("{age}前已{what}", "{what} {age} ago"),
    "fw_v_acknowledged": ("确认", "Acknowledged"),
    "fw_v_closed": ("关闭", "Closed"),
    "fw_v_over": ("恢复", "Over"),
    "fw_v_onsite": ("到场处理", "Attended on site"),
    "fw_v_repaired": ("报告修复", "Reported repaired"),
    "fw_v_confirmed": ("核实属实", "Confirmed"),
    "fw_v_unshelved": ("取消搁置", "Taken off the shelf"),
    "fw_v_shelf_ended": ("到时取消搁置", "Off the shelf"),
    "fw_v_worsened": ("加重", "Worse"),
    "fw_v_reopened": ("再次发生", "Back again"),
    "fw_v_retired": ("随设备变更结束", "Ended with its device"),
    "fw_v_history_ends": ("随补录结束", "Ended with its history"),
    "fw_not_so": (
        "现在的状态是“{state}”，不能这样处理",
        "It is “{state}” now, which does not allow it",
    ),
    "fw_not_there": ("没有这处故障，或不归你管", "There is no such fault, or it is not yours"),
    "fw_faster_here": (
        "这处故障 {why}。你的操作没有执行，下面是最新情况。",
        "{why}. Nothing was done; below is how it is now.",
    ),
    "fw_not_done_here": (
        "没有执行：{why}。下面是最新情况。",
        "Not done: {why}. Below is how it is now.",
    ),
    "fw_back": ("回到列表", "Back to the list"),
    "fw_the_picked": ("所选故障", "The selected faults"),
    # live
    "fw_n_new": ("{n} 处新故障", "{n} new"),
    "fw_moved": ("列表有变化", "The list has changed"),
    "fw_show_now": ("更新列表", "Update the list"),
    "fw_gone": ("已不在此列表", "No longer in this list"),
    # one fault
    "fw_take": ("确认，我来处理", "Acknowledge, I take it"),
    "fw_ask_take": ("确认这处故障", "Acknowledge this fault"),
    "fw_ask_over": (
        "它已恢复，只等人看过：确认后即关闭。",
        "It is over and only waits to be seen: with this it is closed.",
    ),
    "fw_onsite_note": (
        "记下现在有人到场；未确认的随之确认。",
        "It records that somebody is there now; what was not acknowledged is so with it.",
    ),
    "fw_onsite": ("到场…", "On site…"),
    "fw_repaired": ("已修复…", "Repaired…"),
    "fw_repaired_note": (
        "设备自己报告正常后故障才关闭。",
        "The fault is closed when the device says so itself.",
    ),
    "fw_confirm": ("核实…", "Verify…"),
    "fw_confirm_title": ("核实疑似故障", "Verify a suspected fault"),
    "fw_confirm_note": (
        "属实：成为故障，开始计时限并通知。误报：关闭，不通知。",
        "Confirmed it is a fault like any other: its limits run and people are told. As a false "
        "alarm it is closed and nobody is told.",
    ),
    "fw_close": ("关闭…", "Close…"),
    "fw_close_note": (
        "人工关闭，未经设备验证；设备若仍不正常会再次报出。",
        "Closed by hand, not verified by the device; while it is still bad it is raised again.",
    ),
    "fw_refute": ("误报…", "False alarm…"),
    "fw_refute_note": (
        "关闭并记为误报。设备若仍不正常会再次报出。",
        "It is closed and counted as a false alarm. While the device is still bad it is raised "
        "again.",
    ),
    "fw_unshelve": ("取消搁置…", "Take off the shelf…"),
    "fw_unshelve_note": ("它回到列表。", "It is back in the list."),
    "fw_left": ("{what}剩余", "left to {what}"),
    "fw_late": ("{what}已超时", "late to {what}"),
    "fw_to_ack": ("确认", "acknowledge"),
    "fw_to_onsite": ("到场", "be on site"),
    "fw_to_mend": ("修复", "mend"),
    "fw_contacts": ("联系", "Contacts"),
    "fw_no_contacts": (
        "这个小区和物业都没有登记电话。",
        "No phone number is registered for this compound or its firm.",
    ),
    "fw_on_duty": ("{roster}，当班至 {until}", "{roster}, on duty until {until}"),
    "fw_dial": ("拨打", "Call"),
    "fw_chart_range": ("{range}，{every}", "{range}, {every}"),
    "fw_began_here": ("开始", "Began"),
    "fw_ended_here": ("结束", "Ended"),
    "fw_limit": ("{severity} {level}", "{severity} {level}"),
    "fw_chart_away": (
        "遥测库没有回应，曲线暂时看不到；其余不受影响。",
        "The telemetry store does not answer, so there is no curve now. Nothing else is affected.",
    ),
    "fw_chart_none": (
        "这段时间没有读数。",
        "There are no readings of this time.",
    ),
    "fw_chart_first": (
        "故障持续很久，只画开始前后三天。",
        "It lasted long: three days around its beginning are drawn.",
    ),
    "fw_chart_more": ("设备的全部曲线", "All curves of the device"),
    "fw_same_here": ("本设备相同故障", "The same here"),
    "fw_same_near": ("本小区相同故障", "The same elsewhere in the compound"),
    "fw_ended_after": ("{how}，历时 {lasted}", "{how}; it lasted {lasted}"),
    "fw_still_stands": ("仍未关闭，已 {lasted}", "Still open, for {lasted}"),
    "fw_ended": ("已关闭", "Closed"),
    "fw_lane_all": ("全部", "All"),
    "fw_past": ("以往相似", "Similar before"),
    "fw_no_past": ("近 180 天没有相同的故障。", "No such fault in the last 180 days."),
    "fw_session": ("当时的充电", "The session at that time"),
    "fw_session_of": ("单号 {order}，{at} 开始", "Order {order}, begun {at}"),
    "fw_session_open": ("仍在进行", "still going on"),
    "fw_is_safety": (
        "安全类故障：不能搁置，不被归并；恢复后仍须人工确认。",
        "A safety fault: it cannot be shelved and nothing hides it; somebody must acknowledge it "
        "even when it is over.",
    ),
}
