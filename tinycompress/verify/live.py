"""Live tests: fresh inputs from a seed, each compared with the oracle at the claimed point, and relations that need no oracle.

Vectors can be learnt by heart, and stand at one index of one array. Here the sizes, the layouts and the numbers are new each
time, and everything is asked twice, the second time in the opposite order.

What fails is asked of the whole space of conventions, the smallest inputs first, to say which convention would have answered
so. Relations that hold for every convention are a failure where they are broken; those of one convention are tried only where
all else passed.

Not here: what is asked (live_requests, live_relations), who asks (running). Read next: running.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import Points, options_left
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.live_relations import Relation, holds_for, relations
from tinycompress.verify.live_requests import requests
from tinycompress.verify.operations import read_answer
from tinycompress.verify.reproducing import reproducer
from tinycompress.verify.results import Outcome
from tinycompress.verify.tables import table

Ask = Callable[[Sequence[Request]], list[tuple[Reply, Reply]]]
BUDGET = 48  # requests of one operation that the oracle answers
EXPLAINED = 3  # failures of one operation that are asked of the whole space
MOST_TO_EXPLAIN = 200  # entries of such a question


def live_cases(operation: str, claimed: Points, rng: np.random.Generator, budget: int = BUDGET) -> Iterator[Question]:
    """Draw questions with the answers of the claimed points.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> next(live_cases("pack", claimed("pack"), np.random.default_rng(0))).test
    'pack-live-0'
    """
    for i, request in enumerate(islice(requests(operation, rng), budget)):
        yield Question(f"{operation}-live-{i}", request, table(operation, request.arguments, request.axis, claimed))


def live_generator(operation: str, seed: int) -> np.random.Generator:
    """Return the generator that draws the live tests of one operation, so that each can be drawn again alone.

    Shapes      takes no arrays
    Source      this package

    >>> live_generator("pack", 0).random() == live_generator("pack", 0).random()
    True
    """
    return np.random.default_rng([seed, *operation.encode()])  # subtle: hash() of a text differs between runs; its bytes do not


def live_outcomes(operation: str, claimed: Points, seed: int, ask: Ask, budget: int = BUDGET) -> list[Outcome]:
    """Ask everything live; return one outcome for each question and each relation.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> def ask(asked):
    ...     return [(Reply("error", None, "no"), Reply("error", None, "no"))] * len(asked)
    >>> sorted({o.status for o in live_outcomes("accuracy", claimed("accuracy"), 0, ask, 3)})
    ['error']
    """
    rng = live_generator(operation, seed)
    questions = list(live_cases(operation, claimed, rng, budget))
    related = [r for r in relations(operation, rng) if holds_for(r, options_left(operation, claimed))]
    replies = ask([q.request for q in questions] + [request for r in related for request in r.requests])
    outcomes = judge_questions(questions, replies[: len(questions)], claimed)
    passed = all(o.status in ("pass", "unsupported") for o in outcomes)
    start = len(questions)
    for relation in related:
        own = replies[start : start + len(relation.requests)]
        start += len(own)
        if relation.always or passed:
            outcomes.append(judge_relation(operation, relation, own))
    return outcomes


def judge_questions(questions: Sequence[Question], replies: Sequence[tuple[Reply, Reply]], claimed: Points) -> list[Outcome]:
    """Judge both replies of each question; what fails is explained, the smallest first, and after a few only counted.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> judge_questions([], [], np.array(True))
    []
    """
    outcomes: list[Outcome] = []
    failed: list[tuple[int, int, Question, Reply, Outcome]] = []
    for question, (first, second) in zip(questions, replies, strict=True):
        if differs(question.request, first, second):
            outcomes.append(_unstable(question, first))
            continue
        outcome, _ = judge(question, first, claimed)
        if outcome.status == "pass" and second.status != first.status:
            outcome, _ = judge(question, second, claimed)
            first = second
        if outcome.status in ("fail", "unexplained", "other-convention") and first.status in ("answered", "refused"):
            failed.append((_entries(question.request), len(failed), question, first, outcome))
        else:
            outcomes.append(outcome)
    for size, _, question, reply, outcome in sorted(failed)[:EXPLAINED]:
        whole = question
        if size <= MOST_TO_EXPLAIN:
            request = question.request
            whole = Question(question.test, request, table(request.operation, request.arguments, request.axis))
        outcomes.append(judge(whole, reply, claimed)[0] if size <= MOST_TO_EXPLAIN else outcome)
    return outcomes


def judge_relation(operation: str, relation: Relation, replies: Sequence[tuple[Reply, Reply]]) -> Outcome:
    """Judge one relation: `fail` with what is wrong, or `pass`; where an answer is missing, the status of that reply.

    Shapes      takes no arrays
    Source      this package

    >>> judge_relation("pack", Relation("layout", (), lambda answers: "no"), []).message
    'layout: no'
    """
    name = f"{operation}-live-{relation.name.replace(' ', '-')}"
    for request, (first, second) in zip(relation.requests, replies, strict=True):
        for reply in (first, second):
            if reply.status == "refused":
                return Outcome(operation, name, "error", f"it refused a legal input: {reply.message}", (), reproducer(request))
            if reply.status != "answered":
                status: Any = "fail" if reply.status == "changed" else reply.status
                return Outcome(operation, name, status, reply.message, comparisons=0)
        if differs(request, first, second):
            return _unstable(Question(name, request, None), first)  # type: ignore[arg-type]
    answers = [read_answer(operation, first.answer) for first, _ in replies]
    try:
        with np.errstate(all="ignore"):
            words = relation.broken(answers)
    except (ValueError, IndexError) as error:
        return Outcome(operation, name, "invalid-answer", f"answers of other shapes than asked for: {error}")
    size = sum(part.size for parts in answers for part in parts)
    if not words:
        return Outcome(operation, name, "pass", comparisons=max(1, size))
    shown = reproducer(relation.requests[0]) if relation.requests else ""
    return Outcome(operation, name, "fail", f"{relation.name}: {words}", (), shown, comparisons=max(1, size))


def differs(request: Request, first: Reply, second: Reply) -> bool:
    """Say whether the same question was answered differently the second time.

    Shapes      any
    Source      this package

    >>> r = Request("pack", (np.uint8([1]), 8))
    >>> differs(r, Reply("answered", np.uint8([1])), Reply("answered", np.uint8([2])))
    True
    """
    if {first.status, second.status} - {"answered", "refused"} or first.status == second.status == "refused":
        return False
    if first.status != second.status:
        return True
    a, b = (read_answer(request.operation, r.answer) for r in (first, second))
    return any(p.dtype != q.dtype or p.shape != q.shape or p.tobytes() != q.tobytes() for p, q in zip(a, b, strict=True))


def _unstable(question: Question, reply: Reply) -> Outcome:
    words = "the same question was answered differently the second time"
    shown = reproducer(question.request, reply.answer if reply.status == "answered" else None)
    return Outcome(question.request.operation, question.test, "unstable", words, (), shown)


def _entries(request: Request) -> int:
    return sum(a.size for a in request.arguments if isinstance(a, np.ndarray))
