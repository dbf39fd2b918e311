"""Security points: the health of a camera and its recorder. Pictures are never part of it."""

from random import Random

from devices.registry import Device
from simulators.native import Values
from simulators.nodes import Link, Node

FULL_EVERY = 12  # reports: slow figures are told every hour


class Camera(Node):
    __slots__ = (
        "board_temp_c",
        "disk_free_pct",
        "disk_state",
        "mains_ok",
        "occlusion",
        "recording",
        "retention_days",
        "time_offset_s",
        "video_loss",
    )

    def __init__(self, device: Device, link: Link) -> None:
        super().__init__(device, link)
        self.recording = True
        self.disk_state = "ok"
        self.disk_free_pct = 4.0
        self.retention_days = 32
        self.time_offset_s = 0.0
        self.video_loss = False
        self.occlusion = False
        self.mains_ok = True
        self.board_temp_c = 38.0


def report(camera: Camera, rng: Random) -> Values:
    camera.board_temp_c += (38.0 - camera.board_temp_c) * 0.05 + (rng.random() - 0.5)
    up = 0 if camera.video_loss else 1
    return {
        "channels_total": 1,
        "channels_online": up,
        "stream_ok_1": not camera.video_loss,
        "recording": camera.recording,
        "disk_state": camera.disk_state,
        "disk_free_pct": round(camera.disk_free_pct + rng.random(), 1),
        "time_offset_s": round(camera.time_offset_s + (rng.random() - 0.5) * 2, 1),
        "board_temp_c": round(camera.board_temp_c, 1),
    }


def states(camera: Camera) -> Values:
    return {
        "video_loss": camera.video_loss,
        "occlusion": camera.occlusion,
        "mains_ok": camera.mains_ok,
        "retention_days": camera.retention_days,
        "ups_pct": 100.0 if camera.mains_ok else 74.0,
    }
