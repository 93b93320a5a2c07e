"""A product model without a learning rate: with one side fixed, the best rows of the other are small linear systems.

Who met what is a matrix of ones and zeros. A product model u . i that fits it by weighted least squares, the many zeros counting
less than the few ones, is quadratic in each row while the other table stays: each half step is the exact best of its side, and
the loss never rises. No epochs, no negatives to draw, and H of every row is known exactly: what loss_weighted asks for.

Letters     X (N, M) 1 where row n met column m, else 0; u, i the rows of the two tables U (N, D), I (M, D); a weight of what was
            not met, r decay; H (N, D, D), g (N, D) of the quadratic of each row; n_u how many ones row u has; E the identity
Not here: the same model trained on sampled negatives (recommender, training). Read next: rule, pruning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Array = npt.NDArray[Any]


class Quadratics(NamedTuple):
    """What each row minimises while the other table stays: 1/2 u^T H u - g^T u, up to a constant."""

    h: Array  # (N, D, D)
    g: Array  # (N, D)

    @property
    def best(self) -> Array:
        """The row with the least of it: (N, D)."""
        return np.asarray(np.linalg.solve(self.h, self.g[..., None])[..., 0])


def row_quadratics(x: Any, other: Array, unmet: float, decay: float) -> Quadratics:
    """Return the quadratic of each row of one side, the other side fixed.

    Equation    H_u = a I^T I + sum over i met by u of i i^T + r (n_u + a M) E,   g_u = (1 + a) sum over i met by u of i  (1)
    Shapes      x (N, M) sparse of zeros and ones, other (M, D) -> h (N, D, D), g (N, D)
    Units       time ~ (ones + N + M) D^2, where a sum over all pairs would take N M D^2; `best` adds N D^3. Memory ~ (N + M) D^2
    Convention  a pair that was met weighs 1 + a, one that was not weighs a. The decay of a row grows with the weight of its
                pairs, so that frequent and rare rows are shrunk alike (Zhou et al. 2008)
    Raises      ValueError if x does not fit other, x holds anything but ones and zeros, other is not finite, or unmet or decay is
                not positive
    Source      Hu, Koren, Volinsky 2008, Collaborative Filtering for Implicit Feedback Datasets, equation 4

    >>> one = row_quadratics(csr_array([[1.0, 0.0]]), np.array([[2.0], [1.0]]), unmet=0.5, decay=0.25)
    >>> one.h.tolist(), one.g.tolist(), one.best.tolist()      # 0.5 (4 + 1) + 4 + 0.25 (1 + 1);  1.5 * 2
    ([[[7.0]]], [[3.0]], [[0.42857142857142855]])
    """
    x = _ones(x)
    other = _table(other, x.shape[1], unmet, decay)
    d = other.shape[1]
    with np.errstate(under="ignore"):
        products = (other[:, :, None] * other[:, None, :]).reshape(len(other), d * d)
        h = (x @ products).reshape(-1, d, d) + unmet * (other.T @ other)
        weight = x.sum(axis=1) + unmet * len(other)
        return Quadratics(h + decay * weight[:, None, None] * np.eye(d), (1 + unmet) * (x @ other))  # (1)


def squared_loss(x: Any, users: Array, items: Array, unmet: float, decay: float) -> float:
    """Return what `alternate` makes small, without ever forming the N x M matrix of predictions.

    Equation    1/2 sum over pairs of (a + X) (X - u . i)^2 + r/2 (sum of w_u |u|^2 + sum of w_i |i|^2),
                w_u = n_u + a M, w_i = n_i + a N                                                                     (2)
    Shapes      x (N, M), users (N, D), items (M, D) -> a number
    Raises      ValueError as row_quadratics
    Source      Hu, Koren, Volinsky 2008, equation 3, with the decay of row_quadratics

    >>> squared_loss(csr_array([[1.0, 0.0]]), np.array([[1.0]]), np.array([[1.0], [2.0]]), unmet=0.5, decay=1.0)
    3.75
    """
    x = _ones(x).tocoo()
    users, items = _table(users, x.shape[0], unmet, decay), _table(items, x.shape[1], unmet, decay)
    with np.errstate(under="ignore"):
        met = np.einsum("nd,nd->n", users[x.row], items[x.col])
        all_pairs = ((users.T @ users) * (items.T @ items)).sum()  # the sum of (u . i)^2 over all pairs
        fit = unmet * (all_pairs - (met**2).sum()) + ((1 + unmet) * (1 - met) ** 2).sum()
        w_u, w_i = x.sum(axis=1) + unmet * x.shape[1], x.sum(axis=0) + unmet * x.shape[0]
        return float(fit + decay * (w_u @ (users**2).sum(axis=1) + w_i @ (items**2).sum(axis=1))) / 2  # (2)


def alternate(
    x: Any, columns: int, rng: np.random.Generator, unmet: float = 0.02, decay: float = 0.02, rounds: int = 12
) -> tuple[Array, Array]:
    """Return the two tables of a product model: users and items.

    Equation    in turn: U <- best of row_quadratics(X, I), I <- best of row_quadratics(X^T, U)
    Shapes      x (N, M) sparse of zeros and ones -> users (N, D), items (M, D), float64
    Bound       squared_loss never rises: each half step is the exact minimum over its table (up to rounding)
    Convention  items start at random with length about 0.1. The defaults suit one gift shop's purchases: choose them anew for
                other data. What is scored near 1 was met, so 1/2 is the natural threshold. A row that met nothing is 0
    Raises      ValueError as row_quadratics, or if columns or rounds is below 1, or x has no rows or no columns
    Source      Hu, Koren, Volinsky 2008

    >>> x = csr_array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> users, items = alternate(x, 2, np.random.default_rng(0))
    >>> (np.abs(users @ items.T).round(1)).tolist()
    [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    """
    if columns < 1 or rounds < 1:
        raise ValueError(f"{columns} columns, {rounds} rounds; both must be at least 1")
    x = _ones(x)
    if 0 in x.shape:
        raise ValueError(f"x has shape {x.shape}; give at least one row and one column: each side is fitted to the other")
    turned = csr_array(x.T)
    items = rng.standard_normal((x.shape[1], columns)) * (0.1 / np.sqrt(columns))
    for _ in range(rounds):
        users = row_quadratics(x, items, unmet, decay).best
        items = row_quadratics(turned, users, unmet, decay).best
    return users, items


def _ones(x: Any) -> Any:
    """x in float64, each pair once, and no zero stored: what is stored was met."""
    x = csr_array(x, dtype=np.float64, copy=True)
    x.sum_duplicates()
    x.eliminate_zeros()
    if x.ndim != 2 or not (x.data == 1).all():
        found = f"{x.data[x.data != 1][:1]}" if x.ndim == 2 else f"{x.ndim} axis"
        raise ValueError(f"x holds {found}; give rows and columns: 1 where a pair was met, 0 elsewhere")
    return x


def _table(rows: npt.ArrayLike, count: int, unmet: float, decay: float) -> Array:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or len(rows) != count or not (0 < unmet < np.inf and 0 < decay < np.inf):
        raise ValueError(f"a table {rows.shape} for {count} in x, unmet {unmet}, decay {decay}; a row for each, both positive")
    if not np.isfinite(rows).all():
        raise ValueError(f"a table of shape {rows.shape} holds {rows[~np.isfinite(rows)][0]}; give finite rows")
    return rows
