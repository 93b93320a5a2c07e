"""What an implementation was seen to do: questions, replies, and the points of the space that each reply leaves standing.

Beside the vectors it is asked a sweep (65 entries and shorter ones: eighths of a step, all ties, whole codes, so that a slip in
the last lanes of a loop shows) and fresh inputs that no file holds. Everything is asked twice, in two orders.

Not here: what follows from it (diagnosis). Read next: diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Adapter, Reply, Request
from tinycompress.verify.axes import Points, legal
from tinycompress.verify.cases import candidates, differ, identify
from tinycompress.verify.cases_integers import Case
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.operations import read_answer
from tinycompress.verify.running import ask_twice
from tinycompress.verify.tables import table

FRESH = 40  # inputs of an operation that are drawn anew for each diagnosis


@dataclass(frozen=True)
class Seen:
    """One question and what came back; `points` are those that explain it, None where nothing could."""

    question: Question
    reply: Reply
    points: Points | None
    entries: int
    trouble: str = ""  # unstable, error, crash, timeout, invalid-answer, fail: in words

    @property
    def status(self) -> str:
        """The first word of the trouble."""
        return self.trouble.split(":")[0]


def observe(adapter: Adapter, questions: Sequence[Question], limit: float = 5.0, isolate: bool = True) -> list[Seen]:
    """Ask all questions twice; leave out what the implementation does not offer.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.verify.adapters import as_adapter
    >>> from tinycompress.verify.questions import read_questions
    >>> asked = observe(as_adapter({"accuracy": lambda a, b: 0.5}), read_questions("accuracy")[:1], isolate=False)
    >>> asked[0].entries
    1
    """
    seen = []
    for question, (first, second) in zip(
        questions, ask_twice(adapter, [q.request for q in questions], limit, isolate), strict=True
    ):
        if first.status in ("unsupported", "not-run"):
            continue
        outcome, points = judge(question, first, legal(question.request.operation))
        trouble = "" if points is not None else f"{outcome.status}: {outcome.message}"
        if first.status != second.status or not _same(question.request.operation, first, second):
            trouble, points = "unstable: the same input was answered in two ways", None
        seen.append(Seen(question, first, points, outcome.comparisons, trouble))
    return seen


def _same(operation: str, first: Reply, second: Reply) -> bool:
    if first.status != "answered":
        return True
    try:
        pairs = zip(read_answer(operation, first.answer), read_answer(operation, second.answer), strict=True)
        return all(a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all()) for a, b in pairs)
    except ValueError:
        return True


def sweeps(operation: str) -> list[Case]:
    """Return long inputs for the elementwise operations: eighths of a step, ties to the last entry, all codes.

    Shapes      takes no arrays
    Source      this package

    >>> [case.arguments[0].size for case in sweeps("dequantize")]
    [256, 31]
    """
    f: Any = np.float32
    ends = (-128, 127)
    eighths, ties = f(np.arange(-32, 33)[::-1] / 8 + 0.5), f(np.arange(-32, 33) + 0.5)
    made: list[Case] = []
    if operation in ("quantize", "fake_quantize", "fake_quantize_backward"):
        for x, s, z in ((eighths, 1.0, 0), (eighths, 0.5, 3), (ties, 1.0, 1), (ties[:31], 0.5, -3), (ties[30:37], 1.0, 0),
                        (ties[:64] * 5, 1.0, 0), (ties[::-1] / 4, 0.25, 2)):  # fmt: skip
            lead = (f(np.arange(x.size) % 7 + 1),) if operation == "fake_quantize_backward" else ()
            made.append(Case(operation, (*lead, x, s, z, *ends), "sweep"))
    if operation == "dequantize":
        made = [Case(operation, (np.arange(-128, 128).astype(np.int8), 0.1, 7), "sweep"),
                Case(operation, (np.arange(31).astype(np.uint8), 0.3, 13), "sweep")]  # fmt: skip
    if operation == "requantize":
        for acc, m, z in (
            (np.arange(-32, 33)[::-1] * 4 + 4, 0.125, 0),
            (np.arange(-15, 16) * 2 + 1, 0.5, 3),
            (np.arange(7) * 2 + 1, 0.25, 0),
        ):
            made.append(Case(operation, (acc.astype(np.int32), m, z, *ends), "sweep"))
    return made


def fresh(operation: str, seed: int, known: set[str], count: int = FRESH) -> list[Case]:
    """Return inputs that are not among the vectors, drawn from a seed.

    Shapes      takes no arrays
    Source      this package

    >>> len(fresh("accuracy", 1, set(), 3))
    3
    """
    pool = [case for case in candidates(operation, seed) if identify(case) not in known]
    order = np.random.default_rng(seed).permutation(len(pool))[:count]
    return [pool[i] for i in order]


def as_questions(cases: Sequence[Case], standing: Points, parting: bool = False) -> list[Question]:
    """Return cases as questions to the points that still stand; parting: only those on which some of these differ.

    Shapes      standing as legal(operation)
    Source      this package

    >>> as_questions([], legal("accuracy"))
    []
    """
    made = []
    for number, case in enumerate(cases):
        found = table(case.operation, case.arguments, case.axis, standing)
        if not parting or any(differ(found.answers[0], other) for other in found.answers[1:]):
            made.append(
                Question(f"{case.comment}-{number}", Request(case.operation, case.arguments, case.axis), found, case.comment)
            )
    return made
