"""All questions of a run: the vectors of every operation that is offered, each asked twice, and then the live tests.

Each operation of a Python adapter runs in a copy of this process, so that a crash or a hang costs one question. The second
asking is in the opposite order: what answers differently then is unstable, be it by chance or because it remembers.

Not here: one judgement (judging), live tests (live), how a report reads (reporting). Read next: reporting.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Adapter, PythonAdapter, Reply, Request, as_adapter
from tinycompress.verify.axes import Points, legal
from tinycompress.verify.claims import Claims, resolve_claim
from tinycompress.verify.isolation import Tick, collect
from tinycompress.verify.judging import Question, differences, judge, sharpen
from tinycompress.verify.live import differs, live_outcomes
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.questions import check_canaries, read_questions
from tinycompress.verify.reproducing import reproducer
from tinycompress.verify.results import OperationReport, Outcome, Report, Status, worst

MOST_DEATHS = 2  # timeouts or crashes in a row, before the rest of an operation is not run
MOST_OUTCOMES = 40  # kept of one operation


def run(
    adapter: Any,
    claim: Any = None,
    *,
    seed: int = 0,
    operations: Sequence[str] | None = None,
    live: bool = True,
    limit: float = 5.0,
    isolate: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Ask an implementation everything that its operations are asked, and say whether it is what it claims to be.

    adapter is a module, an object or dictionary of functions, "module[:object]", or an adapter; claim a profile's name, a
    dictionary {operation: {axis: option}}, or None for what the adapter itself claims (CLAIM), and the default profile where it
    claims nothing.

    Shapes      takes no arrays
    Units       limit in seconds per request
    Raises      ValueError if the adapter cannot be loaded or the claim names what does not exist
    Source      this package

    >>> report = run({"pack": lambda codes, bits: None, "softmax": 7}, live=False, isolate=False, operations=["pack"])
    >>> report.ok, report.status("pack")
    (False, 'invalid-answer')
    """
    start = time.monotonic()
    asked = as_adapter(adapter, limit)
    claims = resolve_claim(asked.claim if claim is None else claim)
    check_canaries()
    reports = []
    for name in OPERATIONS if operations is None else operations:
        if progress is not None:
            progress(name)
        reports.append(_run_operation(asked, name, claims, seed, live, limit, isolate))
    asked.close()  # a child that is asked again is started again
    return Report(asked.name, claims.name, seed, time.monotonic() - start, tuple(reports))


def _run_operation(
    adapter: Adapter, name: str, claims: Claims, seed: int, live: bool, limit: float, isolate: bool
) -> OperationReport:
    if not adapter.offers(name):
        return OperationReport(name, "unsupported", 0, name in claims.required, note=f"{adapter.name} does not offer it")
    if not claims.judges(name):
        return OperationReport(name, "not-run", 0, False, note=f"{claims.name} says nothing of it")
    questions = read_questions(name)
    replies = ask_twice(adapter, [q.request for q in questions], limit, isolate)
    outcomes, standing = judge_all(questions, replies, claims.points(name))
    if live and not any(first.status == "not-run" for first, _ in replies):
        outcomes += ask_live(adapter, name, claims.points(name), seed, limit, isolate)
    return summarize(name, outcomes, standing, claims)


def ask_twice(adapter: Adapter, requests: Sequence[Request], limit: float, isolate: bool) -> list[tuple[Reply, Reply]]:
    """Ask all requests, then all again from the last to the first; return both replies of each.

    Shapes      takes no arrays
    Source      this package

    >>> ask_twice(as_adapter({}), [Request("pack", (np.uint8([1]), 8))], 5.0, False)[0][1].status
    'unsupported'
    """
    order = [*requests, *reversed(requests)]
    replies = _ask(adapter, order, limit, isolate)
    return list(zip(replies[: len(requests)], reversed(replies[len(requests) :]), strict=True))


def _ask(adapter: Adapter, requests: Sequence[Request], limit: float, isolate: bool) -> list[Reply]:
    if not isinstance(adapter, PythonAdapter):
        return adapter.call_many(requests)
    replies: list[Reply] = []
    while len(replies) < len(requests):
        rest = requests[len(replies) :]
        dead = [r.status in ("timeout", "crash") for r in replies[-MOST_DEATHS:]]
        if len(dead) == MOST_DEATHS and all(dead):
            return replies + [Reply("not-run", None, f"given up after {MOST_DEATHS} crashes or timeouts in a row")] * len(rest)
        # Patience beyond the limit: the alarm inside the copy is the ordinary way, this is for compiled code that never returns.
        got, trouble = collect(partial(_call_in_turn, adapter, rest), 2 * limit + 1, isolate)
        replies += got
        if trouble is not None:
            replies.append(Reply(trouble.status, None, trouble.message))
    return replies


def _call_in_turn(adapter: Adapter, requests: Sequence[Request], tick: Tick) -> Iterator[Reply]:
    """The replies, up to and including as many timeouts in a row as are borne."""
    late = 0
    for request in requests:
        reply = adapter.call(request)
        late = late + 1 if reply.status == "timeout" else 0
        yield reply
        if late == MOST_DEATHS:
            return


def judge_all(
    questions: Sequence[Question], replies: Sequence[tuple[Reply, Reply]], claimed: Points
) -> tuple[list[Outcome], Points]:
    """Judge both replies of each question; return an outcome each, and the points that explain all answers.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> from tinycompress.verify.axes import claimed
    >>> judge_all([], [], claimed("accuracy"))[0]
    []
    """
    outcomes: list[Outcome] = []
    given: list[Points | None] = []  # per outcome the points that explain it
    standing = np.ones_like(claimed) if not questions else legal(questions[0].request.operation)
    for question, (first, second) in zip(questions, replies, strict=True):
        if differs(question.request, first, second):
            outcomes.append(
                Outcome(
                    question.request.operation,
                    question.test,
                    "unstable",
                    "the same question was answered differently the second time",
                    reproducer=reproducer(question.request),
                )
            )
            given.append(None)
            continue
        outcome, points = judge(question, first, claimed)
        if outcome.status == "pass" and second.status != "answered" and second.status != first.status:
            outcome, _ = judge(question, second, claimed)
        outcomes.append(outcome)
        given.append(points)
        if points is not None:
            standing = standing & points
    if standing.any() and not (standing & claimed).any():
        for i, points in enumerate(given):
            if points is not None and outcomes[i].status == "other-convention":
                outcomes[i] = sharpen(outcomes[i], points, standing, claimed)
    return outcomes, standing


def summarize(name: str, outcomes: Sequence[Outcome], standing: Points, claims: Claims) -> OperationReport:
    """Make the report of one operation: its status is that of its worst outcome, named where one convention explains all.

    Shapes      standing as legal(operation)
    Source      this package

    >>> summarize("accuracy", [], legal("accuracy"), resolve_claim(None)).status
    'not-run'
    """
    counts: Counter[Status] = Counter(outcome.status for outcome in outcomes)
    status = worst(counts)
    claimed = claims.points(name)
    options: tuple[str, ...] = ()
    note = ""
    if status in ("pass", "other-convention") and not (standing & claimed).any():
        if standing.any():
            status, options = "other-convention", differences(name, standing, claimed)
        else:
            status, note = "unexplained", "each answer is one that some convention gives, but no single one gives them all"
    if status == "other-convention" and not options:
        options = next((outcome.options for outcome in outcomes if outcome.options), ())
    kept = [outcome for outcome in outcomes if outcome.status not in ("pass", "unsupported")][:MOST_OUTCOMES]
    if counts["unsupported"] and status != "unsupported":
        reasons = {outcome.message for outcome in outcomes if outcome.status == "unsupported"}
        note = "; ".join(filter(None, [note, f"{counts['unsupported']} questions unsupported ({sorted(reasons)[0]})"]))
    comparisons = sum(outcome.comparisons for outcome in outcomes)
    judged: Status = status if comparisons or status != "pass" else "not-run"
    return OperationReport(name, judged, comparisons, True, tuple(kept), options, note, {str(k): n for k, n in counts.items()})


def ask_live(
    adapter: Adapter, name: str, claimed: Points, seed: int = 0, limit: float = 5.0, isolate: bool = True
) -> list[Outcome]:
    """Run the live tests of one operation.

    Shapes      claimed as legal(operation)
    Source      this package

    >>> {outcome.status for outcome in ask_live(as_adapter({}), "pack", legal("pack"), isolate=False)}
    {'unsupported'}
    """
    return live_outcomes(name, claimed, seed, lambda requests: ask_twice(adapter, requests, limit, isolate))
