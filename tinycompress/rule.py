"""What every rule of another library has: fields whose options are checked, and the build it was measured on.

A rule is a frozen record: one field per axis on which libraries differ, each a Literal of named options. Its last field is its
provenance, because a convention is a claim about one build, not about a brand.

Not here: the records themselves (pruning_rules, quantization_rules, integer_rules, distillation_rules), nor what other
libraries chose (conventions). Read next: pruning_rules.
"""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass, fields
from typing import Any, Literal


def check_options(record: Any) -> None:
    """Refuse a value that is not among the options its field declares; for use in `__post_init__`.

    Shapes      takes no arrays
    Raises      ValueError with the field, the value and the options
    Source      this package

    >>> from tinycompress.pruning_rules import CountRule
    >>> CountRule(rounding="up")
    Traceback (most recent call last):
    ValueError: CountRule.rounding is 'up'; use one of 'half_even', 'floor', 'ceil'
    """
    for name, options in _options(type(record)).items():  # type: ignore[arg-type]  # a class is hashable
        if getattr(record, name) not in options:
            allowed = ", ".join(map(repr, options))
            raise ValueError(f"{type(record).__name__}.{name} is {getattr(record, name)!r}; use one of {allowed}")


def brief(record: Any) -> str:
    """Return the fields of a record that differ from their defaults, its provenance left out; for use in `__repr__`.

    So a signature whose default is a record stays readable, and what a library does otherwise is seen at once.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.conventions import get
    >>> get("torch.nn.utils.prune")
    CountRule(relative_to='remaining', ties='unspecified', nan='largest')
    """
    other = {f.name: getattr(record, f.name) for f in fields(record) if getattr(record, f.name) != f.default}
    return f"{type(record).__name__}({', '.join(f'{name}={value!r}' for name, value in other.items() if name != 'provenance')})"


@functools.cache
def _options(kind: Any) -> dict[str, tuple[Any, ...]]:
    """Per field that is a Literal, its options; read once per class, because records are made in loops too."""
    hints = typing.get_type_hints(kind).items()
    return {name: typing.get_args(hint) for name, hint in hints if typing.get_origin(hint) is Literal}


@dataclass(frozen=True)
class Provenance:
    """Where the values of a record come from: a claim about one build, not about a brand.

    A library that is not among the conventions is a record of one's own; `dataclasses.replace` goes from it along one axis, to
    ask what that axis alone does. The provenance comes along and is then no longer true: give the neighbour its own, such as OWN.

    >>> from dataclasses import replace
    >>> from tinycompress.counting import count_pruned
    >>> from tinycompress.pruning_rules import CountRule
    >>> here = Provenance("mylib/prune.py", "2.1.0", "x86-64 AVX2", "2026-11", note="before 2.0 it rounded up")
    >>> mine = CountRule(rounding="floor", provenance=here)
    >>> older = replace(mine, rounding="ceil", provenance=replace(here, version="1.9.2", note=""))
    >>> count_pruned(5, 0.5, convention=mine), count_pruned(5, 0.5, convention=older)
    (2, 3)
    >>> older.at_threshold == mine.at_threshold, older.provenance.version
    (True, '1.9.2')
    """

    source: str  # project, file or document that the rule was read in or measured on
    version: str  # of the build that was measured
    hardware: str  # of that measurement
    date: str  # year-month of that measurement
    note: str = ""  # what a reader would trip over, or what no rule reproduces


OWN = Provenance("tinycompress", "0.1", "any", "2026-11", "the default of this package")
