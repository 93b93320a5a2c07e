"""The K best products of a whole catalogue for one user or one query, again and again, as a server is asked for them.

Most of what a score takes is the same for every request, or the same for every product. The first layer adds up what the fields
bring (or multiplies it), so a product's share is worked out once, when the catalogue is loaded, and a request's share once per
request; left for each pair are joining the two and the layers above:

    concat     h_0 w_0 + b_0 = P_v + r              P_v, r: sum of table_f[code_f] w_0f over the product's, the request's fields,
                                                    w_0f the rows of w_0 that meet field f; r takes b_0 too              (1)
    product    h_0 w_0 + b_0 = P_v (r * w_0) + b_0  P_v, r: product of the rows table_f[code_f]; r_d times row d of w_0   (2)

So a model that multiplies its fields and has no hidden layer leaves one dot product per pair: the student that is fastest here.

Letters     V products, P their share of the first layer, r the request's share, I inputs and O outputs of the first layer,
            D columns of a table, F fields, w weights, b bias, h what a layer puts out, C classes, K best products,
            u unit roundoff
Not here: pairs of many users at once (scoring), finding the best without scoring all (approximate nearest neighbours).
Read next: optimizers.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinycompress.recommender import Architecture, Array, Input, Params, look_up
from tinycompress.scoring import ranking_scores, top_k, upper_layers

Ranker: TypeAlias = "Callable[[Sequence[Input], int], tuple[NDArray[np.intp], Array]]"


def ranker(
    params: Params,
    architecture: Architecture,
    items: Sequence[Input | None],
    gains: Sequence[float] = (),
    block: int | None = None,
) -> Ranker:
    """Return the function from a request and K to the K best products, best first, and their scores.

    Equation    (1) or (2), then h <- relu(h) w_l + b_l for the layers above, `scoring.ranking_scores`, `scoring.top_k`
    Shapes      items: for each field the codes (V,) or V bags of the catalogue, or None where the request brings them;
                request: for each field that is None one code (1,) or one bag -> products (min(K, V),), scores (min(K, V),)
    Bound       layer by layer, |y - forward's y| <= 2 gamma_n (|h| |w| + |b|), gamma_n = n u / (1 - n u), for equal h: n is
                I + 1 as in `scoring.predictor`, but I + F in the first layer under product: there each term of the sum is a
                product of F + 1 numbers, rounded F times on either side, in whatever order
    Convention  equal scores: the lower product first. Products are scored in blocks, by default of 2^17 numbers in the widest
                layer, which stay in a level 2 cache. Memory: P, which is (V, O) for concat and (V, D) for product; where that
                is too much, `scoring.predictor(expected=0)` prepares nothing. The parameters must not change afterwards: some
                are read at once, some at each request.
    Raises      ValueError if items or request do not fit the fields or each other, or a code has no row
    Source      this package

    >>> params = {"table0": np.array([[1.0], [2.0]]), "table1": np.array([[3.0], [5.0], [4.0]])}
    >>> params |= {"w0": np.ones((2, 1)), "b0": np.array([0.5])}
    >>> rank = ranker(params, Architecture(rows=(2, 3), columns=(1, 1), hidden=()), items=[None, np.arange(3)])
    >>> products, scores = rank([np.array([1])], 2)
    >>> products.tolist(), scores.tolist()
    ([1, 2], [7.5, 6.5])
    """
    count = _number_of_products(items, architecture)
    asked = [f for f, field in enumerate(items) if field is None]
    concat = architecture.join == "concat"
    combine = operator.add if concat else operator.mul
    w0, b0 = params["w0"], params["b0"]
    block = max(1, min(count, block or 2**17 // max(16, *architecture.widths[1:])))
    w0f = np.split(w0, np.cumsum(architecture.columns)[:-1]) if concat else []
    finish = upper_layers(params, architecture, block)

    def share(f: int, field: Input) -> Array:
        rows = look_up(params[f"table{f}"], field, architecture.pool(f))
        return rows @ w0f[f] if concat else rows

    P: Array = functools.reduce(combine, (share(f, field) for f, field in enumerate(items) if field is not None))

    def rank(request: Sequence[Input], k: int) -> tuple[NDArray[np.intp], Array]:
        if [len(field) for field in request] != [1] * len(asked):
            lengths = [len(field) for field in request]
            raise ValueError(f"a request of {lengths} rows for the fields {asked}; give one row of each")
        shares = (share(f, field) for f, field in zip(asked, request, strict=True))
        r = functools.reduce(combine, shares, b0 if concat else np.ones(len(w0), w0.dtype))
        w = None if concat else r.reshape(-1, 1) * w0
        row = np.tile(r if concat else b0, (block, 1))  # tiled for the reason given in upper_layers
        scores = np.empty(count, b0.dtype)
        for start in range(0, count, block):
            h = P[start : start + block]
            h = (h if w is None else h @ w) + row[: len(h)]  # (1), (2)
            logits = finish(h)
            scores[start : start + block] = ranking_scores(logits[:, 0] if architecture.outputs == 1 else logits, gains)
        best = top_k(scores, k)
        return best, scores[best]

    return rank


def _number_of_products(items: Sequence[Input | None], architecture: Architecture) -> int:
    if len(items) != len(architecture.rows):
        raise ValueError(f"{len(items)} items for {len(architecture.rows)} fields; give one per field, None for the request's")
    lengths = {len(field) for field in items if field is not None}
    if len(lengths) != 1:
        raise ValueError(f"the catalogue's fields have {sorted(lengths)} rows; at least one field must, and all the same number")
    return lengths.pop()
