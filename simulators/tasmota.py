"""Messages of a Tasmota switch with an energy meter, as its documentation prints them."""

from datetime import UTC, datetime

import msgspec

from simulators.profiles import ZONE_MS

ONLINE, OFFLINE = b"Online", b"Offline"

_encode = msgspec.json.Encoder().encode


def topic(device: str, what: str) -> str:
    """what: SENSOR, STATE or LWT."""
    return f"tele/{device}/{what}"


def local_time(at_ms: int) -> str:
    """Tasmota writes local time and no zone."""
    seconds = (at_ms + ZONE_MS) // 1000
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def sensor(
    at_ms: int,
    *,
    since_ms: int,
    total_kwh: float,
    yesterday_kwh: float,
    today_kwh: float,
    power_w: float,
    power_factor: float,
    voltage_v: float,
    current_a: float,
) -> bytes:
    apparent = power_w / power_factor if power_factor else 0.0
    reactive = max(0.0, apparent**2 - power_w**2) ** 0.5
    energy = {
        "TotalStartTime": local_time(since_ms),
        "Total": round(total_kwh, 3),
        "Yesterday": round(yesterday_kwh, 3),
        "Today": round(today_kwh, 3),
        "Period": round(power_w / 12),  # Wh in the 300 s between two of these
        "Power": round(power_w),
        "ApparentPower": round(apparent),
        "ReactivePower": round(reactive),
        "Factor": round(power_factor, 2),
        "Voltage": round(voltage_v),
        "Current": round(current_a, 3),
    }
    return _encode({"Time": local_time(at_ms), "ENERGY": energy})


def state(at_ms: int, *, uptime_s: int, on: bool, signal_dbm: int) -> bytes:
    days, rest = divmod(uptime_s, 86_400)
    uptime = f"{days}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return _encode(
        {
            "Time": local_time(at_ms),
            "Uptime": uptime,
            "UptimeSec": uptime_s,
            "Heap": 27,
            "SleepMode": "Dynamic",
            "Sleep": 50,
            "LoadAvg": 19,
            "MqttCount": 1,
            "POWER": "ON" if on else "OFF",
            "Wifi": {
                "AP": 1,
                "SSId": "courtyard",
                "Channel": 6,
                # per cent, as Tasmota counts it; the dBm stand in Signal
                "RSSI": min(100, max(0, 2 * (signal_dbm + 100))),
                "Signal": signal_dbm,
                "LinkCount": 1,
            },
        }
    )
