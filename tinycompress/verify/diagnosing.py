"""A diagnosis in words for people, or as lines of JSON for machines.

Not here: the diagnosis itself (diagnosis). Read next: differing.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tinycompress.verify.adapters import as_adapter
from tinycompress.verify.axes import AXES
from tinycompress.verify.diagnosis import Diagnosis, Finding, diagnose_operation
from tinycompress.verify.operations import OPERATIONS


def diagnose_text(
    adapter: Any, operations: Sequence[str] | None = None, seed: int = 0, as_json: bool = False,
    progress: Callable[[str], None] | None = None,
) -> tuple[str, bool]:  # fmt: skip
    """Diagnose an implementation; return the words, and whether everything that it offers was explained.

    Shapes      takes no arrays
    Raises      ValueError if the adapter cannot be loaded, or an operation does not exist
    Source      this package

    >>> text, explained = diagnose_text({"accuracy": lambda y_true, y_pred: (y_true == y_pred).mean()}, ["accuracy"])
    >>> text.split("   (")[0], explained
    ('accuracy   fraction', True)
    """
    asked, findings = as_adapter(adapter), {}
    for name in OPERATIONS if operations is None else operations:
        if progress is not None:
            progress(name)
        findings[name] = diagnose_operation(asked, name, seed)
    found = Diagnosis(asked.name, findings)
    if operations is None:
        asked.close()
    return (to_json_lines(found) if as_json else to_words(found)), found.ok


def to_json_lines(found: Diagnosis) -> str:
    """Write one object of JSON per operation.

    Shapes      takes a diagnosis
    Source      this package

    >>> to_json_lines(Diagnosis("mine", {"pack": Finding("pack", "unsupported")}))[:24]
    '{"operation": "pack", "s'
    """
    return "\n".join(json.dumps({**asdict(f), "point": f.point, "signature": f.signature}) for f in found.findings.values())


def to_words(found: Diagnosis) -> str:
    """Write a diagnosis for people: a line per operation, and below it why each axis is what it is.

    Shapes      takes a diagnosis
    Source      this package

    >>> to_words(Diagnosis("mine", {"pack": Finding("pack", "unsupported")}))
    'mine offers none of the operations that were asked for'
    """
    offered = [f for f in found.findings.values() if f.status != "unsupported"]
    if not offered:
        return f"{found.name} offers none of the operations that were asked for"
    return "\n".join(line for finding in offered for line in _lines(finding))


def _lines(finding: Finding) -> list[str]:
    lines = [finding.signature]
    for axis, left in finding.options.items():
        sentence = AXES[finding.operation][axis][left[0]] if len(left) == 1 else "cannot tell " + " from ".join(left)
        lines.append(f"  {axis:<12} {sentence}")
        lines += [f"               {witness}" for witness in finding.witnesses if witness.axis == axis]
    if finding.note:
        lines.append(f"  undecided    {finding.note}")
    if finding.closest_point:
        lines.append(f"  nearest      {' / '.join(finding.closest_point.values())}: explains {finding.explained:,} answers; "
                     "no axis is claimed")  # fmt: skip
    lines += [f"  against it   {text}" for text in finding.contradictions]
    if finding.matches:
        lines.append(f"  matches      {', '.join(finding.matches)}")
    lines += [f"  not          {name}: differs on {count} inputs" for name, count in finding.nearest]
    return lines
