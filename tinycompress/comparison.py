"""The main table: a recommender trained, made smaller in several ways, each written to a file, read back, judged and timed.

Nothing in it is computed from a formula like "32 / bits": bytes are those of the file, quality and speed those of the model
that was read back from it.

Not here: the recipes themselves (recipes), formatting (report). Read next: frontier, report.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinycompress import cost, metrics, storage
from tinycompress.evaluation import Quality, best_possible, judge
from tinycompress.fields import batch_inputs
from tinycompress.problems import Problem
from tinycompress.recipes import (
    Model,
    Progress,
    Schedule,
    architecture_for,
    distilled_objective,
    prune,
    quantize_weights,
    train,
)
from tinycompress.recommender import Architecture
from tinycompress.report import Row
from tinycompress.scoring import predictor


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the command line lets one choose about the models, beside how they are trained."""

    columns: int = 32  # of every table
    hidden: tuple[int, ...] = (64, 32)
    student_columns: int = 8
    student_hidden: tuple[int, ...] = (32, 16)
    sparsity: float = 0.5  # of each table row and each layer, in "pruned"
    bits: int = 8  # per row, in "int8"
    low_bits: int = 4  # per tensor, in "int4"
    temperature: float = 2.0
    soft_weight: float = 0.7  # of the teacher's part of the loss; 1 - soft_weight is that of the labels
    tune_epochs: int = 2  # after pruning, with the masks held


def make_models(
    problem: Problem,
    sizes: Sizes,
    schedule: Schedule,
    rng: np.random.Generator,
    progress: Callable[[str], Progress | None] | None = None,
) -> Iterator[tuple[str, Model]]:
    """Yield (name, model) for the original and its six smaller versions, each as soon as it is made.

    Shapes      takes no arrays
    Convention  progress(name) is asked for the callback of each training. The random numbers of one recipe do not depend on what
                the others drew.
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> [name for name, _ in make_models(problem, Sizes(2, (4,), 2, (2,)), Schedule(1), np.random.default_rng(0))]
    ['original', 'pruned', 'int8', 'int4', 'distilled', 'pruned + int8', 'distilled + int4']
    """
    progress = progress or (lambda name: None)
    own, pruning, student = rng.spawn(3)
    int8, int4 = f"int{sizes.bits}", f"int{sizes.low_bits}"
    if int8 == int4:
        int4 += " per tensor"  # a name is a file's too, and the second would be written over the first
    original = train(
        problem, architecture_for(problem, sizes.columns, sizes.hidden), schedule, own, progress=progress("original")
    )
    yield "original", original
    tuning = dataclasses.replace(schedule, epochs=sizes.tune_epochs, lr=schedule.lr / 2)
    pruned = prune(original, problem, sizes.sparsity, tuning, pruning, progress("pruned"))
    yield "pruned", pruned
    yield int8, quantize_weights(original, sizes.bits)
    yield int4, quantize_weights(original, sizes.low_bits, per_row=False)
    small = architecture_for(problem, sizes.student_columns, sizes.student_hidden)
    objective = distilled_objective(problem, small, original, sizes.temperature, sizes.soft_weight)
    distilled = train(problem, small, schedule, student, objective, progress("distilled"))
    yield "distilled", distilled
    yield f"pruned + {int8}", quantize_weights(pruned, sizes.bits)
    yield f"distilled + {int4}", quantize_weights(distilled, sizes.low_bits, per_row=False)


def measure(
    name: str, path: Path, problem: Problem, original: Path, k: int = 10, pairs: int = 10_000, runs: int = 30
) -> tuple[Row, Quality, cost.Latency]:
    """Return the row of one model, from its file and that of the original; its quality; and its latency in seconds per run.

    Shapes      takes no arrays
    Units       bytes: os.path.getsize; latency: median milliseconds per 1,000 pairs, over `runs` runs of `pairs` pairs after 3
                for warming up; the speed-up is the median ratio of runs that took turns with the original's
    Convention  codes are decoded when a file is loaded, before the clock starts. Where a model gives equal scores, even its
                overlap with itself is an expectation over their orders, and below 1
    Source      cost, metrics

    >>> import tempfile
    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recommender import init
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 2, (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "m.tcz")
    ...     size = save_model(path, Model(init(np.random.default_rng(0), shape), shape))
    ...     row, _, _ = measure("original", path, problem, path)
    >>> row.bytes == size, row.ratio, row.speedup
    (True, 1.0, 1.0)
    """
    model, reference = load_model(path), load_model(original)
    quality = judge(model.params, model.architecture, problem, k)
    theirs = quality if path == original else judge(reference.params, reference.architecture, problem, k)
    timed = cost.compare_latency(_timed(reference, problem, pairs), _timed(model, problem, pairs), repeats=runs)
    row = Row(
        name=name, parameters=cost.parameters(model.tensors), nonzero=cost.nonzero(model.tensors), bytes=os.path.getsize(path),
        ratio=os.path.getsize(original) / os.path.getsize(path), **quality_columns(quality),
        overlap=float(metrics.top_k_overlap(theirs.scores, quality.scores, k)),
        latency_ms=timed.second.median * 1e3 * 1000 / pairs, speedup=1.0 if path == original else timed.ratio,
    )  # fmt: skip
    return row, quality, timed.second


def best_row(problem: Problem, k: int = 10) -> Row:
    """Return the row of the best possible model, where the problem knows the true probabilities.

    Shapes      takes no arrays
    Raises      ValueError if it does not
    Source      evaluation.best_possible

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> best_row(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))).name
    'best possible'
    """
    return Row(name="best possible", **quality_columns(best_possible(problem, k)))


def quality_columns(quality: Quality) -> dict[str, float]:
    """Return the columns of the table that speak of quality.

    Shapes      takes no arrays
    Source      this package

    >>> columns = quality_columns(Quality(0.5, 0.5, 0.5, 0.5, 0.25, 0.125, 0.0, 0.75, np.zeros((1, 1))))
    >>> columns["hit_rate"], "auc" in columns
    (0.25, False)
    """
    columns = ("accuracy", "precision", "recall", "f1", "hit_rate", "ndcg", "gap")
    return {column: getattr(quality, column) for column in columns}


def save_model(path: str | Path, model: Model, codec: str = "zlib", **meta: Any) -> int:
    """Write a model as one file and return its size in bytes.

    Shapes      takes no arrays
    Units       bytes
    Raises      ValueError or OSError as `storage.save`
    Source      storage

    >>> import tempfile
    >>> shape = Architecture(rows=(2,), columns=(1,), hidden=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.tcz")
    ...     size = save_model(path, Model({"table0": np.float32([[1], [2]])}, shape))
    ...     print(load_model(path).architecture == shape, size == os.path.getsize(path))
    True True
    """
    facts = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(model.architecture).items()}
    return storage.save(path, model.tensors, {"architecture": facts, **meta}, codec=codec)


def load_model(path: str | Path) -> Model:
    """Return the model of a file that `save_model` wrote.

    Shapes      takes no arrays
    Raises      ValueError if the file is damaged, foreign, or holds no recommender
    Source      storage

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.tcz")
    ...     _ = save_model(path, Model({"b0": np.float32([1])}, Architecture(rows=(2,), columns=(1,), hidden=())))
    ...     load_model(path).tensors
    {'b0': array([1.], dtype=float32)}
    """
    tensors, meta = storage.load(path)
    if not isinstance(meta, dict) or not isinstance(meta.get("architecture"), dict):
        raise ValueError(f"{path}: no recommender: its facts are {sorted(meta)}, and 'architecture' is not among them")
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in meta["architecture"].items()
    }
    return Model(tensors, Architecture(**facts))


def _timed(model: Model, problem: Problem, pairs: int) -> Callable[[], Any]:
    """A function that scores the same `pairs` pairs each time it is called."""
    rows = {entity: np.resize(r, pairs) for entity, r in problem.test.rows.items()}
    inputs = batch_inputs(problem.fields, rows)
    score = predictor(model.params, model.architecture, expected=0)  # no table is multiplied beforehand: the model as it is
    return lambda: score(inputs)
