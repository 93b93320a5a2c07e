"""A teacher's softened row as the target: the distillation loss that most people mean, and its gradient.

A trained teacher knows more than the label: which wrong classes are nearly right. Dividing its logits by a temperature T > 1
before the softmax makes those small probabilities large enough to teach. The student, at the same temperature, is asked to
give the same row. The gradient of KL(p_t || p_s) with respect to z_s is (p_s - p_t) / T, and the difference p_s - p_t itself
shrinks as 1 / T, so the soft term would fade as 1 / T^2 beside a hard one: multiply it by T^2.

Letters     z_s, z_t logits of student and teacher; T temperature; p = softmax(z / T); N rows, C classes
            D a divergence of two rows, f the factor T^2, T or 1; R the divisor of the reduction: N, N C or 1
Not here: the hard term (distillation), one logit a row (binary_distillation), lists (ranking_distillation).
Read next: binary_distillation, distillation.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.conventions import SoftTargetRule, resolve
from tinycompress.divergences import DIVERGENCES

Array = NDArray[np.floating]
Convention = SoftTargetRule | str

TEMPERED_KL = SoftTargetRule()  # T^2 KL(p_t || p_s), a mean over rows
BLOCK = 2**16  # logits worked on at a time: two float64 arrays of them fit the second-level cache


def kd_loss(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> float:
    """Return how far the student's softened rows are from the teacher's.

    Equation    L = f sum_n D(z_t[n] / T, z_s[n] / T) / R;  by default f = T^2, D = KL(p_t || p_s), R = N                   (1)
    Shapes      student_logits, teacher_logits (N, C) -> number
    Bound       (1) is computed in float64 whatever comes in. For float32 logits and C <= 4096 classes:
                |error| / L <= 2^-22 + 2^-51 Z sqrt(2 / L'), where Z is the largest |logit| / T and L' = L / T^2, by the bound
                of divergences.forward_kl; nothing in it grows with T.
    Limits      T -> inf: |c(z_s) - c(z_t)|^2 / (2 C N), c(z) = z - mean z: logit matching, but of *centred* logits.
                T -> 0: T (max z_s - z_s[argmax z_t]) per row -> 0: of the teacher only its best class matters.
                0 exactly where z_s - z_t is constant in each row; the same for every shift of a row by a constant.
    Convention  reduction None is the convention's own. "mean" divides by N C and is what torch's kl_div does when nobody says
                otherwise: C times too small. No rows: 0.
    Raises      ValueError if shapes differ, there are no classes, T is not positive, a logit is not finite, or the convention
                needs labels
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531)

    >>> kd_loss(np.array([[3.0, 1.0]]), np.array([[2.0, 0.0]]), temperature=4.0)
    0.0
    """
    rule, temperature = _rule(convention, reduction), float(temperature)  # a float32 T would round 1 / T
    z_s, z_t = as_rows(student_logits, teacher_logits, temperature)
    divergence = DIVERGENCES[rule.divergence]
    total = 0.0
    with short_buffers():
        for block in _blocks(z_s.shape):
            total += float(divergence(z_s[block], z_t[block], temperature)[0].sum())
    return _finite(_factor(rule, temperature) * (total / _divisor(rule, z_s.shape)))  # (1)


def kd_loss_backward(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> Array:
    """Return d student_logits of `kd_loss`. The teacher is a constant: it has no gradient.

    Equation    dz_s = f (dD / d(z_s / T)) / (T R);  by default T (p_s - p_t) / N                                          (2)
    Shapes      student_logits, teacher_logits (N, C) -> (N, C), in the dtype of student_logits
    Bound       rounded once to that dtype; p_s - p_t is p_t (exp(r) - 1) where the two are close, so it keeps its digits at
                any T, as (1) does
    Limits      T -> inf: (c(z_s) - c(z_t)) / (C N);  each row sums to 0
    Raises      ValueError as kd_loss
    Source      from (1)

    >>> kd_loss_backward(np.array([[0.0, 0.0]]), np.array([[0.0, np.log(3.0)]]), temperature=1.0)
    array([[ 0.25, -0.25]])
    """
    return kd_loss_and_gradient(student_logits, teacher_logits, temperature, reduction, convention)[1]


def kd_loss_and_gradient(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> tuple[float, Array]:
    """Return `kd_loss` and `kd_loss_backward` together, for little more than the price of one.

    Equation    (1) and (2)
    Shapes      student_logits, teacher_logits (N, C) -> number, (N, C)
    Raises      ValueError as kd_loss
    Source      this package

    >>> loss, gradient = kd_loss_and_gradient(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0]]), temperature=1.0)
    >>> loss, gradient.tolist()
    (0.0, [[0.0, 0.0]])
    """
    rule, temperature = _rule(convention, reduction), float(temperature)  # a float32 T would round 1 / T
    z_s, z_t = as_rows(student_logits, teacher_logits, temperature)
    divergence = DIVERGENCES[rule.divergence]
    gradient = np.empty(z_s.shape, z_s.dtype)
    divisor, factor = _divisor(rule, z_s.shape), _factor(rule, temperature)
    total = 0.0
    with short_buffers(), np.errstate(under="ignore", invalid="ignore"):  # a gradient below 1e-38 is 0 in float32
        for block in _blocks(z_s.shape):
            rows, slope = divergence(z_s[block], z_t[block], temperature)
            total += float(rows.sum())
            np.multiply(slope, factor / temperature / divisor, out=gradient[block], casting="same_kind")  # (2)
    return _finite(factor * (total / divisor)), gradient  # (1)


def kl_to_targets(log_probabilities: Array, targets: Array, reduction: str = "batchmean") -> float:
    """Return the KL divergence from targets that are given as probabilities, of a row given as log-probabilities.

    Equation    L = sum q (log q - l) / R,  0 log 0 = 0
    Shapes      log_probabilities l (N, C), targets q (N, C) >= 0 -> number
    Convention  nothing is normalised: rows that are no (log-)probabilities give what the sum gives. In particular
                probabilities in place of l give a plausible, negative, wrong number.
    Raises      ValueError if shapes differ, a target is negative or the reduction is unknown
    Source      torch.nn.functional.kl_div, torch 2.13.0, and paddle.nn.functional.kl_div, paddle 3.3.1

    >>> kl_to_targets(np.array([[0.0, -1.0]]), np.array([[1.0, 0.0]]))
    0.0
    """
    log_p, q = np.asarray(log_probabilities), np.asarray(targets)
    rule = _rule(TEMPERED_KL, reduction)
    if log_p.shape != q.shape or (q < 0).any():
        raise ValueError(f"log-probabilities {log_p.shape} and targets {q.shape} need one shape, and targets >= 0")
    terms = np.where(q > 0, q * (np.log(np.where(q > 0, q, 1)) - np.where(q > 0, log_p, 0)), 0)
    return float(terms.sum()) / _divisor(rule, q.shape)


def as_rows(student_logits: Array, teacher_logits: Array, temperature: float) -> tuple[Array, Array]:
    """Return both arrays of logits as floating-point arrays, or say what is wrong with them.

    Shapes      (N, C), (N, C) -> the same; integers become float64
    Raises      ValueError if shapes differ or are not (N, C) with C >= 1, or the temperature is not positive and finite
    Source      this package

    >>> as_rows(np.array([[1, 2]]), np.array([[0, 0]]), 1.0)[0]
    array([[1., 2.]])
    """
    z_s, z_t = np.asarray(student_logits), np.asarray(teacher_logits)
    if z_s.shape != z_t.shape:  # broadcasting would silently teach every row the same
        raise ValueError(f"the student's logits have shape {z_s.shape} and the teacher's {z_t.shape}; make them equal")
    if z_s.ndim != 2 or (len(z_s) and z_s.shape[1] == 0):
        raise ValueError(f"logits have shape {z_s.shape}; they need (rows, classes) with at least one class")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it divides the logits, so it must be positive and finite")
    return _floating(z_s), _floating(z_t)


@contextmanager
def short_buffers() -> Iterator[None]:
    """Run ufuncs with short internal buffers, and put the old length back.

    Shapes      takes no arrays
    Source      measured, numpy 2.4: with rows of 1,000 numbers and the usual buffer of 8,192, adding a column to a matrix copies
                the column into the buffer over and over and takes 2.3 times as long

    >>> with short_buffers():
    ...     np.getbufsize()
    1024
    """
    usual = np.setbufsize(1024)
    try:
        yield
    finally:
        np.setbufsize(usual)


def _floating(z: NDArray[Any]) -> Array:
    return z if np.issubdtype(z.dtype, np.floating) else z.astype(np.float64)


def _rule(convention: Convention, reduction: str | None) -> SoftTargetRule:
    rule = resolve(convention, SoftTargetRule)
    if rule.split != "none":
        raise ValueError(f"a rule with split {rule.split!r} needs labels; call decoupled_kd_loss")
    if reduction is None:
        return rule
    if reduction not in ("batchmean", "mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; use 'batchmean', 'mean' or 'sum'")
    return replace(rule, reduction=reduction)  # type: ignore[arg-type]


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, BLOCK // max(shape[1], 1))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _divisor(rule: SoftTargetRule, shape: tuple[int, ...]) -> int:
    return {"batchmean": max(shape[0], 1), "mean": max(shape[0] * shape[1], 1), "sum": 1}[rule.reduction]


def _factor(rule: SoftTargetRule, temperature: float) -> float:
    return {"squared": temperature * temperature, "linear": temperature, "one": 1.0}[rule.temperature_factor]


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}: a logit is NaN or infinite, or overflows over T; leave such classes out")
    return loss
