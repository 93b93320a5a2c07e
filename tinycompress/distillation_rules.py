"""How distillation losses differ: the divergence, the temperature's square, the mean, whose weight alpha is; weights by rank.

Each field is an axis, each option a value that some library uses; a library is one point of that space. What an option
does is said beside it, in the source.

Not here: the arithmetic (soft_targets, ranking_distillation); the points (conventions). Read next: conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinycompress.rule import OWN, Provenance, brief, check_options


@dataclass(frozen=True)
class SoftTargetRule:
    """What a student pays for differing from its teacher's softened row; interpreted by soft_targets and distillation.

    The same two rows at three points of this space. At T = 4 the teacher's softened row is 3/4, 1/4, the student's 1/2, 1/2, and
    KL = 3/4 log 3/2 + 1/4 log 1/2 = 0.1308. By default that is paid T^2 = 16 times; "mean" halves it again, for two classes:

    >>> import numpy as np
    >>> from tinycompress.soft_targets import kd_loss
    >>> z_s, z_t = np.array([[0.0, 0.0]]), np.array([[4 * np.log(3), 0.0]])
    >>> for point in (SoftTargetRule(), SoftTargetRule(temperature_factor="one"), SoftTargetRule(reduction="mean")):
    ...     print(point.temperature_factor, point.reduction, round(kd_loss(z_s, z_t, 4.0, convention=point), 4))
    squared batchmean 2.093
    one batchmean 0.1308
    squared mean 1.0465
    """

    divergence: Literal[
        "forward_kl",  # KL(p_t || p_s), p the softmax of logits / T
        "reverse_kl",  # KL(p_s || p_t)
        "jensen_shannon",
        "cross_entropy",  # forward_kl plus the entropy of p_t: the same gradient
        "squared_logits",  # sum of (z_s - z_t)^2 / T^2
        "squared_probabilities",  # sum of (p_s - p_t)^2
        "kl_of_probabilities",  # sum of p_t (log p_t - p_s): a KL whose first argument should have been log p_s; may be negative
    ] = "forward_kl"
    temperature_factor: Literal["squared", "linear", "one"] = "squared"  # T^2, T or 1 times the divergence
    reduction: Literal["batchmean", "mean", "sum"] = "batchmean"  # sum over rows and classes over N, over N C, or over nothing;
    # the hard term of a joint loss is a mean over rows, under "sum" a sum
    alpha: Literal["separate", "on_soft", "on_hard"] = "separate"  # which term the peer's alpha weighs; the other has 1 - alpha
    hard_temperature: Literal["one", "same"] = "one"  # of the term that looks at the labels
    without_hard: Literal["as_elsewhere", "bare"] = "as_elsewhere"  # bare: where the hard weight is 0, the divergence alone is
    # returned, without the factor of T and without its weight
    split: Literal["none", "target_and_rest"] = "none"  # target_and_rest: the labelled class against the others, and the others
    # among themselves, as two divergences with a weight each (decoupled_distillation)
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class RankingRule:
    """How a teacher's list of best items is weighed position by position; see ranking_distillation, relaxed_ranking.

    The student ranks the teacher's first item first and its second one third. Counted from 1 on both sides, only the second has a
    weight, tanh(3 - 2); one side counted from 0 is an error of one rank, which silences the second, or wakes the first:

    >>> import numpy as np
    >>> from tinycompress.ranking_distillation import dynamic_weights
    >>> scores, others = np.array([[3.0, -1.0]]), np.array([[0.0, 1.0]])
    >>> for point in (RankingRule(), RankingRule(student_rank_from=0), RankingRule(position_from=0)):
    ...     print(dynamic_weights(scores, others, items=3, sharpness=1.0, convention=point).round(4).tolist())
    [[0.0, 0.7616]]
    [[0.0, 0.0]]
    [[0.7616, 0.964]]
    """

    student_rank_from: Literal[0, 1] = 1  # the number of the best place, in the rank estimated for the student
    position_from: Literal[0, 1] = 1  # the same for the place in the teacher's list
    renormalized: bool = False  # the product of static and dynamic weights is divided by its sum
    exponentials: Literal["shifted", "plain"] = "shifted"  # plain: log(sigmoid(x)) and log(sum(exp(x))) as written, which
    # overflow in the dtype of x to inf
    reduction: Literal["batchmean", "sum"] = "batchmean"  # over users
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)
