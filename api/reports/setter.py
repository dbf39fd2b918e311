"""Sets a report with typst, in a process of its own: `python -m api.reports.setter`.

typst keeps what it once worked out, some 250 MB of it after a few reports of a firm, and cannot be
stopped. A process gives back the one and can be ended. It needs typst and the standard library.

In: a `Job` as JSON on standard input. Out: the pages on standard output, each as its length in 8
bytes and its bytes (a PDF is one). What is wrong: a line on standard error, and exit code UNUSABLE.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from api.reports.fonts import ReportsUnusable, find_font

TEMPLATE = Path(__file__).with_name("report.typ")
UNUSABLE = 3
MOST_S = 120.0
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be set. data: what the template shows, as JSON. ppi: of PNG."""

    data: str
    format: Literal["pdf", "png"]
    made_at_s: int
    fonts: str | None = None
    ppi: float = 110.0


def run(job: Job, most_s: float = MOST_S) -> list[bytes]:
    """The pages, set in another process. Raises ReportsUnusable, also when it takes too long."""
    command = [sys.executable, "-m", "api.reports.setter"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, and nothing of a report among its words
            command,
            input=json.dumps(asdict(job)).encode(),
            capture_output=True,
            timeout=most_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReportsUnusable(
            f"the PDF was not finished within {most_s:g} s: ask for XLSX, or again when this"
            " machine has less to do"
        ) from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == UNUSABLE:
        raise ReportsUnusable(said)
    if done.returncode != 0:
        last = said.splitlines()[-1] if said else ""
        raise ReportsUnusable(f"setting the PDF ended with code {done.returncode}: {last[:300]}")
    return list(_split(done.stdout))


def _split(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        yield stream[at : at + length]
        at += length


def pages_of(job: Job) -> Sequence[bytes]:
    """Sets it here. Raises ReportsUnusable."""
    font = find_font(None if job.fonts is None else Path(job.fonts))
    import typst

    try:
        made = typst.compile(
            TEMPLATE.read_bytes(),
            font_paths=font.found,
            format=job.format,
            ppi=job.ppi,
            sys_inputs={"data": job.data, "font": font.family},
            timestamp=job.made_at_s,
        )
    except typst.TypstError as error:
        raise ReportsUnusable(f"typst could not set the report: {error.message}") from error
    assert made is not None
    return made if isinstance(made, list) else [made]


def main(source: BinaryIO, target: BinaryIO) -> int:
    try:
        pages = pages_of(Job(**json.load(source)))
    except ReportsUnusable as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE
    for page in pages:
        target.write(len(page).to_bytes(_LENGTH_BYTES, "big"))
        target.write(page)
    target.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
