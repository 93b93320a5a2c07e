"""The rules on which libraries differ, as frozen records: one class per operation, one field per rule.

A convention is a point in a small product space. The classes below name the axes and their options; the values that
other libraries chose stand in conventions.toml, one entry per outside operation, with the build they were measured on.
Functions that follow a convention take `convention=`: a record, or the name of an entry.

Not here: any arithmetic. A record is only values; the module that does the arithmetic interprets them.
Read next: pruning, quantization, distillation, whose functions take these records.
"""
from __future__ import annotations

import functools
import tomllib
import typing
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, Literal, TypeVar

T = TypeVar("T")


def _check_options(record: Any) -> None:
    """Refuse a value that is not among the options its field declares."""
    for name, hint in typing.get_type_hints(type(record)).items():
        if typing.get_origin(hint) is Literal and getattr(record, name) not in typing.get_args(hint):
            options = ", ".join(map(repr, typing.get_args(hint)))
            raise ValueError(f"{type(record).__name__}.{name} is {getattr(record, name)!r}; use one of {options}")


@dataclass(frozen=True)
class Provenance:
    """Where the values of a record come from: a claim about one build, not about a brand."""

    source: str  # project, file or document that the rule was read in or measured on
    version: str  # of the build that was measured
    hardware: str  # of that measurement
    date: str  # year-month of that measurement
    note: str = ""  # what a reader would trip over, or what no rule reproduces


OWN = Provenance("tinycompress", "0.1", "any", "2026-11", "the default of this package")

# Record classes: each has `provenance` as its last field and `__post_init__ = _check_options`.

RECORDS: dict[str, type] = {}  # kind in conventions.toml -> class


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

    Shapes      takes none
    Source      conventions.toml, where each entry has its own

    >>> "torch.quantize_per_tensor" in names()
    True
    """
    return list(_entries())


def get(name: str) -> Any:
    """Return the frozen record of one outside operation, by that operation's own name.

    Shapes      takes none
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

    Shapes      takes none
    Raises      ValueError if the record is of another class than the function needs
    Source      this package

    >>> resolve("torch.quantize_per_tensor", type(get("torch.quantize_per_tensor"))).zero_point
    'inside_fma'
    """
    record = get(convention) if isinstance(convention, str) else convention
    if not isinstance(record, kind):
        raise ValueError(f"{convention!r} is a {type(record).__name__}; this function needs a {kind.__name__}")
    return record
