"""Monthly reports as files: one is made at a time, on a thread, and streamed from the disk."""

from collections.abc import Callable, Iterator
from io import SEEK_END
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from api import compounds, shapes
from api.errors import Away, BadParameter
from api.identity import Identity, Reader
from api.parts import Known, Parts, PartsOf
from api.reports import pdf, xlsx
from api.reports.fonts import ReportsUnusable
from api.reports.gather import Source, report_of_compound, report_of_firm
from api.reports.model import BadMonth, Month, Report
from api.words import Language
from devices.store.database import reading

FileType = Literal["pdf", "xlsx"]

CHUNK_BYTES = 64 * 1024
REPAIRED_AFTER_S = 3600.0  # somebody has to install something
MEDIA_TYPES: dict[FileType, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES.values()
        },
    }
}

router = APIRouter(prefix="/v1", tags=["reports"], responses=shapes.refusals.PROBLEMS)

MonthOf = Annotated[str, Path(description="Like 2026-11; the month that runs is as it is so far.")]
FileTypeOf = Annotated[FileType, Path(description="What the file is.")]
LanguageOf = Annotated[Language, Query(description="Of the report.")]


@router.get(
    "/reports/compound/{compound}/{month}.{file_type}", response_class=Response, responses=_FILES
)
def get_compound_report(
    parts: PartsOf,
    who: Reader,
    compound: str,
    month: MonthOf,
    file_type: FileTypeOf,
    language: LanguageOf = "zh",
) -> Response:
    """The monthly report of a compound."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    compounds.find(known, who, compound)
    wanted = _month(month)
    return _made(
        parts,
        file_type,
        language,
        lambda: report_of_compound(_source(parts, who, known), compound, wanted),
    )


@router.get("/reports/firm/{firm}/{month}.{file_type}", response_class=Response, responses=_FILES)
def get_firm_report(
    parts: PartsOf,
    who: Reader,
    firm: str,
    month: MonthOf,
    file_type: FileTypeOf,
    language: LanguageOf = "zh",
) -> Response:
    """The monthly report of a property firm, over all its compounds."""
    with reading(parts.deps.engine) as connection:
        known = parts.registry.get(connection)
    compounds.check_firm(known.directory, who, firm)
    wanted = _month(month)
    return _made(
        parts,
        file_type,
        language,
        lambda: report_of_firm(_source(parts, who, known), firm, wanted),
    )


def _made(
    parts: Parts, file_type: FileType, language: Language, gather: Callable[[], Report]
) -> Response:
    """The answer with the report, when it is its turn. Raises Away when too many want one."""
    # Without a name: nothing is left of it, however the connection or this process ends.
    file = TemporaryFile()  # noqa: SIM115 - the answer closes it
    try:
        with parts.report_turns.turn():
            report = gather()
            if file_type == "pdf":
                file.write(pdf.render(report, language, parts.deps.fonts))
            else:
                xlsx.write(report, language, file)
    except BadMonth as error:
        file.close()
        raise BadParameter("month", str(error)) from error
    except ReportsUnusable as error:
        file.close()
        raise Away(str(error), REPAIRED_AFTER_S) from error
    except BaseException:
        file.close()
        raise
    size_bytes = file.seek(0, SEEK_END)
    file.seek(0)
    name = f"{report.subject}-{report.id}-{report.month}-{language}.{file_type}"
    return StreamingResponse(
        _chunks(file),
        media_type=MEDIA_TYPES[file_type],
        headers={
            "Content-Length": str(size_bytes),
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _source(parts: Parts, who: Identity, known: Known) -> Source:
    return Source(parts.deps.engine, who.scope, known.directory, parts.now_ms())


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except BadMonth as error:
        raise BadParameter("month", str(error)) from error
