"""CCTV point: its health, never its pictures. Source: domain.md §2.5 and §3.1."""

from devices.kinds.kind import LINK, Kind, by_name, count, events, gauge, state
from devices.quantities import Role
from devices.rules import Beyond, Equals, Party, Rule, Severity, Sign, Silent

CAMERA = Kind(
    name="camera",
    zh="安防监控",
    en="CCTV point",
    interval_s=300,
    silence_floor_s=180,
    quantities=by_name(
        *LINK,
        count("channels_total", "通道数", "Channels", 0, 256, role=Role.STATE),
        count("channels_online", "在线通道数", "Channels online", 0, 256),
        state("stream_ok", "码流正常", "Stream ok", many=True),
        state("recording", "录像", "Recording"),
        state("disk_state", "硬盘状态", "Disk", "ok", "degraded", "failed", "missing", "unknown"),
        gauge("disk_free_pct", "硬盘剩余", "Disk free", "%", 0, 100),
        gauge("retention_days", "存储天数", "Retention", "d", 0, 3650),
        gauge("time_offset_s", "校时偏差", "Time offset", "s"),
        state("video_loss", "视频丢失", "Video loss"),
        state("occlusion", "遮挡", "Occlusion"),
        gauge("board_temp_c", "温度", "Temperature", "°C", -40, 125, safety=True),
        state("mains_ok", "市电", "Mains power"),
        gauge("ups_pct", "UPS电量", "UPS charge", "%", 0, 100),
    ),
    events=events(),
)

# "2 reports": any later sample will do, whatever the recorder's interval is.
_NEXT_SAMPLE_S = 1
_A_DAY_S = 20 * 3600  # a daily report may come a few hours sooner than the last one

RULES = (
    Rule(
        code="CCTV_DISK",
        kind="camera",
        zh="硬盘故障",
        en="Disk failure",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="更换硬盘",
        advice_en="Replace the disk",
        # A degraded disk neither raises nor clears: it is no failure, and no repair either.
        signs=(Sign(Equals("disk_state", ("failed", "missing"), ("ok",)), Severity.P2, delay_s=0),),
    ),
    Rule(
        code="CCTV_MAINS",
        kind="camera",
        zh="监控断电",
        en="CCTV mains lost",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="检查空开与供电",
        advice_en="Check breaker and supply",
        signs=(Sign(Equals("mains_ok", (False,), (True,)), Severity.P3, delay_s=60),),
        clear_delay_s=60,
    ),
    Rule(
        code="CCTV_NOT_RECORDING",
        kind="camera",
        zh="录像异常",
        en="Not recording",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="检查录像计划与硬盘",
        advice_en="Check recording plan and disk",
        signs=(Sign(Equals("recording", (False,), (True,)), Severity.P2, delay_s=600),),
        clear_delay_s=600,
    ),
    Rule(
        code="CCTV_OCCLUDED",
        kind="camera",
        zh="镜头遮挡",
        en="Lens occluded",
        severity=Severity.P4,
        party=Party.PROPERTY,
        advice_zh="清理镜头或遮挡物",
        advice_en="Clear the lens or obstruction",
        signs=(Sign(Equals("occlusion", (True,), (False,)), Severity.P4, delay_s=300),),
        clear_delay_s=300,
    ),
    Rule(
        code="CCTV_OFFLINE",
        kind="camera",
        zh="监控离线",
        en="CCTV offline",
        severity=Severity.P3,
        party=Party.NETWORK,
        advice_zh="检查网线与电源",
        advice_en="Check network cable and power",
        signs=(Sign(Silent(), Severity.P3, delay_s=0),),
        clear_delay_s=180,
    ),
    Rule(
        code="CCTV_RETENTION",
        kind="camera",
        zh="存储天数不足",
        en="Retention too short",
        severity=Severity.P4,
        party=Party.PROPERTY,
        advice_zh="扩容或降低码率",
        advice_en="Add storage or lower the bit rate",
        # Recorders report it once a day, or with everything else: then most reports are no check.
        signs=(
            Sign(Beyond("retention_days", "<30", ">=30", every_s=_A_DAY_S), Severity.P4, delay_s=0),
        ),
    ),
    Rule(
        code="CCTV_TIME_DRIFT",
        kind="camera",
        zh="校时偏差",
        en="Camera time drift",
        severity=Severity.P4,
        party=Party.VENDOR,
        advice_zh="配置NTP校时",
        advice_en="Configure NTP",
        signs=(
            Sign(Beyond("time_offset_s", ">60", "<=60"), Severity.P4, delay_s=_NEXT_SAMPLE_S),
            Sign(Beyond("time_offset_s", "<-60", ">=-60"), Severity.P4, delay_s=_NEXT_SAMPLE_S),
        ),
        clear_delay_s=_NEXT_SAMPLE_S,
    ),
    Rule(
        code="CCTV_VIDEO_LOSS",
        kind="camera",
        zh="视频丢失",
        en="Video loss",
        severity=Severity.P3,
        party=Party.VENDOR,
        advice_zh="检查摄像机与线路",
        advice_en="Check camera and cabling",
        signs=(
            Sign(Equals("video_loss", (True,), (False,)), Severity.P3, delay_s=60),
            Sign(Equals("stream_ok", (False,), (True,)), Severity.P3, delay_s=60),
        ),
        clear_delay_s=60,
    ),
)
