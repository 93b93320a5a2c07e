"""Prune one layer and repair it: the weights that stay make up for those that go.

The error of a linear layer is a quadratic in its weights, the same for every output column: 1/2 d^T H d with d the change and
H from the inputs (`saliency.input_hessian`). So the best repair is known in closed form, for one removed weight (OBS), for a
given set (least squares), and greedily for many (exact OBS). SparseGPT trades the best order for one sweep over the inputs.

Letters     w (I, O) weights, H (I, I) Hessian, G its inverse, q the weight that goes, d the change of one output's weights
Not here: scores without repair (saliency). Read next: rounding.
"""
from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycompress.conventions import CountRule
from tinycompress.counting import Mask, as_mask, count_pruned, keep_largest

Array = NDArray[Any]


class Repaired(NamedTuple):
    """A pruned layer, what it keeps, and what that costs."""

    w: Array  # (I, O)
    mask: Mask  # (I, O), True = kept
    loss: float  # sum over outputs of 1/2 d^T H d


def layer_loss(change: Array, h: Array) -> float:
    """Return the rise of a layer's mean squared error for a change of its weights.

    Equation    sum over outputs of 1/2 d^T H d
    Shapes      change (I, O), h (I, I) -> a number
    Source      `saliency.input_hessian`

    >>> layer_loss(np.array([[1.0], [0.0]]), np.diag([4.0, 1.0]))
    2.0
    """
    return float(0.5 * np.sum(change * (h @ change)))


def remove_one(w: Array, h_inverse: Array, q: int) -> Array:
    """Return the weights of one output after weight q is removed and the others have made up for it.

    Equation    d = -(w_q / G_qq) G e_q                                                                             (1)
    Shapes      w (I,), h_inverse (I, I) -> (I,)
    Bound       the loss rises by w_q^2 / (2 G_qq), no other d with d_q = -w_q does less: e_q^T d + w_q = 0 is the only
                constraint, and (1) is the stationary point of 1/2 d^T H d + mu (e_q^T d + w_q)
    Source      Hassibi, Stork 1993, equation 5

    >>> remove_one(np.array([0.5, -0.25]), np.array([[2.0, 1.0], [1.0, 1.0]]), 1)
    array([0.75, 0.  ])
    """
    new = w - w[q] / h_inverse[q, q] * h_inverse[:, q]  # (1)
    new[q] = 0  # exactly, whatever rounding left there
    return np.asarray(new)


def refit(w: Array, h: Array, mask: Mask) -> Repaired:
    """Return the best weights with a given support.

    Equation    per output, with S kept and R removed:  w'_S = w_S + H_SS^-1 H_SR w_R                               (2)
    Shapes      w (I, O), h (I, I), mask (I, O) -> the same
    Convention  solved anew for each different column of the mask
    Raises      ValueError if H is singular on a support
    Source      least squares: (2) sets the gradient of 1/2 d^T H d on S to 0

    >>> refit(np.array([[0.5], [-0.25]]), np.array([[1.0, -1.0], [-1.0, 2.0]]), np.array([[True], [False]])).w
    array([[0.75],
           [0.  ]])
    """
    mask = as_mask(mask, w.shape)
    new = np.where(mask, w, 0).astype(np.float64)
    for o in range(w.shape[1]):
        s, r = np.flatnonzero(mask[:, o]), np.flatnonzero(~mask[:, o])
        if s.size and r.size:
            new[s, o] += _solve(h[np.ix_(s, s)], h[np.ix_(s, r)] @ w[r, o])  # (2)
    return Repaired(new.astype(w.dtype), mask, layer_loss(new - w, h))


def exact_obs(w: Array, h: Array, sparsity: float | None = None, *, keep: int = 0, group: int = 0) -> Repaired:
    """Return the layer pruned one weight at a time, each time the cheapest, each time repaired.

    Equation    q = argmin w_q^2 / G_qq among those left;  w by (1);  G <- G - G e_q e_q^T G / G_qq                  (3)
    Shapes      w (I, O), h (I, I) -> the same
    Convention  the same number of every output: round(s I), or all but `keep` of every `group` neighbouring inputs. Ties
                take the lower index. After each step w is the refit (2) on its support: the update of G is that of H^-1 when
                row and column q are struck out
    Raises      ValueError unless one of sparsity and keep/group is given, or if H is singular
    Source      Frantar, Alistarh 2022 (arXiv 2208.11580), algorithm 1; OBC 9b7979b

    >>> exact_obs(np.array([[0.5], [-0.25]]), np.array([[1.0, -1.0], [-1.0, 2.0]]), 0.5).w
    array([[0.75],
           [0.  ]])
    """
    if (sparsity is None) == (group == 0):
        raise ValueError(f"sparsity is {sparsity}, keep {keep} of {group}; give a sparsity, or keep and group")
    inputs, outputs = w.shape
    inverse = _inverse(h)
    # one group of all inputs is the same rule
    size, stay = (group, keep) if sparsity is None else (inputs, inputs - count_pruned(inputs, sparsity))
    new = w.astype(np.float64)
    mask = np.ones(w.shape, bool)
    for o in range(outputs):
        g = inverse.copy()
        left = np.bincount(np.arange(inputs) // max(size, 1), minlength=1)
        for _ in range(int(np.maximum(left - stay, 0).sum())):
            free = mask[:, o] & (left[np.arange(inputs) // size] > stay)
            q = int(np.argmin(np.where(free, new[:, o] ** 2 / np.where(free, np.diag(g), 1), np.inf)))  # (3)
            new[:, o] = np.where(mask[:, o], remove_one(new[:, o], g, q), 0)
            g -= np.outer(g[:, q], g[q]) / g[q, q]
            mask[q, o] = False
            left[q // size] -= 1
    return Repaired(new.astype(w.dtype), mask, layer_loss(new - w, h))


def sparsegpt(
    w: Array,
    h: Array,
    sparsity: float | None = None,
    *,
    keep: int = 0,
    group: int = 0,
    block: int = 128,
    damping: float = 0.01,
    convention: CountRule | str = "sparsegpt",
) -> Repaired:
    """Return the layer pruned in one sweep over its inputs, each repaired by the inputs still to come.

    Equation    U upper triangular, U^T U = (H + damping mean(diag) I)^-1;  score w^2 / U_ii^2                       (4)
                for i = 0, 1, ...:  e = w_i / U_ii where pruned, else 0;  w_{j >= i} -= U_ij e                       (5)
    Shapes      w (I, O), h (I, I) -> the same; loss is sum of e^2 / 2, which is 1/2 d^T H d for the damped H
    Convention  masks are chosen per block of inputs over all outputs, by the counting rule; as published it prunes one more
                than asked for, floor(s n) + 1. With keep and group: per group of inputs and output, when it is reached. The
                block size changes the mask. An input that is always 0 gets weight 0
    Raises      ValueError unless one of sparsity and keep/group is given, or if the damped H is singular (llm-compressor
                goes on with the identity in silence)
    Source      Frantar, Alistarh 2023 (arXiv 2301.00774), algorithm 1; llm-compressor ab1ba3eff

    >>> sparsegpt(np.array([[1.0], [2.0], [3.0], [4.0]]), np.eye(4), 0.5, damping=0).w.ravel()
    array([0., 0., 0., 4.])
    """
    if (sparsity is None) == (group == 0):
        raise ValueError(f"sparsity is {sparsity}, keep {keep} of {group}; give a sparsity, or keep and group")
    h = h.astype(np.float64)
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    h[np.diag_indices(len(h))] += damping * np.mean(np.diag(h))
    u = np.linalg.cholesky(_inverse(h)).T  # (4)
    new = np.where(dead[:, None], 0, w).astype(np.float64)
    mask = np.ones(w.shape, bool)
    loss = 0.0
    for start in range(0, len(w), block):
        stop = min(start + block, len(w))
        if sparsity is not None:
            # subtle: ranked as (O, I), the peers' layout, so that equal scores fall in their order
            mask[start:stop] = keep_largest(_scores(new, u, start, stop).T, sparsity, convention=convention).T
        for i in range(start, stop):
            if group and (i - start) % group == 0:
                some = slice(i, min(i + group, stop))
                drop = max(0, min(group - keep, some.stop - i))
                mask[some] = keep_largest(_scores(new, u, i, some.stop), count=drop, axis=0)
            e = np.where(mask[i], 0, new[i]) / u[i, i]
            new[i:] -= np.outer(u[i, i:], e)  # (5)
            new[i, ~mask[i]] = 0
            loss += float(0.5 * np.sum(e**2))
    return Repaired(new.astype(w.dtype), mask, loss)


def best_support(w: Array, h: Array, kept: int) -> Repaired:
    """Return the best of all ways to keep a number of inputs of each output, repaired: the optimum, by trying everything.

    Shapes      w (I, O), h (I, I) -> the same
    Convention  I choose `kept` refits per output: for a layer of a dozen inputs, to see how far the others are from it
    Raises      ValueError if kept is not from 0 to I, or there are more than 10,000 ways
    Source      brute force

    >>> best_support(np.array([[0.5], [-0.25]]), np.array([[1.0, -1.0], [-1.0, 2.0]]), 1).mask.ravel()
    array([ True, False])
    """
    inputs = len(w)
    if not 0 <= kept <= inputs:
        raise ValueError(f"kept is {kept} of {inputs} inputs; keep from 0 to {inputs}")
    ways = list(itertools.islice(itertools.combinations(range(inputs), kept), 10_001))
    if len(ways) > 10_000:
        raise ValueError(f"there are more than 10,000 ways to keep {kept} of {inputs} inputs; use exact_obs")
    columns = []
    for o in range(w.shape[1]):
        column = w[:, o : o + 1]
        masks = [np.isin(np.arange(inputs), way)[:, None] for way in ways]
        columns.append(min((refit(column, h, mask) for mask in masks), key=lambda found: found.loss))
    return Repaired(
        np.hstack([c.w for c in columns]), np.hstack([c.mask for c in columns]), float(sum(c.loss for c in columns))
    )


def _scores(w: Array, u: Array, start: int, stop: int) -> Array:
    return np.asarray(w[start:stop] ** 2 / np.diag(u)[start:stop, None] ** 2)


def _solve(a: Array, b: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(a, b))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"H is singular on {len(a)} inputs; add damping to input_hessian, or give more rows") from error


def _inverse(h: Array) -> Array:
    try:
        np.linalg.cholesky(h)  # refuses what is not positive definite, which inv does not
        g = np.linalg.inv(h)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"H of {len(h)} inputs is not positive definite; add damping, or give more rows") from error
    return np.asarray((g + g.T) / 2)
