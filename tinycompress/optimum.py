"""What any answer scores in expectation when the true probabilities are known; so also what the best possible answer scores.

Outcomes are independent draws from the true probabilities p. Accuracy, log loss, AUC and DCG are then expectations that can be
written down, free of the luck of one draw, and each has an answer that nothing beats: the likeliest class, p itself, the order
of p, the order of the expected gain. On outcomes that were really drawn, a model may exceed these by luck; to compare it there,
give p to the same metrics as the model.

Letters     N rows, C classes, S lists of L candidates each, p true probabilities, K the depth of a ranking
Not here: scores of drawn outcomes (metrics). NDCG has no closed form here: it divides each list by the best DCG of its own drawn
outcomes. Read next: problems, ops.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """What no answer exceeds in expectation (for the log loss: goes below)."""

    accuracy: float
    log_loss: float  # nats
    auc: float  # of class 0 against all others
    dcg: float  # per list


def best_possible(probabilities: Floats, k: int = 10) -> Optimum:
    """Return the best expected scores on lists whose outcomes 0, 1, ..., C - 1 are drawn from these probabilities.

    Equation    accuracy: mean of max_c p_c.  log loss: mean of -sum_c p_c log p_c.  AUC: (1) with the scores 1 - p_0.
                DCG: (2) with the scores sum_c c p_c
    Shapes      probabilities (S, L, C) -> four numbers
    Source      Bayes' decision rule; Neyman & Pearson 1933 for the AUC; Robertson 1977 (J. Doc. 33) for the ranking

    >>> best_possible(np.array([[[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]])).accuracy
    0.75
    """
    p = probabilities.reshape(-1, probabilities.shape[-1])
    some_gain = 1 - p[:, 0]
    expected_gain = probabilities @ np.arange(probabilities.shape[-1])
    return Optimum(
        accuracy=float(p.max(axis=1).mean()),
        log_loss=expected_log_loss(p, p),
        auc=expected_auc(some_gain, some_gain),
        dcg=expected_dcg(expected_gain, probabilities, k),
    )


def expected_log_loss(predicted: Floats, probabilities: Floats) -> float:
    """Return the expected log loss of predicted probabilities.

    Equation    mean over rows of -sum_c p_c log predicted_c, where 0 log 0 = 0
    Shapes      predicted (N, C), probabilities (N, C)
    Units       nats
    Limits      inf where something that can happen was given the probability 0
    Source      textbook

    >>> round(expected_log_loss(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])), 6)
    0.693147
    """
    with np.errstate(divide="ignore"):
        logs = np.log(predicted, where=probabilities > 0, out=np.zeros_like(predicted))
    return float(-(probabilities * logs).sum(axis=1).mean())


def expected_auc(scores: npt.NDArray[np.floating[Any]], positive: Floats) -> float:
    """Return the chance that a positive has a higher score than a negative.

    Equation    sum_ij p_i (1 - p_j) ([s_i > s_j] + [s_i = s_j] / 2) / (sum_i p_i sum_j (1 - p_j))                        (1)
    Shapes      scores (N,), positive (N,): the probability p of each row to be positive
    Convention  rows come up independently, with replacement, so i = j counts, as a tie: what the AUC of ever more draws from
                these rows tends to
    Raises      ValueError if no row can be positive, or none negative
    Source      this package; Hanley & McNeil 1982 (Radiology 143) for the meaning of the AUC

    >>> expected_auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    1.0
    """
    total = float(positive.sum())
    if not 0 < total < len(positive):
        raise ValueError(f"{total} of {len(positive)} rows are expected to be positive; an AUC needs positives and negatives")
    _, group = np.unique(scores, return_inverse=True)  # rows of equal score are one group, lowest first
    positives, negatives = np.bincount(group, positive), np.bincount(group, 1 - positive)
    lower = np.cumsum(negatives) - negatives
    return float((positives * (lower + negatives / 2)).sum() / (total * (len(positive) - total)))  # (1)


def expected_dcg(scores: npt.NDArray[np.floating[Any]], probabilities: Floats, k: int, gains: Sequence[float] = ()) -> float:
    """Return the expected DCG@K of lists ranked by these scores.

    Equation    mean over lists of sum_{r < K} (sum_c p_c gain_c of the candidate at place r) / log2(r + 2)                (2)
    Shapes      scores (S, L), probabilities (S, L, C), gains (C,): 0, 1, ..., C - 1 unless given
    Convention  equal scores stay in the order of the list
    Source      Jarvelin & Kekalainen 2002 (TOIS 20), with linear gain and the discount from the first place on

    >>> expected_dcg(np.array([[0.0, 1.0]]), np.array([[[0.5, 0.5], [0.0, 1.0]]]), 1)
    1.0
    """
    expected_gain = probabilities @ np.asarray(gains or range(probabilities.shape[-1]), np.float64)
    ranked = np.take_along_axis(expected_gain, np.argsort(-scores, axis=1, kind="stable"), axis=1)[:, :k]
    return float((ranked / np.log2(np.arange(ranked.shape[1]) + 2)).sum(axis=1).mean())  # (2)
