"""How much a change of each embedding row costs a trained model: one small matrix per row, from the examples that use it.

Near a minimum the summed loss rises by 1/2 d^T H d when a row changes by d. H is read off the model with nothing but its own
backward pass: with a row of its own for every example, the gradient of that table is one row per example, which is the jacobian j
of that example's logit. A ranking is blind to one direction of change: what moves all logits of one user or query alike. If each
row of the table has a list of its own to rank, that direction can be left out, and bits go to what the ranking sees.

Letters     B examples, V rows of a table, D its columns, C classes, j jacobian (B, D), k curvature of the loss by the logit (B,),
            c_vn how much of row v is in example n, H (V, D, D), I the identity
Not here: codes chosen with H (loss_weighted, coded_tables). Read next: coded_tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Bag, take
from tinycompress.loss_weighted import row_gauss_newton
from tinycompress.ops import sigmoid, softmax
from tinycompress.recommender import Architecture, Input, Params, backward, forward, look_up

Array = npt.NDArray[Any]


def table_curvature(
    params: Params, inputs: Sequence[Input], architecture: Architecture, field: int, shift_free: bool = False, block: int = 8192
) -> Array:
    """Return H of every row of one table, for the sum of the losses of these examples: bce for one logit, else cross entropy.

    Equation    H_v = sum over examples n of c_vn^2 k_n j_n j_n^T                                                     (1)
                shift_free:  H_v - s s^T / m,  s = sum of k_n j_n,  m = sum of k_n, over the examples of v             (2)
    Shapes      inputs of B examples, one per field -> (V, D, D)
    Bound       (1) is the Hessian of each row where logits are linear in it, which relu leaves them but at its kinks: nothing is
                left out but what rows of one bag do together. It is positive semidefinite; so is (2), whose d^T H d is the least
                that sum of k (j . d - shift)^2 can be: (1) where all logits of the row may shift together
    Convention  c_vn: 1 for a code; for a bag how often v stands in it, divided by the bag's length where it is averaged. A row
                that no example uses has H = 0. C classes: C terms for each example, with j_c - sum over c of p_c j_c for j and
                p_c for k. `block` examples are taken at a time, for memory's sake
    Raises      ValueError if the inputs do not fit the architecture or each other, the field does not exist, block is below 1, or
                shift_free is asked for bags or classes, whose rows own no list
    Source      Schraudolph 2002; (2): the Schur complement, textbook

    >>> params = {"table0": np.array([[1.0, 0.0]]), "table1": np.array([[2.0, 0.0], [0.0, 4.0]])}
    >>> params |= {"w0": np.ones((2, 1)), "b0": np.array([-2.0])}
    >>> shape = Architecture(rows=(1, 2), columns=(2, 2), hidden=(), join="product")
    >>> inputs = [np.array([0, 0]), np.array([0, 0])]                       # the logit is 0 twice: k = 1/4, j = (2, 0)
    >>> table_curvature(params, inputs, shape, 0).tolist()
    [[[2.0, 0.0], [0.0, 0.0]]]
    >>> table_curvature(params, inputs, shape, 0, shift_free=True).tolist()  # both logits move alike: no ranking sees it
    [[[0.0, 0.0], [0.0, 0.0]]]
    """
    counts = {len(x) for x in inputs}
    if not 0 <= field < len(inputs) == len(architecture.rows) or len(counts) > 1 or block < 1:
        found = f"field {field}, {len(inputs)} inputs of {sorted(counts)} examples, block {block}"
        raise ValueError(f"{found}, for {len(architecture.rows)} fields; give one input each, equally long, and a block of 1 up")
    if shift_free and (isinstance(inputs[field], Bag) or architecture.outputs > 1):
        kind = "bags" if isinstance(inputs[field], Bag) else f"{architecture.outputs} classes"
        raise ValueError(f"shift_free with {kind}: a shift of all logits has no meaning there; leave it False")
    v, d = architecture.rows[field], architecture.columns[field]
    h, s, m = np.zeros((v, d, d)), np.zeros((v, d)), np.zeros(v)
    count = len(inputs[field])
    with np.errstate(under="ignore"):
        for start in range(0, count, block):
            index = np.arange(start, min(start + block, count))
            part = [take(x, index) if isinstance(x, Bag) else x[index] for x in inputs]
            j, k = _jacobian(params, part, architecture, field)
            for j_c, k_c in zip(j, k):
                rows, j_row, k_row = _of_rows(part[field], j_c, k_c, architecture.pool(field))
                h += row_gauss_newton(rows, j_row, k_row, v) * len(rows)  # (1): that one is a mean
                if shift_free:
                    m += np.bincount(rows, k_row, v)
                    s += np.stack([np.bincount(rows, k_row * j_a, v) for j_a in j_row.T], axis=1)
        return without_shift(h, s, m) if shift_free else h


def without_shift(h: Array, s: Array, m: Array) -> Array:
    """Return H with the direction left out in which all logits of a row move alike: its minimum over a free shift.

    Equation    (2)
    Shapes      h (V, D, D), s (V, D), m (V,) -> (V, D, D)
    Convention  a row without examples, m = 0, keeps its H
    Source      the Schur complement, textbook

    >>> without_shift(np.array([[[2.0, 0.0], [0.0, 3.0]]]), np.array([[2.0, 0.0]]), np.array([2.0])).tolist()
    [[[0.0, 0.0], [0.0, 3.0]]]
    """
    return np.asarray(h - s[:, :, None] * s[:, None, :] / np.where(m > 0, m, 1)[:, None, None])  # (2)


def floored(h: Array, share: float = 0.02) -> Array:
    """Return H with a little of its mean added, so that a row which no example uses, or a direction none sees, stays near.

    Equation    H_v + share mean(diag H) I
    Shapes      (V, D, D) -> the same
    Limits      H = 0 everywhere: H + I
    Raises      ValueError if H is not square or share is not positive
    Source      this package; damping as in Frantar et al. 2023 (GPTQ)

    >>> floored(np.array([[[4.0]], [[0.0]]]), share=0.5).tolist()
    [[[5.0]], [[1.0]]]
    """
    if h.ndim != 3 or h.shape[1] != h.shape[2] or not 0 < share < np.inf:
        raise ValueError(f"H has shape {h.shape}, share is {share}; give (V, D, D) and a positive share")
    mean = float(np.einsum("vii->", h)) / max(h.shape[0] * h.shape[1], 1)
    return np.asarray(h + (share * mean if mean > 0 else 1.0) * np.eye(h.shape[1]))


def _jacobian(params: Params, inputs: Sequence[Input], architecture: Architecture, field: int) -> tuple[Array, Array]:
    """j (1 or C, B, D) of each example, and its curvature (1 or C, B)."""
    name, count = f"table{field}", len(inputs[field])
    looked_up = look_up(params[name], inputs[field], architecture.pool(field))
    own = replace(architecture, rows=(*architecture.rows[:field], count, *architecture.rows[field + 1 :]))
    inputs = [*inputs[:field], np.arange(count), *inputs[field + 1 :]]  # a row of its own for each example
    logits, layers = forward({**params, name: looked_up}, inputs, own)

    def of(dlogits: Array) -> Array:
        gradient: Any = backward(dlogits, layers, {**params, name: looked_up}, inputs, own)[name]
        return np.asarray(gradient.values, np.float64)

    if architecture.outputs == 1:
        p = sigmoid(logits.astype(np.float64))
        return of(np.ones_like(logits))[None], (p * (1 - p))[None]
    p = softmax(logits.astype(np.float64)).T
    one_hot = np.eye(architecture.outputs, dtype=logits.dtype)
    j = np.stack([of(np.broadcast_to(e, logits.shape)) for e in one_hot])
    return j - (p[:, :, None] * j).sum(axis=0), p


def _of_rows(field: Input, j: Array, k: Array, pooling: str) -> tuple[Array, Array, Array]:
    """Rows, jacobians, curvatures: one of each for each row that an example uses."""
    if not isinstance(field, Bag):
        return field, j, k
    lengths = np.diff(field.offsets)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    size = int(field.codes.max(initial=0)) + 1
    pairs, count = np.unique(owner * size + field.codes, return_counts=True)  # c_vn of each pair that meets
    owner, rows = np.divmod(pairs, size)
    share = count / lengths[owner] if pooling == "mean" else count
    return rows, j[owner] * share[:, None], k[owner]
