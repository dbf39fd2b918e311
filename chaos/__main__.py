"""Runs scenarios, prints one table.

python -m chaos                                    everything, at full size: hours
python -m chaos kills --kills 20 --messages 200000
python -m chaos --size medium --seed 7
"""

import argparse
import json
import platform
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import get_args

from chaos.checker import Verdict
from chaos.run import Context, Result, Size
from chaos.scenarios import SCENARIOS

COLUMNS = (("scenario", 18), ("size", 7), ("seed", 11), ("lost", 5), ("double", 7), ("balance", 8))
OPTIONS = ("messages", "rate", "kills", "seconds", "away")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)}; all unless given")
    parser.add_argument("--size", choices=get_args(Size), default="full")
    parser.add_argument("--seed", type=int, default=None, help="random unless given")
    parser.add_argument("--keep", action="store_true", help="also the directories of good runs")
    parser.add_argument("--directory", type=Path, default=None, help="where runs lie")
    parser.add_argument("--json", type=Path, default=None, help="write the table here as well")
    for option in OPTIONS:
        parser.add_argument(f"--{option}", type=float, default=None)
    asked = parser.parse_args()
    unknown = [name for name in asked.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}: {', '.join(SCENARIOS)}")
    # as Ctrl-C does: everything that was started is ended on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    parent = asked.directory or Path(tempfile.mkdtemp(prefix="courtyard-chaos-"))
    options = {name: value for name in OPTIONS if (value := getattr(asked, name)) is not None}
    results = []
    for name in asked.scenario or list(SCENARIOS):
        print(f"{name}: seed {seed}, {asked.size}", file=sys.stderr, flush=True)
        results.append(run_one(name, Context(parent, asked.size, seed, options)))
        result = results[-1]
        _tell(result)
        if result.is_good and not asked.keep:
            shutil.rmtree(result.directory, ignore_errors=True)
    _print_table(results)
    if asked.json is not None:
        asked.json.write_text(json.dumps([_row(result) for result in results], indent=2))
    sys.exit(0 if all(result.is_good for result in results) else 1)


def run_one(name: str, context: Context) -> Result:
    """The result of a scenario, also of one that could not be carried out."""
    started = time.monotonic()
    try:
        return SCENARIOS[name](context)
    except Exception as error:
        traceback.print_exc()
        where = max(context.directory.glob(f"{name}-*"), default=context.directory, key=_age)
        problem = f"not carried out: {type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        return Result(name, context.size, context.seed, Verdict(), seconds, {}, [problem], where)


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _tell(result: Result) -> None:
    """What went wrong, with all that is needed to see it again."""
    if result.is_good:
        return
    print(
        f"{result.scenario} FAILED with seed {result.seed}; journal, acks and logs:"
        f" {result.directory}",
        file=sys.stderr,
    )
    for problem in result.problems[:40]:
        print(f"  {problem}", file=sys.stderr, flush=True)


def _row(result: Result) -> dict[str, object]:
    return {
        "scenario": result.scenario,
        "size": result.size,
        "seed": result.seed,
        "lost": result.verdict.lost,
        "double": result.verdict.double,
        "balance": result.verdict.balance,
        "seconds": round(result.seconds, 1),
        "figures": result.figures,
        "problems": result.problems,
    }


def _print_table(results: list[Result]) -> None:
    print(f"\n{platform.machine()}, Python {platform.python_version()}\n")
    print("".join(f"{name:{width}}" for name, width in COLUMNS) + " seconds  figures")
    for result in results:
        row = _row(result)
        cells = "".join(f"{row[name]!s:{width}}" for name, width in COLUMNS)
        said = "; ".join(f"{name} {value}" for name, value in result.figures.items())
        failed = "" if result.is_good else "FAILED  "
        print(f"{cells} {result.seconds:7.0f}  {failed}{said}")


if __name__ == "__main__":
    main()
