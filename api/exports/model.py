"""An export: what was asked for, by whom, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import msgspec
from sqlalchemy import Connection

from api.identity import Identity, Role
from api.usage import Bucket
from api.words import Language
from devices.days import DISTRICT_ZONE, local_date
from devices.registry import Name
from devices.store import exports
from devices.store.compounds import Directory
from devices.store.progress import Progress
from devices.store.scope import Scope

What = Literal["report", "usage", "sessions"]
Format = Literal["pdf", "xlsx", "csv"]

KEPT_MS = 7 * 86_400_000  # after it was finished, or last moved
TRIES = 5  # ends of the process at the same place, before it is given up

MEDIA_TYPES: Mapping[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8; header=present",
}
FORMATS: Mapping[What, tuple[Format, ...]] = {
    "report": ("pdf", "xlsx"),
    "usage": ("csv",),
    "sessions": ("csv", "xlsx"),
}


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


UNFINISHED = frozenset({State.WAITING, State.RUNNING})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be in the file. compound, firm: of whom; neither: all in the scope.

    month: of a report, like 2026-11. from_ms, to_ms, bucket: of usage and sessions.
    """

    what: What
    format: Format
    language: Language
    compound: str | None = None
    firm: str | None = None
    month: str | None = None
    from_ms: int = 0
    to_ms: int = 0
    bucket: Bucket = "day"


@dataclass(frozen=True, slots=True)
class Body:
    """What the row of an export holds, beside how much of it is done.

    token, made_by, scope_firm: whose it is and what they may see. place: the folder that it is in.
    tries: how often it was begun or gone on with since a piece was kept last. error: of `ERRORS`,
    with its detail. sha256: of the file.
    """

    token: int
    made_by: str
    scope_firm: str | None
    wanted: Wanted
    made_at_ms: int
    place: str
    state: State = State.WAITING
    began_at_ms: int | None = None
    finished_at_ms: int | None = None
    tries: int = 0
    error: str | None = None
    detail: str = ""
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """One row. done of total: steps, of which writing the file is the last."""

    id: str
    done: int
    total: int
    updated_at_ms: int
    body: Body

    @property
    def is_unfinished(self) -> bool:
        return self.body.state in UNFINISHED

    @property
    def scope(self) -> Scope:
        return Scope(self.body.scope_firm)

    @property
    def expires_at_ms(self) -> int:
        return self.updated_at_ms + KEPT_MS

    @property
    def file_name(self) -> str:
        """What a download is called; of ids, so that it needs no quoting."""
        wanted = self.body.wanted
        whose = wanted.compound or wanted.firm or self.body.scope_firm or "all"
        when = wanted.month or f"{day(wanted.from_ms)}-{day(wanted.to_ms - 1)}"
        return f"{wanted.what}-{whose}-{when}-{wanted.language}.{wanted.format}"

    def moved(self, connection: Connection, now_ms: int, done: int, total: int, body: Body) -> bool:
        """Put down how it stands now; False: it was called off."""
        return exports.move(connection, self.id, done, total, packed(body), now_ms)

    def failed(self, error: str, detail: str, now_ms: int) -> Body:
        return replace(
            self.body, state=State.FAILED, error=error, detail=detail[:500], finished_at_ms=now_ms
        )


ERRORS: Mapping[str, Name] = {
    "impossible": Name("无法生成：{detail}", "It cannot be made: {detail}"),
    "too_large": Name(
        "内容太多（{detail}）：缩短时间范围、减少小区，或改用 CSV。",
        "Too much for one file ({detail}): ask for less time, fewer compounds, or CSV.",
    ),
    "disk": Name("磁盘写入失败：{detail}", "The disk does not take it: {detail}"),
    "no_room": Name(
        "磁盘空间不足：删除不用的导出后重试。",
        "There is too little room on the disk: delete exports that nobody needs, and ask again.",
    ),
    "given_up": Name(
        "生成进程在同一处中断 {detail} 次，已放弃。请缩小范围后重试。",
        "Making it was broken off {detail} times at the same place, and is given up: ask for less.",
    ),
    "ours": Name(
        "本系统出错：日志里有详情（{detail}）。",
        "An error of ours: the log of the API has it ({detail}).",
    ),
    "made_room": Name(
        "文件已删除：导出文件总量达到上限，最旧的先删。可重新导出。",
        "The file was deleted to make room for newer ones: ask for it again.",
    ),
}


def told(body: Body) -> Name | None:
    """Why there is no file, in words."""
    words = ERRORS.get(body.error or "")
    if words is None:
        return None
    return Name(words.zh.format(detail=body.detail), words.en.format(detail=body.detail))


def day(at_ms: int) -> str:
    """The district's local day, as file names have it."""
    return f"{local_date(at_ms, DISTRICT_ZONE):%Y%m%d}"


def packed(body: Body) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(body)
    return found


def of_row(id_: str, row: Progress) -> Export | None:
    """The export of a row; None for what another version left there."""
    try:
        body = msgspec.convert(dict(row.body), Body)
    except msgspec.ValidationError:
        return None
    return Export(id_, row.done, row.total, row.updated_at_ms, body)


def read_all(connection: Connection, now_ms: int) -> list[Export]:
    """All that are not expired, the newest first."""
    found = (of_row(id_, row) for id_, row in exports.list_all(connection).items())
    kept = [one for one in found if one is not None and one.expires_at_ms > now_ms]
    return sorted(kept, key=lambda one: (one.body.made_at_ms, one.id), reverse=True)


def may_see(who: Identity, export: Export, directory: Directory) -> bool:
    """Whether it is theirs, and what it is about still in their scope; operators see all."""
    if who.role is Role.OPERATOR:
        return True
    if not who.token or export.body.token != who.token:
        return False
    wanted = export.body.wanted
    if wanted.compound is not None:
        return directory.find(who.scope, wanted.compound) is not None
    return wanted.firm is None or who.scope.firm in (None, wanted.firm)
