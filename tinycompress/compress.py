"""The command that trains, compresses, judges: options in, files and tables out; no arithmetic of its own.

Modules are imported when the command runs, so that `--help` answers at once. Progress goes to standard error, and only where
someone is watching.

Not here: its options (arguments), what it calls (comparison, smallest_job). Read next: verify.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycompress.arguments import add_options, refuse_unused

if TYPE_CHECKING:
    from tinycompress.problems import Problem
    from tinycompress.recipes import Schedule
    from tinycompress.report import Row, SizeRow
    from tinycompress.splits import Split
    from tinycompress.training import Epoch


def add_command(commands: Any) -> None:
    """Add `compress` and its arguments to the commands of a parser.

    Shapes      takes no arrays
    Source      argparse

    >>> commands = argparse.ArgumentParser().add_subparsers()
    >>> add_command(commands)
    >>> list(commands.choices)
    ['compress']
    """
    c = commands.add_parser(
        "compress",
        help="train a recommender, prune, quantize and distil it, and judge each",
        description="Train a recommender on FILE, or on a synthetic shop; make it smaller in several ways; write each to a file, "
        "read it back, judge and time it; print one table. Or, with --smallest, look for the smallest file.",
        allow_abbrev=False,
    )
    add_options(c)
    c.set_defaults(run=_compress)


def _compress(a: argparse.Namespace) -> int:
    import tempfile

    import numpy as np

    from tinycompress import report
    from tinycompress.recipes import Schedule

    refuse_unused(a)
    _refuse_unwritable(a.json, a.csv, a.save)
    rng = np.random.default_rng(a.seed)
    clock = _Clock()
    problem, split = _problem(a, rng)
    clock.lap("data")
    schedule = Schedule(a.epochs, batch_size=a.batch, lr=a.lr)
    # What becomes of a number too large is said once, in words.
    with tempfile.TemporaryDirectory() as scratch, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        folder = Path(a.save or scratch)
        rows: list[Row] | list[SizeRow]
        if a.smallest:
            rows = _smallest(a, problem, split, schedule, folder, clock)
        else:
            rows = _several(a, problem, schedule, rng, folder, clock)
    if a.json:
        report.write(a.json, report.to_json(rows))
    if a.csv:
        report.write(a.csv, report.to_csv(rows))
    return 0


def _several(a: argparse.Namespace, problem: Problem, schedule: Schedule, rng: Any, folder: Path, clock: _Clock) -> list[Row]:
    """The main table: the original and six smaller versions."""
    from tinycompress import comparison, report

    sizes = comparison.Sizes(
        a.columns, a.hidden, a.student_columns, a.student_hidden, a.sparsity, a.bits, a.low_bits, a.temperature, a.alpha,
        a.tune_epochs,
    )  # fmt: skip
    rows: list[Row] = []
    folder.mkdir(parents=True, exist_ok=True)
    original = folder / "original.tcz"
    for name, model in comparison.make_models(problem, sizes, schedule, rng, _progress):
        path = folder / f"{name.replace(' + ', '-').replace(' ', '-')}.tcz"
        comparison.save_model(path, model, name=name, seed=a.seed)
        clock.lap(name)
        row, quality, latency = comparison.measure(name, path, problem, original, a.k, runs=a.runs)
        clock.lap("judging")
        rows.append(row)
        if name == "original":
            auc, slow = quality.auc, latency.p95 / latency.median
    if problem.truth is not None:
        rows.append(comparison.best_row(problem, a.k))
    print(report.to_text(rows, a.k))
    print(_footnote(problem, auc, a.k, clock))
    print(f"speed: median of {a.runs} runs; of the original's, one in twenty took {slow:.2f} times the median or longer")
    return rows


def _smallest(
    a: argparse.Namespace, problem: Problem, split: Split | None, schedule: Schedule, folder: Path, clock: _Clock
) -> list[SizeRow]:
    """The table of the smallest file, what was tried, and what each part bought."""
    from tinycompress import report
    from tinycompress.recipes import architecture_for
    from tinycompress.smallest_job import describe, find_smallest

    shape = architecture_for(problem, a.columns, a.hidden)
    found = find_smallest(problem, split, shape, schedule, a.within, a.seed, folder, a.k, _progress)
    clock.lap("all steps")
    print(report.to_text(found.rows, a.k))
    print(f"{problem.name}: {len(problem.test.relevance):,} test lists; a new process loaded the file and scored them")
    chance = next(row for row in found.rows if row.name == "random order")
    if not (chance.high is not None and chance.high < 0):
        print("the original ranks no better than a random order on these lists, and so may any file: its ratios say nothing")
    print(f"\nchosen on the validation lists, within {a.within:g} of the original: {describe(found.best)}. Tried there:")
    print(report.to_text(found.trials, a.k))
    print("\nwhat each part bought: the same recipe without it, on the validation lists")
    print(report.to_text(found.parts, a.k))
    print(f"seconds: {clock.total():.1f}")
    return found.rows


def _problem(a: argparse.Namespace, rng: Any) -> tuple[Problem, Split | None]:
    from tinycompress import problems
    from tinycompress.shop import make_shop

    if a.file is None:
        if a.history or a.negatives is not None:
            raise ValueError("--history and --negatives need a FILE; the shop's fields and lists are its own")
        return problems.shop_problem(make_shop(rng)), None
    split, negatives = problems.read_split(a.file, rng, a.negatives)
    return problems.implicit(Path(a.file).name, split, negatives, rng, history=a.history), split


def _footnote(problem: Problem, auc: float, k: int, clock: _Clock) -> str:
    judged = f"{len(problem.test.relevance):,} test lists of {problem.test.relevance.shape[1]} candidates"
    lines = [
        f"{problem.name}: {judged}; ties by expectation; train - test is NDCG@{k} on training lists minus NDCG@{k} on test lists"
    ]
    if problem.truth is not None:
        from tinycompress.evaluation import best_possible

        best = best_possible(problem, k).auc
        lines.append(f"AUC of the original {auc:.4f}, of the best possible {best:.4f}: {auc / best:.1%} of it")
    else:
        lines.append(f"AUC of the original {auc:.4f}")
    lines.append(
        "seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in clock.laps.items()) + f"; all {clock.total():.1f}"
    )
    return "\n".join(lines)


class _Clock:
    """How long each step took, in seconds."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # the line that _progress drew
        last, self.last = self.last, time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + self.last - last

    def total(self) -> float:
        return time.perf_counter() - self.start


def _progress(name: str) -> Callable[[Epoch], None] | None:
    """A callback that redraws one line per epoch; none where nobody is watching."""
    if not sys.stderr.isatty():
        return None

    def show(epoch: Epoch) -> None:
        quality = "" if epoch.quality is None else f"  validation {epoch.quality:.4f}"
        print(f"\r{name}: epoch {epoch.number}  loss {epoch.loss:.4f}{quality}\033[K", end="", file=sys.stderr, flush=True)

    return show


def _refuse_unwritable(*paths: str | None) -> None:
    """Say at once, not after a minute of training, that a result has nowhere to go."""
    for path in paths:
        parent = os.path.dirname(os.path.abspath(path)) if path else None
        if parent and not os.path.isdir(parent):
            raise ValueError(f"{path}: the folder {parent} does not exist; make it first")
    json, csv, save = paths
    if json and csv and os.path.abspath(json) == os.path.abspath(csv):
        raise ValueError(f"--json and --csv are both {json}; name two files, or the second is written over the first")
    for path in (json, csv):
        if path and os.path.isdir(path):
            raise ValueError(f"{path} is a folder; name a file")
    if save and os.path.exists(save) and not os.path.isdir(save):
        raise ValueError(f"--save {save} is a file; name a folder")
