"""A codebook for each column of a table, or for a few columns together, and how such levels are trained.

Columns of an embedding table differ in spread, above all after a rotation to the balanced basis: one codebook for all would give
the narrow ones a single level. Codes stay as they are while levels learn: each receives what the values it stands for receive.

Letters     x values, w their weights, q codes, c_a level a of A, n_a how often it is used, b_a bits of its code, C columns
Not here: how levels are found (codebooks, priced_levels). Read next: product_quantization.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import Codebook, as_weights
from tinycompress.priced_levels import code_lengths

Array = npt.NDArray[Any]


class ColumnCodebooks(NamedTuple):
    """A codebook for every `group` neighbouring columns."""

    levels: tuple[Array, ...]  # ceil(C / group) rows of levels, each as long as it needs
    codes: Array  # (..., C)
    group: int


def by_columns(
    x: npt.ArrayLike, fit: Callable[..., Codebook], group: int = 1, weight: npt.ArrayLike | None = None
) -> ColumnCodebooks:
    """Return a codebook for each column, or for each `group` neighbouring columns.

    Shapes      x (..., C), weight as x -> ceil(C / group) rows of levels, codes (..., C)
    Convention  fit is called as fit(values, weight=weights), e.g. functools.partial(k_means, n_levels=16). One codebook for
                everything is group = C; for codebooks of rows give x.T. Columns of unlike spread want codebooks of their own,
                few values want few codebooks: each level is a number to be stored
    Raises      ValueError if group is below 1 or x has no columns
    Source      this package

    >>> from tinycompress.codebooks import k_means
    >>> x = np.array([[0.0, 5.0], [1.0, 5.0], [0.0, 9.0]])
    >>> [c.tolist() for c in by_columns(x, lambda v, weight: k_means(v, 2, weight)).levels]
    [[0.0, 1.0], [5.0, 9.0]]
    """
    x = np.asarray(x)
    if group < 1 or x.ndim < 1 or not x.size:
        raise ValueError(f"x has shape {x.shape}, the group is {group} columns; give values, and a group of 1 or more")
    w = as_weights(weight, x.shape)
    parts = [slice(i, i + group) for i in range(0, x.shape[-1], group)]
    books = [fit(x[..., part], weight=w[..., part]) for part in parts]
    return ColumnCodebooks(tuple(b.levels for b in books), np.concatenate([b.codes for b in books], axis=-1), group)


def decode(books: ColumnCodebooks) -> Array:
    """Return the values that the codes stand for.

    Equation    x^ = c_q, c the codebook of the column
    Shapes      codes (..., C) -> (..., C)
    Gradient    decode_backward
    Source      Han, Mao, Dally 2016

    >>> decode(ColumnCodebooks((np.array([0.5, 2.0]),), np.array([[1, 0, 1]]), 3))
    array([[2. , 0.5, 2. ]])
    """
    width, codes = books.group, books.codes
    return np.concatenate([c[codes[..., i * width : (i + 1) * width]] for i, c in enumerate(books.levels)], axis=-1)


def decode_backward(dx: Array, books: ColumnCodebooks) -> tuple[Array, ...]:
    """Return the gradient of each level: levels can be trained while the codes stay.

    Equation    dc_a = sum of dx over the values with q = a
    Shapes      dx (..., C) -> rows as those of levels
    Source      Han, Mao, Dally 2016, equation 3

    >>> decode_backward(np.array([[1.0, 0.5, 2.0]]), ColumnCodebooks((np.array([0.5, 2.0]),), np.array([[1, 0, 1]]), 3))
    (array([0.5, 3. ]),)
    """
    parts = [slice(i * books.group, (i + 1) * books.group) for i in range(len(books.levels))]
    sums = (np.bincount(books.codes[..., p].ravel(), dx[..., p].ravel(), c.size) for p, c in zip(parts, books.levels))
    return tuple(d.astype(dx.dtype) for d in sums)


def stored_bits(books: ColumnCodebooks, level_bits: int = 32) -> float:
    """Return the bits of codes and codebooks together, for an ideal coder that knows how often each code of a column occurs.

    Equation    sum over columns of sum n_a b_a  +  level_bits sum over codebooks of A
    Shapes      codes (..., C) -> a number
    Convention  the coder has a context for every column, also where columns share a codebook. It must learn or be told the
                counts; that is not in here (coding.adaptive_bits has it)
    Source      Shannon 1948

    >>> stored_bits(ColumnCodebooks((np.array([0.0, 1.0]), np.array([2.0])), np.array([[0, 0], [1, 0]]), 1))
    98.0
    """
    lengths = (np.where(np.isfinite(b := code_lengths(q, int(q.max()) + 1)), b, 0)[q] for q in np.moveaxis(books.codes, -1, 0))
    return float(sum(b.sum() for b in lengths)) + level_bits * sum(c.size for c in books.levels)
