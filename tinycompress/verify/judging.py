"""One reply, judged: which conventions give it, whether the claimed one is among them, and if not, how to see it yourself.

A question is a request together with what every point of the space answers to it. The points whose answer is the one that came
are left standing; the claim is a set of points too; the reply passes where the two meet.

Letters     as in the operations: x values, s scale, z zero point
Not here: where questions come from (vectors), all questions of a run (running). Read next: reproducing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import Points, legal, option_names
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
    if (standing & claimed).any():
        return Outcome(operation, question.test, "pass", comparisons=max(1, size)), standing
    expected = _expected(question, claimed)
    verdict = verdicts[expected]
    if all(v.status == "invalid-answer" for v in verdicts):
        return _plain(question, "invalid-answer", verdict.message), None
    options = differences(operation, standing, claimed)
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
    found = np.argwhere(standing)
    held = np.argwhere(claimed)
    if not len(found) or not len(held):
        return ()
    best: tuple[int, int, int] | None = None
    for j, row in enumerate(held):
        apart = (found != row).sum(axis=1)
        i = int(apart.argmin())
        if best is None or apart[i] < best[0]:
            best = (int(apart[i]), i, j)
    assert best is not None
    _, i, j = best
    names = option_names(operation)
    return tuple(
        f"{axis}: {options[a]}"
        for (axis, options), a, b in zip(names.items(), found[i].tolist(), held[j].tolist(), strict=True)
        if a != b
    )
