"""One reply, judged: which conventions give it, whether the claimed one is among them, and if not, how to see it yourself.

A question is a request together with what every point of the space answers to it. The points whose answer is the one that came
are left standing; the claim is a set of points too; the reply passes where the two meet.

Letters     as in the operations: x values, s scale, z zero point
Not here: where questions come from (vectors), all questions of a run (running). Read next: reproducing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import Point, Points, legal, option_names
from tinycompress.verify.operations import Verdict, compare, read_answer
from tinycompress.verify.oracle import answer_dtype
from tinycompress.verify.reproducing import exact_words, reproducer
from tinycompress.verify.results import Outcome, Status
from tinycompress.verify.tables import Table, spread


@dataclass(frozen=True)
class Question:
    """A request, and what each convention answers; `hunts` says in words what it is there for."""

    test: str
    request: Request
    table: Table
    hunts: str = ""


def points_giving(operation: str, table: Table, good: Sequence[bool]) -> Points:
    """Return the points whose answer is among the good ones.

    Shapes      good (answers of the table) -> bool, one dimension per axis of the operation
    Source      this package

    >>> from tinycompress.verify.tables import table
    >>> asked = table("accuracy", [np.array([1, 2]), np.array([1, 3])])
    >>> points_giving("accuracy", asked, [True, False, True]).tolist()
    [True, False, True]
    """
    chosen: Points = np.array([*good, False])[
        spread(operation, table)
    ]  # subtle: -1, where there is no point, reads the last False
    return legal(operation) & chosen


def judge(question: Question, reply: Reply, claimed: Points) -> tuple[Outcome, Points | None]:
    """Judge one reply; the points that explain it come back too, None where there was no answer that could be explained.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> from tinycompress.verify import axes, tables
    >>> r = Request("quantize", (np.float32([2.5]), 1.0, 0, -128, 127))
    >>> q = Question("a-tie", r, tables.table(r.operation, r.arguments))
    >>> outcome, _ = judge(q, Reply("answered", np.array([3])), axes.claimed("quantize"))
    >>> outcome.status, outcome.options
    ('other-convention', ('rounding: half_away',))
    """
    operation = question.request.operation
    if reply.status == "refused":
        return _judge_refusal(question, reply, claimed)
    if reply.status != "answered":
        return _plain(question, "fail" if reply.status == "changed" else reply.status, reply.message), None
    answers = question.table.answers
    verdicts = [_verdict(question.request, reply, i, answers) for i in range(len(answers))]
    size = sum(np.asarray(part).size for part in read_answer(operation, reply.answer))
    standing = points_giving(operation, question.table, [v.ok for v in verdicts])
    # subtle: a convention that says nothing about this input stands whatever comes, but explains nothing, compares nothing
    explaining = points_giving(
        operation, question.table, [v.ok and not a.undefined for v, a in zip(verdicts, answers, strict=True)]
    )
    if (standing & claimed).any():
        compared = max(1, size) if (explaining & claimed).any() else 0
        return Outcome(operation, question.test, "pass", comparisons=compared), standing
    expected = _expected(question, claimed)
    verdict = verdicts[expected]
    if all(v.status == "invalid-answer" for v, a in zip(verdicts, answers, strict=True) if a.values):
        return _plain(question, "invalid-answer", verdict.message), None
    options = differences(operation, explaining, claimed)
    # Where every convention agrees there is nothing to be explained: the answer is wrong.
    wrong: Status = (
        "other-convention" if options else "fail" if len(answers) == 1 or "narrower" in verdict.message else "unexplained"
    )
    outcome = Outcome(
        operation,
        question.test,
        wrong,
        verdict.message or _refusal_expected(answers[expected].refused),
        options,
        reproducer(question.request, reply.answer, verdict),
        exact_words(question.request, answers[expected], verdict),
        max(1, size),
        alternatives(operation, explaining, claimed)[1:],
    )
    return outcome, standing


def _verdict(request: Request, reply: Reply, i: int, answers: tuple[Any, ...]) -> Verdict:
    answer = answers[i]
    if answer.undefined:
        return Verdict("pass")
    if answer.refused:
        return Verdict("fail", _refusal_expected(True))
    return compare(request.operation, reply.answer, answer.values, answer.tol, answer_dtype(request.operation, request.arguments))


def _refusal_expected(refused: bool) -> str:
    return "it answered; the claimed convention refuses this input with a ValueError" if refused else ""


def _judge_refusal(question: Question, reply: Reply, claimed: Points) -> tuple[Outcome, Points | None]:
    operation, answers = question.request.operation, question.table.answers
    standing = points_giving(operation, question.table, [a.refused or a.undefined for a in answers])
    if (standing & claimed).any():
        return Outcome(operation, question.test, "pass"), standing
    if not standing.any():
        return _plain(question, "error", f"it refused an input that every convention answers: {reply.message}"), None
    options = differences(operation, standing, claimed)
    return _plain(question, "other-convention", f"it refused this input: {reply.message}", options), standing


def _plain(question: Question, status: Status, message: str, options: tuple[str, ...] = ()) -> Outcome:
    """An outcome without a comparison."""
    again = "" if status in ("unsupported", "not-run") else reproducer(question.request)
    return Outcome(question.request.operation, question.test, status, message, options, again, comparisons=0)


def _expected(question: Question, claimed: Points) -> int:
    """Which answer the first claimed point gives."""
    for i in range(len(question.table.answers)):
        flags = [j == i for j in range(len(question.table.answers))]
        if (points_giving(question.request.operation, question.table, flags) & claimed).any():
            return i
    return 0


def differences(operation: str, standing: Points, claimed: Points) -> tuple[str, ...]:
    """Name the options in which the nearest of some points differs from the nearest claimed one: () where there are no points.

    Shapes      as legal(operation)
    Convention  nearest: the fewest axes differ; of several, the first in the order of the options
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> differences("accuracy", claimed("accuracy", {"unit": "percent"}), claimed("accuracy"))
    ('unit: percent',)
    """
    if not standing.any() or not claimed.any():
        return ()
    found, held = nearest_points(operation, standing, claimed)
    return tuple(f"{axis}: {option}" for axis, option in found.items() if option != held[axis])


def alternatives(operation: str, standing: Points, claimed: Points) -> tuple[str, ...]:
    """Name every way to get from the claim to one of some points that is as short as the shortest; the first is `differences`.

    Shapes      as legal(operation)
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> alternatives("accuracy", ~claimed("accuracy"), claimed("accuracy"))
    ('unit: percent', 'unit: count')
    """
    if not standing.any() or not claimed.any():
        return ()
    left, right = np.argwhere(standing), np.argwhere(claimed)
    apart = (left[:, None, :] != right[None, :, :]).sum(axis=2)
    names = list(option_names(operation).items())
    words: dict[str, None] = {}
    for i, j in np.argwhere(apart.T == apart.min())[:, ::-1]:
        turned = [f"{axis}: {o[a]}" for (axis, o), a, b in zip(names, left[i].tolist(), right[j].tolist(), strict=True) if a != b]
        words.setdefault("; ".join(turned))
    return tuple(words)


def nearest_points(operation: str, a: Points, b: Points) -> tuple[Point, Point]:
    """Return the point of each set that is nearest to the other set: they differ on the fewest axes.

    Shapes      as legal(operation)
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> nearest_points("accuracy", claimed("accuracy"), claimed("accuracy", {"unit": "count"}))
    ({'unit': 'fraction'}, {'unit': 'count'})
    """
    left, right = np.argwhere(a), np.argwhere(b)
    apart = (left[:, None, :] != right[None, :, :]).sum(axis=2)
    j, i = np.unravel_index(int(apart.T.argmin()), apart.T.shape)  # of equals the first of b, and of those the first of a
    names = option_names(operation)
    p, q = (
        {axis: options[k] for (axis, options), k in zip(names.items(), row.tolist(), strict=True)} for row in (left[i], right[j])
    )
    return p, q


def sharpen(outcome: Outcome, giving: Points, standing: Points, claimed: Points) -> Outcome:
    """Name an outcome's convention by what explains all answers, not this one alone: a single tie fits many rules.

    Shapes      as legal(operation); giving are the points that explain this answer, standing those that explain all
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> o = Outcome("accuracy", "a", "other-convention", options=("unit: count",))
    >>> sharpen(o, legal("accuracy"), claimed("accuracy", {"unit": "percent"}), claimed("accuracy")).options
    ('unit: percent',)
    """
    found, held = nearest_points(outcome.operation, standing, claimed)
    turned = [axis for axis in found if found[axis] != held[axis]]
    names = option_names(outcome.operation)
    for axis in turned:
        point = {**held, axis: found[axis]}
        if giving[tuple(options.index(point[a]) for a, options in names.items())]:
            return replace(outcome, alternatives=(), options=(f"{axis}: {found[axis]}",))
    return replace(outcome, alternatives=(), options=tuple(f"{axis}: {found[axis]}" for axis in turned))
