"""Whether an input finds a mistake: an option of an axis by what the oracle says of it, a wrong function by calling it.

An option is a mutant: the default point with one option changed, and what must change with it. A vector kills it if its answer
is another than the default one. Where nothing tells in the default context, every other one is tried, and the best count taken.

Not here: the table of all of them (kill_matrix). Read next: kill_matrix.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinycompress.verify.adapters import PythonAdapter, Reply, Request
from tinycompress.verify.axes import Points, claimed, default_point, legal, option_names
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.laws import Mutant
from tinycompress.verify.live import judge_relation, live_cases, live_generator
from tinycompress.verify.live_relations import Relation, relations
from tinycompress.verify.mutants import nearest_point
from tinycompress.verify.operations import compare
from tinycompress.verify.oracle import Answer, answer, answer_dtype
from tinycompress.verify.tables import spread


def same(operation: str, a: Answer, b: Answer, dtype: Any) -> bool:
    """Say whether two answers of the oracle pass for one another.

    Shapes      as the operation
    Source      this package

    >>> same("accuracy", Answer(refused=True), Answer(), None)
    False
    """
    if a.undefined or b.undefined or a.refused or b.refused:
        return a.undefined or b.undefined or a.refused == b.refused
    values: Any = a.values if len(a.values) > 1 else a.values[0]
    return compare(operation, values, b.values, b.tol, dtype).ok


def options(operation: str) -> Iterator[tuple[str, str]]:
    """Yield (axis, option) for every option that is not the default.

    Shapes      takes no arrays
    Source      this package

    >>> list(options("accuracy"))
    [('unit', 'percent'), ('unit', 'count')]
    """
    for axis, names in option_names(operation).items():
        yield from ((axis, option) for option in names[1:])


def vectors_killing(operation: str, axis: str, option: str, questions: Sequence[Question]) -> int:
    """Count the questions that tell an option from the default one: in the default context, or in the best of the others.

    Shapes      takes no arrays
    Source      this package

    >>> vectors_killing("accuracy", "unit", "percent", [])
    0
    """
    names, good = option_names(operation), legal(operation)
    place, number = list(names).index(axis), option_names(operation)[axis].index(option)
    pair = default_point(operation), nearest_point(operation, axis, option)
    points = [tuple(names[a].index(o) for a, o in p.items()) for p in pair]
    here = sum(not _same_in(q, *(int(_answers(q, good)[p]) for p in points)) for q in questions)
    if here:
        return here
    both = np.take(good, 0, place) & np.take(good, number, place)
    there = np.zeros(int(both.sum()), int)
    for question in questions:
        whole = _answers(question, good)
        pairs = [*zip(np.take(whole, 0, place)[both].tolist(), np.take(whole, number, place)[both].tolist(), strict=True)]
        apart = {pair: not _same_in(question, *pair) for pair in set(pairs)}
        there += [apart[pair] for pair in pairs]
    return int(there.max(initial=0))


def _answers(question: Question, good: Points) -> Points:
    return np.broadcast_to(spread(question.request.operation, question.table), good.shape)


def _same_in(question: Question, i: int, j: int) -> bool:
    dtype = answer_dtype(question.request.operation, question.request.arguments)
    return i == j or same(question.request.operation, question.table.answers[i], question.table.answers[j], dtype)


@lru_cache(2)
def _live(operation: str, seed: int) -> tuple[tuple[Question, ...], tuple[Relation, ...]]:
    rng = live_generator(operation, seed)
    return tuple(live_cases(operation, claimed(operation), rng)), tuple(relations(operation, rng))


def live_kills_option(operation: str, axis: str, option: str, seed: int) -> bool:
    """Say whether the live inputs of a seed tell an option from the default.

    Shapes      takes no arrays
    Source      this package

    >>> live_kills_option("accuracy", "unit", "count", 0)
    True
    """
    point = nearest_point(operation, axis, option)
    for question in _live(operation, seed)[0]:
        made = answer(operation, point, question.request.arguments, question.request.axis)
        dtype = answer_dtype(operation, question.request.arguments)
        if not any(same(operation, made, a, dtype) for a in question.table.answers):
            return True
    return False


def kills(question: Question, mutant: Mutant) -> bool:
    """Say whether a question finds a mistake.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.verify.mutants import MUTANTS
    >>> kills(_live("quantize", 0)[0][9], MUTANTS[0])
    True
    """
    return _wrong(PythonAdapter(mutant.name, {mutant.operation: mutant.function}), question)


def _wrong(adapter: PythonAdapter, question: Question) -> bool:
    outcome, _ = judge(question, adapter.call(question.request), claimed(question.request.operation))
    return outcome.status not in ("pass", "unsupported")


def live_kills(mutant: Mutant, seed: int) -> bool:
    """Say whether the live tests of a seed find a mistake.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.verify.mutants import MUTANTS
    >>> live_kills(MUTANTS[0], 0)
    True
    """
    adapter = PythonAdapter(mutant.name, {mutant.operation: mutant.function})
    questions, related = _live(mutant.operation, seed)

    def asked(request: Request) -> tuple[Reply, Reply]:
        return adapter.call(request), adapter.call(request)

    if any(_wrong(adapter, q) for q in questions):
        return True
    judged = (judge_relation(mutant.operation, r, [asked(request) for request in r.requests]) for r in related)
    return any(outcome.status != "pass" for outcome in judged)
