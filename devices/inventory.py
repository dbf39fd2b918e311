"""Reading and writing a registry as plain data: what is wrong in it is found all at once."""

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 50  # problems in the text of an error; the error itself has all of them


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. where: a JSON path (`devices[3].parent`) or a line (`line 4`)."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class BadRegistry(ValueError):
    """The registry is refused as a whole; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [str(problem) for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"… and {len(problems) - SHOWN} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)
