"""Rows that are in no data: made so that a model trained on them behaves as if trained on all of it.

Distribution matching moves synthetic rows until the means of their random features equal those of the real rows; a network
that has not been trained sees no difference then. Label solving leaves the rows alone and asks which labels a kernel ridge
regression needs on few rows to answer like the real data on many: one least-squares problem.

Letters     s synthetic rows (m, D), x real rows (n, D), A random directions (H, D), phi(x) = relu(A x), mu mean of phi(x)
            K_ss, K_ts kernels among the few rows and between many and few, y labels, C classes, ridge >= 0
Not here: gradient matching, which needs second derivatives through the network. Read next: codebooks.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Double = NDArray[np.float64]


def feature_mean(rows: Array, directions: Array) -> Array:
    """Return the mean of relu(A x) over the rows.

    Shapes      rows (n, D), directions (H, D) -> (H,)
    Raises      ValueError if there are no rows or the columns differ
    Source      Zhao and Bilen 2023 (distribution matching, arXiv 2110.04181), with one random layer

    >>> feature_mean(np.array([[1.0], [-3.0]]), np.array([[2.0], [-1.0]])).tolist()
    [1.0, 1.5]
    """
    x, a = np.asarray(rows), np.asarray(directions)
    if x.ndim != 2 or a.ndim != 2 or x.shape[1] != a.shape[1] or not len(x):
        raise ValueError(f"rows {x.shape} and directions {a.shape} need the same columns, and at least one row")
    mean: Array = np.maximum(x @ a.T, 0).mean(axis=0)
    return mean


def matching_loss(synthetic: Array, mean: Array, directions: Array) -> float:
    """Return the squared distance between the mean features of synthetic rows and a given mean.

    Equation    L = |mean of relu(A s) - mu|^2                                                                              (1)
    Shapes      synthetic (m, D), mean (H,), directions (H, D) -> number
    Raises      ValueError as feature_mean
    Source      Zhao and Bilen 2023 (arXiv 2110.04181), equation 5: a sum of (1) over the classes

    >>> matching_loss(np.array([[1.0]]), np.array([0.0, 2.0]), np.array([[2.0], [-1.0]]))
    8.0
    """
    gap = feature_mean(synthetic, directions) - mean
    return float(gap @ gap)


def matching_loss_backward(synthetic: Array, mean: Array, directions: Array) -> Array:
    """Return d synthetic of `matching_loss`.

    Equation    ds_i = (2 / m) A^T [(mean of relu(A s) - mu) where A s_i > 0, else 0]
    Shapes      synthetic (m, D), mean (H,), directions (H, D) -> (m, D)
    Raises      ValueError as feature_mean
    Source      from (1)

    >>> matching_loss_backward(np.array([[1.0]]), np.array([0.0, 2.0]), np.array([[2.0], [-1.0]])).tolist()
    [[8.0]]
    """
    gap = feature_mean(synthetic, directions) - mean
    return ((synthetic @ directions.T > 0) * gap) @ directions * (2 / len(synthetic))


def match_distribution(
    real: Array, labels: NDArray[np.integer], per_class: int, steps: int, rng: np.random.Generator, features: int = 128,
    lr: float = 1.0, momentum: float = 0.5,
) -> tuple[Array, NDArray[np.integer]]:  # fmt: skip
    """Return synthetic rows and their labels: per class, rows whose random features have the mean of that class's real rows.

    Equation    each step: draw A ~ N(0, 1 / D); v = momentum v + grad of (1); s = s - lr v, for every class
    Shapes      real (n, D), labels (n,) -> (classes per_class, D), (classes per_class,)
    Convention  starts from real rows, drawn without replacement where a class has enough; directions are drawn anew each step,
                so that no fixed set of them is fitted
    Raises      ValueError if per_class is below 1 or there are no rows
    Source      Zhao and Bilen 2023 (arXiv 2110.04181), algorithm 1, with its learning rate and momentum

    >>> s, y = match_distribution(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1]), 1, 20, np.random.default_rng(0))
    >>> y.tolist(), s[1].tolist()
    ([0, 1], [5.0])
    """
    x, y = np.asarray(real), np.asarray(labels)
    if per_class < 1 or not len(x):
        raise ValueError(f"per_class is {per_class} and there are {len(x)} rows; both must be at least 1")
    classes = np.unique(y)
    members = [np.flatnonzero(y == c) for c in classes]
    start = [rng.choice(i, size=per_class, replace=len(i) < per_class) for i in members]
    s = x[np.concatenate(start)].astype(x.dtype if np.issubdtype(x.dtype, np.floating) else np.float64)
    v = np.zeros_like(s)
    for _ in range(steps):
        directions = (rng.standard_normal((features, x.shape[1])) / np.sqrt(x.shape[1])).astype(s.dtype)
        for k, own in enumerate(members):
            part = slice(k * per_class, (k + 1) * per_class)
            g = matching_loss_backward(s[part], feature_mean(x[own], directions), directions)
            v[part] = momentum * v[part] + g / features  # a mean over the features, so that lr does not depend on their number
            s[part] -= lr * v[part]
    return s, np.repeat(classes, per_class)


def gaussian_kernel(x: Array, y: Array, gamma: float) -> Double:
    """Return exp(-gamma |x_i - y_j|^2).

    Shapes      x (n, D), y (m, D) -> (n, m)
    Source      textbook; gamma as scikit-learn's rbf_kernel

    >>> gaussian_kernel(np.array([[0.0]]), np.array([[0.0]]), gamma=1.0).tolist()
    [[1.0]]
    """
    gap = np.asarray(x, np.float64)[:, None, :] - y
    with np.errstate(under="ignore"):
        k: Double = np.exp(-gamma * (gap * gap).sum(axis=2))
    return k


def ridge_predict(k_ts: Array, k_ss: Array, labels: Array, ridge: float, relative: bool = False) -> Double:
    """Return what a kernel ridge regression on the few rows answers on the many.

    Equation    K_ts (K_ss + ridge I)^-1 y_s;  relative: ridge times the mean of the diagonal of K_ss                       (2)
    Shapes      k_ts (t, s), k_ss (s, s), labels (s,) or (s, C) -> (t,) or (t, C)
    Convention  no intercept; the ridge is not multiplied by the number of rows, as in scikit-learn. At ridge 0 and a singular
                K_ss the solution of least norm.
    Raises      ValueError if the ridge is negative
    Source      scikit-learn 1.9.1 KernelRidge; Distill-CF (arXiv 2206.02626) with relative

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> ridge_predict(np.array([[0.5]]) @ x.T, x @ x.T, np.array([0.0, 1.0, 4.0]), ridge=1.0).tolist()
    [0.75]
    """
    return np.asarray(k_ts, np.float64) @ _solve(k_ss, labels, ridge, relative)


def solve_labels(k_ts: Array, k_ss: Array, labels: Array, ridge: float, relative: bool = False) -> Double:
    """Return the labels that the few rows need, so that a kernel ridge regression on them answers the many best.

    Equation    argmin_y |y_t - K_ts (K_ss + ridge I)^-1 y|^2, of least norm                                                (3)
    Shapes      k_ts (t, s), k_ss (s, s), labels y_t (t,) or (t, C) -> (s,) or (s, C)
    Limits      the few rows are the many, ridge 0 and K_ss invertible: y_t itself
    Raises      ValueError if the ridge is negative
    Source      Nguyen, Chen, Lee 2021 (kernel inducing points, arXiv 2011.00050), label solve

    >>> k = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> solve_labels(k, k, np.array([1.0, 3.0]), ridge=0.0).tolist()
    [1.0, 3.0]
    """
    answers = ridge_predict(k_ts, k_ss, np.eye(len(k_ss)), ridge, relative)
    return np.asarray(np.linalg.lstsq(answers, np.asarray(labels, np.float64), rcond=None)[0], np.float64)


def _solve(k_ss: Array, labels: Array, ridge: float, relative: bool) -> Double:
    if ridge < 0:
        raise ValueError(f"ridge is {ridge}; use 0 or more")
    k = np.array(k_ss, np.float64)
    k[np.diag_indices_from(k)] += ridge * float(np.mean(np.diag(k))) if relative else ridge
    y = np.asarray(labels, np.float64)
    if ridge == 0:
        return np.asarray(np.linalg.lstsq(k, y, rcond=None)[0], np.float64)
    return np.asarray(np.linalg.solve(k, y), np.float64)
