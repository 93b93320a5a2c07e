"""What every point of the space answers to one input, and which axes the input speaks about.

The oracle asks for an option only where it makes a difference. Following every branch of those questions covers the whole
product of axes in a few evaluations, and leaves a table over the axes that this input can tell apart.

Not here: the answers themselves (oracle), files of them (vectors). Read next: cases_integers, cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.verify.axes import Points, legal, option_names
from tinycompress.verify.operations import compare
from tinycompress.verify.oracle import Answer, answer_dtype, run_point, runner
from tinycompress.verify.oracle_grids import Pick


@dataclass(frozen=True)
class Table:
    """Which answer each combination of the consulted axes gives: an index into answers, or -1 where no point is."""

    axes: tuple[str, ...]
    which: npt.NDArray[np.int16]
    answers: tuple[Answer, ...]


def branches(operation: str, run: Callable[[Pick], Any], allowed: Points) -> Iterator[tuple[dict[str, str], Any]]:
    """Run once for each way the questions can go; yield the options that were asked for, and what came of it.

    Shapes      allowed as legal(operation)
    Source      this package

    >>> [taken for taken, _ in branches("accuracy", lambda pick: pick("unit"), legal("accuracy"))][0]
    {'unit': 'fraction'}
    """
    names = option_names(operation)
    place = {axis: i for i, axis in enumerate(names)}
    waiting: list[dict[str, str]] = [{}]
    while waiting:
        taken = waiting.pop()

        def pick(axis: str, taken: dict[str, str] = taken) -> str:
            if axis not in taken:
                index: list[Any] = [slice(None)] * allowed.ndim
                for known, option in taken.items():
                    index[place[known]] = names[known].index(option)
                left = np.moveaxis(allowed, place[axis], 0)
                rest = tuple(index[: place[axis]] + index[place[axis] + 1 :])
                options = [o for o, ok in zip(names[axis], left, strict=True) if ok[rest].any()]
                waiting.extend({**taken, axis: option} for option in reversed(options[1:]))
                taken[axis] = options[0]
            return taken[axis]

        yield taken, run(pick)


def table(operation: str, arguments: Sequence[Any], axis: int | None = None, allowed: Points | None = None) -> Table:
    """Return what every allowed point answers, over the axes that the input speaks about.

    Shapes      as the operation
    Source      this package

    >>> found = table("accuracy", [np.array([1, 2]), np.array([1, 3])])
    >>> found.axes, [float(a.values[0]) for a in found.answers]
    (('unit',), [0.5, 50.0, 1.0])
    """
    dtype = answer_dtype(operation, arguments)
    run = runner(operation, arguments, axis)
    allowed = legal(operation) if allowed is None else allowed
    found = list(branches(operation, lambda pick: run_point(operation, pick, run, dtype), allowed))
    return tabulate(operation, found)


def tabulate(operation: str, found: list[tuple[dict[str, str], Answer]]) -> Table:
    """Collect branches into a table, without the axes that turned out to make no difference.

    Shapes      takes branches
    Source      this package

    >>> tabulate("accuracy", [({}, Answer())]).axes
    ()
    """
    names = option_names(operation)
    axes = [axis for axis in names if any(axis in taken for taken, _ in found)]
    which = np.full([len(names[axis]) for axis in axes], -1, np.int16)
    answers: dict[Any, int] = {}
    kept: list[Answer] = []
    for taken, made in found:
        number = answers.setdefault(made.key(), len(kept))
        if number == len(kept):
            kept.append(made)
        which[tuple(names[axis].index(taken[axis]) if axis in taken else slice(None) for axis in axes)] = number
    for i in reversed(range(len(axes))):
        lead = np.moveaxis(which, i, 0)
        filled = np.where(lead < 0, lead.max(axis=0), lead)
        if (filled == filled[:1]).all():
            which, axes = filled[0], axes[:i] + axes[i + 1 :]
    return Table(tuple(axes), which, tuple(kept))


def spread(operation: str, found: Table) -> npt.NDArray[np.int16]:
    """Return a table's `which` with one dimension per axis of the operation, of length 1 where the axis makes no difference.

    Shapes      which over found.axes -> as legal(operation), broadcastable
    Source      this package

    >>> spread("accuracy", Table((), np.int16(0), (Answer(),))).shape
    (1,)
    """
    shape = [len(options) if axis in found.axes else 1 for axis, options in option_names(operation).items()]
    return found.which.reshape(shape)


def explains(operation: str, found: Table, answer: Any, refused: bool, narrowest: npt.DTypeLike | None) -> Points:
    """Return which points are consistent with what an implementation did: its answer, or its refusal.

    Shapes      -> bool, broadcastable to legal(operation)
    Source      this package

    >>> explains("accuracy", table("accuracy", [np.array([1]), np.array([1])]), 100.0, False, None).tolist()
    [False, True, False]
    """
    same = [a.undefined or (refused if a.refused else not refused and compare(operation, answer, a.values, a.tol, narrowest).ok)
            for a in found.answers]  # fmt: skip
    which = spread(operation, found)
    good: Points = np.array([*same, False])[which]  # -1: the False at the end
    return good
