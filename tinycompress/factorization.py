"""Fewer numbers that say the same, or nearly: folded layers, low rank, rotations, shared rows.

What a model computes leaves its parameters a freedom, and each function here spends some of it. A first layer that is linear in
the looked-up rows can be multiplied into the tables. A table times a layer has at most as many dimensions as the narrower of the
two, and often fewer that matter. In a product u . i the columns may be turned, as long as the other side turns back. And a row
that is hardly ever asked for can do with the mean of its like.

Rows are not used equally often, so errors are weighted by use: sum over rows of n_v |error of row v|^2 is, up to a constant, the
mean squared error over the look-ups.

Letters     V rows and D columns of a table, w weights (I, O), F a table times its part of w0 (V, O), R columns that are kept,
            n_v how often row v is used, s singular values in falling order, u unit roundoff
Not here: fewer levels for the numbers that are left (codebooks, quantization); units taken out (structured). Read next: packing.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.codebooks import as_values, as_weights
from tinycompress.recommender import Architecture
from tinycompress.structured import remove_rows

Array = NDArray[Any]
Params = dict[str, Array]
EPS = float(np.finfo(np.float64).eps)


def fold(params: Mapping[str, Array], architecture: Architecture) -> list[Array]:
    """Return each field's table times the rows of w0 that read it: what the field adds to the sums of the first layer.

    Equation    h_0 w_0 = sum_f F_f[codes_f],  F_f = table_f w_0f                                                   (1)
    Shapes      tables (V, D), w0 (sum of D, O) -> one (V, O) for each field
    Bound       |F - exact| <= gamma_D |table_f| |w_0f|, gamma_n = n u / (1 - n u)
    Convention  (1) holds for bags too, summed or averaged: both are linear in the rows. b0 stays where it is
    Raises      ValueError if fields are joined by product, or w0 does not fit
    Source      this package

    >>> params = {"table0": np.array([[1.0], [2.0]]), "table1": np.array([[5.0]]), "w0": np.array([[3.0], [1.0]])}
    >>> [f.tolist() for f in fold(params, Architecture(rows=(2, 1), columns=(1, 1), hidden=()))]
    [[[3.0], [6.0]], [[5.0]]]
    """
    if architecture.join != "concat":
        raise ValueError(f"fields are joined by {architecture.join!r}: w0 reads no table alone. Only 'concat' can be folded")
    if len(params["w0"]) != sum(architecture.columns):
        raise ValueError(f"w0 has {len(params['w0'])} inputs, the tables {sum(architecture.columns)} columns; they must agree")
    parts = np.split(params["w0"], np.cumsum(architecture.columns)[:-1])
    return [params[f"table{f}"] @ w for f, w in enumerate(parts)]


def low_rank(w: ArrayLike, rank: int, row_weight: ArrayLike | None = None) -> tuple[Array, Array]:
    """Return the two matrices of R columns and R rows whose product is nearest to w.

    Equation    minimise sum_v n_v |w_v - left_v right|^2:  right = first R right singular vectors of diag(sqrt n) w,    (2)
                left = w right^T
    Shapes      w (V, O), row_weight (V,) -> left (V, R), right (R, O); R = min(rank, V, O)
    Units       time ~ 2 V O^2 + O^3
    Bound       the weighted error is the sum of s_k^2 over k > R, s of diag(sqrt n) w: no two matrices of that rank do better
    Limits      R = min(V, O): left right = w
    Convention  rows of right are orthonormal, so an error e in a row of left is an error of the same length in the row of w: how
                to quantize left is decided on left alone. (Spread evenly, sqrt s on each side, columns of left would have to be
                held to different standards.) The largest entry of each row of right is positive. A row with n_v = 0 decides
                nothing, and gets the best left_v for the right that the others chose; where they leave a choice, having fewer
                than R dimensions, all rows decide alike
    Raises      ValueError if w is not a matrix of finite values, rank is below 1, or weights are negative or not one for each row
    Source      Eckart, Young 1936; weighted by rows as in Acharya et al. 2019 (arXiv 1811.00641) for word tables

    >>> left, right = low_rank([[3.0, 4.0], [6.0, 8.0]], 1)
    >>> left.round(12).tolist(), right.round(12).tolist()
    ([[5.0], [10.0]], [[0.6, 0.8]])
    >>> low_rank([[9.0, 0.0], [0.0, 2.0]], 1, row_weight=[1, 100])[1].round(12).tolist()
    [[0.0, 1.0]]
    """
    x, given = as_values(w), np.asarray(w).dtype
    if x.ndim != 2 or x.size == 0 or rank < 1:
        raise ValueError(f"w has shape {x.shape}, rank is {rank}; give a matrix with rows and columns, and a rank of 1 or more")
    rank = min(rank, *x.shape)
    root = np.sqrt(as_weights(row_weight, x.shape[:1]))
    with np.errstate(under="ignore"):
        s, right = _row_space(root[:, None] * x)
        carried = int((s > _negligible(s, x.shape)).sum())
        if carried < rank:  # whatever else right holds, weighted rows lose nothing: the rest is for the rows without weight
            rest = right[carried:]
            right[carried:] = _row_space(x @ rest.T)[1] @ rest
        right = right[:rank] * _signs(right[:rank].T)[:, None]
        dtype = given if given in (np.float32, np.float64) else np.dtype(np.float64)
        return (x @ right.T).astype(dtype), right.astype(dtype)


def narrow(
    params: Mapping[str, Array],
    architecture: Architecture,
    ranks: Sequence[int],
    row_weights: Sequence[ArrayLike | None] | None = None,
) -> tuple[Params, Architecture]:
    """Return a model of the same kind with narrower tables, each with its part of w0 replaced by their best low rank.

    Equation    table_f <- left, w_0f <- right of low_rank(F_f, R_f, n_f), F of (1)
    Shapes      tables (V, D) -> (V, R), w0 -> (sum of R, O); R_f = min(rank of the field, V, D, O)
    Bound       where R_f is not below min(V, D, O), F_f[v] is off by 2 u |F_f[v]|, u of the dtype (left and right are rounded
                once each, and right is no longer than 1), and by what float64 loses
    Convention  row_weights: how often each row is used, np.bincount(codes, minlength=V); none: alike
    Raises      ValueError as fold and low_rank, or if there is not one rank (and one weight, if any) for each field
    Source      this package

    >>> params = {"table0": np.array([[1.0, 1.0], [2.0, 2.0]]), "w0": np.array([[2.0], [1.0]]), "b0": np.array([0.5])}
    >>> small, shape = narrow(params, Architecture(rows=(2,), columns=(2,), hidden=()), ranks=[1])
    >>> small["table0"].tolist(), small["w0"].tolist(), shape.columns
    ([[3.0], [6.0]], [[1.0]], (1,))
    """
    count = len(architecture.rows)
    weights = [None] * count if row_weights is None else list(row_weights)
    if len(ranks) != count or len(weights) != count:
        raise ValueError(f"{len(ranks)} ranks and {len(weights)} weights for {count} fields; give one of each for each field")
    tables = [f"table{f}" for f in range(count)]
    folded = fold({name: as_values(params[name]) for name in [*tables, "w0"]}, architecture)
    small, right = dict(params), []
    with np.errstate(under="ignore"):
        for name, f, d, rank, n in zip(tables, folded, architecture.columns, ranks, weights):
            left, part = low_rank(f, min(rank, d), n)
            small[name] = left.astype(params[name].dtype)
            right.append(part)
        small["w0"] = np.concatenate(right).astype(params["w0"].dtype)
    return small, replace(architecture, columns=tuple(len(part) for part in right))


def balance(
    params: Mapping[str, Array],
    architecture: Architecture,
    rank: int | None = None,
    row_weights: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> tuple[Params, Architecture]:
    """Return the same product model, turned so that its columns are uncorrelated, of equal energy on both sides, and sorted.

    With U and I the two tables and W = diag(w0), logits are U W I^T + b. Any maps M, N with M N^T = W leave them as they are:
    U M and I N are new tables, with all weights 1. From triangular factors, sqrt(n) U = Q_U R_U and sqrt(n) I = Q_I R_I,

    Equation    R_U W R_I^T = A S C^T,   M = W R_I^T C S^(-1/2),   N = W R_U^T A S^(-1/2)                           (3)

    so that sqrt(n) U M = Q_U A S^(1/2) and sqrt(n) I N = Q_I C S^(1/2): both have the Gram matrix S. As M and N are maps of
    columns, rows with n = 0 go along.

    Shapes      tables (V, D), (V', D), row_weights (V,), (V',) -> tables (V, R), (V', R), w0 (R, 1) of ones
    Units       time ~ (V + V') D^2, no V x V' product
    Bound       all columns: logits of used rows change by c u |sqrt(n) U| |W| |sqrt(n) I| / sqrt(n_v n_v'), Frobenius norms, u of
                float64, c = 250 D (V + V' + D), and by 2 u |U M| |I N|^T for u of the dtype. R columns: the squared error of the
                logits, summed with weight n_v n_v', is the sum of s_k^2 over k > R, the least of any R columns
    Limits      columns that carry nothing (s ~ 0 for all rows) are left out, but for one
    Convention  columns stand by falling s, so that a smaller rank is the first columns of a larger one; the largest entry of each
                column of the first table is positive. What only rows with n = 0 need comes last, balanced among all rows alike
    Raises      ValueError if the model is not a product of two fields with one logit and no hidden layer, rank is below 1, or
                the values are so large that their product would overflow
    Source      Moore 1981; (3) is the square-root form of Tombs, Postlethwaite 1987, with tables in place of Gramians

    >>> params = {"table0": np.array([[2.0], [0.0]]), "table1": np.array([[8.0]]), "w0": np.array([[4.0]]), "b0": np.zeros(1)}
    >>> same, shape = balance(params, Architecture(rows=(2, 1), columns=(1, 1), hidden=(), join="product"))
    >>> same["table0"].round(12).tolist(), same["table1"].round(12).tolist(), same["w0"].tolist()
    ([[8.0], [0.0]], [[8.0]], [[1.0]])
    """
    if architecture.join != "product" or len(architecture.rows) != 2 or architecture.hidden or architecture.outputs != 1:
        shape = f"{len(architecture.rows)} fields, join {architecture.join!r}, hidden {architecture.hidden}"
        raise ValueError(
            f"{shape}, {architecture.outputs} logits: only a product of two fields with hidden=() and one logit can be turned; "
            "an MLP whose fields are joined by 'concat' can be made narrower by `narrow`"
        )
    tables = [as_values(params[name]) for name in ("table0", "table1")]
    w = as_values(params["w0"]).ravel()
    if rank is not None and rank < 1 or any(t.shape[1:] != w.shape or not len(t) for t in tables):
        raise ValueError(f"rank {rank}, tables {[t.shape for t in tables]}, w0 {w.shape}; give a rank from 1, D columns to each")
    with np.errstate(under="ignore"):
        sizes = [float(np.abs(a).max()) for a in (*tables, w)]
        if not sizes[0] / 1e100 * (sizes[1] / 1e100) * sizes[2] < 1:
            raise ValueError(f"the largest values are {sizes}; their product must stay below 1e200: scale them down")
        roots = [np.sqrt(as_weights(n, t.shape[:1])) for n, t in zip(row_weights, tables, strict=True)]
        m, n = _balancing(tables, roots, np.diag(w), w)
        if m.shape[1] < len(w) and not all(root.all() for root in roots):  # rows without weight may need what is left of W
            more = _balancing(tables, [np.ones(len(t)) for t in tables], np.diag(w) - m @ n.T, w)
            m, n = np.hstack([m, more[0]]), np.hstack([n, more[1]])
        if not m.shape[1]:  # all logits are b
            m = n = np.zeros((len(w), 1))
        columns = min(m.shape[1], len(w), rank or len(w))
        turned = tables[0] @ m  # all columns, then the first: BLAS may round a product of fewer columns otherwise
        sign = _signs(turned)
        small = dict(params)
        small["table0"] = (turned * sign)[:, :columns].astype(params["table0"].dtype)
        small["table1"] = (tables[1] @ n * sign)[:, :columns].astype(params["table1"].dtype)
    small["w0"] = np.ones((columns, 1), params["w0"].dtype)
    return small, replace(architecture, columns=(columns, columns))


def shared_rows(table: Array, uses: ArrayLike, below: float) -> tuple[Array, NDArray[np.int64]]:
    """Return the table with one row in place of all that are used fewer than `below` times, and each old row's number now.

    Equation    shared = sum of n_v table[v] / sum of n_v over rows with n_v < below                                (4)
    Shapes      table (V, D), uses (V,) -> (V', D), code (V,)
    Bound       sum of n_v |table[v] - shared|^2 is the least that one row can have, up to the rounding of `shared`
    Convention  the shared row is the last; the others keep their order and their bits. No uses at all: the plain mean. No such
                row: the table as it is. An array of codes q becomes code[q], and a bag Bag(code[bag.codes], bag.offsets), whether
                it is summed or averaged: a bag may hold a code more than once. The field's size becomes V'
    Raises      ValueError if table is not a matrix of finite values, uses are not one number from 0 up for each row, or below is
                NaN
    Source      this package

    >>> table, code = shared_rows(np.array([[0.0], [1.0], [5.0], [4.0]]), uses=[1, 9, 3, 0], below=4)
    >>> table.ravel().tolist(), code.tolist()
    ([1.0, 3.75], [1, 0, 1, 1])
    """
    x = as_values(table)
    if x.ndim != 2 or np.isnan(below):
        raise ValueError(f"table has shape {x.shape}, below is {below}; give a matrix, and a number of uses")
    n = as_weights(uses, x.shape[:1])
    rare = n < below
    if not rare.any():
        return table, np.arange(len(table))
    n = n[rare] if n[rare].any() else np.ones(rare.sum())
    x = x[rare]
    with np.errstate(under="ignore"):
        share = n / n.max()  # the sum of uses may not overflow
        mean = x[0] + share @ (x - x[0]) / share.sum()  # (4), from the first: rows that are equal stay exactly as they are
        small, index = remove_rows(table, ~rare, mean)
    return small, index.astype(np.int64)


def _row_space(x: Array) -> tuple[Array, Array]:
    """Singular values (O,), and all O right singular vectors as rows."""
    _, s, right = np.linalg.svd(_triangle(x))  # which for V < O is (V, O)
    return np.pad(s, (0, len(right) - len(s))), right


def _triangle(x: Array) -> Array:
    """R of x = Q R: what x says about its columns, in D rows instead of V; Q is not made."""
    return np.asarray(np.linalg.qr(x, mode="r"))


def _negligible(s: Array, shape: tuple[int, ...]) -> float:
    return max(shape) * EPS * float(s[0])


def _balancing(tables: Sequence[Array], roots: Sequence[Array], w: Array, whole: Array) -> tuple[Array, Array]:
    """M and N of (3), (D, R) each: only columns that the rounding of (3) leaves visible; w is what is left of the whole W."""
    r_u, r_i = (_triangle(root[:, None] * table) for root, table in zip(roots, tables))
    a, s, c = np.linalg.svd(r_u @ w @ r_i.T)
    a, c = a[:, : len(s)], c[: len(s)].T
    # Not s_0, but what (3) is a sum of: a column that has only the rounding of larger terms, divided by sqrt s, would be noise.
    visible = s > max(len(t) for t in tables) * EPS * np.prod([np.linalg.norm(f) for f in (r_u, whole, r_i)])
    root_s = np.sqrt(s[visible])
    return w @ r_i.T @ c[:, visible] / root_s, w.T @ r_u.T @ a[:, visible] / root_s


def _signs(columns: Array) -> Array:
    """For each column, the sign of its entry of largest magnitude."""
    largest = np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)
