"""How fast messages came in and how far the followers were behind, drawn: the last 24 hours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.console import curves
from api.console.curve_data import curve_data
from api.console.curves import Curve, Stretch
from api.console.pages import Page
from api.instants import DISTRICT_ZONE, when
from api.parts import JournalAway, JournalView
from api.words import duration
from devices.pace import KEPT_MS, STRETCH_MS, Pace, received_ms, stretch_of
from devices.store.accounts import Follower
from devices.telemetry import Bucket

IN_MINUTES_MS = 120_000  # a wait that is longer is drawn in minutes
# Three beside each other on a desk; the class says at which width each is shown.
SIZES = (("wide", curves.ROW), ("narrow", curves.SMALL))


@dataclass(frozen=True, slots=True)
class PaceView:
    """A curve. now: as it is at this moment; worst: the most there was, and when; data: what the
    script of the page tells of it."""

    quantity: str
    name: str
    unit: str
    now: str
    now_unit: str
    worst: str
    told: str
    drawn: Sequence[tuple[str, Curve]]
    is_known: bool
    data: Markup


def pace_views(
    page: Page,
    paces: Sequence[Pace],
    rate: float | None,
    judge_ms: int | None,
    forward_ms: int | None,
    now_ms: int,
) -> list[PaceView]:
    """Rate, lag of the judge, lag of the telemetry store.

    paces: in order. rate, judge_ms, forward_ms: now; None: not known.
    """
    if rate is None and paces and now_ms - paces[-1].at_ms < 2 * STRETCH_MS:
        rate = paces[-1].rate_per_s
    rate_now = "—" if rate is None else f"{rate:.1f}"
    per_s = page.say("i_per_s")
    rates = _drawn(paces, lambda pace: pace.rate_per_s, now_ms, per_s)
    most = max((pace.rate_per_s or 0.0 for pace in paces), default=0.0)
    worst = "" if not paces else page.say("i_most", most=f"{most:.1f} {per_s}")
    views = [_view(page, "i_rate", per_s, (rate_now, per_s), worst, rates)]
    lags: tuple[tuple[str, Callable[[Pace], int | None], int | None], ...] = (
        ("i_judge_lag", lambda pace: pace.judge_lag_ms, judge_ms),
        ("i_forward_lag", lambda pace: pace.forward_lag_ms, forward_ms),
    )
    for word, lag_of, lag_ms in lags:
        known = [(lag, pace.at_ms) for pace in paces if (lag := lag_of(pace)) is not None]
        longest, at_ms = max(known, default=(0, now_ms))
        in_minutes = longest > IN_MINUTES_MS
        unit_ms = 60_000 if in_minutes else 1000

        def amount(
            pace: Pace, lag_of: Callable[[Pace], int | None] = lag_of, unit_ms: int = unit_ms
        ) -> float | None:
            lag = lag_of(pace)
            return None if lag is None else lag / unit_ms

        now = ("—", "") if lag_ms is None else _lag(page, lag_ms)
        worst = ""
        if known:
            lasted = " ".join(filter(None, _lag(page, longest)))
            worst = page.say("i_longest", lag=lasted, at=when(at_ms, now_ms)[:-3])
        unit = page.say("i_minutes" if in_minutes else "i_seconds")
        views.append(_view(page, word, unit, now, worst, _drawn(paces, amount, now_ms, unit)))
    return views


def waits_ms(journal: JournalView | None, of: Follower | None, now_ms: int) -> int | None:
    """How long the oldest message has waited for this follower; None where nobody can tell."""
    if journal is None or of is None:
        return None
    try:
        head = journal.head()
        if head.journal_id != of.journal_id:
            return None
        waiting = journal.read(of.position, 1) if of.position < head.id else ()
    except JournalAway:
        return None
    return max(0, now_ms - received_ms(waiting[0], now_ms)) if waiting else 0


def _lag(page: Page, lag_ms: int) -> tuple[str, str]:
    """A wait as a figure and its unit."""
    if lag_ms < 60_000:
        return f"{lag_ms / 1000:.1f}", page.say("i_seconds")
    return duration(page.language, lag_ms / 1000), ""


def _drawn(
    paces: Sequence[Pace], value: Callable[[Pace], float | None], now_ms: int, unit: str
) -> tuple[bool, list[tuple[str, Curve]], Markup]:
    from_ms = stretch_of(now_ms) - KEPT_MS + STRETCH_MS  # where the oldest that is kept begins
    of = Stretch(from_ms, now_ms, STRETCH_MS // 1000, STRETCH_MS / 1000, now_ms)
    buckets = [
        Bucket(pace.at_ms, found, found, found, found, 1)
        for pace in paces
        if pace.at_ms >= from_ms and (found := value(pace)) is not None
    ]
    drawn = [
        (look, curves.draw(buckets, of, DISTRICT_ZONE, size, from_zero=True))
        for look, size in SIZES
    ]
    data = curve_data(
        buckets,
        of,
        DISTRICT_ZONE,
        [curve for _, curve in drawn],
        unit=unit,
        reports=None,
        is_counted=False,
    )
    return bool(buckets), drawn, data


def _view(
    page: Page,
    word: str,
    unit: str,
    now: tuple[str, str],
    worst: str,
    drawn: tuple[bool, list[tuple[str, Curve]], Markup],
) -> PaceView:
    name = page.say(word)
    told = page.say("i_curve", name=name, now=" ".join(filter(None, now)), worst=worst)
    is_known, curves_of, data = drawn
    return PaceView(word, name, unit, now[0], now[1], worst, told, curves_of, is_known, data)
