"""What befalls security points and lifts."""

from __future__ import annotations

from simulators.anomalies.anomaly import (
    DAY_MIN,
    ON_REQUEST,
    Anomaly,
    between,
    flip,
    goes_silent,
    speaks_again,
)

ANOMALIES = (
    flip("disk_failed", "camera", (0.02, DAY_MIN, 4, 20), {"disk_state": "failed"}),
    flip("recording_stopped", "camera", (0.02, DAY_MIN, 5, 22), {"recording": False}),
    flip("video_lost", "camera", (0.01, 600, 8, 6), {"video_loss": True}),
    flip("lens_covered", "camera", (0.02, 600, 4, 14), {"occlusion": True}),
    flip("camera_mains_lost", "camera", (0.02, 60, 3, 5), {"mains_ok": False}),
    flip("camera_clock_off", "camera", (0.05, DAY_MIN, 2, 40), {"time_offset_s": 95.0}),
    flip("retention_short", "camera", ON_REQUEST, {"retention_days": 12}),
    Anomaly("camera_silent", "camera", 0.03, DAY_MIN, 6, 8, goes_silent, speaks_again),
    flip("lift_stopped", "lift", (1, 240, 2.5, 7), {"in_service": False}),
    between(
        "passenger_trapped",
        "lift",
        (0.2, 25, 0.6, 3),
        "trapped",
        {"active": True},
        {"active": False},
        lambda lift: lift.in_service,
        {"in_service": False},
    ),
    Anomaly("lift_monitor_silent", "lift", 0.5, 600, 1, 6, goes_silent, speaks_again),
)
