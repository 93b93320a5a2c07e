"""How good a model is on a problem: as a classifier, as a ranker, and against the model it came from.

Every model of a problem is judged on the same rows: classes on the test pairs, ranking on the test lists, and the gap between
training and test as NDCG on lists of the training part minus NDCG on the test lists, both of equal length.

Letters     N lists or pairs, L candidates of a list, K the cut of a ranking
Not here: the formulas (metrics), the problem (problems). Read next: recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tinycompress import metrics
from tinycompress.fields import Field
from tinycompress.problems import Lists, Problem, Rows
from tinycompress.recommender import Architecture, Params
from tinycompress.scoring import per_entity, predictor, ranking_scores

Array = NDArray[np.floating]


class Described(Protocol):
    """What scoring must know of a problem: its fields."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """What the model sees."""


@dataclass(frozen=True, eq=False)
class Quality:
    """What a model is worth on one problem."""

    accuracy: float
    precision: float  # weighted by true support
    recall: float  # weighted; equals accuracy
    f1: float  # weighted
    hit_rate: float  # at the cut K
    ndcg: float  # at the cut K
    gap: float  # NDCG on training lists minus NDCG on test lists
    auc: float  # of the pairs: any positive class against class 0
    scores: Array  # (N, L) of the test lists


def list_scores(params: Params, architecture: Architecture, problem: Described, lists: Lists) -> Array:
    """Return the scores by which a model ranks the candidates of each list.

    Shapes      N lists of L candidates -> (N, L)
    Source      scoring.ranking_scores

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recommender import init
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = Architecture(tuple(f.size for f in problem.fields), (2,) * 5, (4,), 3, tuple(f.pooling for f in problem.fields))
    >>> list_scores(init(np.random.default_rng(0), shape), shape, problem, problem.test).shape
    (8, 25)
    """
    logits = _logits(params, architecture, problem.fields, lists.rows)
    return ranking_scores(logits).reshape(lists.relevance.shape)


def judge(params: Params, architecture: Architecture, problem: Problem, k: int = 10) -> Quality:
    """Return the quality of a model on the test part of a problem.

    Shapes      params as `recommender.init` gives them -> Quality
    Convention  classes: the largest logit, or for one logit whether it is positive; ranking: ties by expectation
    Source      metrics

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recommender import init
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = Architecture(tuple(f.size for f in problem.fields), (2,) * 5, (4,), 3, tuple(f.pooling for f in problem.fields))
    >>> quality = judge(init(np.random.default_rng(0), shape), shape, problem)
    >>> quality.recall == quality.accuracy, quality.scores.shape
    (True, (8, 25))
    """
    logits = _logits(params, architecture, problem.fields, problem.pairs.rows)
    predicted = (logits > 0 if logits.ndim == 1 else logits.argmax(axis=1)).astype(np.int64)
    test = list_scores(params, architecture, problem, problem.test)
    train = list_scores(params, architecture, problem, problem.train)
    return _quality(problem, predicted, _some_gain(logits), test, train, k)


def best_possible(problem: Problem, k: int = 10) -> Quality:
    """Return the quality of the true probabilities, where the problem knows them: no model is better, but for luck.

    Shapes      takes no arrays
    Convention  the gap is 0: the truth has learned nothing from the training rows
    Raises      ValueError if the problem's outcomes were not drawn from known probabilities
    Source      optimum

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> best_possible(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))).gap
    0.0
    """
    if problem.truth is None:
        raise ValueError(f"the outcomes of {problem.name!r} were not drawn from known probabilities; only a synthetic shop's are")
    probabilities, gains = problem.truth
    return _quality(problem, probabilities.argmax(axis=1).astype(np.int64), 1 - probabilities[:, 0], gains, None, k)


def _logits(params: Params, architecture: Architecture, fields: Sequence[Field], rows: Rows) -> Array:
    model, shape = per_entity(params, fields, architecture)
    inputs = [rows[field.entity] for field in fields]
    return predictor(model, shape, expected=len(inputs[0]))(inputs)


def _some_gain(logits: Array) -> Array:
    """A score for "not class 0"."""
    return logits if logits.ndim == 1 else np.logaddexp.reduce(logits[:, 1:], axis=1) - logits[:, 0]


def _quality(
    problem: Problem, predicted: NDArray[np.int64], positive: Array, test: Array, train: Array | None, k: int
) -> Quality:
    truth = problem.pairs.labels
    ndcg = float(metrics.ndcg(test, problem.test.relevance, k))
    learned = ndcg if train is None else float(metrics.ndcg(train, problem.train.relevance, k))
    return Quality(
        accuracy=metrics.accuracy(truth, predicted),
        precision=float(metrics.precision(truth, predicted, average="weighted")),
        recall=float(metrics.recall(truth, predicted, average="weighted")),
        f1=float(metrics.f1(truth, predicted, average="weighted")),
        hit_rate=float(metrics.hit_rate(test, problem.test.relevance, k)),
        ndcg=ndcg,
        gap=learned - ndcg,
        auc=metrics.auc((truth > 0).astype(np.int64), positive),
        scores=test,
    )
