"""Does the kit find what it is there to find? Every option of every axis and every named mistake, and what kills it.

    python -m tinycompress.verify.kill_matrix [SEEDS]

An option is a mutant: the default point with one option changed (and what must change with it). A vector kills it if its answer is another
than the default one. Where no legal input of the default context can tell (the F1 of a class in the union of labels is never 0 / 0), the
option is tried in every other context, and the first that tells is shown. Live tests kill it if one of their inputs does, for each seed.

    option      vectors >= 3, live in all seeds, or listed in EQUIVALENT with the reason
    mistake     at least one named law, live in all seeds (only laws where it is no operation of the kit); vectors are shown

Not here: the mistakes (mutants). Read next: own.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tinycompress.verify.adapters import PythonAdapter, Reply, Request
from tinycompress.verify.axes import ALSO_DEFAULT, Points, claimed, default_point, legal, option_names
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.laws import Mutant
from tinycompress.verify.live import judge_relation, live_cases, live_generator
from tinycompress.verify.live_relations import Relation, relations
from tinycompress.verify.mutants import MUTANTS, killers, nearest_point
from tinycompress.verify.operations import OPERATIONS, compare
from tinycompress.verify.oracle import Answer, answer, answer_dtype
from tinycompress.verify.questions import read_questions
from tinycompress.verify.tables import spread

ENOUGH = 3  # vectors that must kill an option
# Options that no legal input tells from the default one while all other axes are at their defaults.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    **{("f1", "zero_division", option): "with labels in y_true or y_pred no class has an undefined F1" for option in ("one", "skip", "nan")},
    ("n_m_mask", "ragged", "zero_pad"): "a zero behind the row loses every tie to a lower index, and no |w| is below it",
    ("hit_rate", "relevant", "nonzero"): "relevance is not negative",
    **{(name, "nan", "error"): "a NaN may also be refused by default" for name in ALSO_DEFAULT},
}  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """What finds one option or one mistake."""

    operation: str
    name: str
    vectors: int  # how many find it
    live: int  # in how many seeds
    seeds: int
    mistake: bool = False  # a named mistake, not an option of an axis
    laws: tuple[str, ...] = ()
    note: str = ""

    @property
    def enough(self) -> bool:
        """Whether it is found as it must be."""
        if self.note:
            return True
        return self.live == self.seeds and (bool(self.laws) if self.mistake else self.vectors >= ENOUGH)


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

    Shapes      takes none
    Source      this package

    >>> list(options("accuracy"))
    [('unit', 'percent'), ('unit', 'count')]
    """
    for axis, names in option_names(operation).items():
        yield from ((axis, option) for option in names[1:])


def vectors_killing(operation: str, axis: str, option: str, questions: Sequence[Question]) -> int:
    """Count the questions that tell an option from the default one: in the default context, or in the best of the others.

    Shapes      takes none
    Source      this package

    >>> vectors_killing("accuracy", "unit", "percent", [])
    0
    """
    names, good = option_names(operation), legal(operation)
    place, number = list(names).index(axis), option_names(operation)[axis].index(option)
    points = [tuple(names[a].index(o) for a, o in p.items()) for p in (default_point(operation), nearest_point(operation, axis, option))]
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

    Shapes      takes none
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


def _adapter(mutant: Mutant) -> PythonAdapter:
    return PythonAdapter(mutant.name, {mutant.operation: mutant.function})


def _wrong(adapter: PythonAdapter, question: Question) -> bool:
    outcome, _ = judge(question, adapter.call(question.request), claimed(question.request.operation))
    return outcome.status not in ("pass", "unsupported")


def live_kills(mutant: Mutant, seed: int) -> bool:
    """Say whether the live tests of a seed find a mistake.

    Shapes      takes none
    Source      this package

    >>> live_kills(MUTANTS[0], 0)
    True
    """
    adapter = _adapter(mutant)
    questions, related = _live(mutant.operation, seed)

    def asked(request: Request) -> tuple[Reply, Reply]:
        return adapter.call(request), adapter.call(request)

    return any(_wrong(adapter, q) for q in questions) or any(
        judge_relation(mutant.operation, r, [asked(request) for request in r.requests]).status != "pass" for r in related)  # fmt: skip


def kill_options(operation: str, seeds: int) -> list[Kill]:
    """Return what kills each option of an operation.

    Shapes      takes none
    Source      this package

    >>> [k.name for k in kill_options("accuracy", 0)]
    ['unit: percent', 'unit: count']
    """
    questions = read_questions(operation)
    live = dict.fromkeys(options(operation), 0)
    for seed in range(seeds):  # the seeds outside: the questions of one are drawn once
        for key in live:
            live[key] += live_kills_option(operation, *key, seed)
    return [
        Kill(operation, f"{axis}: {option}", vectors_killing(operation, axis, option, questions), n, seeds,
             note=EQUIVALENT.get((operation, axis, option), ""))
        for (axis, option), n in live.items()
    ]  # fmt: skip


def kill_mutants(operation: str, seeds: int) -> list[Kill]:
    """Return what kills each named mistake of an operation.

    Shapes      takes none
    Source      this package

    >>> kill_mutants("masked_training", 2)[0].laws
    ('stays zero',)
    """
    mine = [m for m in MUTANTS if m.operation == operation]
    if operation not in OPERATIONS:
        return [Kill(operation, m.name, 0, 0, seeds, True, tuple(killers(m)), "no operation of the kit: its law finds it") for m in mine]
    questions = read_questions(operation)
    live = dict.fromkeys(range(len(mine)), 0)
    for seed in range(seeds):
        for i in live:
            live[i] += live_kills(mine[i], seed)
    return [
        Kill(operation, m.name, sum(_wrong(_adapter(m), q) for q in questions), live[i], seeds, True, tuple(killers(m)))
        for i, m in enumerate(mine)
    ]


def lines(kills: Sequence[Kill]) -> Iterator[str]:
    """Write the matrix as a table, one line for each.

    Shapes      takes none
    Source      this package

    >>> [line.split() for line in lines([Kill("pack", "order: high_first", 4, 2, 2)])]
    [['pack', 'order:', 'high_first', '4', '2/2']]
    """
    for kill in kills:
        laws = ", ".join(kill.laws) or kill.note
        flag = "" if kill.enough else "  <- NOT FOUND"
        yield f"{kill.operation:<24} {kill.name:<30} {kill.vectors:>4}  {kill.live:>2}/{kill.seeds:<2}  {laws}{flag}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the matrix; return 0 if everything is found.

    Shapes      takes none
    Source      this package

    >>> main(["0", "masked_training"])
    operation                option or mistake           vectors  live   laws
    masked_training          mask_not_reapplied                0   0/0   stays zero
    everything is found
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    seeds = int(given[0]) if given else 10
    names = given[1:] or [*OPERATIONS, *sorted({m.operation for m in MUTANTS} - set(OPERATIONS))]
    print("operation                option or mistake           vectors  live   laws")
    missing = 0
    for name in names:
        found = [*(kill_options(name, seeds) if name in OPERATIONS else []), *kill_mutants(name, seeds)]
        missing += sum(not kill.enough for kill in found)
        for line in lines(found):
            print(line, flush=True)
    print(f"{missing} are not found" if missing else "everything is found")
    return int(missing > 0)


if __name__ == "__main__":
    sys.exit(main())
