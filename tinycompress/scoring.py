"""Scoring many rows, where no gradient is asked for: the same numbers as `recommender.forward`, in less time.

One rewriting, exact but for the order in which BLAS sums. The first layer is linear in the looked-up rows,

    h_0 w_0 = sum_f (table_f w_0f)[codes_f],   w_0f the rows of w_0 that meet field f

so a table with fewer rows than there are rows to score is multiplied once, before the look-up. The rest is care for the
processor: blocks that stay in its cache, sums in place, and whole blocks added to whole blocks (upper_layers).

Letters     N rows to score, V rows and D columns of a table, h inputs of a layer, O outputs of the first, w weights, b bias,
            C classes, L candidates, K best items, u unit roundoff
Not here: training; a whole catalogue for one user, prepared (catalogue). Read next: catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tinycompress import ops
from tinycompress.bags import Bag, take
from tinycompress.fields import Field
from tinycompress.recommender import Architecture, Array, Input, Params, forward, look_up


def scores(
    params: Params, inputs: Sequence[Input], architecture: Architecture, gains: Sequence[float] = (), block: int = 1024
) -> Array:
    """Return one number per row by which rows are ranked: the logit, or the expected gain over the classes.

    Equation    as `ranking_scores`
    Shapes      inputs of N rows -> (N,)
    Bound       as `predictor`
    Convention  rows are scored in blocks that stay in cache
    Raises      ValueError if a code has no row in its table
    Source      this package

    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[3.0]]), "b0": np.array([0.5])}
    >>> scores(params, [np.array([0, 1])], Architecture(rows=(2,), columns=(1,), hidden=()))
    array([3.5, 6.5])
    """
    n = len(inputs[0])
    return ranking_scores(predictor(params, architecture, expected=n, block=max(1, min(block, n)))(inputs), gains)


def ranking_scores(logits: Array, gains: Sequence[float] = ()) -> Array:
    """Return the number by which rows are ranked: the logit itself, or the expected gain over the classes.

    Equation    one logit: itself;  C logits: sum_c softmax(logits)_c gains_c, with gains 0, 1, ..., C - 1 unless given
    Shapes      logits (N,) or (N, C) -> (N,)
    Source      this package

    >>> ranking_scores(np.array([[0.0, 0.0]]))
    array([0.5])
    """
    if logits.ndim == 1:
        return logits
    return ops.softmax(logits) @ np.asarray(gains or range(logits.shape[1]), logits.dtype)


def predictor(
    params: Params, architecture: Architecture, expected: float = np.inf, block: int = 1024
) -> Callable[[Sequence[Input]], Array]:
    """Return the function from inputs to logits, with all work done that does not depend on the inputs.

    Shapes      inputs of N rows -> (N,) if outputs is 1, else (N, outputs)
    Bound       layer by layer, |y - forward's y| <= 2 gamma_{I+1} (|h| |w| + |b|), gamma_n = n u / (1 - n u), for equal h: each
                side is within gamma_{I+1} of the exact sum, in whatever order it adds (Higham 2002, section 3.1)
    Convention  `expected` is the number of rows that will be asked for: a table with more rows than that is not multiplied
                beforehand. Memory: one (V, O) table beside each (V, D) one that is. The parameters must not change afterwards.
    Raises      ValueError, when called, if a code has no row in its table
    Source      this package

    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[3.0]]), "b0": np.array([0.5])}
    >>> predictor(params, Architecture(rows=(2,), columns=(1,), hidden=()))([np.array([0, 1])])
    array([3.5, 6.5])
    """
    run = _after_look_up(params, architecture, expected, block) if architecture.join == "concat" else None

    def predict(inputs: Sequence[Input]) -> Array:
        n = len(inputs[0])
        logits = np.empty((n, architecture.outputs), params["b0"].dtype)
        for start in range(0, n, block):
            stop = min(start + block, n)
            part = [_rows(field, start, stop) for field in inputs]
            logits[start:stop] = run(part) if run else forward(params, part, architecture)[0].reshape(len(part[0]), -1)
        return logits[:, 0] if architecture.outputs == 1 else logits

    return predict


def _rows(field: Input, start: int, stop: int) -> Input:
    return take(field, np.arange(start, stop)) if isinstance(field, Bag) else field[start:stop]


def _after_look_up(params: Params, architecture: Architecture, expected: float, block: int) -> Callable[[Sequence[Input]], Array]:
    first: list[tuple[Array, Array | None]] = []  # (table, what its rows still have to be multiplied with)
    for f, w in enumerate(np.split(params["w0"], np.cumsum(architecture.columns)[:-1])):
        table = params[f"table{f}"]
        first.append((table @ w, None) if len(table) <= expected else (table, w))
    bias = np.tile(params["b0"], (block, 1))
    finish = upper_layers(params, architecture, block)

    def run(part: Sequence[Input]) -> Array:
        h = bias[: len(part[0])].copy()
        for f, (table, w) in enumerate(first):
            rows = look_up(table, part[f], architecture.pool(f))
            h += rows if w is None else rows @ w
        return finish(h)

    return run


def upper_layers(params: Params, architecture: Architecture, block: int) -> Callable[[Array], Array]:
    """Return the function from the sums of the first layer, before its relu, to the logits.

    Equation    h <- relu(h) w_l + b_l, l = 1, 2, ...
    Shapes      h (N, O) of at most `block` rows -> (N, outputs)
    Convention  h is overwritten
    Source      this package

    >>> params = {"w0": np.eye(1), "b0": np.zeros(1), "w1": np.array([[3.0]]), "b1": np.array([0.5])}
    >>> upper_layers(params, Architecture(rows=(2,), columns=(1,), hidden=(1,)), block=2)(np.array([[-1.0], [2.0]])).ravel()
    array([0.5, 6.5])
    """
    # subtle: rows are added to rows of equal number. One row added to many, or the number 0 in np.maximum, means one short loop
    # per row, and a quarter of the whole time
    layers = [
        (np.zeros((block, len(params[f"w{i}"])), params["b0"].dtype), params[f"w{i}"], np.tile(params[f"b{i}"], (block, 1)))
        for i in range(1, len(architecture.hidden) + 1)
    ]

    def run(h: Array) -> Array:
        for zero, w, b in layers:
            np.maximum(h, zero[: len(h)], out=h)
            h = h @ w
            h += b[: len(h)]
        return h

    return run


def per_entity(
    params: Params, fields: Sequence[Field], architecture: Architecture
) -> tuple[Params, Architecture]:
    """Return the same model with one table row per entity: bags looked up once per user or item, not once per pair.

    Equation    table_f'[n] = look-up of entity n in table_f, so that its row for every pair is table_f'[n]
    Shapes      tables (V, D) -> (N of the field's entity, D); the inputs of the new model are the entities' numbers
    Bound       exact: the same look-ups, in the same order
    Source      this package

    >>> from tinycompress.bags import bag_from_lists
    >>> from tinycompress.fields import Field
    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[3.0]]), "b0": np.array([0.5])}
    >>> words = Field("words", 2, "query", bag_from_lists([[0, 1], [1]]))
    >>> per_entity(params, [words], Architecture(rows=(2,), columns=(1,), hidden=()))[0]["table0"].tolist()
    [[3.0], [2.0]]
    """
    tables = {f"table{f}": look_up(params[f"table{f}"], field.values, field.pooling) for f, field in enumerate(fields)}
    return {**params, **tables}, replace(architecture, rows=tuple(len(table) for table in tables.values()), pooling=())


def top_k(scores: Array, k: int) -> NDArray[np.intp]:
    """Return the indices of the K best of each row, best first.

    Shapes      scores (..., L) -> (..., min(K, L))
    Convention  equal scores: the lower index first
    Raises      ValueError if k is negative, or scores are integers: the least one has no negative, and unsigned ones have none
    Source      this package

    >>> top_k(np.array([[1.0, 3.0, 3.0, 2.0]]), 2)
    array([[1, 2]])
    """
    if k < 0:
        raise ValueError(f"k is {k}; ask for 0 or more items")
    if scores.dtype.kind != "f":
        raise ValueError(f"scores are {scores.dtype}; rank floating-point numbers: use .astype(np.float64)")
    n = scores.shape[-1]
    if 0 < k < n // 64:
        best = [_top_of_long(row, k) for row in scores.reshape(-1, n)]
        return np.array(best, np.intp).reshape(*scores.shape[:-1], k)
    return np.argsort(-scores, axis=-1, kind="stable")[..., :k]


def _top_of_long(scores: Array, k: int) -> NDArray[np.intp]:
    """Whatever is among the K best is no worse than the K-th best of the maxima of runs: sort only those that reach it."""
    run = len(scores) // (8 * k)  # at least 8 K runs
    maxima = scores[: 8 * k * run].reshape(8 * k, run).max(axis=1)
    near = np.flatnonzero(scores >= np.partition(maxima, -k)[-k])
    if len(near) < k:  # a NaN is no number to be reached; argsort puts it last
        near = np.arange(len(scores))
    return near[np.argsort(-scores[near], kind="stable")[:k]]
