"""Fuzz the pure path: `python -m tests.fuzz --inputs 1000000 --seed 7`.

Exit code 1 if anything crashed, an invariant did not hold, or, in a run of half a million or more,
memory grew by more than 10 % after the first fifth of it.
"""

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.fuzz.engine import Inputs
from tests.fuzz.pipeline import Pipeline

WARM_UP = 0.2  # of all inputs: until then caches and budgets fill
GROWTH = 0.10
LONG = 500_000  # in a shorter run caches and budgets still fill after the warm-up


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="messages (20,000)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="default: any")
    asked = parser.parse_args(argv)
    print(f"fuzz: {asked.inputs} inputs, seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="courtyard-fuzz-") as folder:
        return run(asked.inputs, asked.seed, Path(folder))


def run(count: int, seed: int, folder: Path) -> int:
    """Feed `count` messages; print what came of them. The exit code."""
    pipeline = Pipeline(folder)
    warm = int(count * WARM_UP)
    started_s = time.monotonic()
    before_bytes = 0
    for n, hostile in enumerate(Inputs(seed).take(count)):
        if n == warm:
            before_bytes = _rss_bytes()
        pipeline.feed(hostile)
        if n and n % 10_000 == 0:
            size = f"{_rss_bytes() >> 20} MiB"
            print(f"fuzz: {n} done, {pipeline.broken_count} broken, {size}", flush=True)
    pipeline.close()
    after_bytes = _rss_bytes()
    took_s = time.monotonic() - started_s
    growth = after_bytes / before_bytes - 1
    for broken in pipeline.broken:
        print(f"BROKEN {broken}")
    fates = ", ".join(f"{fate} {number}" for fate, number in sorted(pipeline.fates.items()))
    print(f"fuzz: {pipeline.messages} messages: {fates}")
    print(f"fuzz: {pipeline.points} points, {pipeline.smoke_judged} smoke flags judged")
    print(
        f"fuzz: {pipeline.broken_count} broken, {count / took_s:.0f} inputs/s,"
        f" slowest {pipeline.slowest_s * 1000:.0f} ms ({pipeline.slowest!r}),"
        f" RSS {before_bytes >> 20} MiB after warm-up, {after_bytes >> 20} MiB at the end"
        f" ({growth:+.1%}), seed {seed}"
    )
    grew = count >= LONG and growth > GROWTH
    return 1 if pipeline.broken_count or grew else 0


def _rss_bytes() -> int:
    gc.collect()
    size: int = psutil.Process().memory_info().rss
    return size


if __name__ == "__main__":
    sys.exit(main())
