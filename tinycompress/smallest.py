"""The smallest file that still ranks as the original does, found honestly.

A stated set of recipes, from gentle to harsh, is tried on a model that has not seen the validation rows and judged on the
validation lists. The winner is made again from all rows, written, loaded by a new process and scored there on the test lists,
which nothing was chosen by. Bytes are those of the file that was loaded. What a file needs beside it (the histories of a history
model) is said, and beside it stand rankings that need no model at all: a weak original makes ratios easy.

Letters     N lists of L candidates, K the cut of a ranking
Not here: what a recipe does (small_models), the table of results (frontier). Read next: smallest_job.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycompress.bags import Bag
from tinycompress.comparison import load_model, save_model
from tinycompress.evaluation import list_scores
from tinycompress.fields import Field
from tinycompress.frontier import quality
from tinycompress.problems import Lists, Problem
from tinycompress.recipes import Model
from tinycompress.small_models import Recipe, make_small

Array = NDArray[np.floating]
PRICES = (0.006, 0.012, 0.02, 0.028, 0.04, 0.07, 0.1, 0.2, 0.4)  # of a bit, from gentle to harsh
DECAY = 2e-5  # of the weights of a model trained anew


class Trial(NamedTuple):
    """A recipe, tried: the bytes it took, and how it ranked the validation lists."""

    family: str
    recipe: Recipe
    bytes: int
    hit_rate: float
    ndcg: float


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """Fields and lists: all that scoring in another process needs, and that can be sent there."""

    fields: tuple[Field, ...]
    lists: Lists


def families(problem: Problem, model: Model) -> dict[str, list[Recipe]]:
    """Return the recipes that are tried, by the kind of model they give, each list from gentle to harsh.

    Shapes      takes no arrays
    Convention  "same": the model with as many columns as it had; "quarter": with a quarter of them. Where all fields are
                histories, "same" alone, with 24 columns at the most, and rows in fewer than two histories share one. Where the
                fields are the ids of users and items, "same" and: "retrained", three quarters of the columns of a model trained
                anew with weight decay; "product 16" and "product 14", u . i with so many columns
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recipes import architecture_for
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> found = families(problem, Model({}, architecture_for(problem, 8, (4,))))
    >>> {name: len(recipes) for name, recipes in found.items()}
    {'same': 9, 'quarter': 9}
    """
    bags = [isinstance(f.values, Bag) for f in problem.fields]
    history = all(bags)
    ids = [f.entity for f in problem.fields] == ["user", "item"] and not any(bags) and problem.outputs == 1
    most = max(model.architecture.columns)

    def of(student: str, columns: int, **more: Any) -> list[Recipe]:
        return [Recipe(student, max(columns, 1), price, **more) for price in PRICES]

    if history:
        return {"same": of("same", min(most, 24), below=2)}
    if not ids:
        return {"same": of("same", most), "quarter": of("same", most // 4)}
    return {
        "same": of("same", most),
        "retrained": of("same", 3 * most // 4, weight_decay=DECAY),
        "product 16": of("product", 16),
        "product 14": of("product", 14),
    }


def search(
    problem: Problem,
    starts: Mapping[str, Model],
    within: float,
    seed: int,
    folder: Path,
    k: int = 10,
    progress: Callable[[Trial], None] | None = None,
) -> tuple[Trial, list[Trial]]:
    """Return the smallest trial whose validation hit rate and NDCG are at most `within` below the original's, and all trials.

    Shapes      takes no arrays
    Convention  starts: the original as "same", and where there is one the model of the family "retrained"; a family without
                a start begins from the original. They must not have seen the validation rows. In each family the harshest
                price that passes is found by halving, n prices in ceil(log2(n + 1)) trials at the most, as if quality fell with
                the price all the way; every trial starts from the same random numbers. The trials' file, trial.tcz in the
                folder, is written over each time
    Raises      ValueError if no recipe passes, with the NDCG that was asked for and the nearest found
    Source      this package

    >>> import tempfile
    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recipes import Schedule, architecture_for, train
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> model = train(problem, architecture_for(problem, 2, (4,)), Schedule(1), np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best, trials = search(problem, {"same": model}, 1.0, 0, Path(folder))
    >>> len(trials), best.bytes == min(trial.bytes for trial in trials)      # everything passes
    (6, True)
    """
    lists, model = problem.valid, starts["same"]
    hit_rate, ndcg = quality(list_scores(model.params, model.architecture, problem, lists), lists.relevance, k)
    trials: list[Trial] = []

    def passes(family: str, recipe: Recipe) -> bool:
        small = make_small(recipe, starts.get(family, model), problem, np.random.default_rng(seed), whole=False)
        trials.append(tried(family, recipe, small, problem, lists, folder / "trial.tcz", k))
        if progress is not None:
            progress(trials[-1])
        return trials[-1].hit_rate >= hit_rate - within and trials[-1].ndcg >= ndcg - within

    passed: list[Trial] = []
    for family, recipes in families(problem, model).items():
        low, high = 0, len(recipes)  # those before low pass, those from high on do not
        while low < high:
            middle = (low + high) // 2
            if passes(family, recipes[middle]):
                passed.append(trials[-1])
                low = middle + 1
            else:
                high = middle
    if not passed:
        near = max(trials, key=lambda t: t.ndcg)
        raise ValueError(
            f"no recipe stays within {within:g} of hit rate {hit_rate:.4f} and NDCG {ndcg:.4f}; the nearest has "
            f"{near.hit_rate:.4f} and {near.ndcg:.4f}: allow more"
        )
    return min(passed, key=lambda t: t.bytes), trials


def tried(
    family: str, recipe: Recipe, small: Model, problem: Problem, lists: Lists, path: Path, k: int = 10, codec: str = "smallest"
) -> Trial:
    """Return the trial of a model that a recipe made: written, read back, scored.

    Shapes      takes no arrays
    Source      this package

    >>> import tempfile
    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recipes import architecture_for
    >>> from tinycompress.recommender import init
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 2, (4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "m.tcz")
    ...     model = Model(init(np.random.default_rng(0), shape), shape)
    ...     trial = tried("same", Recipe("same", 2, 1.0), model, problem, problem.valid, path)
    ...     print(trial.bytes == os.path.getsize(path))
    True
    """
    save_model(path, small, codec=codec)
    back = load_model(path)
    scores = list_scores(back.params, back.architecture, problem, lists)
    return Trial(family, recipe, os.path.getsize(path), *quality(scores, lists.relevance, k))


def without_each(recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe with one part left out, for each part it has.

    Shapes      takes no arrays
    Source      this package

    >>> list(without_each(Recipe("same", 8, 0.01)))
    ['columns as they come', 'each number coded for itself', 'nothing fitted again']
    """
    left_out: dict[str, dict[str, Any]] = {
        "columns as they come": {"turned": False},
        "each number coded for itself": {"by_loss": False},
        "nothing fitted again": {"refitted": False},
    }
    if recipe.below:
        left_out["no shared rows"] = {"below": 0}
    return {name: dataclasses.replace(recipe, **change) for name, change in left_out.items()}


def scores_of_file(path: str, scored: Scored) -> Array:
    """Return the scores that the model of a file gives to lists: for a process that knows no more than these two.

    Shapes      -> (N, L)
    Raises      ValueError if the file is damaged
    Source      this package

    >>> import tempfile
    >>> from tinycompress.fields import id_field
    >>> from tinycompress.recommender import Architecture
    >>> shape = Architecture(rows=(2,), columns=(1,), hidden=())
    >>> tables = {"table0": np.float32([[3], [4]]), "w0": np.float32([[2]]), "b0": np.float32([0])}
    >>> lists = Lists({"item": np.array([0, 1])}, np.float32([[1, 0]]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_model(Path(folder, "m.tcz"), Model(tables, shape))
    ...     scores_of_file(os.path.join(folder, "m.tcz"), Scored((id_field("item", 2),), lists)).tolist()
    [[6.0, 8.0]]
    """
    model = load_model(path)
    return list_scores(model.params, model.architecture, scored, scored.lists)


def scores_in_a_new_process(path: Path, problem: Problem) -> Array:
    """Return the scores that a new Python process, given the file, the fields and the test lists, gives to these.

    Shapes      -> (N, L)
    Raises      ValueError if the file is damaged; ChildProcessError if the process ends without an answer, for want of memory, or
                because a script calls this outside of `if __name__ == "__main__"`: the new process imports the script
    Source      multiprocessing's spawn: nothing of this process's memory is there

    >>> scores_in_a_new_process.__annotations__["path"]     # run by tests/test_smallest.py: a doctest has no main module
    'Path'
    """
    from concurrent.futures import ProcessPoolExecutor  # not a Pool, which would start a process that fails again and again
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(scores_of_file, str(path), Scored(problem.fields, problem.test)).result()
        except BrokenProcessPool:
            why = 'was there too little memory, or a script without `if __name__ == "__main__"`?'
            raise ChildProcessError(f"the new process that was to score {path} ended without an answer; {why}") from None
