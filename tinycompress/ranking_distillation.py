"""Lists: a user's or a query's candidates, of which only the order matters, and most of all its top.

Two ways to teach an order. The listwise way is Hinton's with the candidates of one query as the classes: a softmax over the
list, padding left out, a mean over queries. The positional way looks only at the teacher's K best items and asks the student
to score them high, each with a weight: a static one that falls with the position in the teacher's list, and a dynamic one that
is 0 where the student already ranks the item above that position.

Letters     z_s, z_t scores of student and teacher, T temperature, N queries or users, L candidates
            K the teacher's best items, j = position in that list, r = the rank the student gives an item, w weights
            M sampled items that are not among them
Not here: the order of the K best as a whole (relaxed_ranking); sampling of negatives (splits). Read next: relaxed_ranking.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.conventions import RankingRule, SoftTargetRule, resolve
from tinycompress.ops import sigmoid
from tinycompress.soft_targets import TEMPERED_KL, Convention, as_rows, kd_loss, kd_loss_backward

Array = NDArray[np.floating]
Ranking = RankingRule | str

ONE_BASED = RankingRule()  # ranks and positions from 1, a mean over users


def ranking_kd_loss(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    mask: NDArray[np.bool_] | None = None,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> float:
    """Return the softened listwise divergence of the student's scores from the teacher's.

    Equation    L = T^2 sum_n KL(p_t[n] || p_s[n]) / N,  p = softmax over the candidates of query n at temperature T
    Shapes      student_logits, teacher_logits (N, L), mask (N, L) bool, False = padding -> number
    Convention  "batchmean" is a mean over queries, not over candidates: a long list does not count more. "mean" divides by the
                number of candidates in all lists, padding not counted. What stands in the padding is never looked at; a query
                without candidates has loss 0 and counts as a query.
    Raises      ValueError as kd_loss, or if mask has another shape
    Source      Hinton, Vinyals, Dean 2015 applied to a list, as ListNet (Cao et al. 2007) applies cross-entropy

    >>> ranking_kd_loss(np.array([[1.0, 0.0, 9.0]]), np.array([[1.0, 0.0, 5.0]]), 1.0, mask=np.array([[True, True, False]]))
    0.0
    """
    z_s, z_t, scale = _without_padding(student_logits, teacher_logits, temperature, mask, reduction, convention)
    return kd_loss(z_s, z_t, temperature, reduction, convention) * scale


def ranking_kd_loss_backward(
    student_logits: Array,
    teacher_logits: Array,
    temperature: float,
    mask: NDArray[np.bool_] | None = None,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> Array:
    """Return d student_logits of `ranking_kd_loss`: 0 in the padding, and each row sums to 0.

    Equation    dz_s = T (p_s - p_t) / N
    Shapes      student_logits, teacher_logits (N, L), mask (N, L) bool -> (N, L)
    Raises      ValueError as ranking_kd_loss
    Source      from ranking_kd_loss

    >>> ranking_kd_loss_backward(np.array([[0.0, 0.0, 9.0]]), np.zeros((1, 3)), 1.0, mask=np.array([[True, True, False]]))
    array([[0., 0., 0.]])
    """
    z_s, z_t, scale = _without_padding(student_logits, teacher_logits, temperature, mask, reduction, convention)
    d = kd_loss_backward(z_s, z_t, temperature, reduction, convention)
    if mask is not None:
        d *= mask  # subtle: exp(-800) is 0 already, but a rule that compares logits would leave its own 0 or -0
    return d if scale == 1 else d * d.dtype.type(scale)


def static_weights(length: int, decay: float) -> NDArray[np.float64]:
    """Return weights that fall with the position in the teacher's list and sum to 1.

    Equation    w_j = exp(-j / decay) / sum over the list; where j starts does not matter, it cancels
    Shapes      returns (K,)
    Raises      ValueError if the length is below 1 or the decay not positive
    Source      Tang and Wang 2018 (arXiv 1809.07428), section 3.3.1

    >>> static_weights(3, decay=1.0).round(4).tolist()
    [0.6652, 0.2447, 0.09]
    """
    if length < 1 or not decay > 0:
        raise ValueError(f"length is {length} and decay {decay}; a list needs at least one place, and decay > 0")
    with np.errstate(under="ignore"):
        w: NDArray[np.float64] = np.exp(-np.arange(length) / decay)
        w /= w.sum()
        return w


def dynamic_weights(
    top_scores: Array, sampled_scores: Array, items: int, sharpness: float, convention: Ranking = ONE_BASED
) -> NDArray[np.float64]:
    """Return weights that are 0 where the student already ranks an item as high as its teacher does.

    Equation    w_j = tanh(max(sharpness (r_j - j), 0)),  r_j = floor((items - 1) share of samples above item j) + r_0        (1)
    Shapes      top_scores (N, K) student's scores of the teacher's items, best first; sampled_scores (N, M) -> (N, K)
    Convention  the first place has j = position_from and r_0 = student_rank_from, 0 or 1 each. Only the difference counts, so
                0 and 0 is 1 and 1; 1 and 0 is one rank stricter. A constant of training: it passes no gradient.
    Raises      ValueError if shapes do not fit
    Source      Tang and Wang 2018 (arXiv 1809.07428), section 3.3.2

    >>> dynamic_weights(np.array([[3.0, -1.0]]), np.array([[0.0, 1.0]]), items=3, sharpness=1.0).round(4).tolist()
    [[0.0, 0.7616]]
    """
    rule = resolve(convention, RankingRule)
    top, sampled = np.asarray(top_scores), np.asarray(sampled_scores)
    if top.ndim != 2 or sampled.ndim != 2 or len(top) != len(sampled) or sampled.shape[1] == 0:
        raise ValueError(f"scores have shapes {top.shape} and {sampled.shape}; they need (N, K) and (N, M) with M >= 1")
    above = np.array([(row[:, None] < others).sum(axis=1) for row, others in zip(top, sampled, strict=True)]).reshape(top.shape)
    rank = np.floor((items - 1) * (above / sampled.shape[1])) + rule.student_rank_from  # (1)
    position = np.arange(top.shape[1]) + rule.position_from
    with np.errstate(under="ignore"):
        w: NDArray[np.float64] = np.tanh(np.maximum(sharpness * (rank - position), 0))
    return w


def hybrid_weights(static: Array, dynamic: Array, convention: Ranking = ONE_BASED) -> NDArray[np.float64]:
    """Return the product of static and dynamic weights.

    Equation    w = static dynamic, divided by its row's sum if the convention renormalises (a row of zeros stays zero)
    Shapes      static (K,), dynamic (N, K) -> (N, K)
    Source      Tang and Wang 2018 (arXiv 1809.07428), section 3.3.3

    >>> hybrid_weights(np.array([0.75, 0.25]), np.array([[0.5, 0.5]]), RankingRule(renormalized=True)).tolist()
    [[0.75, 0.25]]
    """
    w: NDArray[np.float64] = np.asarray(static, np.float64) * dynamic
    if resolve(convention, RankingRule).renormalized:
        w /= np.maximum(w.sum(axis=1, keepdims=True), 1e-12)
    return w


def positional_loss(top_scores: Array, weights: Array, convention: Ranking = ONE_BASED) -> float:
    """Return the weighted loss of taking each of the teacher's best items for a click.

    Equation    L = sum_n sum_j w_j log(1 + exp(-z_s[n, j])) / N                                                             (2)
    Shapes      top_scores (N, K) student's scores of the teacher's items, best first; weights (K,) or (N, K) -> number
    Convention  a mean over users, or a sum; "plain" exponentials are -log(sigmoid(z)), inf where the sigmoid is 0
    Source      Tang and Wang 2018 (arXiv 1809.07428), equation 7, without its term for the labels (losses.bce)

    >>> round(positional_loss(np.array([[0.0, -1e4]]), np.array([1.0, 0.5])), 4)
    5000.6931
    """
    rule = resolve(convention, RankingRule)
    z = np.asarray(top_scores)
    with np.errstate(under="ignore", divide="ignore"):
        terms = -np.log(sigmoid(z)) if rule.exponentials == "plain" else np.maximum(-z, 0) + np.log1p(np.exp(-np.abs(z)))
        return float((weights * terms).sum()) / _users(rule, len(z))  # (2)


def positional_loss_backward(top_scores: Array, weights: Array, convention: Ranking = ONE_BASED) -> Array:
    """Return d top_scores of `positional_loss`; the weights are constants.

    Equation    dz_s = -w sigmoid(-z_s) / N
    Shapes      top_scores (N, K), weights (K,) or (N, K) -> (N, K)
    Source      from (2)

    >>> positional_loss_backward(np.array([[0.0]]), np.array([0.5]))
    array([[-0.25]])
    """
    z = np.asarray(top_scores)
    d: Array = -weights * sigmoid(-z) / _users(resolve(convention, RankingRule), len(z))
    return d.astype(z.dtype, copy=False)


def _users(rule: RankingRule, n: int) -> int:
    return max(n, 1) if rule.reduction == "batchmean" else 1


def _without_padding(
    student: Array, teacher: Array, temperature: float, mask: Any, reduction: str | None, convention: Convention
) -> tuple[Array, Array, float]:
    """Scores whose padding has probability exactly 0, and what turns a mean over (N, L) into one over candidates."""
    z_s, z_t = as_rows(student, teacher, temperature)
    if mask is None:
        return z_s, z_t, 1.0
    kept = np.asarray(mask, bool)
    if kept.shape != z_t.shape:
        raise ValueError(f"mask has shape {kept.shape} and the scores {z_t.shape}; make them equal")
    best = np.where(kept, z_t, -np.inf).argmax(axis=1)[:, None]
    rule = resolve(convention, SoftTargetRule)
    # exp(-800) is 0 in float64. Measured from the teacher's best candidate both paddings are equal, so they differ by nothing
    far = -800 * temperature
    none = ~kept.any(axis=1, keepdims=True)
    t_far, s_far = (np.where(none, 0, np.take_along_axis(z, best, axis=1)) + far for z in (z_t, z_s))
    if rule.divergence == "squared_logits":  # it looks at the logits as they are
        s_far = t_far
    mean = (reduction or rule.reduction) == "mean"
    return np.where(kept, z_s, s_far), np.where(kept, z_t, t_far), kept.size / max(int(kept.sum()), 1) if mean else 1.0
