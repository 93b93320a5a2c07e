"""What people said of search results: for a query and a product, a grade, by one rater or several.

A file of judgments is a table with a header; each line has a query, a product's id, its text, and a column for each rater. The
raters of one line are combined into one grade, in the stated way, because the way decides what any score means: on the Chorus
query set a random order has an NDCG@10 of .663 under the mean of the raters and of .673 under their final grade, both rightly.
Queries differ in how many products were judged for them, from one to forty; nothing is filled up here (see ragged).

Letters     N judgments, M lines of a file, Q queries, P products
Not here: lists of unequal length (ragged), words as codes (fields), the scores (metrics). Read next: fields, ragged.
"""
from __future__ import annotations

import gzip
import json
import re
import reprlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Ints
from tinycompress.delimited import Table, malformed, read_table
from tinycompress.interactions import encode, parse_values, rows_to_keep

RATER = r"agent_\d+_rating"  # how the columns of single raters are called


@dataclass(frozen=True, eq=False)
class Judgments:
    """Judged pairs, query after query; within a query in the order of the file."""

    queries: list[str]  # Q distinct texts, in order of first appearance
    product_ids: list[str]  # P
    product_texts: list[str]  # P
    query: Ints  # (N,) row numbers of queries, never decreasing
    product: Ints  # (N,) row numbers of product_ids
    grades: npt.NDArray[np.float64]  # (N,) from 0, irrelevant, up

    def __post_init__(self) -> None:
        shapes = (self.query.shape, self.product.shape, self.grades.shape)
        if len(set(shapes)) > 1 or self.query.ndim != 1 or (np.diff(self.query) < 0).any():
            raise ValueError(f"query, product, grades have shapes {shapes}; give (N,) each, sorted by query (stable)")
        if len(self.product_ids) != len(self.product_texts):
            raise ValueError(f"{len(self.product_ids)} products have {len(self.product_texts)} texts; give one each")
        for name, codes, count in (("query", self.query, len(self.queries)), ("product", self.product, len(self.product_ids))):
            if len(codes) and not 0 <= codes.min() <= codes.max() < count:
                raise ValueError(f"{name} runs from {codes.min()} to {codes.max()}; there are rows 0 to {count - 1}")

    def __len__(self) -> int:
        return len(self.grades)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many products are judged for each query (Q,)."""
        return np.bincount(self.query, minlength=len(self.queries))


def read_judgments(
    path: str | Path,
    grade: str = "mean",
    query: str = "query",
    product: str = "docid",
    text: Sequence[str] = ("name", "description"),
    texts: Mapping[str, str] | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Judgments:
    """Return the graded pairs of a delimited file whose header names these columns.

    Equation    grade = mean of the rater columns that are not empty, or the column of that name
    Shapes      a file of M lines below its header -> N <= M judgments
    Convention  grade     "mean": of the columns agent_1_rating, agent_2_rating, ...; else the name of one column, as
                          "final_rating" or "agent_2_rating".
                no grade  a line in which all columns asked for are empty was not judged. It is left out: its product is no
                          candidate for that query, neither relevant nor irrelevant; a query without any grade is no query.
                texts     {id: text} replaces the file's own texts, for example by read_product_texts. Without it, a product's
                          text is that of its first line: the columns `text`, joined by a space.
    Raises      ValueError "file, line n: what was found; expected what" if a column is missing, a query or id is empty, a grade
                is negative or not a finite number, no line has a grade, a pair stands twice, or `texts` lacks a product
    Source      this package; the format is that of the Chorus query sets (querqy/chorus, Apache-2.0)

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "judged.csv")
    ...     _ = path.write_text("query,docid,name,agent_1_rating,agent_2_rating\\nfan,7,desk fan,3,2\\nfan,8,lamp,0,\\n")
    ...     found = read_judgments(path, text=["name"])
    >>> found.queries, found.product_texts, found.grades.tolist()
    (['fan'], ['desk fan', 'lamp'], [2.5, 0.0])
    """
    table = read_table(path, delimiter, encoding)
    header = [column[0] for column in table.columns]
    raters = [name for name in header if re.fullmatch(RATER, name)] if grade == "mean" else [grade]
    missing = [name for name in (query, product, *(text if texts is None else ()), *raters) if name not in header]
    if missing or not raters:
        wanted = repr(missing[0]) if missing else "agent_N_rating, whose mean is the grade,"
        raise table.malformed(0, f"no column is named {wanted}", f"it among {', '.join(header)}")
    table = table.below()
    at = {name: place for place, name in reversed(list(enumerate(header)))}
    grades = _mean_of_given([_numbers(table, at[name]) for name in raters])
    given = np.flatnonzero(~np.isnan(grades))
    if not len(given):
        raise table.malformed(0, f"no line from here on has a grade in {', '.join(raters)}", "at least one")
    judged = _lines(table, given)
    query_codes, queries = encode(judged, at[query], "query")
    product_codes, ids = encode(judged, at[product], "product")
    _refuse_pairs_twice(judged, query_codes * len(ids) + product_codes)
    first = np.unique(product_codes, return_index=True)[1]
    if texts is None:
        own = [" ".join(filter(None, (judged.columns[at[name]][row] for name in text))) for row in first]
    else:
        for row, name in zip(first, ids):
            if name not in texts:
                raise judged.malformed(row, f"product {reprlib.repr(name)} has no text", f"it among the {len(texts)} texts given")
        own = [texts[name] for name in ids]
    order = np.argsort(query_codes, kind="stable")
    return Judgments(queries, ids, own, query_codes[order], product_codes[order], grades[given][order])


def read_product_texts(
    path: str | Path, text: Sequence[str] = ("title", "short_description"), key: str = "id"
) -> dict[str, str]:
    """Return the text of each product in a file of JSON lines, gzipped or not.

    Shapes      a file of P lines that are not blank -> P texts
    Convention  a text is its parts, joined by a space; null and empty parts are left out
    Raises      ValueError with file and line if the file cannot be read, a line is no JSON object, an id or a part is missing or
                no string, or an id stands twice
    Source      this package

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "products.jsonl")
    ...     _ = path.write_text('{"id": "7", "title": "desk fan", "short_description": null}\\n')
    ...     read_product_texts(path)
    {'7': 'desk fan'}
    """
    found: dict[str, str] = {}
    try:
        data = Path(path).read_bytes()
        lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8").removeprefix("\ufeff").split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the file cannot be read ({error}); expected lines of JSON in utf-8, maybe gzipped") from None
    for number, line in enumerate(lines, 1):  # subtle: not splitlines(), which also cuts at characters that JSON strings may hold
        if not line.strip():
            continue
        try:
            product: Any = json.loads(line)
        except ValueError as error:
            raise malformed(path, number, f"this is no JSON ({error})", "one object per line") from None
        if not isinstance(product, dict) or not isinstance(product.get(key), str) or not product[key]:
            raise malformed(path, number, f"no text {key!r} in {reprlib.repr(product)}", "one object with an id per line")
        wrong = [name for name in text if not isinstance(product.get(name, 0), str | None)]
        if wrong:
            raise malformed(path, number, f"{wrong[0]!r} is missing, or no text", f"the parts {', '.join(text)}")
        if product[key] in found:
            raise malformed(path, number, f"product {product[key]!r} again", "each id once")
        found[product[key]] = " ".join(filter(None, (product[name] for name in text)))
    if not found:
        raise malformed(path, 1, "the file is empty", "one JSON object per line")
    return found


def folds(rng: np.random.Generator, n: int, count: int) -> npt.NDArray[np.int64]:
    """Return the fold of each of n queries: a random partition into `count` folds as equal in size as can be.

    Shapes      (n,) from 0 to count - 1; the sizes differ by at most 1
    Convention  whole queries are dealt out, never single judgments: two judgments of one query in different folds would let the
                model see the test's own query
    Raises      ValueError if count is below 2 or above n
    Source      Stone 1974 (J. R. Stat. Soc. B 36), cross-validation

    >>> np.bincount(folds(np.random.default_rng(0), 7, 3)).tolist()
    [3, 2, 2]
    """
    if not 2 <= count <= n:
        raise ValueError(f"{count} folds of {n} queries; use at least 2 and at most one per query")
    return rng.permutation(np.arange(n) % count)


def _lines(table: Table, rows: npt.NDArray[np.intp]) -> Table:
    return Table(table.path, [[column[r] for r in rows] for column in table.columns], [table.lines[r] for r in rows])


def _numbers(table: Table, place: int) -> npt.NDArray[np.float64]:
    """A column of grades, NaN where the cell is empty."""
    found = np.full(len(table.lines), np.nan)
    filled = np.flatnonzero([cell != "" for cell in table.columns[place]])
    if len(filled):
        found[filled] = parse_values(_lines(table, filled), place)
    return found


def _mean_of_given(columns: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """The mean over the columns of what is not NaN; NaN where all are."""
    given = ~np.isnan(columns)
    total = np.where(given, columns, 0).sum(axis=0)
    return np.where(given.any(axis=0), total / np.maximum(given.sum(axis=0), 1), np.nan)


def _refuse_pairs_twice(table: Table, pairs: npt.NDArray[np.int64]) -> None:
    again = np.setdiff1d(np.arange(len(pairs)), rows_to_keep(pairs, "first"))
    if len(again):
        before = table.lines[int((pairs == pairs[again[0]]).argmax())]
        raise table.malformed(int(again[0]), "this query and product again", f"each pair once: it stood in line {before}")
