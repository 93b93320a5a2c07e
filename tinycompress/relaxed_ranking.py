"""Only the teacher's first places in order, the rest merely below them: the Plackett-Luce likelihood, relaxed.

Draw a list without replacement, each next item with probability proportional to exp(score). The likelihood of the teacher's K
best items in the teacher's order, while the other items only ever stand in the denominator, is the relaxed ranking loss. The
student is punished for putting an uninteresting item above an interesting one, and for swapping two interesting ones, but not
for the order among the uninteresting.

Letters     s student's scores; K interesting items, best first; M uninteresting items; N users
            D_i the sum of exp(s) over what is still undrawn at draw i: interesting items i ... K and all uninteresting ones
Not here: which items are interesting, and sampling them. Read next: distillation.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycompress.conventions import RankingRule, resolve
from tinycompress.ranking_distillation import ONE_BASED, Ranking

Array = NDArray[np.floating]


def relaxed_ranking_loss(interesting: Array, uninteresting: Array, convention: Ranking = ONE_BASED) -> float:
    """Return minus the log-likelihood of the interesting items' order, uninteresting ones anywhere below.

    Equation    L = sum_n [sum_i log D_i - sum_i s_i] / N,  log D_i by log-sum-exp                                          (1)
    Shapes      interesting (N, K) student's scores in the teacher's order, uninteresting (N, M) -> number
    Limits      all scores equal: log of (K + M)(K + M - 1) ... (M + 1), the number of ordered draws;
                the same for every common shift of a user's scores
    Convention  a mean over users, or a sum. "plain" exponentials are summed as they are, in the dtype of the scores: inf from
                89 on in float32. No interesting items: 0.
    Raises      ValueError if shapes do not fit
    Source      Kang et al. 2020 (DE-RRD, arXiv 2012.04357), equation 8, with the second sum of the denominator from K + 1 on

    >>> round(relaxed_ranking_loss(np.array([[2.0, 1.0, 0.0]]), np.array([[-1.0, -2.0]])), 6)
    1.29971
    """
    rule = resolve(convention, RankingRule)
    s, u = _scores(interesting, uninteresting)
    if rule.exponentials == "plain":
        with np.errstate(all="ignore"):
            undrawn = np.cumsum(np.exp(s[:, ::-1]), axis=1) + np.exp(u).sum(axis=1, keepdims=True)
            log_d = np.log(undrawn)[:, ::-1]
    else:
        log_d = _log_undrawn(s, u)
    with np.errstate(invalid="ignore"):
        return float((log_d - s).sum()) / _users(rule, len(s))  # (1)


def relaxed_ranking_loss_backward(
    interesting: Array, uninteresting: Array, convention: Ranking = ONE_BASED
) -> tuple[Array, Array]:
    """Return d interesting and d uninteresting of `relaxed_ranking_loss`.

    Equation    ds_r = (sum_{i <= r} exp(s_r) / D_i - 1) / N,  du = sum_i exp(u) / D_i / N;  all of a user's sum to 0         (2)
    Shapes      interesting (N, K), uninteresting (N, M) -> (N, K), (N, M)
    Raises      ValueError as relaxed_ranking_loss
    Source      from (1)

    >>> [d.tolist() for d in relaxed_ranking_loss_backward(np.array([[0.0]]), np.array([[0.0]]))]
    [[[-0.5]], [[0.5]]]
    """
    s, u = _scores(interesting, uninteresting)
    log_d = _log_undrawn(s, u)
    users = _users(resolve(convention, RankingRule), len(s))
    with np.errstate(under="ignore"):
        # log of sum_{i <= r} 1 / D_i, kept as a log so that exp(s_r) / D_i never passes through exp(s_r) alone
        inverse = np.logaddexp.accumulate(-log_d, axis=1)
        ds = (np.exp(s + inverse) - 1) / users
        du = np.exp(u + inverse[:, -1:]) / users if s.shape[1] else np.zeros_like(u)
    return ds.astype(s.dtype, copy=False), du.astype(u.dtype, copy=False)  # (2)


def _log_undrawn(s: Array, u: Array) -> NDArray[np.float64]:
    """log D_i, from the last draw back to the first."""
    with np.errstate(under="ignore"):
        rest = np.logaddexp.reduce(u.astype(np.float64), axis=1, keepdims=True, initial=-np.inf)
        both = np.concatenate([rest, s[:, ::-1]], axis=1)
        log_d: NDArray[np.float64] = np.logaddexp.accumulate(both, axis=1)[:, :0:-1]
        return log_d


def _scores(interesting: Array, uninteresting: Array) -> tuple[Array, Array]:
    s, u = np.asarray(interesting) * 1.0, np.asarray(uninteresting) * 1.0  # integers become floating, float32 stays
    if s.ndim != 2 or u.ndim != 2 or len(s) != len(u):
        raise ValueError(f"scores have shapes {s.shape} and {u.shape}; they need (users, K) and (users, M)")
    return s, u


def _users(rule: RankingRule, n: int) -> int:
    return max(n, 1) if rule.reduction == "batchmean" else 1
