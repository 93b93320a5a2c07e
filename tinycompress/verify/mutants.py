"""The mistake museum: every named mistake, the law that it breaks, and the harm that it does, in one list.

The mistakes stand by family in mutants_grids, mutants_integers, mutants_masks, mutants_layers, mutants_distillation,
mutants_metrics. They are also how the kit is tested: whatever it asks, it must find every one of them (kill_matrix).

Letters     as in the operations
Not here: how each is found (kill_matrix). Read next: harm, kill_matrix.
"""
from __future__ import annotations

from functools import lru_cache

from tinycompress.verify import mutants_distillation as distillation
from tinycompress.verify.axes import Point, default_point, points
from tinycompress.verify.laws import Function, Law, Mutant, keeps
from tinycompress.verify.laws_layers import LAYER_LAWS
from tinycompress.verify.mutants_grids import GRID_LAWS, GRID_MUTANTS, GRID_RIGHT
from tinycompress.verify.mutants_integers import INTEGER_LAWS, INTEGER_MUTANTS, INTEGER_RIGHT
from tinycompress.verify.mutants_layers import LAYER_MUTANTS, LAYER_RIGHT
from tinycompress.verify.mutants_masks import MASK_LAWS, MASK_MUTANTS, MASK_RIGHT
from tinycompress.verify.mutants_metrics import METRIC_LAWS, METRIC_MUTANTS, METRIC_RIGHT
from tinycompress.verify.operations import OPERATIONS

MUTANTS: tuple[Mutant, ...] = (
    *GRID_MUTANTS, *INTEGER_MUTANTS, *MASK_MUTANTS, *LAYER_MUTANTS, *distillation.TWINS, *METRIC_MUTANTS,
)  # fmt: skip
LAWS: dict[str, Law] = {**GRID_LAWS, **INTEGER_LAWS, **MASK_LAWS, **LAYER_LAWS, **distillation.laws(), **METRIC_LAWS}
RIGHT: dict[str, Function] = {**GRID_RIGHT, **INTEGER_RIGHT, **MASK_RIGHT, **LAYER_RIGHT, **distillation.RIGHT, **METRIC_RIGHT}

# Those that anybody who has compressed a model has met; the others are their relatives.
FAMOUS = (
    "truncation", "half_away", "reciprocal", "zero_inside", "zero_after_clamp", "cast_before_clip", "wraps", "tail_lanes",
    "remembers", "passes_everywhere", "difference_wraps", "max_for_absmax", "by_128", "not_widened", "arithmetic_shift",
    "int16_sums", "weight_zero_forgotten", "high_first", "percentile", "count_cut_off", "kept_rounded", "signed_weights",
    "n_pruned", "mask_not_reapplied", "weight_gradient_transposed", "mean_of_rows", "not_shifted", "softmax_twice",
    "epsilon_inside", "not_corrected", "no_t_squared", "mean", "swapped", "batch_axis", "probabilities", "epsilon",
    "teacher_unused", "alpha_swapped", "one_logit", "f1_of_averages", "ties_won", "argsort_ties", "exponential_gain",
    "empty_skipped",
)  # fmt: skip


def point_of(mutant: Mutant) -> dict[str, str] | None:
    """Return the point of the space that a mistake is, or None where it is outside: the legal one nearest to the default.

    Shapes      takes no arrays
    Source      this package

    >>> point_of(next(m for m in MUTANTS if m.name == "truncation"))["rounding"]
    'toward_zero'
    """
    if mutant.axis is None or mutant.operation not in OPERATIONS:
        return None
    return nearest_point(mutant.operation, mutant.axis, str(mutant.option))


def nearest_point(operation: str, axis: str, option: str) -> dict[str, str]:
    """Return the legal point with an option that differs from the default on the fewest axes.

    Shapes      takes no arrays
    Raises      ValueError if no legal point has the option
    Source      this package

    >>> nearest_point("quantize", "zero_point", "inside_fma")["scaling"]
    'reciprocal'
    """
    return dict(_nearest(operation, axis, option))


@lru_cache
def _nearest(operation: str, axis: str, option: str) -> Point:
    default = default_point(operation)
    found = [p for p in points(operation) if p.get(axis) == option]
    if not found:
        raise ValueError(f"{operation} has no legal point with {axis} = {option}; see verify.axes")
    return min(found, key=lambda p: sum(p[a] != default[a] for a in p))


def killers(mutant: Mutant) -> list[str]:
    """Return the laws that a mistake breaks.

    Shapes      takes no arrays
    Source      this package

    >>> killers(next(m for m in MUTANTS if m.name == "mask_not_reapplied"))
    ['stays zero']
    """
    return [name for name, law in LAWS.items() if law.operation == mutant.operation and not keeps(law, mutant.function)]
