"""The template as a file: what it may not do."""

import re

from api.reports.setter import TEMPLATE


def test_the_template_reads_no_file_loads_no_package_and_evaluates_nothing() -> None:
    code = re.sub(r"//.*", "", TEMPLATE.read_text("utf-8"))
    for word in ("import", "include", "read(", "eval(", "image(", "plugin(", "link("):
        assert word not in code, word
    assert sorted(re.findall(r"sys\.inputs\.(\w+)", code)) == ["data", "font"]
