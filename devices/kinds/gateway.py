"""Gateway: the uplink of a compound's gates, lamps, cameras and lifts; sheds have their own.

It has a battery and says that the mains are gone before it falls silent itself.
Source: domain.md §2.7 and §3.1.
"""

from devices.kinds.kind import LINK, Kind, by_name, count, events, gauge, state
from devices.rules import Party, Rule, Severity, Sign, Silent, Together

GATEWAY = Kind(
    name="gateway",
    zh="网关",
    en="Gateway",
    interval_s=60,
    silence_floor_s=90,
    quantities=by_name(
        *LINK,
        state("mains_ok", "市电", "Mains power"),
        gauge("battery_pct", "电池", "Battery", "%", 0, 100),
        # A hint, no proof of any child's state.
        count("children_total", "子设备数", "Children", 0, 10_000),
        count("children_online", "在线子设备数", "Children online", 0, 10_000),
        count("queue_depth", "缓存条数", "Buffered messages", 0, 10_000_000),
    ),
    events=events(),
)

RULES = (
    Rule(
        code="GW_OFFLINE",
        kind="gateway",
        zh="网关离线",
        en="Gateway offline",
        severity=Severity.P2,
        party=Party.NETWORK,
        advice_zh="检查网关电源与4G/宽带",
        advice_en="Check gateway power and uplink",
        signs=(
            Sign(Silent(), Severity.P2, delay_s=0),
            Sign(Together(power=False, share=0.7, least=5), Severity.P2, delay_s=120),
        ),
    ),
)
