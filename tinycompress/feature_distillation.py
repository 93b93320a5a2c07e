"""Hidden layers: what a teacher computes on the way is a target too, although the student's layers have other widths.

A hint compares the two layers directly, through a projection R that is learned with the student and thrown away afterwards.
A relational loss compares what no width changes: how far apart the rows of a batch are, and at what angles they see each other.

Letters     f student's features (B, D), t teacher's features (B, D_t), R projection (D, D_t), B rows of a batch
            e residual, h(e) = e^2 / 2 for |e| < 1, |e| - 1/2 beyond: smooth absolute value, h'(e) = clip(e, -1, 1)
Not here: Gram matrices, correlations (similarity_distillation). Read next: similarity_distillation.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def hint_loss(features: Array, teacher_features: Array, projection: Array | None = None) -> float:
    """Return the mean squared difference between the projected features and the teacher's.

    Equation    L = mean over all entries of (f R - t)^2;  without a projection R is the identity                          (1)
    Shapes      features (B, D), teacher_features (B, D_t), projection (D, D_t) -> number
    Convention  the mean runs over B D_t entries; no entries: 0
    Raises      ValueError if shapes do not fit
    Source      Romero et al. 2015 (FitNets, arXiv 1412.6550), equation 3

    >>> hint_loss(np.array([[1.0, 2.0]]), np.array([[4.0]]), projection=np.array([[1.0], [0.5]]))
    4.0
    """
    e = _residual(features, teacher_features, projection)
    return float((e * e).sum()) / max(e.size, 1)


def hint_loss_backward(
    features: Array, teacher_features: Array, projection: Array | None = None
) -> tuple[Array, Array | None]:
    """Return d features and d projection of `hint_loss` (None without a projection).

    Equation    df = 2 (f R - t) R^T / (B D_t),  dR = 2 f^T (f R - t) / (B D_t)
    Shapes      features (B, D), teacher_features (B, D_t), projection (D, D_t) -> (B, D), (D, D_t)
    Raises      ValueError as hint_loss
    Source      from (1)

    >>> [d.tolist() for d in hint_loss_backward(np.array([[1.0, 2.0]]), np.array([[4.0]]), np.array([[1.0], [0.5]]))]
    [[[-4.0, -2.0]], [[-4.0], [-8.0]]]
    """
    e = _residual(features, teacher_features, projection)
    d = e * (2 / max(e.size, 1))
    return (d, None) if projection is None else (d @ projection.T, features.T @ d)


def distance_loss(features: Array, teacher_features: Array, epsilon: float = 0.0) -> float:
    """Return how differently the two networks space the rows of a batch.

    Equation    L = sum_ij h(d_ij / mean d - t_ij / mean t) / B^2,  d_ij = |f_i - f_j|                                     (2)
    Shapes      features (B, D), teacher_features (B, D_t) -> number
    Limits      the same when all features are scaled, shifted or rotated
    Convention  the mean of distances is over the positive ones; the B zeros of the diagonal count in B^2. Squared distances
                below epsilon become epsilon (and then pass no gradient): coincident rows are sqrt(epsilon) apart.
    Raises      ValueError if the numbers of rows differ
    Source      Park et al. 2019 (RKD, arXiv 1904.05068), section 3.2.1; RepDistiller with epsilon = 1e-12

    >>> distance_loss(np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [6.0]]))
    0.0
    """
    f, t = _rows(features, teacher_features)
    e = _scaled_distances(f, epsilon)[0] - _scaled_distances(t, epsilon)[0]
    return float(_smooth(e).sum()) / max(e.size, 1)


def distance_loss_backward(features: Array, teacher_features: Array, epsilon: float = 0.0) -> Array:
    """Return d features of `distance_loss`.

    Equation    with w = h'(e) / B^2:  dd = w / mean d - [d > 0] (sum w d) / (n (mean d)^2),  n the number of positive d;
                df_i = 2 sum_j dd_ij (f_i - f_j) / d_ij, since dd_ij = dd_ji
    Shapes      features (B, D), teacher_features (B, D_t) -> (B, D)
    Convention  coincident rows push each other in no direction: 0
    Raises      ValueError as distance_loss
    Source      from (2)

    >>> distance_loss_backward(np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [6.0]])).tolist()
    [[0.0], [0.0], [0.0]]
    """
    f, t = _rows(features, teacher_features)
    scaled, d, mean, moving = _scaled_distances(f, epsilon)
    w = np.clip(scaled - _scaled_distances(t, epsilon)[0], -1, 1) / max(scaled.size, 1)
    positive = d > 0
    dd = w / mean - positive * ((w * d).sum() / (max(positive.sum(), 1) * mean * mean))
    per_gap = np.where(moving, 2 * dd, 0) / np.where(moving, d, 1)
    df: Array = per_gap.sum(axis=1, keepdims=True) * f - per_gap @ f
    return df


def angle_loss(features: Array, teacher_features: Array, epsilon: float = 0.0) -> float:
    """Return how differently the two networks see the angles between the rows of a batch.

    Equation    L = sum_ijk h(a_ijk - t_ijk) / B^3,  a_ijk = <u_ij, u_ik>,  u_ij = (f_j - f_i) / |f_j - f_i|               (3)
    Shapes      features (B, D), teacher_features (B, D_t) -> number; memory B^3
    Limits      the same when all features are scaled, shifted or rotated
    Convention  lengths below epsilon become epsilon; at epsilon 0 a row sees itself, and coincident rows, as u = 0
    Raises      ValueError if the numbers of rows differ
    Source      Park et al. 2019 (RKD, arXiv 1904.05068), section 3.2.2; RepDistiller with epsilon = 1e-12

    >>> angle_loss(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0]]))
    0.0
    """
    f, t = _rows(features, teacher_features)
    u, v = _directions(f, epsilon)[0], _directions(t, epsilon)[0]
    e = u @ u.transpose(0, 2, 1) - v @ v.transpose(0, 2, 1)
    return float(_smooth(e).sum()) / max(e.size, 1)


def angle_loss_backward(features: Array, teacher_features: Array, epsilon: float = 0.0) -> Array:
    """Return d features of `angle_loss`.

    Equation    du_i = (W_i + W_i^T) u_i,  W = h'(a - t) / B^3;  d(f_j - f_i) = (du_ij - u_ij <u_ij, du_ij>) / |f_j - f_i|
    Shapes      features (B, D), teacher_features (B, D_t) -> (B, D)
    Convention  a length below epsilon is a constant, so there d(f_j - f_i) = du_ij / epsilon; at epsilon 0 it is 0
    Raises      ValueError as angle_loss
    Source      from (3)

    >>> f = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> abs(angle_loss_backward(f, 2 * f)).tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    f, t = _rows(features, teacher_features)
    u, length = _directions(f, epsilon)
    v = _directions(t, epsilon)[0]
    w = np.clip(u @ u.transpose(0, 2, 1) - v @ v.transpose(0, 2, 1), -1, 1) / max(len(f) ** 3, 1)
    du = (w + w.transpose(0, 2, 1)) @ u
    free = length > epsilon
    along = np.where(free, (u * du).sum(axis=2, keepdims=True), 0)
    gap = np.where(free, du - u * along, du if epsilon else 0) / np.where(free, length, epsilon or 1)
    df: Array = gap.sum(axis=0) - gap.sum(axis=1)  # (3): f_j pulls one way, f_i the other
    return df


def _rows(features: Array, teacher_features: Array) -> tuple[Array, Array]:
    f, t = np.asarray(features), np.asarray(teacher_features)
    if f.ndim != 2 or t.ndim != 2 or len(f) != len(t):
        raise ValueError(f"features have shapes {f.shape} and {t.shape}; they need (B, D) and (B, D_t) with the same B")
    return f, t


def _residual(features: Array, teacher_features: Array, projection: Array | None) -> Array:
    f, t = _rows(features, teacher_features)
    if (f.shape[1] if projection is None else projection.shape[1]) != t.shape[1]:
        raise ValueError(f"features {f.shape} do not fit the teacher's {t.shape}; project by ({f.shape[1]}, {t.shape[1]})")
    return (f if projection is None else f @ projection) - t


def _smooth(e: Array) -> Any:
    a = np.abs(e)
    return np.where(a < 1, e * e / 2, a - 0.5)


def _scaled_distances(f: Array, epsilon: float) -> tuple[Array, Array, Any, NDArray[np.bool_]]:
    """d / mean d, d, mean d (1 for a batch without any distance), and where d follows the features."""
    gap = f[:, None, :] - f[None, :, :]
    squared = (gap * gap).sum(axis=2)
    moving = squared > epsilon
    squared = np.maximum(squared, epsilon)
    np.fill_diagonal(squared, 0)
    d = np.sqrt(squared)
    mean = d[d > 0].mean() if (d > 0).any() else d.dtype.type(1)
    return d / mean, d, mean, moving


def _directions(f: Array, epsilon: float) -> tuple[Array, Array]:
    """u (B, B, D) and the lengths (B, B, 1) of f_j - f_i."""
    gap = f[None, :, :] - f[:, None, :]
    length = np.sqrt((gap * gap).sum(axis=2, keepdims=True))
    return gap / np.where(length > epsilon, length, epsilon or 1), length
