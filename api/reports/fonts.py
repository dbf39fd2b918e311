"""Which font a PDF is set in. It must have Chinese: device names are Chinese in every report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typst

# Simplified Chinese, the best first.
FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Source Han Sans",
    "Sarasa Gothic SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Serif CJK SC",
    "SimHei",
    "SimSun",
    "Droid Sans Fallback",
)
SETTING = "COURTYARD_FONTS"


class ReportsUnusable(Exception):
    """A report cannot be made on this machine; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Font:
    """The family to set in, and where typst finds it."""

    family: str
    found: "typst.Fonts"


def find_font(folder: Path | None) -> Font:
    """A Chinese font of `folder`, else of the system. Raises ReportsUnusable."""
    try:
        import typst
    except ImportError as error:
        raise ReportsUnusable(
            "PDF reports need typst: install `courtyard[reports]` "
            "(pip install 'courtyard[reports]'), or ask for XLSX"
        ) from error
    if folder is not None and not folder.is_dir():
        raise ReportsUnusable(f"{SETTING}: {folder} is no directory")
    paths: list[str] = [] if folder is None else [str(folder)]
    found = typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=paths)
    if folder is None:
        return Font(best_of(found.families()), found)
    own = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=paths)
    return Font(best_of(own.families(), folder), found)


def best_of(families: Iterable[str], folder: Path | None = None) -> str:
    """The one of `families` to set in. folder: where they are from, None for the system.

    Raises ReportsUnusable when none of them is Chinese.
    """
    there = {name.casefold(): name for name in families}
    for family in FAMILIES:
        if family.casefold() in there:
            return there[family.casefold()]
    if folder is not None:
        raise ReportsUnusable(
            f"{SETTING}: {folder} has no Chinese font that is known here; put one of these"
            f" there: {', '.join(FAMILIES)}"
        )
    raise ReportsUnusable(
        "PDF reports need a Chinese font, and there is none on this system: on Debian and Ubuntu,"
        f" apt install fonts-noto-cjk; or put one into a directory and name it in {SETTING}"
    )
