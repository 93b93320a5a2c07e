"""The mistake museum: every named mistake, the law that it breaks, and the harm that it does, in one list.

The mistakes stand by family in mutants_grids, mutants_integers, mutants_masks, mutants_layers, mutants_distillation, mutants_metrics.
They are also how the kit is tested: whatever it asks, it must find every one of them (kill_matrix).

Letters     as in the operations
Not here: how each is found (kill_matrix). Read next: kill_matrix.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinycompress.verify import mutants_distillation as distillation
from tinycompress.verify.axes import Point, default_point, points
from tinycompress.verify.laws import Function, Law, Mutant, keeps
from tinycompress.verify.mutants_grids import GRID_LAWS, GRID_MUTANTS, GRID_RIGHT
from tinycompress.verify.mutants_integers import INTEGER_LAWS, INTEGER_MUTANTS, INTEGER_RIGHT
from tinycompress.verify.mutants_layers import LAYER_LAWS, LAYER_MUTANTS, LAYER_RIGHT
from tinycompress.verify.mutants_masks import MASK_LAWS, MASK_MUTANTS, MASK_RIGHT
from tinycompress.verify.mutants_metrics import METRIC_LAWS, METRIC_MUTANTS, METRIC_RIGHT
from tinycompress.verify.operations import OPERATIONS, read_answer

MUTANTS: tuple[Mutant, ...] = (*GRID_MUTANTS, *INTEGER_MUTANTS, *MASK_MUTANTS, *LAYER_MUTANTS, *distillation.TWINS, *METRIC_MUTANTS)
LAWS: dict[str, Law] = {**GRID_LAWS, **INTEGER_LAWS, **MASK_LAWS, **LAYER_LAWS, **distillation.laws(), **METRIC_LAWS}
RIGHT: dict[str, Function] = {**GRID_RIGHT, **INTEGER_RIGHT, **MASK_RIGHT, **LAYER_RIGHT, **distillation.RIGHT, **METRIC_RIGHT}


def point_of(mutant: Mutant) -> dict[str, str] | None:
    """Return the point of the space that a mistake is, or None where it is outside: the legal one nearest to the default.

    Shapes      takes none
    Source      this package

    >>> point_of(next(m for m in MUTANTS if m.name == "truncation"))["rounding"]
    'toward_zero'
    """
    if mutant.axis is None or mutant.operation not in OPERATIONS:
        return None
    return nearest_point(mutant.operation, mutant.axis, str(mutant.option))


def nearest_point(operation: str, axis: str, option: str) -> dict[str, str]:
    """Return the legal point with an option that differs from the default on the fewest axes.

    Shapes      takes none
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

    Shapes      takes none
    Source      this package

    >>> killers(next(m for m in MUTANTS if m.name == "mask_not_reapplied"))
    ['stays zero']
    """
    return [name for name, law in LAWS.items() if law.operation == mutant.operation and not keeps(law, mutant.function)]


def measured_harm(mutant: Mutant, right: Any, wrong: Any) -> str:
    """Say how far two answers are apart, in words: how many entries differ, and by how much where they are numbers.

    Shapes      two answers of the mutant's operation to one input
    Source      this package

    >>> measured_harm(MUTANTS[0], np.array([1, 2, 3, 4]), np.array([1, 2, 3, 6]))
    '25 % of 4 differ, by up to 2'
    """
    if mutant.operation in OPERATIONS:
        a, b = (read_answer(mutant.operation, answer)[0].astype(np.float64).ravel() for answer in (right, wrong))
    else:
        a, b = (np.ravel(answer).astype(np.float64) for answer in (right, wrong))
    if a.size != b.size:
        return f"{b.size} entries for {a.size}"
    if a.size == 1:
        return f"{b[0]:.4g} for {a[0]:.4g}"
    with np.errstate(all="ignore"):
        apart = np.abs(a - b)
        share = f"{100 * np.mean(~(apart <= 1e-12 * np.abs(a).max())):.0f} % of {a.size} differ"
    return f"{share}, by up to {np.nanmax(apart):.3g}" if np.isfinite(apart).any() else f"{share}: NaN"
