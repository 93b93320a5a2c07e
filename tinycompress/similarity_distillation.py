"""Rows against rows: a student need not copy its teacher's features, only which rows of a batch the teacher finds alike.

Four ways to say "alike": inner products of every pair (similarity-preserving), those products as probabilities of being each
other's neighbour (PKT), the correlation of two softened rows or columns (DIST), and products of errors of consecutive rows
(correlation congruence as it is coded, which depends on the order of the batch).

Letters     f student's features (B, D), t teacher's features (B, D_t), B rows, D columns
            z_s, z_t logits (N, C), T temperature, p = softmax(z / T)
Not here: distances and angles (feature_distillation). Read next: dense_training.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.ops import softmax, softmax_backward

Array = NDArray[np.floating]


def gram_loss(features: Array, teacher_features: Array, epsilon: float = 0.0) -> float:
    """Return how differently the two networks' rows of inner products point.

    Equation    L = |n(f f^T) - n(t t^T)|^2 / B^2,  n divides each row by its length                                        (1)
    Shapes      features (B, D), teacher_features (B, D_t) -> number
    Limits      the same when all features are scaled or rotated
    Convention  a row of products shorter than epsilon is divided by epsilon; at epsilon 0 a zero row stays zero
    Raises      ValueError if the numbers of rows differ
    Source      Tung and Mori 2019 (arXiv 1907.09682), equations 2 to 4; RepDistiller with epsilon = 1e-12

    >>> gram_loss(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 4.0], [4.0, 0.0]]))
    0.0
    """
    f, t = _rows(features, teacher_features)
    e = _unit(f @ f.T, epsilon)[0] - _unit(t @ t.T, epsilon)[0]
    return float((e * e).sum()) / max(e.size, 1)


def gram_loss_backward(features: Array, teacher_features: Array, epsilon: float = 0.0) -> Array:
    """Return d features of `gram_loss`.

    Equation    dG_i = (dn_i - n_i <n_i, dn_i>) / |G_i|,  dn = 2 (n(G) - n(t t^T)) / B^2;  df = (dG + dG^T) f
    Shapes      features (B, D), teacher_features (B, D_t) -> (B, D)
    Convention  a length below epsilon is a constant: there dG_i = dn_i / epsilon, which is huge; at epsilon 0 it is 0
    Raises      ValueError as gram_loss
    Source      from (1)

    >>> f = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> gram_loss_backward(f, 4 * f).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    f, t = _rows(features, teacher_features)
    unit, length = _unit(f @ f.T, epsilon)
    dn = (unit - _unit(t @ t.T, epsilon)[0]) * (2 / max(unit.size, 1))
    free = length > epsilon
    dg = np.where(free, dn - unit * (unit * dn).sum(axis=1, keepdims=True), dn if epsilon else 0)
    dg = dg / np.where(free, length, epsilon or 1)
    return (dg + dg.T) @ f


def neighbour_loss(features: Array, teacher_features: Array, epsilon: float = 1e-7) -> float:
    """Return how differently the two networks would choose a neighbour for each row of a batch.

    Equation    c_ij = <f_i, f_j> / ((|f_i| + eps)(|f_j| + eps)),  P_ij = (c_ij + 1) / sum_k (c_ik + 1),  Q likewise of t
                L = mean over ij of Q log((Q + eps) / (P + eps))                                                            (2)
    Shapes      features (B, D), teacher_features (B, D_t) -> number
    Limits      0 when all features are scaled or rotated, up to eps
    Raises      ValueError if the numbers of rows differ
    Source      Passalis and Tefas 2018 (PKT, arXiv 1803.10837); RepDistiller, with its eps

    >>> f = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> neighbour_loss(f, f)
    0.0
    """
    f, t = _rows(features, teacher_features)
    p, q = _neighbours(f, epsilon)[0], _neighbours(t, epsilon)[0]
    return float((q * np.log((q + epsilon) / (p + epsilon))).sum()) / max(p.size, 1)


def neighbour_loss_backward(features: Array, teacher_features: Array, epsilon: float = 1e-7) -> Array:
    """Return d features of `neighbour_loss`.

    Equation    dP = -Q / (P + eps) / B^2;  dc_ij = (dP_ij - sum_k dP_ik P_ik) / sum_k (c_ik + 1);  dv = (dc + dc^T) v,
                v_i = f_i / (|f_i| + eps);  df_i = dv_i / (|f_i| + eps) - f_i <f_i, dv_i> / (|f_i| (|f_i| + eps)^2)
    Shapes      features (B, D), teacher_features (B, D_t) -> (B, D)
    Convention  f / (|f| + eps) has a derivative at 0, I / eps, which a zero row gets here; automatic differentiation, which
                meets 0 / 0 on the way, says NaN
    Raises      ValueError as neighbour_loss
    Source      from (2)

    >>> f = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> bool(abs(neighbour_loss_backward(f, f)).max() < 1e-6)
    True
    """
    f, t = _rows(features, teacher_features)
    p, total, v, length = _neighbours(f, epsilon)
    q = _neighbours(t, epsilon)[0]
    dp = -q / (p + epsilon) / max(p.size, 1)
    dc = (dp - (dp * p).sum(axis=1, keepdims=True)) / total
    dv = (dc + dc.T) @ v
    along = (f * dv).sum(axis=1, keepdims=True) / np.where(length > 0, length, 1)
    df: Array = dv / (length + epsilon) - f * along / (length + epsilon) ** 2
    return df


def congruence_loss(features: Array, teacher_features: Array) -> float:
    """Return the mean product of the errors of consecutive rows.

    Equation    L = sum_i sum_d |e_id| |e_i+1,d| / (B - 1),  e = f - t                                                      (3)
    Shapes      features, teacher_features (B, D) -> number
    Limits      depends on the order of the batch: that is how it is coded, whatever its paper says
    Raises      ValueError if shapes differ or there are fewer than two rows
    Source      RepDistiller distiller_zoo/CC.py, b84f547 (for Peng et al. 2019)

    >>> congruence_loss(np.array([[1.0], [2.0], [0.0]]), np.zeros((3, 1)))
    1.0
    """
    e = np.abs(_errors(features, teacher_features))
    return float((e[:-1] * e[1:]).sum()) / (len(e) - 1)


def congruence_loss_backward(features: Array, teacher_features: Array) -> Array:
    """Return d features of `congruence_loss`.

    Equation    df_i = sign(e_i) (|e_i-1| + |e_i+1|) / (B - 1);  sign(0) = 0
    Shapes      features, teacher_features (B, D) -> (B, D)
    Raises      ValueError as congruence_loss
    Source      from (3)

    >>> congruence_loss_backward(np.array([[1.0], [2.0], [0.0]]), np.zeros((3, 1))).tolist()
    [[1.0], [0.5], [0.0]]
    """
    e = _errors(features, teacher_features)
    a = np.pad(np.abs(e), ((1, 1), (0, 0)))
    df: Array = np.sign(e) * (a[:-2] + a[2:]) / (len(e) - 1)
    return df


def correlation_kd_loss(
    student_logits: Array, teacher_logits: Array, temperature: float, rows: float = 1.0, columns: float = 1.0,
    epsilon: float = 0.0, epsilon_added: bool = False,
) -> float:  # fmt: skip
    """Return how little the student's softened rows, and columns, correlate with the teacher's.

    Equation    L = T^2 [rows (1 - mean_n rho(p_s[n], p_t[n])) + columns (1 - mean_c rho(p_s[:, c], p_t[:, c]))]            (4)
    Shapes      student_logits, teacher_logits (N, C) -> number
    Convention  rho is Pearson's correlation of probabilities, not of logits. epsilon bounds each length from below, or with
                epsilon_added is added to the product of the two; at 0 a constant row correlates with nothing.
    Raises      ValueError if shapes differ
    Source      Huang et al. 2022 (DIST, arXiv 2205.10536); torchdistill DISTLoss with epsilon 1e-8, hunto/DIST_KD with it added.
                The paper's appendix has no T^2.

    >>> z = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> round(correlation_kd_loss(z, z, temperature=1.0), 12) + 0.0
    0.0
    """
    p, q = _softened(student_logits, teacher_logits, temperature)
    means = [_correlate(a, b, epsilon, epsilon_added)[0].mean() for a, b in ((p, q), (p.T, q.T))]
    return float(temperature**2 * (rows * (1 - means[0]) + columns * (1 - means[1])))  # (4)


def correlation_kd_loss_backward(
    student_logits: Array, teacher_logits: Array, temperature: float, rows: float = 1.0, columns: float = 1.0,
    epsilon: float = 0.0, epsilon_added: bool = False,
) -> Array:  # fmt: skip
    """Return d student_logits of `correlation_kd_loss`; each row sums to 0.

    Equation    d rho / d x = c(y / |y| - rho x / |x|) / |x|,  c(v) = v - mean v, x and y the centred rows or columns
    Shapes      student_logits, teacher_logits (N, C) -> (N, C)
    Raises      ValueError as correlation_kd_loss
    Source      from (4)

    >>> z = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> bool(abs(correlation_kd_loss_backward(z, z, temperature=1.0)).max() < 1e-12)
    True
    """
    p, q = _softened(student_logits, teacher_logits, temperature)
    d_rows = _correlate(p, q, epsilon, epsilon_added)[1] * (-rows / max(len(p), 1))
    d_columns = _correlate(p.T, q.T, epsilon, epsilon_added)[1].T * (-columns / p.shape[1])
    return softmax_backward(temperature**2 * (d_rows + d_columns), p, temperature)


def _rows(features: Array, teacher_features: Array) -> tuple[Array, Array]:
    f, t = np.asarray(features), np.asarray(teacher_features)
    if f.ndim != 2 or t.ndim != 2 or len(f) != len(t):
        raise ValueError(f"features have shapes {f.shape} and {t.shape}; they need (B, D) and (B, D_t) with the same B")
    return f, t


def _errors(features: Array, teacher_features: Array) -> Array:
    f, t = _rows(features, teacher_features)
    if f.shape != t.shape or len(f) < 2:
        raise ValueError(f"features have shapes {f.shape} and {t.shape}; they need one shape and two rows at least")
    return f - t


def _softened(student: Array, teacher: Array, temperature: float) -> tuple[Array, Array]:
    z_s, z_t = _rows(student, teacher)
    if z_s.shape != z_t.shape:
        raise ValueError(f"the student's logits have shape {z_s.shape} and the teacher's {z_t.shape}; make them equal")
    return softmax(z_s, temperature), softmax(z_t, temperature)


def _unit(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Each row over its length, and the lengths (B, 1)."""
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length > epsilon, length, epsilon or 1), length


def _neighbours(f: Array, epsilon: float) -> tuple[Array, Array, Array, Array]:
    """P, the sums it was divided by, v and |f|."""
    length = np.sqrt((f * f).sum(axis=1, keepdims=True))
    v = f / (length + epsilon)
    c = v @ v.T + 1
    total = c.sum(axis=1, keepdims=True)
    return c / total, total, v, length


def _correlate(a: Array, b: Array, epsilon: float, added: bool) -> tuple[Array, Any]:
    """Pearson's correlation of each row of a with the same row of b, and its gradient by a."""
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (a, b))
    lx, ly = (np.sqrt((v * v).sum(axis=1, keepdims=True)) for v in (x, y))
    dot = (x * y).sum(axis=1, keepdims=True)
    # what rounding leaves of a constant row has a direction of its own, but it is not the row's
    nothing = 8 * np.finfo(a.dtype).eps * np.sqrt((a * a).sum(axis=1, keepdims=True))
    free = lx > (nothing if added or not epsilon else epsilon)  # else |x| is a constant
    unit = np.where(free, x / np.where(lx > 0, lx, 1), 0)
    if added:
        size = np.where(lx * ly + epsilon > 0, lx * ly + epsilon, 1)
        rho, d = dot / size, y / size - dot * ly * unit / size**2
    else:
        mx, my = np.where(free, lx, epsilon or 1), np.where(ly > epsilon, ly, epsilon or 1)
        rho = dot / (mx * my)
        d = y / (mx * my) - rho * unit / mx
    if not epsilon:
        rho, d = np.where(free, rho, 0), np.where(free, d, 0)
    return rho[:, 0], d - d.mean(axis=1, keepdims=True)
