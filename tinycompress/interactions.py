"""Who met what, and how it went: one row per (user, item) pair, read from any delimited file of ratings, clicks or purchases.

A file is tab, comma, semicolon, `::` or space separated, with or without a header, plain or gzipped: MovieLens' u.data,
ratings.dat and ratings.csv, a click log, a table of purchases. Ids are text, whatever they look like ("7" and "007" are two
ids); they become codes in order of first appearance. A file that is not what it should be is refused with its name, the line,
and what was expected there.

Letters     codes int64: users and items as row numbers of their lists of ids
            values ratings, weights or counts, finite and >= 0; None if the file has none
            times int64, or float64 if any is not whole; an ISO 8601 date and time is seconds since 1970; None if there are none
            N interactions, M lines of the file
Not here: data that others have split (prepared), what a model sees of a user (fields). Read next: prepared, fields.
"""
from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.delimited import Table, parse_column, read_table

HEADER_NAMES = {  # how columns are called by those who publish data; case, "_", "-", "." and a ":type" at the end do not count
    "user": " user userid uid customer customerid visitor visitorid reviewer reviewerid session sessionid ",
    "item": " item itemid iid movie movieid product productid article articleid book bookid asin sku stockcode isbn ",
    "value": " rating ratings value score stars weight count quantity overall ",
    "time": " time timestamp ts date datetime unixtime unixreviewtime invoicedate ",
}


@dataclass(frozen=True, eq=False)
class Interactions:
    """Rows of users who met items. A part of a data set keeps the ids of the whole, so that codes mean the same in all parts."""

    users: npt.NDArray[np.int64]  # (N,) codes: user_ids[users[r]] is the user of row r
    items: npt.NDArray[np.int64]  # (N,) codes
    values: npt.NDArray[np.float64] | None  # (N,)
    times: npt.NDArray[Any] | None  # (N,)
    user_ids: list[str]  # code -> id; `codes_of` is the way back
    item_ids: list[str]

    def __post_init__(self) -> None:
        for name, codes, ids in (("users", self.users, self.user_ids), ("items", self.items, self.item_ids)):
            if codes.dtype != np.int64 or codes.ndim != 1:
                raise ValueError(f"{name} are {codes.dtype} with {codes.ndim} axes; use .astype(np.int64), with one axis")
            if len(codes) and not (codes.min() >= 0 and codes.max() < len(ids)):
                raise ValueError(f"{name} hold codes {codes.min()} to {codes.max()}; there are ids for 0 to {len(ids) - 1}")
        sizes = [len(column) for column in (self.users, self.items, self.values, self.times) if column is not None]
        if len(set(sizes)) > 1:
            raise ValueError(f"the columns have {sizes} rows; all must have the same number")

    def __len__(self) -> int:
        return len(self.users)

    @property
    def n_users(self) -> int:
        """The number of users of the whole data set, met here or not."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """The number of items of the whole data set, met here or not."""
        return len(self.item_ids)

    @property
    def pairs(self) -> npt.NDArray[np.int64]:
        """One number per row (N,), equal for equal (user, item) pairs: users * n_items + items."""
        return self.users * self.n_items + self.items

    def rows(self, index: npt.NDArray[Any]) -> Interactions:
        """These rows (numbers or a mask), under the same ids."""
        values, times = (None if column is None else column[index] for column in (self.values, self.times))
        return replace(self, users=self.users[index], items=self.items[index], values=values, times=times)


def codes_of(ids: Sequence[str]) -> dict[str, int]:
    """Return the way back from ids to codes.

    Shapes      N ids -> N entries
    Source      this package

    >>> codes_of(["b", "a"])
    {'b': 0, 'a': 1}
    """
    return dict(zip(ids, range(len(ids))))


def read(
    path: str | Path,
    delimiter: str | None = None,
    columns: Sequence[str | int | None] | None = None,
    duplicates: str = "last",
    encoding: str = "utf-8",
) -> Interactions:
    """Return the interactions in a delimited text file, gzipped or not.

    Shapes      a file of M lines -> N <= M rows, in the order of the file
    Convention  Lines and delimiters: as `delimited.read_table` says. Columns: `columns` names or numbers (from 0) those of
                user, item and, if there are any, value and time (None: there is none). Without it, line 1 is a header if it
                names a user and an item column by HEADER_NAMES, which then find value and time too (the first that fits;
                other columns are left alone); else there is no header, and the 2, 3 or 4 columns are user, item, value,
                time in this order. A (user, item) pair that stands on several lines is kept once, as the last (or first) of
                them has it, or is refused.
    Raises      ValueError "file, line n: what was found; expected what" for anything else, among it an empty id, a value that is
                negative, infinite or NaN, fewer than two users or two items
    Source      this package; formats: the READMEs of GroupLens' MovieLens data sets

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "ratings.csv")
    ...     _ = path.write_text("userId,movieId,rating,timestamp\\nann,7,4.5,10\\nbob,7,3,11\\nann,9,1,12\\n")
    ...     found = read(path)
    >>> found.users.tolist(), found.values.tolist(), found.item_ids
    ([0, 1, 0], [4.5, 3.0, 1.0], ['7', '9'])
    """
    if duplicates not in ("last", "first", "refuse"):
        raise ValueError(f"duplicates is {duplicates!r}; use 'last', 'first' or 'refuse'")
    table = read_table(path, delimiter, encoding)
    places, has_header = _find_columns(table, columns)
    if has_header:
        table = table.below()
    users, user_ids = encode(table, places["user"], "user")
    items, item_ids = encode(table, places["item"], "item")
    values = parse_values(table, places["value"], not has_header) if "value" in places else None
    times = parse_times(table, places["time"]) if "time" in places else None
    for kind, ids in (("user", user_ids), ("item", item_ids)):
        if len(ids) < 2:
            raise table.malformed(-1, f"the file ends with one {kind} met, {reprlib.repr(ids[0])}", f"at least two {kind}s")
    found = Interactions(users, items, values, times, user_ids, item_ids)
    kept = rows_to_keep(found.pairs, duplicates)
    if duplicates == "refuse" and len(kept) < len(found):
        again = int(np.setdiff1d(np.arange(len(found)), kept)[0])
        before = table.lines[int((found.pairs == found.pairs[again]).argmax())]
        raise table.malformed(again, "this user and item again", f"each pair once: it stood in line {before}")
    return found.rows(kept)


def encode(table: Table, place: int, kind: str, ids: Sequence[str] = ()) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return a column of ids as codes, and `ids` followed by those not among them, in order of first appearance.

    Shapes      M rows -> codes (M,), ids
    Raises      ValueError if an id is empty
    Source      this package

    >>> encode(Table("f", [["b", "a", "b"]], [1, 2, 3]), 0, "user")
    (array([0, 1, 0]), ['b', 'a'])
    """
    texts = table.columns[place]
    codes = codes_of(list(dict.fromkeys([*ids, *texts])))
    if "" in codes:
        raise table.malformed(texts.index(""), f"the {kind} id in column {place + 1} is empty", "an id: any text")
    return np.array([codes[text] for text in texts], np.int64), list(codes)


def parse_values(table: Table, place: int, maybe_header: bool = False) -> npt.NDArray[np.float64]:
    """Return a column of ratings, weights or counts.

    Shapes      M rows -> (M,) float64
    Raises      ValueError if a value is not a number, negative, infinite or NaN; if it may stand in a header, the message says so
    Source      this package

    >>> parse_values(Table("f", [["0.5", "4"]], [1, 2]), 0)
    array([0.5, 4. ])
    """
    expected = "a number from 0 up"
    if maybe_header and table.columns[place][0][:1].isalpha():
        expected += "; if this line is a header, name the columns with columns="
    return np.array(parse_column(table, table.columns[place], _value, expected))


def parse_times(table: Table, place: int) -> npt.NDArray[Any]:
    """Return a column of times.

    Shapes      M rows -> (M,) int64, or float64 if any is not whole
    Units       those of the file; seconds since 1970 (UTC unless the text says otherwise) for ISO 8601 dates and times
    Raises      ValueError if a time is neither a finite number nor an ISO 8601 date
    Source      this package

    >>> parse_times(Table("f", [["1970-01-02", "1970-01-01 00:00:05"]], [1, 2]), 0)
    array([86400,     5])
    """
    return np.array(parse_column(table, table.columns[place], _time, "a number, or a date such as 2011-12-09 12:50:00"))


def rows_to_keep(pairs: npt.NDArray[np.int64], keep: str) -> npt.NDArray[np.intp]:
    """Return, in order, the rows that stay if each pair may stand once: its last row, or else its first.

    Shapes      pairs (N,) -> (N' <= N,)
    Source      this package

    >>> rows_to_keep(np.array([5, 7, 5]), "last"), rows_to_keep(np.array([5, 7, 5]), "first")
    (array([1, 2]), array([0, 1]))
    """
    first = np.unique(pairs[::-1] if keep == "last" else pairs, return_index=True)[1]
    return np.sort(len(pairs) - 1 - first if keep == "last" else first)


def _find_columns(table: Table, columns: Sequence[str | int | None] | None) -> tuple[dict[str, int], bool]:
    """The place of each column that there is, and whether line 1 is a header."""
    cells = [column[0] for column in table.columns]
    plain = ["".join(filter(str.isalnum, cell.partition(":")[0].lower())) for cell in cells]
    fits = {role: [place for place, name in enumerate(plain) if f" {name} " in names] for role, names in HEADER_NAMES.items()}
    has_header = bool(fits["user"] and fits["item"])
    if columns is None and has_header:
        return {role: found[0] for role, found in fits.items() if found}, True
    if columns is None:
        if len(cells) > 4:
            raise table.malformed(0, f"{len(cells)} columns, and no header names them", "at most 4, or columns=")
        return dict(zip(HEADER_NAMES, range(len(cells)))), False
    if not 2 <= len(columns) <= 4 or None in columns[:2]:
        raise ValueError(f"columns is {columns!r}; give user and item, then value and time or None")
    places = {}
    for role, column in zip(HEADER_NAMES, columns):
        if isinstance(column, str) and column not in cells:
            raise table.malformed(0, f"no column is named {column!r}", f"it among {', '.join(cells)}")
        if isinstance(column, int) and not 0 <= column < len(cells):
            raise table.malformed(0, f"{len(cells)} columns", f"one of number {column}, counted from 0, as columns= says")
        if column is not None:
            places[role] = cells.index(column) if isinstance(column, str) else column
    return places, has_header or any(isinstance(column, str) for column in columns)


def _number(text: str) -> float | int:
    if "_" in text:  # Python reads 1_000 as a number; no data file means that
        raise ValueError
    try:
        return int(text)
    except ValueError:
        return float(text)


def _value(text: str) -> float:
    try:
        value = float(_number(text))
    except (ValueError, OverflowError):
        raise ValueError(f"the value {reprlib.repr(text)} is not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the value {reprlib.repr(text)} is {'negative' if value < 0 else 'not finite'}")
    return value


def _time(text: str) -> float | int:
    try:
        time = _number(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"the time {reprlib.repr(text)} is neither a number nor an ISO date") from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        time = int(seconds) if seconds.is_integer() else seconds
    if not abs(time) < 2**63:
        raise ValueError(f"the time {reprlib.repr(text)} is not finite, or beyond 63 bits")
    return time
