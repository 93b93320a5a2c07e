"""Rows of facts become a table for people, JSON or CSV for programs. Formatting only: nothing is computed here.

A fact that is not known is missing, in every format: "-" in the table, null in JSON, an empty field in CSV. NaN and
infinities are missing too, because JSON has no word for them. Files are written whole or not at all.

Letters     N rows, one per model
Not here: where the numbers come from (metrics, cost, recipes). Read next: baselines.
"""
from __future__ import annotations

import csv
import io
import json
import math
import numbers
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields

WIDTH = 160  # columns of a wide terminal: a long name gives way, numbers do not
Number = int | float | None


@dataclass(frozen=True)
class Row:
    """One model and what was measured of it; None where it was not."""

    name: str
    parameters: Number = None  # numbers in the model
    nonzero: Number = None  # of these, not 0.0
    bytes: Number = None  # of the written file
    ratio: Number = None  # bytes of the original / bytes of this one
    accuracy: Number = None
    precision: Number = None  # weighted
    recall: Number = None  # weighted
    f1: Number = None  # weighted
    hit_rate: Number = None  # at the cut K
    ndcg: Number = None  # at the cut K
    gap: Number = None  # quality on training rows minus quality on test rows
    overlap: Number = None  # share of the original's top K that is kept
    latency_ms: Number = None  # milliseconds per 1,000 scored pairs
    speedup: Number = None  # seconds of the original / seconds of this one


@dataclass(frozen=True)
class SizeRow:
    """One file, or one way of ranking that needs none, and how it ranks; None where it was not measured."""

    name: str
    bytes: Number = None  # of the written file
    ratio: Number = None  # bytes of the original / bytes of this one
    outside: str | None = None  # what must be kept beside the file for it to rank; "nothing" is known, None is not
    hit_rate: Number = None  # at the cut K
    ndcg: Number = None  # at the cut K
    seen_hit_rate: Number = None  # on the lists whose positive was met in training
    seen_ndcg: Number = None
    difference: Number = None  # NDCG minus the original's, list by list
    low: Number = None  # its 95 % interval
    high: Number = None


AnyRow = Row | SizeRow
KEYS = tuple(field.name for field in fields(Row))
SIZE_KEYS = tuple(field.name for field in fields(SizeRow))

# key of a row -> its heading over two lines; {k} is the cut
HEADINGS = {
    "name": ("", "model"), "parameters": ("", "parameters"), "nonzero": ("", "non-zero"), "bytes": ("bytes", "on disk"),
    "ratio": ("times", "smaller"), "accuracy": ("", "accuracy"), "precision": ("", "precision"), "recall": ("", "recall"),
    "f1": ("", "F1"), "hit_rate": ("hit rate", "@{k}"), "ndcg": ("NDCG", "@{k}"), "gap": ("train -", "test"),
    "overlap": ("top-{k}", "overlap"), "latency_ms": ("ms per", "1,000"), "speedup": ("times", "faster"),
    "outside": ("kept out", "of file"), "seen_hit_rate": ("seen: hit", "rate@{k}"), "seen_ndcg": ("seen:", "NDCG@{k}"),
    "difference": ("NDCG less", "original's"), "low": ("95 %", "from"), "high": ("", "to"),
}  # fmt: skip
SIGNED = {"gap", "difference", "low", "high"}
COUNTS, FACTORS = {"parameters", "nonzero", "bytes"}, {"ratio", "latency_ms", "speedup"}


def _known(value: Number) -> Number:
    """Return a plain int or float; None where it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _facts(row: AnyRow) -> dict[str, str | Number]:
    """Return the row by key, numbers of NumPy made plain."""
    values = {key: getattr(row, key) for key in _keys([row])}
    return {key: value if isinstance(value, str) else _known(value) for key, value in values.items()}


def _keys(rows: Sequence[AnyRow]) -> tuple[str, ...]:
    return SIZE_KEYS if rows and isinstance(rows[0], SizeRow) else KEYS


def _cell(key: str, value: str | Number) -> str:
    """Format one fact for the table."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "?" for c in " ".join(value.split()))  # a line break would break the table
    if value is None:
        return "-"
    if key in COUNTS:
        return f"{round(value):,}" if abs(value) < 1e9 else f"{value:.3e}"
    if abs(value) >= (1e5 if key in FACTORS else 100):
        return f"{value:.1e}"
    if key in FACTORS:
        return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
    return f"{value:+.4f}" if key in SIGNED else f"{value:.4f}"


def to_text(rows: Sequence[AnyRow], k: int = 10) -> str:
    """Return a table: one line per row under two lines of headings, numbers to the right, at most 160 columns.

    Shapes      rows (N,) -> text of N + 2 lines
    Units       ms per 1,000 scored pairs; the others are counts, shares or factors
    Convention  missing, NaN and infinite: "-"; of a SizeRow, columns that no row knows are left out. Shares have 4 decimals,
                factors 2 or 3 digits, counts separators (from 1e9 on an exponent). `k` is the cut that the headings name
    Source      this package

    >>> print(to_text([Row("original", 61411, 61411, 248012, 1.0, 0.75, hit_rate=0.625, gap=0.03125, overlap=1.0),
    ...                Row("pruned + int8", 61411, 30706, 41877, 5.92, hit_rate=float("nan"), speedup=1.5)]))
                                           bytes    times                                   hit rate  NDCG  train -   top-10  ms per   times
    model          parameters  non-zero  on disk  smaller  accuracy  precision  recall  F1       @10   @10     test  overlap   1,000  faster
    original           61,411    61,411  248,012     1.00    0.7500          -       -   -    0.6250     -  +0.0312   1.0000       -       -
    pruned + int8      61,411    30,706   41,877     5.92         -          -       -   -         -     -        -        -       -    1.50
    """  # noqa: E501 (a table as wide as the real one)
    keys = _keys(rows)
    if keys is SIZE_KEYS:
        keys = tuple(key for key in keys if any(_facts(row)[key] is not None for row in rows))
    columns = {key: [h.format(k=k) for h in HEADINGS[key]] + [_cell(key, _facts(row)[key]) for row in rows] for key in keys}
    widths = {key: max(map(len, cells)) for key, cells in columns.items()}
    widths["name"] = min(widths["name"], max(WIDTH - sum(widths[key] + 2 for key in keys if key != "name"), 8))
    lines = []
    for cells in zip(*columns.values(), strict=True):
        name = cells[0] if len(cells[0]) <= widths["name"] else cells[0][: widths["name"] - 2] + ".."
        numbers_ = (cell.rjust(widths[key]) for key, cell in zip(keys[1:], cells[1:], strict=True))
        lines.append("  ".join([name.ljust(widths["name"]), *numbers_]).rstrip())
    return "\n".join(lines)


def to_json(rows: Sequence[AnyRow]) -> str:
    """Return a JSON list with one object per row, each with all keys in the order of its class.

    Shapes      rows (N,) -> text
    Convention  missing, NaN and infinite: null, so that every parser reads it. Numbers in full precision
    Source      RFC 8259

    >>> print(to_json([Row("int8", bytes=1000, gap=float("nan"))])[:63])
    [
    {"name": "int8", "parameters": null, "nonzero": null, "bytes"
    """
    lines = (json.dumps(_facts(row), allow_nan=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def to_csv(rows: Sequence[AnyRow]) -> str:
    """Return CSV with a header line and one line per row.

    Shapes      rows (N,) -> text
    Convention  missing, NaN and infinite: an empty field. Numbers in full precision; a line break in a name is a space
    Source      RFC 4180, with line feeds alone

    >>> print(to_csv([Row("a, b", parameters=3)]).splitlines()[1])
    "a, b",3,,,,,,,,,,,,,
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _keys(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_facts(row) | {"name": _cell("name", row.name)} for row in rows)
    return text.getvalue()


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all: under a temporary name beside it, then renamed.

    Shapes      takes no arrays
    Convention  UTF-8, line feeds as given. A link is followed, so that it stays one; what is not a file (a terminal, a
                pipe) cannot be renamed over and is written to directly
    Raises      OSError if the folder is missing or not writable; the old file is then as it was, and nothing new is left
    Source      POSIX rename

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(os.path.join(folder, "table.csv"), to_csv([Row("original")]))
    ...     print(os.listdir(folder))
    ['table.csv']
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return
    target = os.path.realpath(path)
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else a crash just after the rename could leave the name with no content
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
