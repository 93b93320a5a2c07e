"""Rows sorted by score, and the groups of equal scores in them: what every ranking metric needs to be honest about ties.

A compressed model ties often: int4 gives few distinct scores, a collapsed model only one. A sort then decides by where a
candidate happened to stand, and an evaluation that puts the positive first reports 1.000 for a model that knows nothing.
So ties are part of the question, not of the sort: a row is cut into groups of equal scores, and each metric takes its
expectation over all orders inside the groups. Two facts give every formula. A member of a group stands at each of the
positions g + 1 ... g + t with probability 1 / t, so sums over candidates need only group means. And only the group that
straddles the cut is uncertain: n of its t members, drawn at random, are in the top K.

Letters     N rows (users, queries), L list length, K top-k, W positions that are looked at, G groups of all rows
            R relevant candidates of a row
            g candidates with a higher score: a group's first member stands at position g + 1
            t candidates with this score, r relevant ones among these t, H relevant ones among the g
            n places of the group above the cut, min(t, K - g)
Not here: the metrics. Read next: retrieval, ranking.
"""
from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ties = Literal["expected", "optimistic", "pessimistic", "index"]
Beyond = Literal["row", "error"]
Empty = Literal["zero", "skip", "one"]
Average = Literal["rows"] | None
Value = Any  # float, or (N,) float64 with average=None: a union would make every caller narrow it
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class RankedRows:
    """Which candidate stands where, from the best score down to W, the end of the last group that reaches above the cut."""

    order: IntArray  # (N, W) candidate at each position
    group: IntArray  # (N, W) number of the group at each position; numbers run on through the rows
    starts: IntArray  # (G,) where each group begins in the flattened (N, W)
    size: IntArray  # (G,) t of each group that reaches above the cut
    above: IntArray  # (G,) g of each group
    relevant: FloatArray  # (G,) r of each group, a whole number
    relevant_above: FloatArray  # (G,) H of each group, a whole number
    relevance: FloatArray  # (N, L) as given, 0 where padded
    candidates: IntArray  # (N,) how many are not padded
    cut: int  # K, at most L

    def at_cut(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Describe the group that the last place of the top K lies in -> t, r, n, H, each (N,)."""
        group = self.group[:, self.cut - 1]
        n = (self.cut - self.above[group]).astype(np.float64)
        return self.size[group].astype(np.float64), self.relevant[group], n, self.relevant_above[group]


def _check_scores(scores: ArrayLike, mask: ArrayLike | None) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return scores as floats and the mask of candidates, both (N, L), or say what is wrong with them."""
    x = np.asarray(scores)
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise ValueError(f"scores are {x.ndim}-d {x.dtype}; pass numbers (N, L), one row per user or query")
    largest = max(int(x.max()), -int(x.min())) if x.dtype.kind in ("i", "u") and x.size else 0
    if largest > 2**53:
        raise ValueError(f"scores reach {largest}, beyond 2**53, where float64 would tie neighbours; rescale")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    keep = np.ones(x.shape, bool) if mask is None else np.asarray(mask)
    if keep.dtype != bool or keep.shape != x.shape:
        raise ValueError(f"mask is {keep.dtype} {keep.shape}, scores are {x.shape}; pass booleans, True = a candidate")
    lost = np.isnan(x) & keep
    if lost.any():
        row, column = np.argwhere(lost)[0]
        raise ValueError(f"{lost.sum()} scores are NaN, the first at [{row}, {column}], and have no rank; mask them out")
    return x, keep


def _check_relevance(relevance: ArrayLike, keep: NDArray[np.bool_]) -> FloatArray:
    """Return relevance as float64 (N, L), 0 where padded, or say what is wrong with it."""
    y = np.asarray(relevance)
    if y.shape != keep.shape or y.dtype.kind not in "fiub":
        raise ValueError(f"relevance is {y.dtype} {y.shape}, scores are {keep.shape}; pass one number per score")
    y = np.where(keep, y, 0).astype(np.float64)
    wrong = ~np.isfinite(y) | (y < 0)
    if wrong.any():
        raise ValueError(f"relevance holds {y[wrong][0]}; use finite values from 0 (not relevant) up: shift negative grades")
    return y


def _check_cut(k: int | None, candidates: IntArray, length: int, beyond: Beyond) -> int:
    """Return the cut as a number of positions in 1 ... length."""
    if beyond not in get_args(Beyond):
        raise ValueError(f"beyond is {beyond!r}; use 'row' (K ends with the row) or 'error'")
    if k is None:
        return length
    try:
        cut = operator.index(k)
    except TypeError:
        cut = 0
    if cut < 1:
        raise ValueError(f"k is {k!r}; use a whole number from 1, or None for the whole row")
    if beyond == "error" and candidates.size and cut > candidates.min():
        raise ValueError(f"k is {cut}, and the shortest row has {candidates.min()} candidates; lower k or use beyond='row'")
    return min(cut, length)


def rank_rows(
    scores: ArrayLike, relevance: ArrayLike | None, k: int | None, ties: Ties = "expected", mask: ArrayLike | None = None,
    beyond: Beyond = "row",
) -> RankedRows:  # fmt: skip
    """Sort each row by score, best first, and cut it into groups of equal scores.

    Shapes      scores and relevance (N, L), mask (N, L) -> order, group (N, W); starts, size, above, ... (G,)
    Convention  Keywords that all ranking metrics share, each a choice on which libraries differ:
                relevance  > 0 is relevant; its size matters to ndcg alone. None: nothing is.
                k          the cut, a whole number from 1; None is the whole row.
                ties       "expected": equal scores form one group, and the metrics average over all its orders (for NDCG this
                           is scikit-learn's tie-averaged DCG). "optimistic": among equal scores the more relevant stand
                           first, the best a lucky sort could report. "pessimistic": they stand last. A wide gap between the
                           two says that ties decide. "index": the lower index stands first, as in a stable sort of
                           -scores; it rewards whoever built the rows with the positive in front. With the last three every
                           position is a group of its own, so that nothing is left to average.
                mask       True = a candidate; rows of different length are padded to L and masked: padded scores are not
                           read. Without a mask, padding with score -inf and relevance 0 gives the same numbers as long as
                           k is within the row and real scores are finite.
                beyond     k beyond a row's candidates. "row": the row ends the cut. "error": refused.
                0.0 and -0.0 are equal scores; -inf and +inf are scores like any other; NaN is refused.
    Raises      ValueError if shapes differ, a score is NaN, a relevance is negative or not finite, k is not a whole number
                from 1 or is refused, or a keyword is unknown
    Source      McSherry and Najork, Computing information retrieval performance measures efficiently in the presence of
                tied scores (2008), for the expectation over orders

    >>> ranked = rank_rows([[0.5, 2.0, 0.5, 1.0]], [[1, 0, 0, 1]], k=3)
    >>> ranked.group, ranked.size, ranked.relevant
    (array([[0, 1, 2, 2]]), array([1, 1, 2]), array([0., 1., 1.]))
    """
    x, keep = _check_scores(scores, mask)
    y = np.zeros(x.shape) if relevance is None else _check_relevance(relevance, keep)
    if ties not in get_args(Ties):
        raise ValueError(f"ties is {ties!r}; use one of {', '.join(map(repr, get_args(Ties)))}")
    cut = _check_cut(k, keep.sum(axis=1), x.shape[1], beyond)
    if x.shape[1] == 0:  # rows without candidates: one padded candidate each, so that every row has a first position
        x, keep, y, cut = np.zeros((len(x), 1)), np.zeros((len(x), 1), bool), np.zeros((len(x), 1)), 1
    # subtle: a padded candidate becomes NaN, which sorts after the +inf of a score of -inf and equals nothing, itself included
    key = np.where(keep, -x, x.dtype.type(np.nan))
    if ties in ("optimistic", "pessimistic"):
        order = np.lexsort((-y if ties == "optimistic" else y, key))
    else:
        order = np.argsort(key, axis=1, kind="stable" if ties == "index" else None)  # (N, L)
    width = cut
    opens = np.ones(x.shape, bool)
    if ties == "expected":
        ranked = np.take_along_axis(key, order, axis=1)
        opens[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
        inside = np.logical_and.accumulate(~opens[:, cut:], axis=1)  # what still belongs to the group at the cut
        width += int(inside.sum(axis=1).max(initial=0))
    order, opens = order[:, :width], opens[:, :width]  # nothing below is asked for, and W is far less than L in a long row
    starts = np.flatnonzero(opens)  # (G,)
    above = starts % width
    seen = np.concatenate([[0], np.cumsum(np.take_along_axis(y > 0, order, axis=1))])  # relevant ones before each flat position
    return RankedRows(
        order=order,
        group=np.cumsum(opens).reshape(opens.shape) - 1,
        starts=starts,
        size=np.diff(starts, append=opens.size),
        above=above,
        relevant=np.diff(seen[starts], append=seen[-1]).astype(np.float64),
        relevant_above=(seen[starts] - seen[starts - above]).astype(np.float64),
        relevance=y,
        candidates=keep.sum(axis=1),
        cut=cut,
    )


def mean_over_rows(values: FloatArray, ranked: RankedRows, empty: Empty = "zero", average: Average = "rows") -> Value:
    """Apply the rule for rows in which nothing is relevant, then average.

    Shapes      values (N,) -> float, or (N,) with average=None
    Convention  empty    a row in which nothing is relevant. "zero": counts 0 (scikit-learn). "skip": is left out of the mean.
                         "one": counts 1, as nothing was missed (LightGBM's NDCG).
                average  "rows": the mean, NaN over no rows. None: one value per row, NaN where "skip" leaves it out: what
                         group_means, mean_and_error and paired_bootstrap of metrics ask for.
    Raises      ValueError if empty or average is unknown
    Source      this package

    >>> ranked = rank_rows([[2, 1], [2, 1]], [[1, 0], [0, 0]], k=1)
    >>> [mean_over_rows(np.array([1.0, 0.0]), ranked, empty) for empty in ("zero", "skip", "one")]
    [0.5, 1.0, 1.0]
    """
    if empty not in get_args(Empty) or average not in ("rows", None):
        raise ValueError(f"empty is {empty!r}, average is {average!r}; use {get_args(Empty)}, and 'rows' or None")
    nothing = ~(ranked.relevance > 0).any(axis=1)
    values = np.where(nothing, {"zero": 0.0, "skip": np.nan, "one": 1.0}[empty], values)
    if average is None:
        return values
    counted = values[~nothing] if empty == "skip" else values
    if not counted.size:
        return float("nan")
    # subtle: the sum is exact and starts at the smallest, so that rows in any order have one mean, and equal rows have theirs
    low = float(counted.min())
    return low + math.fsum(counted - low) / counted.size
