"""Daily summaries: what each target was told of its days."""

TEXTS: dict[str, tuple[str, str]] = {
    "al_summaries": ("每日汇总", "Daily summaries"),
    "sm_lead": (
        "最近 35 天；每个目标每天一次，时刻在目标的设置里",
        "The last 35 days; each target once a day, at the hour among its settings",
    ),
    "sm_none": (
        "没有每日汇总：在目标的设置里填上时刻，次日起每天发送。",
        "No daily summaries: give a target an hour among its settings, and it gets one each day.",
    ),
    "sm_day": ("日期", "Day"),
    "sm_district": ("全区", "District"),
    "sm_span": ("{start} 至 {end}", "{start} to {end}"),
    "sm_figures": ("故障", "Faults"),
    "sm_open": ("未关闭", "Open"),
    "sm_new": ("新增", "New"),
    "sm_cleared": ("恢复", "Cleared"),
    "sm_overdue": ("超时", "Overdue"),
    "sm_suspected": ("疑似", "Suspected"),
    "sm_inside": ("内容", "What was in it"),
    "sm_worst": ("最重的未关闭故障", "The worst that were open"),
    "sm_by_compound": ("各小区", "By compound"),
    "sm_lamps": ("路灯按楼栋", "Lamps by stairwell"),
    "sm_times": ("{name} {n}", "{name} {n}"),
    "sm_more": ("另有 {n} 处", "and {n} more"),
    "sm_acknowledged": ("已确认", "acknowledged"),
    "sm_nothing": ("一切正常，没有要说的。", "All was well: there was nothing to tell."),
}
