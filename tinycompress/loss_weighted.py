"""Codes chosen by what they do to the loss: the nearest level is the best only if no weight makes up for another.

Near a trained model the loss is flat to first order, and a change d of one row costs 1/2 d^T H d. With H diagonal each weight is
on its own and the nearest level is best. Otherwise an error in one weight can be made up for by a neighbour that rounds the other
way. Two searches: one sweep that fixes weights in order and moves those to come so that they make up for it (OBS, GPTQ), and
coordinate descent, which revisits each code while the others stay. Neither is exact; `choose_codes` keeps the best it saw.

Why the sweep is right: with d_i fixed, the best d for the rest is d = G e_i d_i / G_ii with G = H^-1 (Lagrange, as in
reconstruction). After it weight i drops out, and G becomes that of H without row and column i. All these G at once are the
upper factor U of G = U^T U: its row i is G e_i / sqrt(G_ii) of step i. So an error e = (t_i - c) / U_ii moves t_j by -U_ij e
for j > i, and the whole costs 1/2 sum of e^2.

Letters     t rows as they are meant (N, D), c levels (A,), (D, A) or (N, D, A), q codes (N, D), d = c_q - t, lambda b_a the price
            of a code; H diagonal (1 or N, D), or full (1 or N, D, D): the same for every row, or one each; B examples, V rows
Where from  a layer w (I, O): rows are its outputs, t = w.T, H = input_hessian(x)[None]; a table: `row_gauss_newton`
Not here: repair after pruning (reconstruction), levels without a loss (codebooks). Read next: row_curvature.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import as_values

Array = npt.NDArray[Any]


class Chosen(NamedTuple):
    """Codes, what they cost, and what the nearest levels would have cost."""

    codes: Array  # (N, D)
    cost: Array  # (N,) 1/2 d^T H d + lambda sum of b_q
    nearest_cost: Array  # (N,) of the nearest levels


def row_gauss_newton(rows: Array, jacobian: Array, curvature: Array, n_rows: int, diagonal: bool = False) -> Array:
    """Return H of every row of a table, from the examples that use it.

    Equation    H_v = 1/B sum over examples n with rows_n = v of k_n j_n j_n^T, j_n = d logit_n / d row                (1)
    Shapes      rows (B,), jacobian (B, D), curvature (B,) -> (V, D, D), or (V, D) if diagonal
    Bound       for a mean of convex losses of one logit that is linear in the row, (1) is the Hessian of that row; else it leaves
                out the logit's own curvature, which training makes small on average as the errors p - y have mean near 0
    Convention  k is the loss's second derivative by the logit: p (1 - p) for bce. C classes: C examples for each, with
                j_c - sum over c of p_c j_c for j and C p_c for k. Rows that meet in one example are taken one by
                one: what user and item rows do together is left out. A row that no example uses has H = 0, where every code is as
                good: add a little of the mean, row_gauss_newton(...) + .01 mean, to let it stay near
    Raises      ValueError if lengths differ or a curvature is negative
    Source      Schraudolph 2002; Botev, Ritter, Barber 2017

    >>> j = np.array([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]])
    >>> row_gauss_newton(np.array([0, 0, 1]), j, np.array([0.25, 0.25, 0.25]) * 3, 2).tolist()
    [[[0.5, 0.5], [0.5, 1.0]], [[0.0, 0.0], [0.0, 0.25]]]
    """
    if not len(rows) == len(jacobian) == len(curvature) or (np.asarray(curvature) < 0).any():
        raise ValueError(f"{len(rows)} rows, {len(jacobian)} jacobians, {len(curvature)} curvatures; one each, >= 0")
    j, k = as_values(jacobian), as_values(curvature) / max(len(rows), 1)
    d = j.shape[1]
    h = np.zeros((n_rows, d) if diagonal else (n_rows, d, d))
    for a in range(d):  # column by column: B D numbers at a time, not B D D
        if diagonal:
            h[:, a] = np.bincount(rows, k * j[:, a] * j[:, a], n_rows)
        for b in range(0 if diagonal else a + 1):
            h[:, a, b] = h[:, b, a] = np.bincount(rows, k * j[:, a] * j[:, b], n_rows)  # (1)
    return h


def quadratic(d: Array, h: Array) -> Array:
    """Return what a change of each row costs.

    Equation    1/2 d^T H d
    Shapes      d (N, D), h (1 or N, D) or (1 or N, D, D) -> (N,)
    Source      Le Cun, Denker, Solla 1990

    >>> quadratic(np.array([[1.0, 2.0]]), np.array([[[2.0, -1.0], [-1.0, 1.0]]])).tolist()
    [1.0]
    """
    with np.errstate(under="ignore"):
        hd = h * d if h.ndim == 2 else np.einsum("nij,nj->ni", np.broadcast_to(h, (len(d), *h.shape[1:])), d)
        return np.asarray(0.5 * (d * hd).sum(axis=1))


def stack_levels(levels: Sequence[Array]) -> Array:
    """Return codebooks of unlike length as one array, the last level repeated: a code beyond its codebook is never chosen.

    Shapes      D rows of levels -> (D, A) of the longest
    Source      this package

    >>> stack_levels([np.array([0.0, 1.0, 2.0]), np.array([5.0])]).tolist()
    [[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]]
    """
    most = max(len(c) for c in levels)
    return np.stack([np.pad(c, (0, most - len(c)), mode="edge") for c in levels])


def feed_forward_codes(t: Array, levels: Array, h: Array, price: Array | float = 0.0, damping: float = 0.01) -> Array:
    """Return codes from one sweep over the columns, each error made up for by the columns to come: GPTQ.

    Equation    U^T U = (H + damping mean(diag) I)^-1, U upper triangular
                for i = 0, 1 ... D - 1:  q_i = argmin over a of 1/2 ((t_i - c_a) / U_ii)^2 + lambda b_a
                                         t_j <- t_j - U_ij (t_i - c_q) / U_ii for j > i                                (2)
    Shapes      t (N, D), levels (A,), (D, A) or (N, D, A), h (1 or N, D, D), price as levels or a number -> (N, D)
    Limits      H diagonal: the nearest levels. Without price this is GPTQ's choice, whatever its block size, as levels are given
    Convention  columns in the order given; sort them by falling H_ii first to have `desc_act`. A column whose H_ii is 0 counts
                for 1 of the mean. Damping is in the sweep only
    Raises      ValueError if a damped H is not positive definite
    Source      Frantar et al. 2023 (GPTQ, arXiv 2210.17323), algorithm 1; Hassibi, Stork 1993

    >>> h = np.array([[[1.0, 0.875], [0.875, 1.0]]])
    >>> feed_forward_codes(np.array([[0.375, 0.375]]), np.array([0.0, 1.0]), h, damping=0).tolist()
    [[0, 1]]
    """
    t, n = as_values(t).copy(), len(t)
    c, prices = _for_each(levels, price, t.shape)
    codes = np.zeros(t.shape, np.intp)
    with np.errstate(under="ignore"):
        u = np.broadcast_to(_upper_factor(h, damping), (n, *h.shape[1:]))
        for i in range(t.shape[1]):
            x, u_ii = t[:, i], u[:, i, i]
            codes[:, i] = _cheapest(lambda c_a, b: 0.5 * ((x - c_a) / u_ii) ** 2 + b, c[:, i], prices[:, i], codes[:, i])
            e = (x - _taken(c[:, i], codes[:, i])) / u_ii
            t[:, i + 1 :] -= u[:, i, i + 1 :] * e[:, None]  # (2)
    return codes


def descend_codes(t: Array, levels: Array, h: Array, codes: Array, price: Array | float = 0.0, sweeps: int = 10) -> Array:
    """Return codes after revisiting each column in turn while the others stay, until none changes.

    Equation    q_i <- argmin over a of 1/2 H_ii x^2 + g_i x + lambda b_a, x = c_a - t_i, g_i = sum over j != i of H_ij d_j  (3)
    Shapes      as feed_forward_codes; h may be diagonal; codes (N, D) to start from -> (N, D)
    Bound       1/2 d^T H d + lambda sum b_q never rises, and falls where a code changes (up to rounding)
    Convention  a code changes for a strictly lower cost only, to the lowest such code. A level of infinite price is never taken
    Source      textbook: iterated conditional modes, Besag 1986

    >>> h = np.array([[[1.0, 0.875], [0.875, 1.0]]])
    >>> descend_codes(np.array([[0.375, 0.375]]), np.array([0.0, 1.0]), h, np.array([[0, 0]])).tolist()
    [[1, 0]]
    """
    t, codes, rows = as_values(t), codes.astype(np.intp), np.arange(len(t))
    c, prices = _for_each(levels, price, t.shape)
    d, full = _taken(c, codes) - t, h.ndim == 3
    with np.errstate(under="ignore"):
        for _ in range(sweeps):
            q = codes[rows]
            for i in range(t.shape[1]):
                x, (c_i, h_i, price_i) = t[rows, i], (a[:, i] if len(a) in (1, len(rows)) else a[rows, i] for a in (c, h, prices))
                half = 0.5 * (h_i[:, i] if full else h_i)
                g = (h_i * d).sum(axis=1) - h_i[:, i] * d[:, i] if full else np.zeros(1)
                q[:, i] = _cheapest(lambda c_a, b: half * (y := c_a - x) ** 2 + g * y + b, c_i, price_i, q[:, i])  # (3)
                d[:, i] = _taken(c_i, q[:, i]) - x
            changed = (q != codes[rows]).any(axis=1)
            codes[rows], rows, d = q, rows[changed], d[changed]  # a row that one sweep leaves as it is, all later ones will
            if not len(rows):
                break
    return codes


def code_cost(t: Array, levels: Array, h: Array, codes: Array, price: Array | float = 0.0) -> Array:
    """Return what the codes of each row cost.

    Equation    1/2 d^T H d + sum of lambda b_q, d = c_q - t
    Shapes      as feed_forward_codes; h may be diagonal; codes (N, D) -> (N,)
    Source      Chou, Lookabaugh, Gray 1989, with H for the distance

    >>> code_cost(np.array([[0.5, 1.0]]), np.array([0.0, 1.0]), np.array([[2.0, 1.0]]), np.array([[0, 1]]), np.array([1.0, 2.0]))
    array([3.25])
    """
    c, prices = (_taken(a, codes) for a in _for_each(levels, price, t.shape))
    return np.asarray(quadratic(c - t, h) + prices.sum(axis=1))


def choose_codes(t: Array, levels: Array, h: Array, price: Array | float = 0, damping: float = 0.01, sweeps: int = 10) -> Chosen:
    """Return the codes of each row with the least cost among those found.

    Equation    the cheapest of three: nearest levels; (3) from there; (3) from (2)
    Shapes      t (N, D), levels (A,), (D, A) or (N, D, A), h (1 or N, D) or (1 or N, D, D), price as levels or a number -> Chosen
    Bound       cost <= nearest_cost, row by row, exactly as computed; equal codes where H is diagonal and there is no price
    Convention  for equal costs the nearest. H as given, not damped, is what is compared
    Raises      ValueError if t or H is not finite, or shapes do not fit
    Source      Frantar et al. 2023; this package keeps the better

    >>> h = np.array([[[1.0, 0.875], [0.875, 1.0]]])
    >>> found = choose_codes(np.array([[0.375, 0.375]]), np.array([0.0, 1.0]), h)
    >>> found.codes.tolist(), float(found.cost[0]), float(found.nearest_cost[0])
    ([[1, 0]], 0.060546875, 0.263671875)
    """
    t, h = as_values(t), as_values(h)
    if t.ndim != 2 or h.ndim not in (2, 3) or h.shape[0] not in (1, len(t)) or set(h.shape[1:]) != {t.shape[1]}:
        raise ValueError(f"rows have shape {t.shape}, H {h.shape}; H is (1 or N, D) if diagonal, else (1 or N, D, D)")
    c, _ = _for_each(levels, price, t.shape)
    nearest = np.stack([np.abs(c[:, i] - t[:, i, None]).argmin(axis=1) for i in range(t.shape[1])], axis=1)
    tried = [nearest, descend_codes(t, levels, h, nearest, price, sweeps)]
    if h.ndim == 3:
        tried.append(descend_codes(t, levels, h, feed_forward_codes(t, levels, h, price, damping), price, sweeps))
    costs = np.stack([code_cost(t, levels, h, q, price) for q in tried])
    best = costs.argmin(axis=0)  # the first of equals
    n = np.arange(len(t))
    return Chosen(np.stack(tried)[best, n], costs[best, n], costs[0])


def refit_levels(t: Array, levels: Sequence[Array], h: Array, codes: Array) -> tuple[Array, ...]:
    """Return better levels for given codes, column by column: Lloyd's second condition with H for the distance.

    Equation    c_a <- c_a - sum of (H d)_i over the rows with q_i = a / sum of H_ii, for i = 0 ... D - 1 in turn          (4)
    Shapes      t (N, D), D rows of levels, h (1 or N, D) or (1 or N, D, D), codes (N, D) -> D rows of levels
    Bound       the sum of 1/2 d^T H d never rises: (4) is the minimum over the levels of column i, the others held fixed
    Limits      H diagonal: the means of `codebooks.centroids`, weighted by H_ii
    Convention  a level that nothing takes, or whose rows all have H_ii = 0, stays. Levels may come out unsorted
    Source      this package: (4) sets the slope to 0

    >>> refit_levels(np.array([[0.0], [1.0]]), [np.array([0.5])], np.array([[1.0], [3.0]]), np.array([[0], [0]]))
    (array([0.75]),)
    """
    new = [np.asarray(c, np.float64).copy() for c in levels]
    d = np.stack([c[q] for c, q in zip(new, codes.T)], axis=1) - t
    with np.errstate(under="ignore"):
        for i, (c, q) in enumerate(zip(new, codes.T)):
            own = np.broadcast_to(h[:, i, i] if h.ndim == 3 else h[:, i], len(t))
            slope = (h[:, i] * d).sum(axis=1) if h.ndim == 3 else own * d[:, i]
            mass, total = np.bincount(q, own, c.size), np.bincount(q, slope, c.size)
            c -= np.where(mass > 0, total, 0) / np.where(mass > 0, mass, 1)  # (4)
            d[:, i] = c[q] - t[:, i]
    return tuple(new)


def _cheapest(cost: Callable[[Array, Array], Array], c: Array, prices: Array, codes: Array) -> Array:
    """The first of the cheapest levels where it costs less than the codes there are; level by level, as A is small."""
    least = cost(_taken(c, codes), _taken(prices, codes))
    for a in range(c.shape[1]):
        if (prices[:, a] < np.inf).any():
            now = cost(c[:, a], prices[:, a])
            codes, least = np.where(now < least, a, codes), np.minimum(now, least)
    return codes


def _for_each(levels: npt.ArrayLike, price: npt.ArrayLike, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Levels and prices of every column, (1 or N, D, A) each, without copying."""
    c, prices = np.asarray(levels, np.float64), np.asarray(price, np.float64)
    one, each = ((len(a) if a.ndim == 3 else 1, shape[1], c.shape[-1]) for a in (c, prices))
    return np.broadcast_to(c, one), np.broadcast_to(prices, each)


def _taken(c: Array, codes: Array) -> Array:
    """The level or price of each code."""
    return np.asarray(np.take_along_axis(np.broadcast_to(c, (*codes.shape, c.shape[-1])), codes[..., None], -1)[..., 0])


def _upper_factor(h: Array, damping: float) -> Array:
    h = h.copy()
    diagonal = np.einsum("nii->ni", h)  # a view: writing to it writes to h
    mean = diagonal.mean(axis=1, keepdims=True)
    diagonal[:] = np.where(diagonal == 0, np.where(mean > 0, mean, 1), diagonal) + damping * mean
    try:
        np.linalg.cholesky(h)  # refuses what is not positive definite, which inv does not
        return np.linalg.cholesky(np.linalg.inv(h)).swapaxes(1, 2)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"H of {h.shape[1]} columns, damped by {damping}, is not positive definite; damp more") from error
