"""Clicks: one logit a row, so the softmax is the one over the two classes with logits [0, z].

The probability of a click is sigmoid(z) = exp(z) / (1 + exp(z)), which is that softmax's second entry. Everything said of
rows of classes therefore holds, with one difference: a single logit is already a difference of two (z - 0), so the limit of a
large T compares the logits as they are; there is nothing to centre.

Letters     z_s, z_t logits of student and teacher, T temperature, q = sigmoid(z_t / T), N rows
Not here: lists of candidates. Read next: ranking_distillation.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycompress.ops import sigmoid
from tinycompress.soft_targets import TEMPERED_KL, Convention, kd_loss, kd_loss_backward

Array = NDArray[np.floating]


def binary_kd_loss(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> float:
    """Return how far the student's softened click probabilities are from the teacher's.

    Equation    L = T^2 sum_n [q log(q / p) + (1 - q) log((1 - q) / (1 - p))] / N,  p = sigmoid(z_s / T)                     (1)
    Shapes      student_logits, teacher_logits (N,) or (N, 1) -> number
    Limits      T -> inf: mean (z_s - z_t)^2 / 8;  T -> 0: T |z_s| where the signs differ -> 0
    Convention  "cross_entropy" gives the usual BCE against q, larger than (1) by T^2 times the teacher's entropy. "mean"
                divides by 2 N: the two classes. Logits [-z, z] would halve T; a softmax over the one logit is always 1.
    Raises      ValueError if shapes differ or are not one logit a row, T is not positive, or a logit is not finite
    Source      from soft_targets, with the two classes written out

    >>> binary_kd_loss(np.array([0.0]), np.array([0.0]), temperature=2.0)
    0.0
    """
    return kd_loss(_pair(student_logits), _pair(teacher_logits), temperature, reduction, convention)


def binary_kd_loss_backward(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> Array:
    """Return d student_logits of `binary_kd_loss`.

    Equation    dz_s = T (sigmoid(z_s / T) - q) / N
    Shapes      student_logits, teacher_logits (N,) or (N, 1) -> the same
    Limits      T -> inf: (z_s - z_t) / (4 N)
    Raises      ValueError as binary_kd_loss
    Source      from (1)

    >>> binary_kd_loss_backward(np.array([0.0]), np.array([np.log(3.0)]), temperature=1.0)
    array([-0.25])
    """
    z = np.asarray(student_logits)
    d = kd_loss_backward(_pair(z), _pair(teacher_logits), temperature, reduction, convention)
    return d[:, 1].reshape(z.shape)


def soft_clicks(teacher_scores: Array, scale: float, shift: float = 0.0) -> Array:
    """Return a teacher's scores as click probabilities, to be used as the labels of losses.bce.

    Equation    q = sigmoid((z_t + shift) / scale)
    Shapes      teacher_scores (...) -> (...)
    Convention  only the teacher is softened, so there is no T^2 to put back: the student's own logit meets q directly
    Raises      ValueError if the scale is not positive
    Source      Lee et al. 2019 (collaborative distillation) as coded in woriazzc/KDs, with scale = t1, shift = t2

    >>> soft_clicks(np.array([-0.5]), scale=2.0, shift=0.5)
    array([0.5])
    """
    if not scale > 0:
        raise ValueError(f"scale is {scale}; it divides the teacher's scores, so it must be positive")
    return sigmoid((np.asarray(teacher_scores) + shift) / scale)


def _pair(logits: Array) -> Array:
    """Logits [0, z] of no click and click."""
    z = np.asarray(logits)
    if z.ndim != 1 and z.shape[1:] != (1,):
        raise ValueError(f"logits have shape {z.shape}; give one per row, (N,) or (N, 1)")
    z = z.reshape(-1)
    pair = np.zeros((len(z), 2), z.dtype)
    pair[:, 1] = z
    return pair
