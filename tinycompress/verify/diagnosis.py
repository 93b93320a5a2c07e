"""Which rules does it follow? The points of the space that explain every answer, or the honest word that none does.

The vectors are asked first, then sweeps and fresh inputs, then whatever parts the points that are still standing. An axis is
named only where all standing points agree on it. Where no point stands nothing is claimed: the nearest one is shown with what
contradicts it.

Not here: asking and judging (evidence), words (diagnosing). Read next: witnesses, diagnosing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tinycompress.verify.adapters import Adapter, as_adapter
from tinycompress.verify.axes import Point, Points, claimed, legal, option_names, options_left
from tinycompress.verify.cases import differ
from tinycompress.verify.evidence import Seen, as_questions, fresh, observe, sweeps
from tinycompress.verify.judging import Question
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.profiles import load_profiles
from tinycompress.verify.questions import read_questions
from tinycompress.verify.tables import spread
from tinycompress.verify.witnesses import Witness, find_witnesses

ROUNDS = 3  # of fresh inputs in search of one that parts the points still standing
Status = Literal["explained", "several", "not-explained", "unstable", "unsupported"]


@dataclass(frozen=True)
class Finding:
    """What is known of one operation."""

    operation: str
    status: Status
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # per axis what is left; empty where nothing is claimed
    explained: int = 0  # answers that the points (or the nearest one) explain
    answers: int = 0
    witnesses: tuple[Witness, ...] = ()
    matches: tuple[str, ...] = ()  # profiles
    nearest: tuple[tuple[str, int], ...] = ()  # other profiles, and on how many vectors they answer differently
    closest_point: Mapping[str, str] = field(default_factory=dict)  # where nothing is explained
    contradictions: tuple[str, ...] = ()
    note: str = ""

    @property
    def point(self) -> Point:
        """The axes that are known."""
        return {axis: left[0] for axis, left in self.options.items() if len(left) == 1}

    @property
    def signature(self) -> str:
        """One line."""
        if self.status in ("explained", "several"):
            words = " / ".join("|".join(left) for left in self.options.values())
        else:
            words = {"unsupported": "not offered", "unstable": "UNSTABLE"}.get(self.status, "NOT EXPLAINED")
        return f"{self.operation:<10} {words}   ({self.explained:,} of {self.answers:,} answers explained)"


@dataclass(frozen=True)
class Diagnosis:
    """All findings, by operation."""

    name: str
    findings: Mapping[str, Finding]

    def __getitem__(self, operation: str) -> Finding:
        return self.findings[operation]

    @property
    def ok(self) -> bool:
        """Whether every operation that is offered was explained."""
        offered = [f for f in self.findings.values() if f.status != "unsupported"]
        return bool(offered) and all(f.status in ("explained", "several") for f in offered)


def diagnose(
    adapter: Any, operations: Sequence[str] | None = None, seed: int = 0, limit: float = 5.0, isolate: bool = True
) -> Diagnosis:
    """Return which convention an implementation follows, operation by operation.

    Shapes      takes no arrays
    Units       limit in seconds per request
    Convention  adapter: a module, an object or dictionary with functions named like the operations, or "module[:object]"
    Raises      ValueError if the adapter cannot be loaded, or an operation does not exist
    Source      this package

    >>> found = diagnose({"accuracy": lambda y_true, y_pred: (y_true == y_pred).sum()}, isolate=False)
    >>> found["accuracy"].status, found["accuracy"].point
    ('explained', {'unit': 'count'})
    """
    asked = as_adapter(adapter, limit)
    names = list(OPERATIONS) if operations is None else list(operations)
    findings = {name: diagnose_operation(asked, name, seed, limit, isolate) for name in names}
    if operations is None:
        asked.close()
    return Diagnosis(asked.name, findings)


def diagnose_operation(adapter: Adapter, operation: str, seed: int = 0, limit: float = 5.0, isolate: bool = True) -> Finding:
    """Return what is known of one operation.

    Shapes      takes no arrays
    Raises      ValueError if there is no such operation
    Source      this package

    >>> diagnose_operation(as_adapter({}), "pack").status
    'unsupported'
    """
    standing = legal(operation)
    if not adapter.offers(operation):
        return Finding(operation, "unsupported")
    questions = read_questions(operation)
    seen = observe(adapter, questions, limit, isolate)
    standing = _narrow(standing, seen)
    known = {question.test for question in questions}
    if standing.any():
        for number in range(ROUNDS):
            cases = (sweeps(operation) if number == 0 else []) + fresh(operation, seed + 1 + number, known)
            more = observe(adapter, as_questions(cases, standing, parting=number > 0), limit, isolate) if cases else []
            seen += more
            standing = _narrow(standing, more)
            if int(standing.sum()) <= 1:
                break
    if not seen:
        return Finding(operation, "unsupported")
    asked = {id(one.question) for one in seen}
    return _conclude(operation, seen, standing, [question for question in questions if id(question) not in asked])


def _narrow(standing: Points, seen: Sequence[Seen]) -> Points:
    for one in seen:
        standing = standing & (one.points if one.points is not None else False)
    return standing


def _conclude(operation: str, seen: list[Seen], standing: Points, unasked: Sequence[Question]) -> Finding:
    answers = sum(one.entries for one in seen)
    unstable = [one for one in seen if one.status == "unstable"]
    if unstable:
        return Finding(operation, "unstable", answers=answers, contradictions=_contradictions(unstable))
    if not standing.any():
        return _unexplained(operation, seen, answers)
    left = options_left(operation, standing)
    count = int(standing.sum())
    distance = _distances(operation, seen, standing)
    deciding = next((question for question in unasked if _parts(operation, question, standing)), None)
    open_axes = ", ".join(axis for axis, options in left.items() if len(options) > 1)
    note = ""
    if open_axes and deciding is None:
        note = f"{open_axes}: no known input tells {count} points apart; one rule, named by its point nearest the default"
        standing = _nearest_default(operation, standing)
        left = options_left(operation, standing)
    if deciding is not None:
        note = f"{open_axes}: this input would decide, and it was not answered: {deciding.request}"
    return Finding(
        operation, "explained" if deciding is None else "several", left, answers, answers,
            find_witnesses(operation, seen, standing),
        tuple(name for name, count in distance if count == 0), tuple(pair for pair in distance if pair[1])[:3], note=note,
    )  # fmt: skip


def _nearest_default(operation: str, standing: Points) -> Points:
    """Of points that are one rule under several names, those with the fewest options that are not the default."""
    default = options_left(operation, claimed(operation))
    far = np.zeros(standing.shape, np.int32)
    for i, (axis, options) in enumerate(option_names(operation).items()):
        shape = [1] * standing.ndim
        shape[i] = len(options)
        far = far + np.array([option not in default[axis] for option in options]).reshape(shape)
    nearest: Points = standing & (far == far[standing].min())
    return nearest


def _parts(operation: str, question: Question, standing: Points) -> bool:
    """Whether points that stand answer a question differently."""
    table = question.table
    which = np.broadcast_to(spread(operation, table), standing.shape)[standing]
    given = [table.answers[i] for i in np.unique(which[which >= 0])]
    return any(differ(given[0], other) for other in given[1:])


def _unexplained(operation: str, seen: list[Seen], answers: int) -> Finding:
    """The point that explains most, and what speaks against it; no axis is claimed."""
    votes = np.zeros(legal(operation).shape, np.int32)
    for one in seen:
        if one.points is not None:
            votes += one.points * max(1, one.entries)
    votes = np.where(legal(operation), votes, -1)
    cell = tuple(int(i) for i in np.unravel_index(int(votes.argmax()), votes.shape))
    names = option_names(operation)
    closest = {axis: options[i] for (axis, options), i in zip(names.items(), cell, strict=True)}
    against = [one for one in seen if one.points is None or not np.broadcast_to(one.points, votes.shape)[cell]]
    return Finding(operation, "not-explained", {}, int(votes.max()), answers, closest_point=closest,
                   contradictions=_contradictions(against))  # fmt: skip


def _contradictions(seen: Sequence[Seen]) -> tuple[str, ...]:
    simple = sorted(seen, key=lambda one: len(str(one.question.request)))[:3]
    return tuple(f"{one.question.request}{': ' + one.trouble if one.trouble else ''}" for one in simple)


def _distances(operation: str, seen: Sequence[Seen], standing: Points) -> list[tuple[str, int]]:
    """On how many questions a profile answers otherwise than the points that stand, whichever of its points is taken."""
    mine = tuple(np.argwhere(standing)[0])
    found = []
    for name, profile in load_profiles().items():
        if operation not in profile.operations:
            continue
        points = profile.points(operation)
        if (points & standing).any():
            found.append((name, 0))
            continue
        theirs = tuple(np.argwhere(points)[0])
        apart = 0
        for one in seen:
            table = one.question.table
            which = np.broadcast_to(spread(operation, table), standing.shape)
            a, b = which[mine], which[theirs]
            apart += bool(a >= 0 and b >= 0 and a != b and differ(table.answers[a], table.answers[b]))
        found.append((name, max(apart, 1)))
    return sorted(found, key=lambda pair: pair[1])
