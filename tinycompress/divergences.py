"""How far a student's row of logits is from its teacher's: one number a row, and its slope.

Everything here follows from one centred form. Divide both rows by the temperature, take their difference, and shift it so that
its mean under the teacher is 0:

    d = (z_s - z_t) / T - sum_c p_t (z_s - z_t) / T          then   log p_s - log p_t = d - K,   K = log sum_c p_t exp(d)   (1)

and K is the Kullback-Leibler divergence of the student from the teacher: the mean under p_t of (1) is -K. Close to the teacher,
or at a large T, d is small and K is a second-order quantity, half the variance of d. As a difference of two log-sum-exps it
would drown in rounding; as log1p(sum_c p_t (exp(d) - 1 - d)) every term is >= 0 and nothing cancels.                         (2)

Letters     z_s, z_t logits of student and teacher, p_s, p_t their softmax at temperature T, d as above, r = log(p_s / p_t)
            N rows, C classes; a slope is d row / d (z_s / T), with the shape of the logits
Not here: the factor T^2, means over rows, labels. Read next: soft_targets.
"""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Double = NDArray[np.float64]
Divergence = Callable[[Array, Array, float], tuple[Double, Double]]

FEW_CLASSES = 16  # below it each class is a contiguous column: a loop over three numbers costs more than the numbers
PLAIN_ABOVE = {4: 2.0**-30, 8: 2.0**-16}  # item size of the logits -> see Bound of `forward_kl`


def forward_kl(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return KL(p_t || p_s) of each row, and its slope p_s - p_t.

    Equation    K = log sum_c p_t exp(d) - sum_c p_t d,  d = (z_s - z_t) / T  (centred or not)                             (3)
                p_s - p_t = p_t (exp(d) / sum p_t exp(d) - 1)                                                              (4)
    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Bound       With u = 2^-53, m = sum p_t d, Z the largest |logit| / T and X the largest distance of a teacher's logit from its
                row's best, over T: a sum of C terms errs by (C + 3) u of its size, d by 4 u Z, each p_t by (2 X + 4) u. In (3)
                the first two errors meet sizes 1 + |m| and sum p_t |exp(d - K) - 1| <= sqrt(2 K) (Pinsker), the third only
                reweights terms whose sum is K. So |error| / K <= (C + 8)(1 + |m|) u / K + 4 u Z sqrt(2 / K) + 2 (2 X + 4) u.
                Rows where K < t (C + 8)(1 + |m|) take (2) instead, whose first term is (C + 8) u: t = 2^-30 for float32 logits
                keeps it below 2^-23, t = 2^-16 for float64 below 2^-37. An exponential below 1e-308 counts as 0.
    Limits      T -> inf: T^2 K -> |c(z_s) - c(z_t)|^2 / (2 C),  c(z) = z - mean z;  T -> 0: T K -> max z_s - z_s[argmax z_t]
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531) with p_t's entropy left out; the centred form is this package's

    >>> rows, slope = forward_kl(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]]), 1.0)
    >>> float(rows[0]), slope.tolist()
    (0.0, [[0.0, 0.0]])
    """
    classes = student_logits.shape[1]
    p = np.empty(student_logits.shape, np.float64, order="F" if classes < FEW_CLASSES else "C")
    d = np.empty_like(p)
    with np.errstate(all="ignore"):  # what overflows or is nan fails the test below, and is done again row by row
        np.multiply(teacher_logits, 1 / temperature, out=p, dtype=np.float64)
        np.multiply(student_logits, 1 / temperature, out=d, dtype=np.float64)
        d -= p
        p -= p.max(initial=-np.inf)  # of the block, not of the row: one number to subtract is twice as fast as a column of them
        np.exp(p, out=p)
        total = (p @ np.ones(classes))[:, None]
        highest = d.max(axis=1)
        mean = _row_dot(p, d) / total
        np.exp(d, out=d)
        grown = _row_dot(p, d) / total
        rows = (np.log(grown) - mean)[:, 0]  # (3)
        d -= grown
        p *= 1 / (total * grown)
        p *= d  # (4)
        plain = rows > PLAIN_ABOVE[8 if student_logits.itemsize > 4 else 4] * (classes + 8) * (1 + np.abs(mean[:, 0]))
        # subtle: where p_t is too small for a float64, exp(d) must not be large enough to matter
        plain &= (highest < 200) & (total[:, 0] > 1e-200) & (total[:, 0] < np.inf)
        plain &= (total * grown)[:, 0] > 1e-290  # its reciprocal in (4) must stay finite
    if not plain.all():
        again = np.flatnonzero(~plain)
        p_t, p_s, r, rows[again] = compare(student_logits[again], teacher_logits[again], temperature)
        p[again] = _gap(p_t, p_s, r)
    return rows, p


def reverse_kl(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return KL(p_s || p_t) of each row, and its slope.

    Equation    R = sum_c p_s r = sum_c p_s (exp(-r) - 1 + r);  slope = p_s (r - R)
    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Limits      T -> inf: as forward_kl; it seeks one mode of the teacher where forward_kl covers them all
    Source      textbook

    >>> rows, slope = reverse_kl(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]]), 1.0)
    >>> float(rows[0]), abs(slope).tolist()
    (0.0, [[0.0, 0.0]])
    """
    p_t, p_s, r, _ = compare(student_logits, teacher_logits, temperature)
    rows = _bregman(p_s, p_t, -r).sum(axis=1)
    return rows, _deviation(p_s, r)


def jensen_shannon(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return the Jensen-Shannon divergence of each row (in nats, at most log 2), and its slope.

    Equation    J = KL(p_t || m) / 2 + KL(p_s || m) / 2,  m = (p_s + p_t) / 2
                  = sum_c m (x tanh x - log cosh x),  x = r / 2                                                           (5)
                slope = p_s (h - sum p_s h) / 2,  h = log(p_s / m)
    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64; T -> inf: forward_kl / 4
    Source      Lin 1991; (5) because p_s = m (1 + tanh x) and p_t = m (1 - tanh x)

    >>> rows, slope = jensen_shannon(np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]]), 1.0)
    >>> bool(rows[0] == np.log(2)), abs(slope).tolist()
    (True, [[0.0, 0.0]])
    """
    p_t, p_s, r, _ = compare(student_logits, teacher_logits, temperature)
    with np.errstate(under="ignore"):
        x = np.abs(r) / 2
        tail = np.exp(-2 * x)  # exp(-|r|)
        far = np.log(2) - np.log1p(tail) - 2 * x * tail / (1 + tail)
        y = np.minimum(x, 1)
        near = y * np.tanh(y) - np.log1p(2 * np.sinh(y / 2) ** 2)
        rows = ((p_t + p_s) / 2 * np.where(x < 1, near, far)).sum(axis=1)  # (5)
        h = np.log1p(np.tanh(np.clip(r, -1, None) / 2))
        h = np.where(r > -1, h, np.log(2) + np.minimum(r, 0) - np.log1p(tail))
        return rows, _deviation(p_s, h) / 2


def soft_cross_entropy(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return the cross-entropy -sum_c p_t log p_s of each row, and its slope p_s - p_t.

    Equation    forward_kl + H(p_t): the teacher's entropy is a constant of training, so the slope is that of forward_kl
    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531)

    >>> bool(soft_cross_entropy(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]]), 1.0)[0][0] == np.log(2))
    True
    """
    rows, slope = forward_kl(student_logits, teacher_logits, temperature)
    return rows + _entropy(teacher_logits, temperature), slope


def squared_logits(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return the squared distance of the two rows of logits, each divided by T, and its slope 2 (z_s - z_t) / T.

    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Limits      not that of forward_kl: it also punishes a common shift of a row, which no probability sees
    Source      Ba and Caruana 2014 (arXiv 1312.6184)

    >>> squared_logits(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0]]), 2.0)[1].tolist()
    [[2.0, 0.0]]
    """
    d = (student_logits.astype(np.float64) - teacher_logits) / temperature
    return (d * d).sum(axis=1), 2 * d


def squared_probabilities(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return the squared distance |p_s - p_t|^2 of each row, and its slope 2 p_s (g - sum p_s g), g = p_s - p_t.

    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Limits      the slope vanishes where the student is sure of a wrong class: it cannot unlearn what it is certain of
    Source      Brier 1950

    >>> squared_probabilities(np.array([[0.0, 0.0]]), np.array([[1e4, 0.0]]), 1.0)[0].tolist()
    [0.5]
    """
    p_t, p_s, r, _ = compare(student_logits, teacher_logits, temperature)
    g = _gap(p_t, p_s, r)
    with np.errstate(under="ignore"):
        return (g * g).sum(axis=1), 2 * _deviation(p_s, g)


def kl_of_probabilities(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double]:
    """Return sum_c p_t (log p_t - p_s), a KL given p_s where it wants log p_s, and its slope p_s (sum_j p_t p_s - p_t).

    Shapes      student_logits, teacher_logits (N, C) -> rows (N,), slope (N, C), both float64
    Limits      negative for most rows, and smallest not where p_s = p_t but where p_s is all on the teacher's best class
    Source      a known mistake; kept because one library ships it

    >>> kl_of_probabilities(np.array([[0.0, 0.0]]), np.array([[1e4, 0.0]]), 1.0)[0].tolist()
    [-0.5]
    """
    p_t, p_s, _, _ = compare(student_logits, teacher_logits, temperature)
    with np.errstate(under="ignore"):
        both = (p_t * p_s).sum(axis=1, keepdims=True)
        return -_entropy(teacher_logits, temperature) - both[:, 0], p_s * (both - p_t)


def compare(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Double, Double, Double, Double]:
    """Return p_t, p_s, r = log(p_s / p_t) and K = KL(p_t || p_s), each as accurate as a float64 allows.

    Equation    (1) and (2); where exp(d) would overflow, K is the difference of two log-sum-exps, large enough not to cancel
    Shapes      student_logits, teacher_logits (N, C) -> (N, C), (N, C), (N, C), (N,)
    Source      this package

    >>> p_t, p_s, r, k = compare(np.array([[8.0, 8.0]]), np.array([[-1.0, -1.0]]), 1.0)
    >>> p_t.tolist(), p_s.tolist(), r.tolist(), k.tolist()
    ([[0.5, 0.5]], [[0.5, 0.5]], [[0.0, 0.0]], [0.0])
    """
    with np.errstate(all="ignore"):  # exponentials of what is far below are 0; the larger branch of a `where` may overflow
        best = teacher_logits.argmax(axis=1)[:, None]
        # subtle: these differences are exact for float32 logits, so that no common offset is left in d
        a, b = (z - np.take_along_axis(z, best, axis=1).astype(np.float64) for z in (teacher_logits, student_logits))
        d = (b - a) / temperature
        a /= temperature
        p_t = np.exp(a)
        total = p_t.sum(axis=1, keepdims=True)
        p_t /= total
        d -= np.where(p_t > 0, p_t * d, 0).sum(axis=1, keepdims=True)
        log_p_s = a + d - np.log(total)  # up to K
        top = log_p_s.max(axis=1, keepdims=True)
        large = top + np.log(np.exp(log_p_s - top).sum(axis=1, keepdims=True))
        small = np.log1p(_bregman(p_t, np.exp(log_p_s), d).sum(axis=1, keepdims=True))  # (2)
        k = np.where(large > 1, large, small)
        p_s = np.exp(log_p_s - k)
        return p_t, p_s / p_s.sum(axis=1, keepdims=True), d - k, k[:, 0]  # a large k is itself rounded: make p_s sum to 1


def _entropy(logits: Array, temperature: float) -> Double:
    """-sum_c p log p of each row of softmax(logits / T): log of the sum minus a mean of numbers <= 0, so nothing cancels."""
    best = logits.argmax(axis=1)[:, None]
    with np.errstate(all="ignore"):
        a = (logits - np.take_along_axis(logits, best, axis=1).astype(np.float64)) / temperature
        e = np.exp(a)
        a[e == 0] = 0  # 0 log 0 is 0, also where a is -inf
        np.put_along_axis(e, best, 0, axis=1)  # the best class is the 1 of log1p: of a sure teacher only the others count
        others = e.sum(axis=1)
        rows: Double = np.log1p(others) - (e * a).sum(axis=1) / (1 + others)
    return rows


def _bregman(p: Double, q: Double, r: Double) -> Double:
    """p (exp(r) - 1 - r) where q = p exp(r): the terms of a divergence, none of them negative."""
    with np.errstate(under="ignore", over="ignore"):
        near = np.clip(r, -1, 1)
        small = np.abs(r) < 1 / 16
        curve = np.expm1(near) - near
        if small.any():  # expm1(r) - r would cancel; the series ends where the next term is below 2^-53 of the first
            curve[small] = np.polyval([1 / math.factorial(k) for k in range(9, 1, -1)], near[small]) * near[small] ** 2
        return np.where(np.abs(r) < 1, p * curve, q - p - np.where(p > 0, p * r, 0))


def _deviation(p: Double, x: Double) -> Double:
    """p (x - sum_c p x): a slope with respect to p, turned into one with respect to its logits."""
    x = x - np.take_along_axis(x, p.argmax(axis=1)[:, None], axis=1)  # else a sure p would leave 1 - p to rounding
    with np.errstate(under="ignore"):
        slope: Double = p * (x - (p * x).sum(axis=1, keepdims=True))
    return slope


def _gap(p: Double, q: Double, r: Double) -> Double:
    """q - p where q = p exp(r), also where the two are close."""
    with np.errstate(under="ignore"):
        return np.where(np.abs(r) < 1, p * np.expm1(np.clip(r, -1, 1)), q - p)


def _row_dot(x: Double, y: Double) -> Double:
    """sum_c x y of each row, as a column."""
    dots: Double = np.einsum("nc,nc->n", x, y) if x.shape[1] < FEW_CLASSES else (x[:, None, :] @ y[:, :, None])[:, 0, 0]
    return dots[:, None]


DIVERGENCES: dict[str, Divergence] = {
    "forward_kl": forward_kl, "reverse_kl": reverse_kl, "jensen_shannon": jensen_shannon, "cross_entropy": soft_cross_entropy,
    "squared_logits": squared_logits, "squared_probabilities": squared_probabilities, "kl_of_probabilities": kl_of_probabilities,
}  # fmt: skip
