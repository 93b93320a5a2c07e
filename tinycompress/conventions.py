"""How other libraries choose: the named points of the rules' space, each with the build it was measured on.

The classes of records name the axes and their options (pruning_rules, quantization_rules, integer_rules, distillation_rules);
the values that others chose stand in conventions.toml, one entry per outside operation, named as its own project names it.
Functions that follow a convention take `convention=`: a record, or the name of an entry.

Not here: any arithmetic. A record is only values; the module that does the arithmetic interprets them, and none of them asks for
a name. Read next: selection, pruning, quantization, distillation.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import fields
from importlib import resources
from typing import Any, TypeVar

from tinycompress.distillation_rules import RankingRule, SoftTargetRule
from tinycompress.integer_rules import Addition, DynamicLinear, Requantization, RowFormat
from tinycompress.pruning_rules import CountRule, NMRule, ScheduleRule
from tinycompress.quantization_rules import Elementwise, GridRule, HistogramRule, LearnedScale
from tinycompress.rule import OWN, Provenance

__all__ = [
    "OWN", "Provenance", "get", "names", "resolve",
    "Addition", "CountRule", "DynamicLinear", "Elementwise", "GridRule", "HistogramRule", "LearnedScale", "NMRule",
    "RankingRule", "Requantization", "RowFormat", "ScheduleRule", "SoftTargetRule",
]  # fmt: skip

T = TypeVar("T")

RECORDS: dict[str, type] = {  # kind in conventions.toml -> class
    "elementwise": Elementwise, "learned_scale": LearnedScale, "grid_rule": GridRule, "histogram_rule": HistogramRule,
    "count_rule": CountRule, "n_m_rule": NMRule, "schedule_rule": ScheduleRule,
    "requantization": Requantization, "addition": Addition, "dynamic_linear": DynamicLinear, "row_format": RowFormat,
    "soft_target_rule": SoftTargetRule, "ranking_rule": RankingRule,
}  # fmt: skip


@functools.cache
def _entries() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("conventions.toml").read_text(encoding="utf-8")
    origin = {f.name for f in fields(Provenance)}
    records = {}
    for name, entry in tomllib.loads(text).items():
        kind = RECORDS[entry.pop("kind")]
        provenance = Provenance(**{k: entry.pop(k) for k in list(entry) if k in origin})
        records[name] = kind(**entry, provenance=provenance)
    return records


def names() -> list[str]:
    """List the names `get` knows, in the order of conventions.toml.

    Shapes      takes no arrays
    Source      conventions.toml, where each entry has its own

    >>> "torch.quantize_per_tensor" in names()
    True
    """
    return list(_entries())


def get(name: str) -> Any:
    """Return the frozen record of one outside operation, by that operation's own name.

    Shapes      takes no arrays
    Raises      ValueError if no entry has that name; the nearest names are given
    Source      conventions.toml, where each entry has its own

    >>> get("torch.quantize_per_tensor").provenance.version
    '2.13.0+cpu'
    """
    if name not in _entries():
        import difflib

        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.3)
        raise ValueError(f"no convention is named {name!r}; nearest: {', '.join(near) or 'none'}; see conventions.names()")
    return _entries()[name]


def resolve(convention: T | str, kind: type[T]) -> T:
    """Return `convention` as a record of class `kind`, looking it up when it is a name.

    Shapes      takes no arrays
    Raises      ValueError if the record is of another class than the function needs
    Source      this package

    >>> resolve("torch.quantize_per_tensor", type(get("torch.quantize_per_tensor"))).zero_point
    'inside_fma'
    """
    record = get(convention) if isinstance(convention, str) else convention
    if not isinstance(record, kind):
        raise ValueError(f"{convention!r} is a {type(record).__name__}; this function needs a {kind.__name__}")
    return record
