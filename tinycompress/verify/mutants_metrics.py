"""Metrics as people really get them wrong: averages, undefined classes, ties, discounts, empty rows; and the laws of a metric.

Letters     y true labels, guess predicted labels, s scores, r relevance, k how many count, L list length
Not here: the right functions (own). Read next: mutants.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Law, Mutant, close
from tinycompress.verify.own import OWN, Array

Y, GUESS = np.array([0, 0, 0, 1, 1, 2, 3]), np.array([0, 0, 1, 1, 0, 2, 4])
SCORES, GRADES = np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[0.0, 3.0, 0.0, 1.0]])
TIED = np.zeros((1, 4))


def _table(y: Array, guess: Array, labels: Array) -> tuple[Array, Array, Array]:
    hits = np.array([((y == c) & (guess == c)).sum() for c in labels], float)
    return hits, np.array([(guess == c).sum() for c in labels], float), np.array([(y == c).sum() for c in labels], float)


def _ratio(a: Array, b: Array, undefined: float = 0.0) -> Array:
    out: Array = np.where(b > 0, a / np.where(b > 0, b, 1), undefined)
    return out


def _averaged(measure: str, labels: Function = np.union1d, undefined: float = 0.0, weigh: int = 2, swapped: bool = False,
             of_averages: bool = False, skip: bool = False) -> Function:  # fmt: skip
    """Return precision, recall or F1 made of parts, right where nothing is said.

    Shapes      takes no arrays
    Source      this package

    >>> float(_averaged("f1")(np.array([0, 0, 1]), np.array([0, 1, 1]), "macro")) == 2 / 3
    True
    """

    def metric(y_true: Array, y_pred: Array, average: str) -> Any:
        y, guess = (y_pred, y_true) if swapped else (y_true, y_pred)
        columns = _table(y, guess, labels(y, guess))
        if average == "micro":
            columns = tuple(c.sum(keepdims=True) for c in columns)
        hits, chosen, support = columns
        rates = {"precision": _ratio(hits, chosen, undefined), "recall": _ratio(hits, support, undefined),
                 "f1": _ratio(2 * hits, chosen + support, undefined)}  # fmt: skip
        weights = columns[weigh] if average == "weighted" else np.ones_like(hits)
        if skip:
            weights = weights * (chosen > 0)
        means = {name: float((r * weights).sum() / max(weights.sum(), 1e-300)) for name, r in rates.items()}
        if of_averages and average != "micro":
            return 2 * means["precision"] * means["recall"] / max(means["precision"] + means["recall"], 1e-300)
        return means[measure]

    return metric


def _always_micro(y_true: Array, y_pred: Array, average: str) -> Any:
    return _averaged("f1")(y_true, y_pred, "micro")


def _auc(tie: float, one_class: float = float("nan"), sign: int = 1) -> Function:
    def auc(y_true: Array, scores: Array) -> float:
        gap = sign * (scores[y_true == 1][:, None] - scores[y_true == 0])
        return float(np.where(gap == 0, tie, gap > 0).mean()) if gap.size else one_class

    return auc


def _squared_auc(y_true: Array, scores: Array) -> Any:
    return _auc(0.5)(y_true, np.rint(scores))  # accuracy at a threshold is not an area


def _rowwise(score: Function, empty: Any = 0.0) -> Function:
    """A mean over rows of score(scores, relevance, k); empty rows count `empty`, or None: not at all."""

    def metric(scores: Array, relevance: Array, k: int) -> float:
        rows = [score(s, r, k) if (r > 0).any() else empty for s, r in zip(scores, relevance, strict=True)]
        rows = [row for row in rows if row is not None]
        return float(np.mean(rows)) if rows else 0.0

    return metric


def _ranked(s: Array, values: Array, ties: str = "expected") -> Array:
    """Values in the order of falling scores; of equal scores each gets their mean, or they stand by index, or the best first."""
    if ties == "expected":
        values = np.array([values[s == v].mean() for v in s])
    out: Array = values[np.lexsort((-values if ties == "best" else np.arange(s.size), -s))]
    return out


def _log2(rank: Array) -> Any:
    return 1 / np.log2(rank + 1)


def _ndcg_of(gain: Function = lambda r: r, discount: Function = _log2, ideal: str = "best", ties: str = "expected") -> Function:
    """Return NDCG of one row, made of parts.

    Shapes      takes functions of arrays
    Source      this package

    >>> float(_ndcg_of()(np.array([2.0, 1.0]), np.array([0.0, 1.0]), 1))
    0.0
    """

    def dcg(g: Array) -> Any:
        return (g * discount(np.arange(1.0, g.size + 1))).sum()

    def score(s: Array, r: Array, k: int) -> Any:
        g = gain(r)
        pool = _ranked(s, g, "index")[:k] if ideal == "retrieved" else g
        best = np.sort(pool)[::-1][: g.size if ideal == "row" else k]
        below = 1.0 if ideal == "none" else dcg(best)
        return dcg(_ranked(s, g, ties)[:k]) / below if below else 0.0

    return score


def _hit(ties: str) -> Function:
    return lambda s, r, k: float(_ranked(s, (r > 0) * 1.0, ties)[:k].max())


def _own_hit(s: Array, r: Array, k: int) -> Any:
    return OWN.hit_rate(s[None], r[None], k)


def _hits(below: Function) -> Function:
    return lambda s, r, k: float(_ranked(s, (r > 0) * 1.0)[:k].sum()) / below((r > 0).sum(), min(k, s.size))


def _first_two(rank: Array) -> Array:
    return 1 / np.maximum(1, np.log2(np.maximum(rank, 1)))


def _macro(f: Function, y: Array = Y, guess: Array = GUESS) -> float:
    return float(f(y, guess, "macro"))


METRIC_LAWS: dict[str, Law] = {
    "all right is 1": Law("accuracy", "all right is 1", lambda f: float(f(Y, Y)) == 1),
    "exchanged": Law("f1", "F1 of two classes is the mean of each class alone",
        lambda f: close(_macro(f, np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])), (0.8 + 2 / 3) / 2)),
    "class never right": Law("f1", "a class that is only predicted counts, as 0", lambda f: close(
        _macro(f, np.array([0, 1]), np.array([0, 2])), 1 / 3)),
    "by support": Law("f1", "the weighted mean is over true labels", lambda f: close(
        f(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), "weighted"), 0.75 * 0.8 + 0.25 * 2 / 3)),
    "support alone": Law("precision", "weighted: a class weighs as often as it is true", lambda f: close(
        f(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), "weighted"), 0.75 + 0.25 / 3)),
    "of the chosen": Law("precision", "a class that is found and never wrongly has precision 1",
        lambda f: close(_macro(f, np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])), 4 / 9)),
    "never chosen": Law("precision", "a class that is never predicted counts 0",
        lambda f: close(_macro(f, np.array([0, 1]), np.array([0, 0])), 0.25)),
    "of the true": Law("recall", "a class that is wholly found has recall 1",
        lambda f: close(_macro(f, np.array([0, 1, 1, 1]), np.array([0, 0, 1, 2])), 4 / 9)),
    "all found": Law("recall", "classes only predicted count 0",
        lambda f: close(_macro(f, np.array([0, 1]), np.array([0, 2])), 1 / 3)),
    "constant scores": Law("auc", "equal scores know nothing: 1/2", lambda f: float(f(np.array([0, 1, 1]), np.zeros(3))) == 0.5),
    "right order": Law("auc", "all positives above all negatives is 1",
        lambda f: float(f(np.array([0, 1]), np.array([0.1, 0.2]))) == 1),
    "one class": Law("auc", "without a pair there is no answer",
        lambda f: bool(np.isnan(f(np.array([1, 1]), np.array([0.0, 1.0]))))),
    "any of them": Law("hit_rate", "one hit is as good as many", lambda f: float(f(SCORES, GRADES, 2)) == 1),
    "chance": Law("hit_rate", "among equals a single relevant item of L is hit with chance k / L, wherever it stands",
        lambda f: all(
        close(f(TIED, np.eye(4)[[i]], k), k / 4, 0.1) for i in range(4) for k in (1, 2))),
    "empty row": Law("hit_rate", "a row with nothing relevant counts 0",
        lambda f: float(f(np.vstack([SCORES, SCORES]), np.vstack([GRADES, 0 * GRADES]), 4)) == 0.5),
    "top": Law("hit_rate", "the highest score stands first", lambda f: float(f(SCORES, np.eye(4)[[0]], 1)) == 1),
    "best order is 1": Law("ndcg", "the best order has NDCG 1 at every k",
        lambda f: all(close(f(np.array([[4.0, 3, 2, 1]]), np.array([[3.0, 2, 1, 1]]), k), 1) for k in (1, 2, 4, 9))),
    "worse below": Law("ndcg", "the same item a place lower is worth less, from the first place on", lambda f: all(
        float(f(SCORES, np.eye(4)[[i]], 4)) > float(f(SCORES, np.eye(4)[[i + 1]], 4)) for i in range(3))
        and close(f(SCORES, np.eye(4)[[1]], 4), 1 / np.log2(3))),
    "grades in proportion": Law("ndcg", "gains are as the grades are: 2 and 1 exchanged", lambda f: close(
        f(SCORES[:, :2], np.array([[1.0, 2.0]]), 2), (1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)))),
    "what was missed": Law("ndcg", "what is relevant below k is missed",
        lambda f: float(f(SCORES, np.array([[0, 1.0, 0, 3.0]]), 2)) < 0.5),
    "place of equals": Law("ndcg", "among equals it makes no difference where an item stands", lambda f: all(
        close(f(TIED, np.eye(4)[[i]], 4), np.mean(1 / np.log2(np.arange(2, 6))), 0.1) for i in range(4))),
    "empty lists": Law("ndcg", "a row with nothing relevant counts 0",
        lambda f: close(2 * float(f(np.vstack([SCORES, SCORES]), np.vstack([GRADES, 0 * GRADES]), 4)),
        float(f(SCORES, GRADES, 4)))),
}  # fmt: skip

METRIC_MUTANTS: tuple[Mutant, ...] = (
    Mutant("percent", "accuracy", lambda y, p: 100 * np.mean(y == p), "all right is 1", "a hundred times too good", "unit",
        "percent"),
    Mutant("count", "accuracy", lambda y, p: np.sum(y == p), "all right is 1", "grows with the test set", "unit", "count"),
    Mutant("f1_of_averages", "f1", _averaged("f1", of_averages=True), "exchanged",
        "a model is ranked above one that is better in every class", "form", "of_averages"),
    Mutant("true_labels_only", "f1", _averaged("f1", labels=lambda y, p: np.unique(y)), "class never right",
        "invented classes cost nothing", "labels", "true_only"),
    Mutant("f1_by_predicted", "f1", _averaged("f1", weigh=1), "by support", "what is guessed often counts often", "weights",
        "predicted"),
    Mutant("always_micro", "f1", _always_micro, "exchanged", "rare classes no longer count"),
    Mutant("undefined_is_1", "precision", _averaged("precision", undefined=1.0), "never chosen",
        "a class that is never found counts as perfect", "zero_division", "one"),
    Mutant("undefined_skipped", "precision", _averaged("precision", skip=True), "never chosen",
        "predicting one class only looks good", "zero_division", "skip"),
    Mutant("predicted_support", "precision", _averaged("precision", weigh=1), "support alone",
        "weighted precision becomes accuracy", "weights", "predicted"),
    Mutant("recall_for_precision", "precision", _averaged("precision", swapped=True), "of the chosen", "false alarms are free",
        "swapped", "yes"),
    Mutant("precision_for_recall", "recall", _averaged("recall", swapped=True), "of the true", "misses are free", "swapped",
        "yes"),
    Mutant("recall_of_true_labels", "recall", _averaged("recall", labels=lambda y, p: np.unique(y)), "all found",
        "differs by the labels that were invented", "labels", "true_only"),
    Mutant("ties_lost", "auc", _auc(0.0), "constant scores", "coarse scores look worse than they are", "ties", "lost"),
    Mutant("ties_won", "auc", _auc(1.0), "constant scores", "a constant scores 1", "ties", "won"),
    Mutant("auc_reversed", "auc", _auc(0.5, sign=-1), "right order", "the best model is the worst", "order", "falling"),
    Mutant("one_class_half", "auc", _auc(0.5, 0.5), "one class", "a user without clicks counts as a coin toss", "one_class",
        "half"),
    Mutant("rounded_scores", "auc", _squared_auc, "right order", "one threshold for all: most of the order is lost"),
    Mutant("recall_at_k", "hit_rate", _rowwise(_hits(lambda found, k: found)), "any of them",
        "rows with many relevant items look worse", "measure", "recall"),
    Mutant("precision_at_k", "hit_rate", _rowwise(_hits(lambda found, k: k)), "any of them", "falls with k", "measure",
        "precision"),
    Mutant("lucky_ties", "hit_rate", _rowwise(_hit("best")), "chance", "a constant model hits always", "ties", "optimistic"),
    Mutant("index_ties", "hit_rate", _rowwise(_hit("index")), "chance",
        "leaks the order of the file, where the clicked item often stands first", "ties", "low_first"),
    Mutant("empty_skipped", "hit_rate", _rowwise(_own_hit, empty=None), "empty row", "users without clicks vanish", "empty",
        "skip"),
    Mutant("rising", "hit_rate", _rowwise(lambda s, r, k: _own_hit(-s, r, k)), "top", "the worst items are judged", "order",
        "rising"),
    Mutant("exponential_gain", "ndcg", _rowwise(_ndcg_of(lambda r: 2.0**r - 1)), "grades in proportion",
        "another metric of the same name", "gain", "exponential"),
    Mutant("binary_gain", "ndcg", _rowwise(_ndcg_of(lambda r: (r > 0) * 1.0)), "grades in proportion", "grades are thrown away",
        "gain", "binary"),
    Mutant("log2_of_rank", "ndcg", _rowwise(_ndcg_of(discount=_first_two)), "worse below", "places 1 and 2 are worth the same",
        "discount", "first_two_equal"),
    Mutant("reciprocal_rank", "ndcg", _rowwise(_ndcg_of(discount=lambda i: 1 / i)), "worse below",
        "the first place counts too much", "discount", "reciprocal"),
    Mutant("ideal_of_retrieved", "ndcg", _rowwise(_ndcg_of(ideal="retrieved")), "what was missed",
        "a list that misses the best scores 1", "ideal", "retrieved"),
    Mutant("ideal_uncut", "ndcg", _rowwise(_ndcg_of(ideal="row")), "best order is 1", "a perfect list does not reach 1",
        "ideal", "whole_row"),
    Mutant("dcg", "ndcg", _rowwise(_ndcg_of(ideal="none")), "best order is 1", "rows with many relevant items rule the mean",
        "ideal", "none"),
    Mutant("argsort_ties", "ndcg", _rowwise(_ndcg_of(ties="index")), "place of equals", "leaks the order of the file", "ties",
        "low_first"),
    Mutant("empty_is_1", "ndcg", _rowwise(_ndcg_of(), empty=1.0), "empty lists", "users without clicks raise the score",
        "empty", "one"),
)  # fmt: skip

METRIC_RIGHT: dict[str, Function] = {law.operation: getattr(OWN, law.operation) for law in METRIC_LAWS.values()}
