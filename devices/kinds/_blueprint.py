"""A kind of device to copy: a fire hydrant with a pressure sensor. Nothing uses this file.

1. Copy it to `devices/kinds/<kind>.py` and say here what the thing is and where the figures come
   from.
2. Declare what it may report. What is not declared is counted and shown, never stored. Names carry
   their unit; the range is what is physically possible, not what is healthy.
3. Declare its faults. A rule has one sign for each way to see it, and each sign its own end: ask of
   every one what the device sends when it is over.
4. Add one line to `KINDS` in `devices/kinds/__init__.py`, and its RULES to `devices/catalogue.py`.
5. `tests/devices/test_catalogue.py` checks that all names fit together; write what is special about
   it in `tests/devices/kinds/test_<kind>.py`.
"""

from devices.kinds.kind import LINK, Kind, by_name, event, events, flag, gauge, state
from devices.rules import Beyond, Equals, Follows, Happened, Party, Rule, Severity, Sign, Silent

HYDRANT = Kind(
    name="hydrant",
    zh="消火栓",
    en="Fire hydrant",
    interval_s=600,
    silence_floor_s=90,
    quantities=by_name(
        *LINK,
        gauge("pressure_kpa", "水压", "Water pressure", "kPa", 0, 2500),
        state("cap_state", "栓盖", "Cap", "closed", "open", "unknown"),
    ),
    events=events(event("knocked", "撞击", "Knocked over", flag("active", required=True))),
)

RULES = (
    Rule(
        code="HYDRANT_KNOCKED",
        kind="hydrant",
        zh="消火栓被撞",
        en="Hydrant knocked over",
        severity=Severity.P2,
        party=Party.PROPERTY,
        advice_zh="到场检查并关阀",
        advice_en="Go and see; close the valve",
        signs=(
            Sign(
                Happened(
                    "knocked", {"active": True}, over=(Follows("knocked", {"active": False}),)
                ),
                Severity.P2,
                delay_s=0,
            ),
        ),
    ),
    Rule(
        code="HYDRANT_OFFLINE",
        kind="hydrant",
        zh="消火栓离线",
        en="Hydrant offline",
        severity=Severity.P4,
        party=Party.NETWORK,
        advice_zh="检查电池与信号",
        advice_en="Check battery and signal",
        signs=(Sign(Silent(), Severity.P4, delay_s=0),),  # the silence limit is the delay
    ),
    Rule(
        code="HYDRANT_OPEN",
        kind="hydrant",
        zh="栓盖打开",
        en="Hydrant cap open",
        severity=Severity.P3,
        party=Party.PROPERTY,
        advice_zh="盖好栓盖",
        advice_en="Close the cap",
        # "unknown" is in neither tuple: it changes nothing.
        signs=(Sign(Equals("cap_state", ("open",), ("closed",)), Severity.P3, delay_s=60),),
    ),
    Rule(
        code="HYDRANT_PRESSURE_LOW",
        kind="hydrant",
        zh="水压低",
        en="Low water pressure",
        severity=Severity.P2,
        party=Party.VENDOR,
        advice_zh="检查供水",
        advice_en="Check the supply",
        # The level that clears is not the one that raises, or it would chatter.
        signs=(Sign(Beyond("pressure_kpa", "<140", ">=160"), Severity.P2, delay_s=300),),
        clear_delay_s=300,
    ),
)
