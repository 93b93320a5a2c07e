"""Bytes against quality, one row for each way of ranking, and which of them nothing beats.

A ratio of bytes says little by itself. Beside it stand the quality over all lists and over those whose positive was met in
training (a model that puts what it never saw first looks good on all of them), what must be kept beside the file, and the
difference to the original with its interval, list by list.

Letters     N lists, L candidates, K the cut of a ranking
Not here: how small files are found (smallest), the table's layout (report). Read next: smallest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tinycompress import metrics
from tinycompress.bags import Bag
from tinycompress.baselines import baseline_scores
from tinycompress.evaluation import best_possible
from tinycompress.problems import Problem
from tinycompress.report import SizeRow
from tinycompress.splits import Split

Array = NDArray[np.floating]
Ranking = tuple[int | None, str | None, Sequence[Array]]  # bytes, what is kept beside them, test scores (N, L) of each seed


def outside(problem: Problem) -> str:
    """Return what must be kept beside the file for the model to rank: histories, texts, or nothing but the ids.

    Shapes      takes no arrays
    Convention  histories are the interactions themselves, and mostly take more bytes than the file; texts belong to the catalogue
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> outside(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000)))
    'texts'
    """
    bags = {f.name.split()[-1] for f in problem.fields if isinstance(f.values, Bag)}
    return "histories" if "history" in bags else "texts" if bags else "nothing"


def quality(scores: Array, relevance: Array, k: int = 10) -> tuple[float, float]:
    """Return hit rate and NDCG at K, ties by expectation.

    Shapes      (N, L), (N, L) -> two numbers
    Source      metrics

    >>> quality(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), 1)
    (1.0, 1.0)
    """
    return float(metrics.hit_rate(scores, relevance, k)), float(metrics.ndcg(scores, relevance, k))


def references(problem: Problem, split: Split | None, k: int = 10) -> dict[str, Ranking]:
    """Return what stands beside the files without being one: a random order, what needs no training, the best possible order.

    Shapes      takes no arrays
    Convention  a random order is one of equal scores, whose measures are expectations over all orders. `split` gives the
                baselines what they learn from, train and validation; without one the true probabilities are ranked by, where
                the problem knows them
    Source      baselines, evaluation.best_possible

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> list(references(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000)), None))
    ['random order', 'best possible']
    """
    found: dict[str, Ranking] = {"random order": (None, "nothing", [np.zeros(problem.test.relevance.shape)])}
    if split is not None:
        scores = baseline_scores(problem.test, split.train, split.valid)
        found |= {name: (None, "counts" if name == "most popular" else "histories", [s]) for name, s in scores.items()}
    elif problem.truth is not None:
        found["best possible"] = (None, None, [best_possible(problem, k).scores])
    return found


def seen_lists(problem: Problem, split: Split | None) -> NDArray[np.bool_] | None:
    """Return for each test list whether its positive item was met by anyone in training or validation; without a split, None.

    Shapes      -> (N,)
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> seen_lists(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000)), None) is None
    True
    """
    if split is None:
        return None
    return np.isin(split.test.items, np.concatenate([split.train.items, split.valid.items]))


def size_rows(found: Mapping[str, Ranking], problem: Problem, seen: NDArray[np.bool_] | None, k: int = 10) -> list[SizeRow]:
    """Return one row for each way of ranking: {name: (bytes, kept outside, test scores of each seed)}, the original first.

    Shapes      scores (N, L) each; seen (N,): whether the list's positive was met in training, or None if that is not known
    Convention  quality is the mean over seeds; differences are of the mean over seeds, list by list, and the interval is that of
                resampling lists: it says nothing of how far another seed would be. Ratios are the first row's bytes to these.
                Quality on the lists seen is missing if there are none
    Source      metrics.paired_bootstrap

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> best = [problem.test.relevance]
    >>> rows = size_rows({"original": (900, None, best), "half": (450, None, best)}, problem, None)
    >>> rows[1].ratio, rows[1].ndcg, rows[1].difference
    (2.0, 1.0, 0.0)
    """
    relevance = problem.test.relevance

    def of_lists(scores: Sequence[Array]) -> Array:
        return np.asarray(np.mean([metrics.ndcg(s, relevance, k, average=None) for s in scores], axis=0))

    first = next(iter(found.values()))
    rows = []
    for name, (size, kept, scores) in found.items():
        hit_rate, ndcg = np.mean([quality(s, relevance, k) for s in scores], axis=0).tolist()
        seen_rate, seen_ndcg = None, None
        if seen is not None and seen.any():
            seen_rate, seen_ndcg = np.mean([quality(s[seen], relevance[seen], k) for s in scores], axis=0).tolist()
        apart = metrics.paired_bootstrap(np.random.default_rng(0), of_lists(scores) - of_lists(first[2]))
        ratio = first[0] / size if size and first[0] else None
        rows.append(SizeRow(name, size, ratio, kept, hit_rate, ndcg, seen_rate, seen_ndcg, apart.mean, apart.low, apart.high))
    return rows


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other beats: none is as small or smaller and better, or as good and smaller.

    Shapes      (bytes, quality) of N points -> places, by rising bytes
    Convention  of equal points the first; a point that is not a number is on no front
    Source      textbook

    >>> pareto([(900, 0.5), (100, 0.4), (200, 0.3), (100, 0.2), (500, 0.5)])
    [1, 4]
    """
    front: list[int] = []
    known = [i for i, point in enumerate(points) if not np.isnan(point).any()]
    for place in sorted(known, key=lambda i: (points[i][0], -points[i][1], i)):
        if not front or points[place][1] > points[front[-1]][1]:
            front.append(place)
    return front
