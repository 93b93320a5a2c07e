"""The space of conventions: for each operation its axes and options, the point that is held by default, and all points.

A convention is one option on each axis. Everything in the kit is read from here: the oracle answers for any point, the vectors
say which points give which answer, the diagnosis keeps the points that explain what was seen, and the report names them.
A set of points is a boolean array with one dimension per axis, in the order of AXES[operation].

Not here: what a point computes (oracle), who follows which point (profiles). Read next: exact, oracle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.verify.axes_floats import FLOAT_AXES
from tinycompress.verify.axes_integers import INTEGER_AXES, Axis
from tinycompress.verify.operations import OPERATIONS

Point = dict[str, str]  # axis -> option
Points = npt.NDArray[np.bool_]
Claim = Mapping[str, "str | tuple[str, ...] | list[str]"]  # axis -> option, or the options that are all allowed

AXES: dict[str, dict[str, Axis]] = {name: (INTEGER_AXES | FLOAT_AXES)[name] for name in OPERATIONS}

# Besides the first option of each axis, the default profile lets these pass.
ALSO_DEFAULT: dict[str, dict[str, tuple[str, ...]]] = {
    "quantize": {"nan": ("qmin", "error")},
    "fake_quantize": {"nan": ("qmin", "error")},
}
Need = tuple[str, str, str, tuple[str, ...]]


def _alone(axis: str, option: str, /, **others: str) -> tuple[Need, ...]:
    return tuple((axis, option, other, (needed,)) for other, needed in others.items())


def _one_sided(**others: str) -> tuple[Need, ...]:
    needs = {"direction": "forward", **others}
    return _alone("temperature", "teacher_only", **needs) + _alone("temperature", "student_only", **needs)


# (axis, option, axis, the options that it goes with): where the first stands, the second must be one of these.
_NEEDS: dict[str, tuple[Need, ...]] = {
    "quantize": (("zero_point", "inside_fma", "scaling", ("reciprocal",)),),
    "fake_quantize": (("zero_point", "inside_fma", "scaling", ("reciprocal",)),),
    "fake_quantize_backward": (
        ("zero_point", "inside_fma", "scaling", ("reciprocal",)),
        ("mask", "everywhere", "rounding", ("half_even",)),
        ("mask", "nowhere", "rounding", ("half_even",)),
        ("mask", "unrounded", "rounding", ("half_even",)),
        ("mask", "absmax", "rounding", ("half_even",)),
    ),
    "requantize": (
        ("arithmetic", "fixed_double", "zero_point", ("after",)),
        ("arithmetic", "fixed_single", "zero_point", ("after",)),
        ("rounding", "half_up_added", "arithmetic", ("float32", "float64")),
        ("rounding", "half_away_added", "arithmetic", ("float32", "float64")),
    ),
    "magnitude_mask": (
        ("threshold", "keep_all", "ties", ("low_first",)),
        ("threshold", "prune_all", "ties", ("low_first",)),
    ),
    "dequantize": (("difference", "wraps", "order", ("difference",)),),
    # A slip of its own kind is looked for by itself, not together with each of the others.
    "adam_step": (
        *_alone("root", "missing", epsilon="outside", count="from_one", returned="moments", direction="down", correction="both"),
        *_alone("returned", "corrected", epsilon="outside", count="from_one", direction="down", correction="both"),
        *_alone("count", "next", epsilon="outside", direction="down", correction="both"),
        *_alone("direction", "up", epsilon="outside", correction="both"),
        *_alone("epsilon", "before_correction", correction="both"),
    ),
    "kd_loss": (*_one_sided(axis="classes"), *_alone("axis", "rows", direction="forward")),
    "kd_loss_backward": (*_one_sided(), *_alone("factor", "inner_forgotten", direction="forward", temperature="both")),
    "binary_kd_loss": _one_sided(logits="zero_z"),
    "binary_kd_loss_backward": (
        *_one_sided(logits="zero_z"),
        *_alone("factor", "inner_forgotten", direction="forward", temperature="both", logits="zero_z"),
    ),
    "n_m_mask": (
        ("axis", "flat", "ragged", ("short_group",)),
        ("axis", "first", "ragged", ("short_group",)),
    ),
    "symmetric_qparams": (("divisor", "no_clipping", "peak", ("absolute",)),),
    "integer_matmul": (
        ("difference", "wraps", "zeros", ("both", "a_only", "added")),
        ("zeros", "uncorrected", "difference", ("wide",)),
    ),
}  # fmt: skip


def option_names(operation: str) -> dict[str, tuple[str, ...]]:
    """List the options of each axis of an operation, the default first.

    Shapes      takes no arrays
    Raises      ValueError if there is no such operation
    Source      this package

    >>> option_names("accuracy")
    {'unit': ('fraction', 'percent', 'count')}
    """
    if operation not in AXES:
        raise ValueError(f"no operation is called {operation!r}; use one of {', '.join(AXES)}")
    return {axis: tuple(options) for axis, options in AXES[operation].items()}


def default_point(operation: str) -> Point:
    """Return the point that an implementation is held to when it claims nothing.

    Shapes      takes no arrays
    Source      this package: the first option of each axis

    >>> default_point("requantize")["arithmetic"]
    'float32'
    """
    return {axis: options[0] for axis, options in option_names(operation).items()}


def legal(operation: str) -> Points:
    """Return which points of the whole product are conventions: some options only make sense together.

    Shapes      takes no arrays -> bool, one dimension per axis
    Source      this package

    >>> bool(legal("accuracy").all())
    True
    """
    names = option_names(operation)
    axes = list(names)
    good = np.ones([len(o) for o in names.values()], bool)
    for axis, option, other, allowed in _NEEDS.get(operation, ()):
        index: list[Any] = [slice(None)] * len(axes)
        index[axes.index(axis)] = names[axis].index(option)
        for i, name in enumerate(names[other]):
            if name not in allowed:
                index[axes.index(other)] = i
                good[tuple(index)] = False
    return good


def points(operation: str) -> Iterator[Point]:
    """Yield every legal point of an operation, the default first.

    Shapes      takes no arrays
    Source      this package

    >>> [point["unit"] for point in points("accuracy")]
    ['fraction', 'percent', 'count']
    """
    names = option_names(operation)
    for ok, choice in zip(legal(operation).flat, itertools.product(*names.values()), strict=True):
        if ok:
            yield dict(zip(names, choice, strict=True))


def claimed(operation: str, claim: Claim | None = None) -> Points:
    """Return the points that a claim allows; an axis that it does not mention is held to the default.

    Shapes      takes no arrays -> bool, one dimension per axis
    Raises      ValueError if the claim names an axis or an option that does not exist, or no legal point
    Source      this package

    >>> claimed("accuracy", {"unit": "percent"}).tolist()
    [False, True, False]
    """
    names = option_names(operation)
    unknown = set(claim or ()) - set(names)
    if unknown:
        raise ValueError(f"{operation} has no axis {sorted(unknown)[0]!r}; use one of {', '.join(names)}")
    good = legal(operation)
    for i, (axis, options) in enumerate(names.items()):
        value = (claim or {}).get(axis, ALSO_DEFAULT.get(operation, {}).get(axis, options[0]))
        allowed = (value,) if isinstance(value, str) else tuple(value)
        wrong = [option for option in allowed if option not in options]
        if wrong:
            raise ValueError(f"{operation}.{axis} has no option {wrong[0]!r}; use one of {', '.join(options)}")
        shape = [1] * len(names)
        shape[i] = len(options)
        good = good & np.isin(options, allowed).reshape(shape)
    if not good.any():
        raise ValueError(f"no legal point of {operation} is {dict(claim or {})}; see verify.axes")
    return good


def options_left(operation: str, standing: Points) -> dict[str, tuple[str, ...]]:
    """Return for each axis the options that some point of a set has.

    Shapes      standing as legal(operation)
    Source      this package

    >>> options_left("accuracy", claimed("accuracy"))
    {'unit': ('fraction',)}
    """
    left = {}
    for i, (axis, options) in enumerate(option_names(operation).items()):
        along = standing.any(axis=tuple(j for j in range(standing.ndim) if j != i))
        left[axis] = tuple(option for option, ok in zip(options, np.atleast_1d(along), strict=True) if ok)
    return left


def is_product(operation: str, standing: Points) -> bool:
    """Say whether a set of points is a product of options: then each axis can be spoken of alone.

    Shapes      standing as legal(operation)
    Source      this package

    >>> is_product("accuracy", claimed("accuracy"))
    True
    """
    left = options_left(operation, standing)
    whole = np.ones(standing.shape, bool)
    for i, (axis, options) in enumerate(option_names(operation).items()):
        shape = [1] * standing.ndim
        shape[i] = len(options)
        whole &= np.isin(options, left[axis]).reshape(shape)
    return bool((whole & legal(operation) == standing).all())
