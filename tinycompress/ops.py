"""The arithmetic of the network: linear, relu, sigmoid, softmax, embedding, embedding bag, each with its `_backward` below it.

Every function is pure. A `_backward` takes the gradient dy of what the forward returned, then exactly those arguments that
the forward pass must have kept; it returns the gradients of the forward's arguments in their order.

Letters     x activations, w weights, b bias, y output, dx = dL/dx with the shape of x
            B rows of a batch, I inputs, O outputs, V rows and D columns of a table, U of its rows, each once, C classes,
            T temperature
Not here: losses, initial values, updates. Read next: losses, recommender.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tinycompress.bags import Bag

Array = NDArray[np.floating]
Codes = NDArray[np.integer]


@dataclass(frozen=True)
class RowGradient:
    """The gradient of a table of which a batch used few rows: zero everywhere else, and never stored there."""

    rows: Codes  # (U,) sorted, distinct
    values: Array  # (U, D)
    shape: tuple[int, int]  # (V, D) of the table

    def dense(self) -> Array:
        """The same gradient as an array (V, D)."""
        full = np.zeros(self.shape, self.values.dtype)
        full[self.rows] = self.values
        return full


def linear(x: Array, w: Array, b: Array) -> Array:
    """Return the affine map of each row.

    Equation    y = x w + b                                                                                        (1)
    Shapes      x (B, I), w (I, O), b (O,) -> y (B, O)
    Source      textbook

    >>> linear(np.array([[1.0, 2.0]]), np.array([[0.5], [0.25]]), np.array([1.0]))
    array([[2.]])
    """
    y = x @ w  # (1)
    y += b
    return y


def linear_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return dx, dw, db of `linear`.

    Equation    from (1): dx = dy w^T,  dw = x^T dy,  db = sum over rows of dy
    Shapes      dy (B, O), x (B, I), w (I, O) -> (B, I), (I, O), (O,)
    Source      textbook

    >>> linear_backward(np.array([[2.0]]), np.array([[1.0, 3.0]]), np.array([[0.5], [0.25]]))[1].tolist()
    [[2.0], [6.0]]
    """
    db = np.ones(len(dy), dy.dtype) @ dy  # the sum over rows as a product: BLAS is ten times faster than sum(axis=0) here
    return dy @ w.T, x.T @ dy, db


def relu(x: Array) -> Array:
    """Return max(x, 0); a NaN stays a NaN.

    Shapes      x (...) -> y (...)
    Source      textbook

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, np.zeros_like(x))  # twice as fast as np.maximum(x, 0): a scalar operand misses the vector loop


def relu_backward(dy: Array, x: Array) -> Array:
    """Return dx of `relu`.

    Equation    dx = dy where x > 0, else 0
    Shapes      dy (...), x (...) -> dx (...)
    Convention  the derivative at 0 is 0, as in torch and TensorFlow. Because y > 0 exactly where x > 0, the output y may
                stand in for x: a network need not keep both.
    Source      textbook

    >>> relu_backward(np.array([5.0, 5.0, 5.0]), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 5.])
    """
    return dy * (x > 0)


def sigmoid(x: Array) -> Array:
    """Return the logistic function, without overflow at either end.

    Equation    y = 1 / (1 + exp(-x)) = exp(min(x, 0)) / (1 + exp(-|x|))                                           (2)
    Shapes      x (...) -> y (...)
    Limits      x -> -inf: exp(x), exact to the last subnormal; x -> inf: 1
    Source      textbook

    >>> sigmoid(np.array([0.0, -1e4, 1e4]))
    array([0.5, 0. , 1. ])
    """
    with np.errstate(under="ignore"):  # exp(-1e4) is 0, which is right
        y: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))  # (2)
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Return dx of `sigmoid`, from its output.

    Equation    dx = dy y (1 - y)
    Shapes      dy (...), y (...) -> dx (...)
    Source      textbook

    >>> sigmoid_backward(np.array([1.0]), np.array([0.5]))
    array([0.25])
    """
    return dy * y * (1 - y)


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Return the probabilities of each row of logits at temperature T.

    Equation    p_c = exp(u_c) / sum_j exp(u_j),  u = (logits - max logits) / T                                     (3)
    Shapes      logits (..., C) -> p (..., C)
    Limits      T -> inf: 1 / C each; T -> 0: all on the largest logit (shared where several are largest)
    Raises      ValueError if the temperature is not positive
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), equation 1

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it divides the logits, so it must be positive")
    with np.errstate(under="ignore", over="ignore"):  # far below the maximum: u may be -inf, and exp(u) is 0
        # subtle: the maximum goes before the division, so that logits of 1e4 at T = .01 meet no infinity but -inf
        p: Array = np.exp((logits - logits.max(axis=-1, keepdims=True, initial=-np.inf)) / logits.dtype.type(temperature))
        p /= p.sum(axis=-1, keepdims=True)  # (3)
    return p


def softmax_backward(dy: Array, p: Array, temperature: float = 1.0) -> Array:
    """Return d logits of `softmax`, from its output.

    Equation    dz = p (dy - sum_j dy_j p_j) / T
    Shapes      dy (..., C), p (..., C) -> (..., C)
    Source      from (3)

    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    dz: Array = p * (dy - (dy * p).sum(axis=-1, keepdims=True)) / p.dtype.type(temperature)
    return dz


def embedding(table: Array, codes: Codes) -> Array:
    """Return one row of the table per code.

    Equation    y_i = table[codes_i]
    Shapes      table (V, D), codes (B,) -> y (B, D)
    Raises      ValueError if a code has no row
    Source      textbook

    >>> embedding(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0]))
    array([[3., 4.],
           [1., 2.]])
    """
    _refuse_foreign_codes(codes, len(table))
    return table.take(codes, axis=0)


def embedding_backward(dy: Array, codes: Codes, rows: int) -> RowGradient:
    """Return the gradient of the table: for each row that was used, the sum of dy over its uses.

    Equation    dtable[v] = sum of dy_i over i with codes_i = v
    Shapes      dy (B, D), codes (B,), rows = V -> rows (U,), values (U, D)
    Convention  cost grows with B log B, not with V: sort the codes, then add up each run of equal codes
    Source      this package

    >>> embedding_backward(np.array([[1.0], [2.0], [4.0]]), np.array([1, 0, 1]), 3).dense().tolist()
    [[2.0], [5.0], [0.0]]
    """
    order = _sorting(codes, rows)
    used, first = _runs(codes[order])
    bounds = np.append(first, len(codes))
    # a product with a 0/1 matrix adds whole rows in compiled code; np.add.at is tens of times slower
    values = csr_array((np.ones(len(codes), dy.dtype), order, bounds), shape=(len(used), len(codes))) @ dy
    return RowGradient(used, values, (rows, dy.shape[1]))


def embedding_bag(table: Array, bag: Bag, pooling: str = "sum") -> Array:
    """Return, per bag of codes, the sum or the mean of their rows.

    Equation    y_i = c_i sum of table[v] over the codes v of bag i,  c_i = 1 (sum) or 1 / length of bag i (mean)   (4)
    Shapes      table (V, D), bag of B bags -> y (B, D)
    Convention  an empty bag gives zeros under both poolings
    Raises      ValueError if a code has no row, or the pooling is unknown
    Source      textbook

    >>> embedding_bag(np.array([[1.0], [3.0]]), Bag(np.array([0, 1, 1]), np.array([0, 2, 3, 3])), "mean")
    array([[2.],
           [3.],
           [0.]])
    """
    _refuse_foreign_codes(bag.codes, len(table))
    weights = _bag_weights(bag, pooling, table.dtype)
    return np.asarray(csr_array((weights, bag.codes, bag.offsets), shape=(len(bag), len(table))) @ table)  # (4)


def embedding_bag_backward(dy: Array, bag: Bag, rows: int, pooling: str = "sum") -> RowGradient:
    """Return the gradient of the table of `embedding_bag`.

    Equation    dtable[v] = sum over bags i, once for each v in bag i, of c_i dy_i
    Shapes      dy (B, D), bag of B bags, rows = V -> rows (U,), values (U, D)
    Raises      ValueError if the pooling is unknown
    Source      from (4)

    >>> embedding_bag_backward(np.array([[2.0], [5.0]]), Bag(np.array([0, 1, 1]), np.array([0, 2, 3])), 3, "mean").dense()
    array([[1.],
           [6.],
           [0.]])
    """
    weights = _bag_weights(bag, pooling, dy.dtype)
    order = _sorting(bag.codes, rows)
    used, first = _runs(bag.codes[order])
    owner = np.repeat(np.arange(len(bag)), np.diff(bag.offsets))  # the bag that each code stands in
    bounds = np.append(first, len(bag.codes))
    values = csr_array((weights[order], owner[order], bounds), shape=(len(used), len(bag))) @ dy
    return RowGradient(used, np.asarray(values), (rows, dy.shape[1]))


def _sorting(codes: Codes, rows: int) -> NDArray[np.intp]:
    """The stable order of the codes. NumPy sorts 16-bit integers by radix, several times faster than wider ones."""
    return (codes.astype(np.uint16) if rows <= 1 << 16 else codes).argsort(kind="stable")


def _runs(ordered: Codes) -> tuple[Codes, Codes]:
    """The distinct values of a sorted array, and where each begins."""
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    first = np.flatnonzero(new)
    return ordered[first], first


def _bag_weights(bag: Bag, pooling: str, dtype: np.dtype) -> Array:
    if pooling not in ("sum", "mean"):
        raise ValueError(f"pooling is {pooling!r}; use 'sum' or 'mean'")
    lengths = np.diff(bag.offsets)
    weights = np.ones(len(bag)) if pooling == "sum" else 1 / np.maximum(lengths, 1)
    return np.repeat(weights, lengths).astype(dtype)


def _refuse_foreign_codes(codes: Codes, rows: int) -> None:
    if len(codes) and not 0 <= codes.min() <= codes.max() < rows:
        raise ValueError(f"codes run from {codes.min()} to {codes.max()}; the table has rows 0 to {rows - 1}")
