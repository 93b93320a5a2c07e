"""Training on raw and compressed data at once: what that can honestly mean, as one loss.

    L = (1 - b) mean of l over the raw rows + b sum_i w_i l_i / sum_i w_i over the compressed rows                          (1)

b = 0 is raw training, bit by bit; b = 1 never looks at the raw rows; in between every step takes a batch of each. Where the
compressed rows come from is free: exact unique rows, herded or weighted subsets, synthetic rows, rows labelled by a teacher.
The same sentence with "parameters" for "rows" gives joint training: the loss at the raw parameters and the loss at a compressed
view of them (masked, fake-quantized), so that both stay good.

Letters     l the loss of a row, w its weight, b the compressed share; n raw rows, m compressed rows; B rows of a batch, C classes
Not here: where compressed rows come from. Read next: condensation, synthetic_rows.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.ops import RowGradient, sigmoid, softmax
from tinycompress.recommender import Architecture, Gradients, Params, backward, forward

Array = NDArray[np.floating]
Objective = Callable[[Params, Any], tuple[float, Gradients]]


def dense_loss(raw: Array, compressed: Array, weights: Array, share: float) -> float:
    """Return (1) from the losses of single rows.

    Equation    (1)
    Shapes      raw (n,), compressed (m,), weights (m,) -> number
    Convention  a side without rows is left out, whatever its share
    Raises      ValueError if the share is not in [0, 1], or weights are negative, all zero, or not one per row
    Source      this package

    >>> dense_loss(np.array([1.0, 3.0]), np.array([8.0, 0.0]), np.array([1.0, 3.0]), share=0.5)
    2.0
    """
    d_raw, d_compressed = dense_loss_backward(raw, compressed, weights, share)
    return float(d_raw @ raw) + float(d_compressed @ compressed)  # (1) is linear in the losses


def dense_loss_backward(raw: Array, compressed: Array, weights: Array, share: float) -> tuple[Array, Array]:
    """Return d raw and d compressed of `dense_loss`: by how much each row counts.

    Equation    d raw = (1 - b) / n each,  d compressed = b w / sum w;  all together they sum to 1
    Shapes      raw (n,), compressed (m,), weights (m,) -> (n,), (m,)
    Raises      ValueError as dense_loss
    Source      from (1)

    >>> [d.tolist() for d in dense_loss_backward(np.zeros(2), np.zeros(2), np.array([1.0, 3.0]), share=0.5)]
    [[0.25, 0.25], [0.125, 0.375]]
    """
    _refuse_share(share)
    w = np.asarray(weights, np.float64)
    if w.shape != compressed.shape or (w < 0).any() or (w.size and not w.sum() > 0):
        raise ValueError(f"{w.size} weights for {compressed.size} rows; give one >= 0 per row, not all zero")
    return np.full(len(raw), (1 - share) / max(len(raw), 1)), share * w / w.sum() if w.size else w


def weighted(architecture: Architecture, loss: str) -> Objective:
    """Return the objective that fits labels of rows that count differently; labels may be probabilities.

    Equation    L = sum_i w_i l_i / sum_i w_i
    Shapes      batch = (inputs, labels, weights (B,)); for "bce" labels (B,) in [0, 1], for "cross_entropy" labels (B,), or
                (B, C) with rows that sum to 1
    Raises      ValueError if the loss is neither "bce" nor "cross_entropy"
    Source      this package

    >>> objective = weighted(Architecture(rows=(2,), columns=(1,), hidden=()), "bce")
    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[0.0]]), "b0": np.array([0.0])}
    >>> loss, grads = objective(params, ([np.array([0, 1])], np.array([1.0, 0.0]), np.array([3.0, 1.0])))
    >>> round(loss, 4), grads["b0"]
    (0.6931, array([-0.25]))
    """
    if loss not in ("bce", "cross_entropy"):
        raise ValueError(f"loss is {loss!r}; rows have weights of their own in 'bce' and 'cross_entropy'")

    def objective(params: Params, batch: Any) -> tuple[float, Gradients]:
        inputs, labels, weights = batch
        z, layers = forward(params, inputs, architecture)
        y = np.asarray(labels)
        w = np.asarray(weights / np.sum(weights), z.dtype)
        with np.errstate(under="ignore"):
            if loss == "bce":
                rows = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
                dz = w * (sigmoid(z) - y)
            else:
                y = np.eye(z.shape[1])[y] if y.ndim == 1 else y
                shifted = z - z.max(axis=1, keepdims=True)
                rows = np.log(np.exp(shifted).sum(axis=1)) - (y * shifted).sum(axis=1)
                dz = w[:, None] * (softmax(z) - y)
        return float(rows @ w), backward(dz.astype(z.dtype, copy=False), layers, params, inputs, architecture)

    return objective


def joint(raw: Objective, compressed: Objective, share: float) -> Objective:
    """Return the objective (1 - share) raw + share compressed, on a pair of batches.

    Shapes      batch = (batch of raw, batch of compressed)
    Convention  at share 0 or 1 the other objective is not even evaluated, so that its numbers cannot disturb a single bit
    Raises      ValueError if the share is not in [0, 1]
    Source      (1)

    >>> square = lambda params, batch: (float(batch * params["w"][0] ** 2), {"w": 2 * batch * params["w"]})
    >>> joint(square, square, 0.25)({"w": np.array([1.0])}, (4.0, 8.0))
    (5.0, {'w': array([10.])})
    """
    _refuse_share(share)

    def objective(params: Params, batch: Any) -> tuple[float, Gradients]:
        if share in (0, 1):
            return (compressed if share else raw)(params, batch[int(share)])
        (l_raw, g_raw), (l_compressed, g_compressed) = raw(params, batch[0]), compressed(params, batch[1])
        total = (1 - share) * l_raw + share * l_compressed
        return total, {key: _blend(g_raw[key], g_compressed[key], share) for key in g_raw}

    return objective


def seen_through(
    objective: Objective, view: Callable[[Params], Params], view_backward: Callable[[Any, Params], Any]
) -> Objective:
    """Return the objective at the view of the parameters, with the gradient brought back to the parameters themselves.

    Equation    L(theta) = L(view(theta));  with `joint`: (1 - b) L(theta) + b L(view(theta)), given the same batch twice
    Shapes      as the objective's and the view's
    Source      the chain rule

    >>> square = lambda params, batch: (float(params["w"][0] ** 2), {"w": 2 * params["w"]})
    >>> seen_through(square, lambda p: {"w": 3 * p["w"]}, lambda g, p: {"w": 3 * g["w"]})({"w": np.array([1.0])}, None)
    (9.0, {'w': array([18.])})
    """

    def seen(params: Params, batch: Any) -> tuple[float, Gradients]:
        value, grads = objective(view(params), batch)
        return value, view_backward(grads, params)

    return seen


def taught(
    architecture: Architecture,
    teacher: Callable[[Sequence[Any]], Array],
    loss: Callable[[Array, Array, Any], tuple[float, Array]],
) -> Objective:
    """Return the objective in which a student learns from a teacher's answers to the very same batch.

    Shapes      batch = (inputs, labels); teacher(inputs) and the student's logits have equal shapes;
                loss(student_logits, teacher_logits, labels) -> number, d student_logits
    Convention  the teacher is asked inside the objective, with the batch at hand: shuffling cannot separate its answers from
                their rows, and since only the student's parameters come in, nothing can update it
    Raises      ValueError if the two disagree in shape
    Source      this package

    >>> student = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[0.0]]), "b0": np.array([0.0])}
    >>> objective = taught(
    ...     Architecture(rows=(2,), columns=(1,), hidden=()), lambda inputs: np.array([3.0]), lambda s, t, y: (0.0, s - t)
    ... )
    >>> objective(student, ([np.array([1])], None))[1]["b0"]
    array([-3.])
    """

    def objective(params: Params, batch: Any) -> tuple[float, Gradients]:
        inputs, labels = batch
        known = teacher(inputs)
        logits, layers = forward(params, inputs, architecture)
        if known.shape != logits.shape:
            raise ValueError(f"the teacher's logits have shape {known.shape} and the student's {logits.shape}; make them equal")
        value, dlogits = loss(logits, known, labels)
        return value, backward(dlogits, layers, params, inputs, architecture)

    return objective


def _blend(a: Array | RowGradient, b: Array | RowGradient, share: float) -> Array | RowGradient:
    """(1 - share) a + share b; two gradients of few rows make one of few rows."""
    if isinstance(a, RowGradient) and isinstance(b, RowGradient):
        rows = np.union1d(a.rows, b.rows)
        values = np.zeros((len(rows), a.values.shape[1]), a.values.dtype)
        values[np.searchsorted(rows, a.rows)] = (1 - share) * a.values
        values[np.searchsorted(rows, b.rows)] += share * b.values
        return RowGradient(rows, values, a.shape)
    x, y = (g.dense() if isinstance(g, RowGradient) else g for g in (a, b))
    return (1 - share) * x + share * y


def _refuse_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it is the compressed part of the loss, between 0 and 1")
