"""From data to the smallest file, the table that judges it, and what each of its parts bought.

The steps are those a careful person would take: train the original, choose a recipe on validation lists, make the file from all
rows, let a new process score it, and set beside it what ranks without any model. Then the recipe again with one part left out at
a time, on the validation lists: what a part is worth shows in bytes, in quality, or in both.

Not here: the search (smallest), the table (frontier). Read next: arguments.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinycompress.comparison import save_model
from tinycompress.evaluation import list_scores
from tinycompress.frontier import Ranking, outside, quality, references, seen_lists, size_rows
from tinycompress.problems import Problem
from tinycompress.recipes import Model, Progress, Schedule, train_twice
from tinycompress.recommender import Architecture
from tinycompress.report import SizeRow
from tinycompress.small_models import make_small
from tinycompress.smallest import DECAY, Trial, families, scores_in_a_new_process, search, tried, without_each
from tinycompress.splits import Split


class Outcome(NamedTuple):
    """What the job found."""

    rows: list[SizeRow]  # judged on the test lists
    trials: list[SizeRow]  # every recipe that was tried, on the validation lists
    parts: list[SizeRow]  # the chosen recipe with each part left out, on the validation lists
    best: Trial


def find_smallest(
    problem: Problem,
    split: Split | None,
    architecture: Architecture,
    schedule: Schedule,
    within: float,
    seed: int,
    folder: Path,
    k: int = 10,
    progress: Callable[[str], Progress | None] | None = None,
) -> Outcome:
    """Return the smallest file that is at most `within` worse than the original on validation lists, and its tables.

    Shapes      takes no arrays
    Convention  the original is written as float32 and as deflated float32; ratios are to the first. `split` gives the baselines
                what they learn from, train and validation, and says which positives were seen; without one (the shop, whose true
                probabilities are known) the best possible order stands there instead. The folder is made if need be, once a
                recipe has passed, and holds three files: original, original_deflated, smallest (.tcz)
    Raises      ValueError as smallest.search
    Source      this package

    >>> import tempfile
    >>> from tinycompress.recipes import architecture_for
    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = find_smallest(problem, None, architecture_for(problem, 2, (4,)), Schedule(1), 1.0, 0, Path(folder))
    ...     print([row.name for row in found.rows], found.rows[2].bytes == os.path.getsize(Path(folder, "smallest.tcz")))
    ['original', 'original, deflated', 'smallest', 'random order', 'best possible'] True
    """
    rng, progress = np.random.default_rng(seed), progress or (lambda name: None)
    judged, original = train_twice(problem, architecture, schedule, rng, progress=progress("original"))
    starts, ends = {"same": judged}, {"same": original}
    if "retrained" in families(problem, judged):
        decayed = dataclasses.replace(schedule, weight_decay=DECAY)
        anew = train_twice(problem, architecture, decayed, rng, progress=progress("retrained"))
        starts["retrained"], ends["retrained"] = anew
    with tempfile.TemporaryDirectory() as scratch:
        best, trials = search(problem, starts, within, seed, Path(scratch), k)
        parts = what_each_part_bought(best, starts.get(best.family, judged), problem, Path(scratch), seed, k)

    folder.mkdir(parents=True, exist_ok=True)
    final = make_small(best.recipe, ends.get(best.family, original), problem, np.random.default_rng(seed))
    path = folder / "smallest.tcz"
    save_model(path, final, codec="smallest", name=best.family, seed=seed)
    plain = save_model(folder / "original.tcz", original, codec="none", name="original", seed=seed)
    deflated = save_model(folder / "original_deflated.tcz", original, name="original", seed=seed)
    theirs = list_scores(original.params, original.architecture, problem, problem.test)
    beside = outside(problem)
    found: dict[str, Ranking] = {
        "original": (plain, beside, [theirs]),
        "original, deflated": (deflated, beside, [theirs]),
        "smallest": (os.path.getsize(path), beside, [scores_in_a_new_process(path, problem)]),
    }
    rows = size_rows(found | references(problem, split, k), problem, seen_lists(problem, split), k)
    before = quality(list_scores(judged.params, judged.architecture, problem, problem.valid), problem.valid.relevance, k)
    first = SizeRow("original", plain, 1.0, None, *before)
    return Outcome(rows, [first, *(_row(describe(t), t, plain) for t in trials)], parts, best)


def what_each_part_bought(
    best: Trial, start: Model, problem: Problem, folder: Path, seed: int, k: int = 10
) -> list[SizeRow]:
    """Return the chosen recipe's row on the validation lists, then its row with each part left out.

    Shapes      takes no arrays
    Convention  the price of a bit stays: a part left out shows in bytes where codes get longer, in quality where they get worse.
                Ratios are to the original as float32. Columns that come as they are all come, so that fewer of them is a part of
                its own. The trials' file, part.tcz in the folder, is written over each time
    Source      this package

    >>> import tempfile
    >>> from tinycompress.recipes import architecture_for
    >>> from tinycompress.recommender import init
    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.small_models import Recipe
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 2, (4,))
    >>> model = Model(init(np.random.default_rng(0), shape), shape)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best = Trial("same", Recipe("same", 2, 1.0, refitted=False), 0, 0.0, 0.0)
    ...     [row.name for row in what_each_part_bought(best, model, problem, Path(folder), 0)][:3]
    ['all parts', 'deflated, no range coder', 'columns as they come']
    """
    lists, path = problem.valid, folder / "part.tcz"
    small = make_small(best.recipe, start, problem, np.random.default_rng(seed), whole=False)
    made = {
        "all parts": tried(best.family, best.recipe, small, problem, lists, path, k),
        "deflated, no range coder": tried(best.family, best.recipe, small, problem, lists, path, k, codec="zlib"),
    }
    left_out = without_each(best.recipe)
    if best.recipe.student == "same" and best.recipe.turned and best.recipe.columns < (most := max(start.architecture.columns)):
        left_out = {"all columns, turned": dataclasses.replace(best.recipe, columns=most), **left_out}
    for name, recipe in left_out.items():
        other = make_small(recipe, start, problem, np.random.default_rng(seed), whole=False)
        made[name] = tried(best.family, recipe, other, problem, lists, path, k)
    plain = save_model(path, start, codec="none", name="original", seed=seed)
    return [_row(name, t, plain) for name, t in made.items()]


def describe(trial: Trial) -> str:
    """Return a trial's recipe in a few words.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.small_models import Recipe
    >>> describe(Trial("same", Recipe("same", 24, 0.01, below=2), 0, 0.0, 0.0))
    'same, 24 columns, a bit at 0.01'
    """
    columns = "" if trial.family.startswith("product") else f", {trial.recipe.columns} columns"
    return f"{trial.family}{columns}, a bit at {trial.recipe.price:g}"


def _row(name: str, trial: Trial, original: int) -> SizeRow:
    return SizeRow(name, trial.bytes, original / trial.bytes, None, trial.hit_rate, trial.ndcg)
