"""What of the overview changes, rendered for all who see the same of it.

Nothing of who asks is there when these parts are rendered: a template that wanted to know would
raise UndefinedError.
"""

from functools import lru_cache, partial

from markupsafe import Markup

from api.console.last_day import Day, LastDay
from api.console.last_day_views import day_view
from api.console.live import Rendered, Shown, frame, slot
from api.console.overview import FirmBoard, Look, OverviewCopy, Tile, View
from api.console.pages import our_parts, rendered, templates
from api.words import Language, say
from devices.store.scope import Scope

VIEW = "overview"
KEPT_TILES = 4_000  # of 225 compounds: what they were a moment ago, in both languages


class OverviewParts:
    """The parts of each view of the overview. A look is rendered once, also for who asks alone."""

    def __init__(self, copy: OverviewCopy, last_day: LastDay) -> None:
        self._copy = copy
        self._last_day = last_day
        # Each as many as there are views of it.
        self._whole: dict[Shown, tuple[Look, Day, str]] = {}
        self._days: dict[tuple[Scope, str | None, Language], tuple[Day, str]] = {}

    def render(self, shown: Shown, turn: int) -> Rendered:
        """What changes, part by part; the board's tiles each alone."""
        return self.of(shown, self._copy.get(shown.scope, turn))

    def of(self, shown: Shown, look: Look) -> Rendered:
        """The same of this look."""
        view = view_of(look, shown)
        language = shown.language
        parts = {
            name: rendered(language, f"overview_{name}.html", view=view)
            for name in ("verdict", "first")
        }
        parts |= our_parts(language, view.ours)
        parts["day"] = self.day(shown)
        parts["clock"] = f'<time data-live="clock">{view.as_of}</time>'
        for name, word, values in _lines(view):
            parts[name] = f'<span data-live="{name}">{say(language, word, **values)}</span>'
        for board in view.board:
            parts[f"firm-{board.firm}"] = _head(board)
            for tile in board.tiles:
                parts[f"tile-{tile.compound}"] = _tile(language, tile)
        around = rendered(language, "overview_board.html", view=view, slot=slot)
        return Rendered(parts, {"board": frame(around)})

    def whole(self, shown: Shown) -> str:
        """All parts at once, as they are in the copy."""
        look = self._copy.get(shown.scope)
        day = self._last_day.day(shown.scope, shown.firm)
        kept = self._whole.get(shown)
        if kept is not None and kept[0] is look and kept[1] is day:
            return kept[2]
        html = self.of(shown, look).whole()
        self._whole[shown] = look, day, html
        return html

    def day(self, shown: Shown) -> Markup:
        """The charts of the last day, as they were some seconds ago."""
        day = self._last_day.day(shown.scope, shown.firm)
        key = (shown.scope, shown.firm, shown.language)
        kept = self._days.get(key)
        if kept is None or kept[0] is not day:
            view = day_view(shown.language, day)
            words = partial(say, shown.language)
            template = templates().get_template("overview_day.html")
            kept = self._days[key] = day, template.render(day=view, t=words)
        return Markup(kept[1])  # noqa: S704 - a template of ours, which escapes


def view_of(look: Look, shown: Shown) -> View:
    """A look in words, as it is shown."""
    return View(
        look, shown.language, shown.firm, "trouble" if shown.order == "trouble" else "place"
    )


def _lines(view: View) -> list[tuple[str, str, dict[str, object]]]:
    """(part, word, values) of those that are one line."""
    return [
        ("only-trouble", "only_trouble", {"n": view.trouble_count}),
        ("show-all", "also_calm", {"n": view.calm_count}),
        ("as-of", "as_of", {"at": view.as_of}),
    ]


@lru_cache(maxsize=KEPT_TILES)
def _tile(language: Language, tile: Tile) -> str:
    module = templates().get_template("overview_tiles.html").module
    return str(module.tile(tile, partial(say, language)))  # type: ignore[attr-defined]


def _head(board: FirmBoard) -> str:
    module = templates().get_template("overview_tiles.html").module
    return str(module.head(board))  # type: ignore[attr-defined]
