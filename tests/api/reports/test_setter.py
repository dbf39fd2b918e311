"""The process that sets: what is wrong comes back as one line, and it cannot run for ever."""

import json
from pathlib import Path

import pytest

from api.reports.fonts import ReportsUnusable
from api.reports.setter import Job, run


def test_what_is_wrong_there_is_told_here(tmp_path: Path) -> None:
    job = Job(json.dumps({}), "pdf", 0, str(tmp_path))
    with pytest.raises(ReportsUnusable, match=f"^COURTYARD_FONTS: {tmp_path} has no Chinese font"):
        run(job)


def test_what_the_template_does_not_understand_is_no_report() -> None:
    with pytest.raises(ReportsUnusable, match="typst could not set the report"):
        run(Job(json.dumps({"title": "nothing else"}), "pdf", 0))


def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ReportsUnusable, match=r"not finished within 0\.001 s"):
        run(Job(json.dumps({}), "pdf", 0), most_s=0.001)
