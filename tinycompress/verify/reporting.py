"""A report as text for people and as JSON lines for machines; formatting only.

Not here: how it came about (running). Read next: evidence, commands.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tinycompress.verify.axes import AXES
from tinycompress.verify.results import OperationReport, Outcome, Report

SHOWN = 3  # outcomes of one operation in text; all are in the JSON


def to_text(report: Report, shown: int = SHOWN) -> str:
    """Write a report for people: a line for each operation that is offered, and below it the first things that went wrong.

    Shapes      takes no arrays
    Source      this package

    >>> print(to_text(Report("mine", "tinycompress", 0, 0.5, (OperationReport("pack", "pass", 120, True, counts={"pass": 30}),))))
    mine, held to tinycompress
    <BLANKLINE>
    pack                      pass                  30 questions, 120 numbers compared
    <BLANKLINE>
    yes: 1 of 1 claimed operations pass; 0.5 s, seed 0
    """
    lines = [f"{report.adapter}, held to {report.claim}", ""]
    missing = [op.operation for op in report.operations if op.status == "unsupported" and not op.claimed]
    for op in report.operations:
        if op.operation in missing:
            continue
        lines += _operation(op, shown)
    if missing:
        lines += ["", f"not offered: {', '.join(missing)}"]
    return "\n".join([*lines, "", _verdict(report)])


def _operation(op: OperationReport, shown: int) -> Iterator[str]:
    total = sum(op.counts.values())
    counts = ", ".join(f"{n} {status}" for status, n in op.counts.items() if status != "pass")
    told = f"{total} questions, {op.comparisons:,} numbers compared" + (f": {counts}" if counts else "")
    yield f"{op.operation:<25} {op.label:<21} {told if total else op.note}".rstrip()
    if total and op.note:
        yield f"    {op.note}"
    for outcome in _telling(op, shown):
        yield textwrap.indent(outcome_text(outcome), "    ")
    hidden = total - op.counts.get("pass", 0) - op.counts.get("unsupported", 0) - shown
    if hidden > 0:
        yield f"    ... and {hidden} more"


def _telling(op: OperationReport, shown: int) -> list[Outcome]:
    """The first outcome of each status before the second of any: one of each kind says more than three alike."""
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    ranked = []
    for i, outcome in enumerate(op.outcomes):
        kind = (outcome.status, outcome.options)
        ranked.append((seen.get(kind, 0), i, outcome))
        seen[kind] = seen.get(kind, 0) + 1
    return [outcome for _, _, outcome in sorted(ranked, key=lambda r: r[:2])[:shown]]


def outcome_text(outcome: Outcome) -> str:
    """Write one outcome: what was asked, what is wrong, which convention would have given it, and the lines to paste.

    Shapes      takes no arrays
    Source      this package

    >>> print(outcome_text(Outcome("pack", "pack-7", "fail", "buffer[0] is 2; expected 1", exact="expected 1")))
    pack-7: fail; buffer[0] is 2; expected 1
        expected 1
    """
    lines = [f"{outcome.test}: {outcome.status}; {outcome.message}".rstrip("; ")]
    if outcome.options:
        lines.append("    your answer is what follows from")
        lines += [f"        {_option(outcome.operation, option)}" for option in outcome.options]
    if outcome.alternatives:
        more = len(outcome.alternatives) - 4
        lines.append(f"        or from {' | '.join(outcome.alternatives[:4])}{f' | {more} more' if more > 0 else ''}")
    if outcome.exact:
        lines.append(f"    {outcome.exact}")
    return "\n".join([*lines, *(f"    {line}" for line in outcome.reproducer.splitlines())])


def _option(operation: str, option: str) -> str:
    """An option with the sentence that says what it does."""
    axis, _, name = option.partition(": ")
    return f"{option} ({AXES[operation][axis][name]})"


def _verdict(report: Report) -> str:
    claimed = [op for op in report.operations if op.claimed]
    good = sum(op.status == "pass" and op.comparisons > 0 for op in claimed)
    tail = f"{report.seconds:.1f} s, seed {report.seed}"
    if not claimed:
        return f"no: nothing was compared, as none of the operations is offered; {tail}"
    return f"{'yes' if report.ok else 'no'}: {good} of {len(claimed)} claimed operations pass; {tail}"


def to_json_lines(report: Report) -> Iterator[str]:
    """Write a report for machines: an object a line; first the run, then each operation, then each outcome that is not pass.

    Shapes      takes no arrays
    Source      this package

    >>> next(to_json_lines(Report("mine", "tinycompress", 0, 0.5, ())))
    '{"kind": "run", "adapter": "mine", "claim": "tinycompress", "seed": 0, "seconds": 0.5, "ok": false, "exit_status": 1}'
    """
    head = {"adapter": report.adapter, "claim": report.claim, "seed": report.seed, "seconds": report.seconds}
    yield json.dumps({"kind": "run", **head, "ok": report.ok, "exit_status": report.exit_status})
    for op in report.operations:
        record: dict[str, Any] = {k: v for k, v in asdict(op).items() if k != "outcomes"}
        yield json.dumps({"kind": "operation", **record, "label": op.label})
    for op in report.operations:
        for outcome in op.outcomes:
            yield json.dumps({"kind": "outcome", **asdict(outcome)})
