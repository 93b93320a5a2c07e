"""What a run found, as plain data: one outcome per question, one summary per operation, one report.

    pass                the answer is the claimed one
    other-convention    it is what another convention gives; which one is said
    fail                a law that holds for every convention is broken, or an argument was changed
    unexplained         no convention of the space gives this answer
    invalid-answer, error, crash, timeout       there was no answer to judge
    unstable            the same question was answered differently the second time
    unsupported, not-run                        nobody was asked: not offered, or given up; the reason is said

Not here: how outcomes come about (judging, running), how they read (reporting). Read next: judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal[
    "pass", "other-convention", "fail", "unexplained", "invalid-answer", "error", "crash", "timeout", "unstable", "unsupported",
    "not-run",
]  # fmt: skip
# The worst first: what an operation is called when its outcomes differ.
STATUSES: tuple[Status, ...] = (
    "crash", "timeout", "error", "invalid-answer", "unstable", "fail", "unexplained", "other-convention", "not-run", "pass",
    "unsupported",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One question and what became of it."""

    operation: str
    test: str  # the vector's id, or the name of the live test
    status: Status
    message: str = ""
    options: tuple[str, ...] = ()  # other-convention: "axis: option" that would have produced this answer
    reproducer: str = ""  # lines of Python that ask the same question
    exact: str = ""  # the exact answer, as a fraction, where there is one
    comparisons: int = 1  # numbers that were compared
    alternatives: tuple[str, ...] = ()  # other options, as near to the claim, that would have produced this answer as well


@dataclass(frozen=True)
class OperationReport:
    """One operation: its status, and the outcomes that are not `pass`, the first of each kind in full."""

    operation: str
    status: Status
    comparisons: int
    claimed: bool  # whether the exit status depends on it
    outcomes: tuple[Outcome, ...] = ()  # those that are not pass
    options: tuple[str, ...] = ()  # other-convention: what explains all answers
    note: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)  # outcomes by status

    @property
    def label(self) -> str:
        """The status, with the convention's name where it is another one."""
        return f"{self.status}({', '.join(self.options)})" if self.options and self.status == "other-convention" else self.status


@dataclass(frozen=True)
class Report:
    """One implementation against one claim."""

    adapter: str
    claim: str
    seed: int
    seconds: float
    operations: tuple[OperationReport, ...]

    @property
    def ok(self) -> bool:
        """Whether every claimed operation passed after at least one comparison, and at least one was claimed."""
        claimed = [op for op in self.operations if op.claimed]
        return bool(claimed) and all(op.status == "pass" and op.comparisons > 0 for op in claimed)

    @property
    def exit_status(self) -> int:
        """0 where `ok`, else 1."""
        return 0 if self.ok else 1

    def status(self, operation: str) -> Status:
        """Return the status of one operation."""
        return next(op.status for op in self.operations if op.operation == operation)


def worst(statuses: Mapping[Status, int]) -> Status:
    """Return the status that an operation is called by.

    Shapes      takes no arrays
    Convention  unsupported only where nothing else was; not-run is worse than pass: what was given up is not passed
    Source      this package

    >>> worst({"pass": 8, "timeout": 1}), worst({"pass": 1, "unsupported": 3}), worst({})
    ('timeout', 'pass', 'not-run')
    """
    return next((status for status in STATUSES if statuses.get(status)), "not-run")
