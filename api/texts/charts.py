"""Charts: what is told of them under the pointer and by the keyboard, and how they are moved."""

TEXTS: dict[str, tuple[str, str]] = {
    "cv_between": ("最小 {least}，最大 {most}", "least {least}, most {most}"),
    "cv_gap": ("无读数：未知，不是 0", "No readings: unknown, not 0"),
    "cv_count": ("{n} 条读数", "{n} readings"),
    "cv_count_one": ("1 条读数", "1 reading"),
    "cv_complete": ("数据完整 {share}", "{share} of the data"),
    "cv_limits": ("限值", "Limits"),
    "cv_tools": ("看另一段时间", "Look at another time"),
    "cv_earlier": ("往前移", "Earlier"),
    "cv_later": ("往后移", "Later"),
    "cv_in": ("放大", "Zoom in"),
    "cv_out": ("缩小", "Zoom out"),
    "cv_reset": ("还原", "Reset"),
    "cv_how": (
        "拖动放大，双击缩小，Shift 拖动平移；键盘：方向键逐点读数，+ − 缩放，Esc 还原",
        "Drag to zoom in, double-click to zoom out, drag with Shift to move; arrow keys tell each "
        "point, + and − zoom, Escape resets",
    ),
}
