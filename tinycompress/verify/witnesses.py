"""The simplest input that speaks against an option: what was answered there, and what the option would have answered.

Not here: which options are rejected (diagnosis). Read next: diagnosing.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify.axes import Points, legal, option_names, options_left
from tinycompress.verify.cases import differ
from tinycompress.verify.evidence import Seen
from tinycompress.verify.operations import get_operation, read_answer
from tinycompress.verify.tables import spread


@dataclass(frozen=True)
class Witness:
    """Why an axis has not this option: on this call you answered `yours`, and it would have been `other`."""

    axis: str
    rejected: str
    call: str
    yours: str
    other: str

    def __str__(self) -> str:
        return f"not {self.rejected}: {self.call} -> you {self.yours}, it would be {self.other}"


def find_witnesses(operation: str, seen: Sequence[Seen], standing: Points) -> tuple[Witness, ...]:
    """Return for each axis that is known the simplest witness against each of its other options.

    Shapes      standing as legal(operation)
    Convention  the other axes stay as they were found; an option that no question spoke against alone has no witness
    Source      this package

    >>> find_witnesses("accuracy", [], legal("accuracy"))
    ()
    """
    names, left, good = option_names(operation), options_left(operation, standing), legal(operation)
    mine = tuple(int(i) for i in np.argwhere(standing)[0])
    found = []
    for place, (axis, options) in enumerate(names.items()):
        if len(left[axis]) > 1:
            continue
        for number, option in enumerate(options):
            other = (*mine[:place], number, *mine[place + 1 :])
            if option in left[axis] or not good[other]:
                continue
            made = [w for one in seen if (w := _witness(operation, one, mine, other, axis, option)) is not None]
            if made:
                found.append(min(made, key=lambda w: len(w.call) + len(w.yours) + len(w.other)))
    return tuple(found)


def _witness(
    operation: str, one: Seen, mine: tuple[int, ...], other: tuple[int, ...], axis: str, option: str
) -> Witness | None:
    table = one.question.table
    which = np.broadcast_to(spread(operation, table), legal(operation).shape)
    a, b = int(which[mine]), int(which[other])
    if a < 0 or b < 0 or a == b or not differ(table.answers[a], table.answers[b]):
        return None
    rival = table.answers[b]
    request = one.question.request
    if rival.refused or one.reply.status == "refused":
        yours = "a ValueError" if one.reply.status == "refused" else _numbers(read_answer(operation, one.reply.answer)[0])
        return Witness(axis, option, str(request), yours, "a ValueError" if rival.refused else _numbers(rival.values[0]))
    answers = read_answer(operation, one.reply.answer)
    for mine_part, right, wrong in zip(answers, table.answers[a].values or answers, rival.values, strict=True):
        parted = np.flatnonzero((np.asarray(right) != wrong).ravel()) if np.shape(right) == wrong.shape else np.array([], int)
        if parted.size:
            return _at(operation, request.arguments, request.axis, int(parted[0]), mine_part, wrong, (axis, option))
    return Witness(axis, option, str(request), _numbers(answers[0]), _numbers(rival.values[0]))


def _at(
    operation: str, arguments: Sequence[Any], by_row: int | None, entry: int, mine: Any, wrong: Any, what: tuple[str, str]
) -> Witness:
    """Name one entry: for elementwise operations with the scalars that belong to it, else by its index."""
    op = get_operation(operation)
    yours, other = _short(mine.ravel()[entry]), _short(wrong.ravel()[entry])
    if op.lane == "entry" and by_row is None:
        given = [(name, np.asarray(value).ravel()[entry] if name in op.lanes else value)
                 for (name, _), value in zip(op.arguments, arguments, strict=True)]  # fmt: skip
        short = {"scale": "s", "zero_point": "zp"}
        shown = [f"{short.get(name, name)}={_short(value)}" for name, value in given if name not in ("qmin", "qmax")]
        ends = [_short(value) for name, value in given if name in ("qmin", "qmax")]
        return Witness(*what, " ".join(shown) + (f" in {'...'.join(ends)}" if ends else ""), yours, other)
    place = f" [{', '.join(str(int(i)) for i in np.unravel_index(entry, mine.shape))}]" if mine.ndim else ""
    return Witness(*what, op.call(arguments, by_row) + place, yours, other)


def _numbers(values: Any) -> str:
    flat = [_short(v) for v in np.asarray(values).ravel()[:8]]
    return "[" + " ".join(flat) + "]" if np.ndim(values) else flat[0]


def _short(number: Any) -> str:
    value: Any = np.asarray(number)[()]
    if np.asarray(value).dtype.kind == "f":
        text = np.format_float_positional(value, trim="-") if 1e-5 < abs(float(value)) < 1e9 else repr(value.item())
        return "0" if value == 0 else text
    return str(value)
