"""The command that trains, compresses, judges: arguments in, files and tables out; no arithmetic of its own.

Modules are imported when the command runs, so that `--help` answers at once. Progress goes to standard error, and only where
someone is watching.

Not here: what it calls (comparison, smallest_job). Read next: verify.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinycompress.problems import Problem
    from tinycompress.recipes import Schedule
    from tinycompress.report import Row, SizeRow
    from tinycompress.splits import Split
    from tinycompress.training import Epoch


def add_command(commands: Any) -> None:
    """Add `compress` and its arguments to the commands of a parser.

    Shapes      takes none
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
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    c.add_argument("file", nargs="?", metavar="FILE", help="ratings or clicks: any delimited text with a user and an item, "
                   "NAME.train.rating of NCF's three files, or an npz archive; without it, the shop")  # fmt: skip
    c.add_argument("--history", action="store_true", help="a user is the items bought and an item its buyers, not an id")
    c.add_argument("--json", metavar="FILE", help="write the rows as JSON as well")
    c.add_argument("--csv", metavar="FILE", help="write the rows as CSV as well")
    c.add_argument("--save", metavar="DIR", help="keep the models' files in this folder")
    c.add_argument("--seed", type=_at_least(0), default=0, help="of all random numbers")
    c.add_argument("--columns", type=_at_least(1), default=32, help="columns of each embedding table")
    c.add_argument("--hidden", type=_widths, default=(64, 32), metavar="N,N", help="widths of the hidden layers")
    c.add_argument("--student-columns", type=_at_least(1), default=8, help="the same of the distilled student")
    c.add_argument("--student-hidden", type=_widths, default=(32, 16), metavar="N,N", help="the same of the distilled student")
    c.add_argument("--sparsity", type=_fraction, default=0.5, help="share of each table row and layer that is pruned")
    c.add_argument("--bits", type=_bits, default=8, help="of the row-wise quantized model")
    c.add_argument("--low-bits", type=_bits, default=4, help="of the tensor-wise quantized model")
    c.add_argument("--temperature", type=_positive, default=2.0, help="by which teacher and student are softened")
    c.add_argument("--alpha", type=_fraction, default=0.7, help="weight of the teacher's part in the student's loss")
    c.add_argument("--epochs", type=_at_least(1), default=20, help="at the most; validation chooses")
    c.add_argument("--tune-epochs", type=_at_least(1), default=2, help="after pruning, with the masks held")
    c.add_argument("--batch", type=_at_least(1), default=1024, help="rows of a batch")
    c.add_argument("--lr", type=_positive, default=2e-3, help="learning rate of Adam")
    c.add_argument("--runs", type=_at_least(1), default=30, help="timed runs of each model, after 3 for warming up")
    c.add_argument("-k", type=_at_least(1), default=10, help="cut of hit rate, NDCG and overlap")
    c.add_argument("--smallest", action="store_true", help="instead: the smallest file, of a set, that ranks as the original")
    c.add_argument("--within", type=_fraction, default=0.005, help="of hit rate and NDCG that --smallest may lose in validation")
    c.set_defaults(run=_compress)


def _compress(a: argparse.Namespace) -> int:
    import tempfile

    import numpy as np

    from tinycompress import report
    from tinycompress.recipes import Schedule

    _refuse_unwritable(a.json, a.csv, a.save)
    rng = np.random.default_rng(a.seed)
    clock = _Clock()
    problem, split = _problem(a, rng)
    clock.lap("data")
    schedule = Schedule(a.epochs, batch_size=a.batch, lr=a.lr)
    with tempfile.TemporaryDirectory() as scratch:
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
        path = folder / f"{name.replace(' + ', '-')}.tcz"
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
        if a.history:
            raise ValueError("--history needs a FILE; the shop's fields are its own")
        return problems.shop_problem(make_shop(rng)), None
    split, negatives = problems.read_split(a.file, rng)
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
    for path in (json, csv):
        if path and os.path.isdir(path):
            raise ValueError(f"{path} is a folder; name a file")
    if save and os.path.exists(save) and not os.path.isdir(save):
        raise ValueError(f"--save {save} is a file; name a folder")


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
        return int(text)

    return number


def _bits(text: str) -> int:
    if text not in map(str, range(2, 9)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bits from 2 to 8")
    return int(text)


def _real(text: str, fine: Callable[[float], bool], need: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not fine(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {need}")
    return value


def _fraction(text: str) -> float:
    return _real(text, lambda v: 0 <= v <= 1, "a number from 0 to 1")


def _positive(text: str) -> float:
    return _real(text, lambda v: 0 < v < float("inf"), "a positive number")


def _widths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdigit() and int(part) >= 1 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of widths such as 64,32")
    return tuple(int(part) for part in parts)
