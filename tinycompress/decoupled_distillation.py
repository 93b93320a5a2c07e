"""The label splits a teacher's row in two: how sure it is of the labelled class, and how it ranks the others.

For each row, with b = (p^y, 1 - p^y) the labelled class against the rest and q the softmax over the rest alone,

    KL(p_t || p_s) = KL(b_t || b_s) + (1 - p_t^y) KL(q_t || q_s)                                                            (1)

so the surer a teacher is, the less of its knowledge about the other classes reaches the student. Decoupled distillation gives
the two terms weights of their own. It is an identity of each row: (1) does not hold between the means over a batch. With two
classes the rest is one class, and its term is 0.

Letters     z_s, z_t logits, y labels, T temperature, p = softmax(z / T), N rows, C classes
Not here: the hard term (losses.cross_entropy). Read next: feature_distillation.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycompress.conventions import SoftTargetRule, resolve
from tinycompress.divergences import DIVERGENCES
from tinycompress.soft_targets import Convention, as_rows

Array = NDArray[np.floating]
Labels = NDArray[np.integer]
Double = NDArray[np.float64]

SPLIT = SoftTargetRule(split="target_and_rest")


def decoupled_kd_loss(
    student_logits: Array,
    teacher_logits: Array,
    labels: Labels,
    temperature: float,
    target_weight: float = 1.0,
    rest_weight: float = 8.0,
    convention: Convention = SPLIT,
) -> float:
    """Return the two weighted divergences of (1).

    Equation    L = f sum_n [target_weight D(b_t, b_s) / R_2 + rest_weight D(q_t, q_s) / R_C]                               (2)
    Shapes      student_logits, teacher_logits (N, C), labels (N,) -> number
    Limits      target_weight 1 and a rest_weight of 1 - p_t^y in each row: kd_loss
    Convention  by default f = T^2, D = KL, R = N for both; reduction "mean" divides the first by 2 N and the second by C N.
                The labelled class is left out of q: a library that adds -1000 to its logit instead agrees to rounding while
                no logit lies that far below the best.
    Raises      ValueError if shapes do not fit, there is one class only, or a label is no class
    Source      Zhao et al. 2022 (arXiv 2203.08679), equations 4 and 7

    >>> z = np.array([[1.0, 0.0, -1.0]])
    >>> decoupled_kd_loss(z, z, np.array([0]), temperature=4.0)
    0.0
    """
    return _both(student_logits, teacher_logits, labels, temperature, target_weight, rest_weight, convention)[0]


def decoupled_kd_loss_backward(
    student_logits: Array,
    teacher_logits: Array,
    labels: Labels,
    temperature: float,
    target_weight: float = 1.0,
    rest_weight: float = 8.0,
    convention: Convention = SPLIT,
) -> Array:
    """Return d student_logits of `decoupled_kd_loss`; each row sums to 0.

    Equation    with slopes g of D(b_t, b_s) by its two logits z_y / T and log sum_{c != y} exp(z_c / T), and h of D(q_t, q_s):
                dz_y = f target_weight g_1 / (T R_2),  dz_c = f (target_weight g_2 q_s / R_2 + rest_weight h / R_C) / T
    Shapes      student_logits, teacher_logits (N, C), labels (N,) -> (N, C)
    Raises      ValueError as decoupled_kd_loss
    Source      from (2)

    >>> z = np.array([[1.0, 0.0, -1.0]])
    >>> decoupled_kd_loss_backward(z, z, np.array([0]), temperature=4.0).tolist()
    [[0.0, 0.0, 0.0]]
    """
    return _both(student_logits, teacher_logits, labels, temperature, target_weight, rest_weight, convention)[1]


def raise_labels(teacher_logits: Array, labels: Labels, temperature: float, margin: float, epsilon: float = 0.0) -> Double:
    """Return logits of a teacher that has been set right by its labels: a drop-in for the teacher_logits of `kd_loss`.

    Equation    p' = (1 - m) p + m onehot(y), with the m that gives
                    p'^y = p'^best + margin    where the teacher's best class is not y                                     (3)
                    p'^y = min(1, p^y + margin)    where it is                                                             (4)
    Shapes      teacher_logits (N, C), labels (N,) -> (N, C), with softmax(answer / T) = p'
    Convention  epsilon is added to the denominator of m, as some code does against 0 / 0; a p' of 0 counts as 1e-300
    Raises      ValueError if a label is no class
    Source      Minifinetuning, arXiv 2506.15702; ModelOpt's MFTLoss with epsilon = 1e-7

    >>> z = raise_labels(np.log(np.array([[0.75, 0.25]])), np.array([1]), temperature=1.0, margin=0.5)
    >>> np.exp(z).round(4).tolist()
    [[0.25, 0.75]]
    """
    z = np.asarray(teacher_logits, np.float64)
    y = _checked(z, labels)
    rows = np.arange(len(z))
    with np.errstate(under="ignore"):
        p = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
        p /= p.sum(axis=1, keepdims=True)
        best, own = p.max(axis=1), p[rows, y]
        wrong = (best - own + margin) / (1 + best - own + epsilon)  # (3)
        right = (np.minimum(1, own + margin) - best) / np.maximum(1 - best + epsilon, 1e-300)  # (4)
        m = np.where(p.argmax(axis=1) != y, wrong, right)[:, None]
        raised = p * (1 - m)
        raised[rows, y] += m[:, 0]
        answer: Double = temperature * np.log(np.maximum(raised, 1e-300))
        return answer


def _both(
    student: Array, teacher: Array, labels: Labels, temperature: float, target: float, rest: float, convention: Convention
) -> tuple[float, Array]:
    rule, temperature = resolve(convention, SoftTargetRule), float(temperature)
    z_s, z_t = as_rows(student, teacher, temperature)
    n, c = z_s.shape
    y = _checked(z_s, labels)
    others = np.ones((n, c), bool)
    others[np.arange(n), y] = False
    divergence = DIVERGENCES[rule.divergence]
    b_s, q_s = _binary(z_s, y, others, temperature)
    b_t, _ = _binary(z_t, y, others, temperature)
    first, g = divergence(b_s, b_t, 1.0)
    second, h = divergence(z_s[others].reshape(n, c - 1), z_t[others].reshape(n, c - 1), temperature)
    each = {"batchmean": (max(n, 1), max(n, 1)), "mean": (2 * max(n, 1), c * max(n, 1)), "sum": (1, 1)}[rule.reduction]
    factor = {"squared": temperature**2, "linear": temperature, "one": 1.0}[rule.temperature_factor]
    loss = factor * (target * float(first.sum()) / each[0] + rest * float(second.sum()) / each[1])  # (2)
    d = np.empty((n, c))
    with np.errstate(under="ignore"):
        d[~others] = target / each[0] * g[:, 0]
        d[others] = (target / each[0] * g[:, 1:] * q_s + rest / each[1] * h).ravel()
        return loss, (factor / temperature * d).astype(z_s.dtype)


def _binary(z: Array, y: Labels, others: NDArray[np.bool_], temperature: float) -> tuple[Double, Double]:
    """Logits of the labelled class against the rest (N, 2), and the softmax within the rest (N, C - 1)."""
    u = z.astype(np.float64) / temperature
    rest = u[others].reshape(len(u), -1)
    with np.errstate(under="ignore"):
        top = rest.max(axis=1, keepdims=True)
        e = np.exp(rest - top)
        total = e.sum(axis=1, keepdims=True)
        return np.concatenate([u[np.arange(len(u)), y][:, None], top + np.log(total)], axis=1), e / total


def _checked(z: Array, labels: Labels) -> Labels:
    y = np.asarray(labels)
    if y.shape != z.shape[:1] or z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"logits have shape {z.shape} and labels {y.shape}; they need (N, C) with C >= 2, and (N,)")
    if len(y) and not 0 <= y.min() <= y.max() < z.shape[1]:
        raise ValueError(f"labels run from {y.min()} to {y.max()}; the classes are 0 to {z.shape[1] - 1}")
    return y
