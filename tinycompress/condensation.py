"""Fewer rows that teach as much: rows of the data itself, chosen and weighted.

Some data compress for nothing: equal rows merge into one with a count, and since cross-entropies are linear in the label, rows
with equal inputs merge into one with a mean label. What is left can only be approximated: herding picks rows whose mean of
features stays close to that of all rows; a weighted coreset also says how much each chosen row stands for.

Letters     phi features of the rows (N, H), mu their mean, S the sum of the rows chosen so far, k how many they are
            w weights, m rows to choose, U rows that differ, C classes
Not here: rows that are in no data (synthetic_rows); the loss that uses weights (dense_training). Read next: synthetic_rows.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Indices = NDArray[np.intp]


class Merged(NamedTuple):
    """Equal rows made one."""

    first: Indices  # (U,) where each distinct row first stands in the data, ascending
    counts: NDArray[np.int64]  # (U,) how often it stands there
    place: Indices  # (N,) which distinct row each row of the data is: data[i] equals data[first[place[i]]]


def merge_rows(*columns: NDArray[Any]) -> Merged:
    """Return the distinct rows of the data, with their counts as weights.

    Equation    sum_i f(row_i) / N = sum_u counts_u f(row_first[u]) / sum counts, for every f: an identity, not an approximation
    Shapes      columns of N rows each, (N,) or (N, ...) -> first (U,), counts (U,), place (N,)
    Convention  rows are equal when their bytes are: 0.0 and -0.0 differ. Leave the labels out and average them over `place`
                (see `merge_labels`) to merge rows that differ in the label only.
    Raises      ValueError if there are no columns or they have different lengths
    Source      textbook

    >>> merge_rows(np.array([5, 7, 5]), np.array([1.0, 1.0, 1.0])).counts.tolist()
    [2, 1]
    """
    lengths = {len(c) for c in columns}
    if len(lengths) != 1:
        raise ValueError(f"columns have {sorted(lengths)} rows; give at least one column, all equally long")
    n = lengths.pop()
    if n == 0:
        return Merged(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, np.intp))
    raw = np.concatenate([np.ascontiguousarray(c).reshape(n, -1).view(np.uint8) for c in columns], axis=1)
    rows = np.ascontiguousarray(raw).view(np.dtype((np.void, raw.shape[1])))[:, 0]
    _, first, place, counts = np.unique(rows, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # in the order of the data, not of the bytes
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Merged(first[order], counts[order].astype(np.int64), rank[place.reshape(-1)])


def merge_labels(labels: NDArray[Any], merged: Merged) -> NDArray[np.float64]:
    """Return the mean label of each distinct row: exact for losses that are linear in the label, bce and cross-entropy.

    Equation    y_u = sum of labels_i over i with place_i = u, / counts_u
    Shapes      labels (N,) or (N, C) -> (U,) or (U, C)
    Source      textbook

    >>> merge_labels(np.array([1, 0, 0, 0]), merge_rows(np.array([5, 5, 5, 5]))).tolist()
    [0.25]
    """
    y = np.asarray(labels, np.float64)
    total = np.zeros((len(merged.counts), *y.shape[1:]))
    np.add.at(total, merged.place, y)
    return total / merged.counts.reshape(-1, *(1 for _ in y.shape[1:]))


def herd(features: Array, m: int) -> Indices:
    """Return m different rows whose mean of features follows that of all rows, greedily.

    Equation    row k+1 = argmin_i |mu - (S + phi_i) / (k + 1)| over the rows not yet chosen
                        = argmin_i |phi_i|^2 - 2 <phi_i, (k + 1) mu - S>                                                    (1)
    Shapes      features (N, H) -> (m,) in the order of choice
    Convention  ties: the lowest index. The distance |mu - S / k| may rise from one k to the next; only each step is best.
    Raises      ValueError if m is not in 0 ... N
    Source      Rebuffi et al. 2017 (iCaRL, arXiv 1611.07725), algorithm 4

    >>> herd(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [4.0, 4.0]]), 4).tolist()
    [3, 1, 2, 4]
    """
    phi = np.asarray(features, np.float64)
    if not 0 <= m <= len(phi):
        raise ValueError(f"m is {m}; choose between 0 and all {len(phi)} rows")
    mu, chosen, total = phi.sum(axis=0) / max(len(phi), 1), [], np.zeros(phi.shape[1])
    score = (phi * phi).sum(axis=1)  # |phi|^2, and infinite once chosen
    for k in range(m):
        # subtle: einsum, because a BLAS product may give equal rows different last bits, and then the lowest index loses a tie
        chosen.append(int((score - 2 * np.einsum("nh,h->n", phi, (k + 1) * mu - total)).argmin()))  # (1)
        score[chosen[-1]] = np.inf
        total += phi[chosen[-1]]
    return np.array(chosen, np.intp)


def kernel_herd(features: Array, m: int, kernel: Callable[[Array, Array], Array] | None = None) -> Indices:
    """Return m rows, repetitions allowed, by kernel herding.

    Equation    row k+1 = argmax_i [mean_j K(i, j) - sum over chosen j of K(i, j) / (k + 1)],  K linear by default          (2)
    Shapes      features (N, H), kernel(x, y) -> (N, N) -> (m,) in the order of choice
    Convention  ties: the lowest index. Another order than `herd`, even with the linear kernel: (2) does not see |phi_i|^2.
    Raises      ValueError if there are no rows to choose from, or m is negative
    Source      Chen, Welling, Smola 2010 (arXiv 1203.3472), equation 8

    >>> kernel_herd(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [4.0, 4.0]]), 4).tolist()
    [4, 0, 0, 4]
    """
    phi = np.asarray(features, np.float64)
    if m < 0 or (m and not len(phi)):
        raise ValueError(f"m is {m} of {len(phi)} rows; choose 0 or more, of at least one row")
    k_all = phi @ phi.T if kernel is None else kernel(phi, phi)
    mean, taken, chosen = k_all.sum(axis=1) / max(len(phi), 1), np.zeros(len(phi)), []
    for k in range(m):
        chosen.append(int((mean - taken / (k + 1)).argmax()))  # (2)
        taken += k_all[:, chosen[-1]]
    return np.array(chosen, np.intp)


def matched_weights(features: Array, chosen: Indices) -> NDArray[np.float64]:
    """Return weights >= 0 under which the chosen rows' features sum, as closely as possible, to the mean of all rows.

    Equation    argmin |sum_i w_i phi_chosen[i] - mu|^2,  w >= 0;  a column of ones in phi asks the weights to sum to 1
    Shapes      features (N, H), chosen (m,) -> (m,)
    Limits      all rows chosen: the residual is 0
    Source      non-negative least squares, Lawson and Hanson 1974

    >>> matched_weights(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])).tolist()
    [0.5, 0.5]
    """
    from scipy.optimize import nnls  # here, because importing it takes longer than most uses of this module

    phi = np.asarray(features, np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(nnls(phi[chosen].T, phi.mean(axis=0))[0], np.float64)


def importance_coreset(importance: Array, m: int, rng: np.random.Generator) -> tuple[Indices, NDArray[np.float64]]:
    """Draw m rows with probability proportional to their importance, and weights that keep every mean unbiased.

    Equation    i ~ p = importance / sum,  w_i = 1 / (m N p_i):  E[sum w_i f(row_i)] = mean of f over all rows, for every f
    Shapes      importance (N,) > 0 -> chosen (m,), weights (m,)
    Convention  with replacement: a row drawn twice stands there twice
    Raises      ValueError if m is below 1 or an importance is not positive
    Source      Horvitz and Thompson 1952

    >>> chosen, w = importance_coreset(np.array([1.0, 1.0, 2.0]), 4, np.random.default_rng(0))
    >>> bool((w == np.array([1 / 3, 1 / 3, 1 / 6])[chosen]).all())
    True
    """
    p = np.asarray(importance, np.float64)
    if m < 1 or not (p > 0).all() or not len(p):
        raise ValueError(f"m is {m} and the least importance {p.min(initial=np.inf)}; draw 1 or more, all of importance > 0")
    p = p / p.sum()
    chosen = rng.choice(len(p), size=m, p=p)
    return chosen.astype(np.intp), 1 / (m * len(p) * p[chosen])
