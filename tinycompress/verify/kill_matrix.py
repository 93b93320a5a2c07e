"""Does the kit find what it is there to find? Every option of every axis and every named mistake, and what kills it.

    python -m tinycompress.verify.kill_matrix [SEEDS [OPERATION ...]]

    option      at least 3 vectors, live in all seeds; or it stands in EQUIVALENT with the reason
    mistake     at least one named law, live in all seeds (only laws where it is no operation of the kit); vectors are shown

Not here: what it means to be killed (killing), the mistakes (mutants). Read next: own.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycompress.verify.axes import ALSO_DEFAULT
from tinycompress.verify.killing import kills, live_kills, live_kills_option, options, vectors_killing
from tinycompress.verify.mutants import MUTANTS, killers
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.questions import read_questions

ENOUGH = 3  # vectors that must kill an option
# Options that no legal input tells from the default one while all other axes are at their defaults.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("n_m_mask", "ragged", "zero_pad"): "a zero behind the row loses every tie to a lower index, and no |w| is below it",
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


def kill_options(operation: str, seeds: int) -> list[Kill]:
    """Return what kills each option of an operation.

    Shapes      takes no arrays
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

    Shapes      takes no arrays
    Source      this package

    >>> kill_mutants("masked_training", 2)[0].laws
    ('stays zero',)
    """
    mine = [m for m in MUTANTS if m.operation == operation]
    if operation not in OPERATIONS:
        note = "no operation of the kit: its law finds it"
        return [Kill(operation, m.name, 0, 0, seeds, True, tuple(killers(m)), note) for m in mine]
    questions = read_questions(operation)
    live = dict.fromkeys(range(len(mine)), 0)
    for seed in range(seeds):
        for i in live:
            live[i] += live_kills(mine[i], seed)
    return [
        Kill(operation, m.name, sum(kills(q, m) for q in questions), live[i], seeds, True, tuple(killers(m)))
        for i, m in enumerate(mine)
    ]


def lines(kills: Sequence[Kill]) -> Iterator[str]:
    """Write the matrix as a table, one line for each.

    Shapes      takes no arrays
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

    Shapes      takes no arrays
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
