"""Data sets that others have split already: training pairs, one test item per user, and the items it is to be ranked against.

Two forms are read. The three text files of the NCF papers: NAME.train.rating and NAME.test.rating (user, item, rating[, time])
and NAME.test.negative, whose every line has "(user,item)" of that line of the test file, and then the negatives. And a NumPy
archive with the arrays train_user train_item train_time test_user test_item negatives (time is optional).

Published candidates are kept as published, faults included: a negative may be a training item of its user, or the positive
itself. `count_clashes` says how many are, because every score on such a data set contains them.

Letters     N rows of train, M rows of test, L negatives per test row
Not here: splitting (splits). Read next: judgments, splits.
"""
from __future__ import annotations

import reprlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.delimited import Table, read_table
from tinycompress.interactions import Interactions, encode, parse_times, parse_values, rows_to_keep

MOST_CODES = 10**8  # a larger number in an archive is an id, not a row number: there would have to be as many rows
Prepared = tuple[Interactions, Interactions, npt.NDArray[np.int64]]


def read_ncf(prefix: str | Path) -> Prepared:
    """Return (train, test, negatives) of the files PREFIX.train.rating, PREFIX.test.rating, PREFIX.test.negative.

    Shapes      train of N rows, test of M rows, negatives int64 (M, L): those of test row m are negatives[m]
    Convention  each file may be gzipped, with ".gz" after its name; the negatives are separated by tabs. The three answers
                share their codes, which follow first appearance in train, then test, then negatives. A pair that stands
                twice in train is kept as it stood last. Users without a training row are users all the same.
    Raises      ValueError with file, line and what was expected there
    Source      hexiangnan/neural_collaborative_filtering, README.md, section Dataset

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tiny = pathlib.Path(folder, "tiny")
    ...     _ = tiny.with_suffix(".train.rating").write_text("a 7 5\\na 8 1\\nb 7 2\\n")
    ...     _ = tiny.with_suffix(".test.rating").write_text("a 9 3\\n")
    ...     _ = tiny.with_suffix(".test.negative").write_text("(a,9)\\t10\\t11\\n")
    ...     train, test, negatives = read_ncf(tiny)
    >>> train.items.tolist(), test.items.tolist(), negatives.tolist(), train.item_ids
    ([0, 1, 0], [2], [[3, 4]], ['7', '8', '9', '10', '11'])
    """
    train_table, test_table = (_triples(_present(f"{prefix}.{part}.rating")) for part in ("train", "test"))
    lists = read_table(_present(f"{prefix}.test.negative"), delimiter="\t")
    _check_same_pairs(lists, test_table)
    users, user_ids = encode(train_table, 0, "user")
    items, item_ids = encode(train_table, 1, "item")
    test_users, user_ids = encode(test_table, 0, "user", user_ids)
    test_items, item_ids = encode(test_table, 1, "item", item_ids)
    width = len(lists.columns) - 1
    flat = Table(lists.path, [[cell for column in lists.columns[1:] for cell in column]], list(lists.lines) * width)
    negatives, item_ids = encode(flat, 0, "item", item_ids)
    train = _with_ids(train_table, users, items, user_ids, item_ids)
    test = _with_ids(test_table, test_users, test_items, user_ids, item_ids)
    return train.rows(rows_to_keep(train.pairs, "last")), test, np.ascontiguousarray(negatives.reshape(width, -1).T)


def read_npz(path: str | Path) -> Prepared:
    """Return (train, test, negatives) of a NumPy archive of integer arrays.

    Shapes      train of N rows, test of M rows, negatives int64 (M, L)
    Convention  the integers are codes already and stay so; their ids are the same numbers as text. There are as many users
                and items as the largest number met, plus one. Nothing is unpickled.
    Raises      ValueError if the file is no archive, or an array is missing, not of integers, negative, or of another length
                than those beside it
    Source      this package

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tiny.npz")
    ...     np.savez(path, train_user=[0, 1], train_item=[2, 0], test_user=[0], test_item=[1], negatives=[[0, 3]])
    ...     train, test, negatives = read_npz(path)
    >>> train.n_items, train.times, negatives.tolist()
    (4, None, [[0, 3]])
    """
    expected = {"train_user": 1, "train_item": 1, "test_user": 1, "test_item": 1, "negatives": 2}
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in (*expected, "train_time") if name in archive}
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; expected an npz archive") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: this is no npz archive of plain arrays ({reason}); expected {', '.join(expected)}") from None
    for name, axes in expected.items():
        if name not in found:
            raise ValueError(f"{path}, array {name}: it is missing; expected all of {', '.join(expected)}")
        array = np.asarray(found[name])
        if array.dtype.kind not in "iu" or array.ndim != axes or array.size == 0:
            is_now = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"{path}, array {name}: it is {is_now}; expected integers along {axes} axes")
        if array.min() < 0 or array.max() >= MOST_CODES:
            is_now = f"from {array.min()} to {array.max()}"
            raise ValueError(f"{path}, array {name}: it runs {is_now}; expected row numbers, from 0 and below {MOST_CODES}")
    times = found.get("train_time")
    if times is not None and (times.dtype.kind not in "iuf" or times.ndim != 1):
        raise ValueError(f"{path}, array train_time: it is {times.dtype} of shape {times.shape}; expected numbers along 1 axis")
    codes = {name: found[name].astype(np.int64) for name in expected}
    for name, array in found.items():
        peer = "train_user" if name.startswith("train") else "test_user"
        if len(array) != len(found[peer]):
            raise ValueError(f"{path}, array {name}: it has {len(array)} rows; expected {len(found[peer])}, as {peer} has")
    user_ids = [str(code) for code in range(1 + max(codes["train_user"].max(), codes["test_user"].max()))]
    item_ids = [str(code) for code in range(1 + max(codes[name].max() for name in ("train_item", "test_item", "negatives")))]
    train = Interactions(codes["train_user"], codes["train_item"], None, times, user_ids, item_ids)
    test = Interactions(codes["test_user"], codes["test_item"], None, None, user_ids, item_ids)
    return train.rows(rows_to_keep(train.pairs, "last")), test, codes["negatives"]


def count_clashes(train: Interactions, test: Interactions, negatives: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return how many test rows and negatives are not what they should be.

    Shapes      train of N rows, test of M, negatives (M, L)
    Convention  "test rows seen in training", "positives among their negatives" count test rows; "negatives seen in training",
                "negatives twice in a row" count negatives
    Source      this package

    >>> ids = ["0", "1", "2"]
    >>> part = lambda user, item: Interactions(np.array([user]), np.array([item]), None, None, ids, ids)
    >>> list(count_clashes(part(0, 1), part(0, 2), np.array([[1, 2]])).values())
    [0, 1, 1, 0]
    """
    ordered = np.sort(negatives, axis=1)
    return {
        "test rows seen in training": int(np.isin(test.pairs, train.pairs).sum()),
        "positives among their negatives": int((negatives == test.items[:, None]).any(axis=1).sum()),
        "negatives seen in training": int(np.isin(test.users[:, None] * test.n_items + negatives, train.pairs).sum()),
        "negatives twice in a row": int((ordered[:, 1:] == ordered[:, :-1]).sum()),
    }


def _present(path: str) -> str:
    return path if Path(path).exists() or not Path(path + ".gz").exists() else path + ".gz"


def _triples(path: str) -> Table:
    table = read_table(path)
    if len(table.columns) > 4:
        raise table.malformed(0, f"{len(table.columns)} columns", "user, item, rating and at most a time")
    return table


def _with_ids(
    table: Table, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], user_ids: list[str], item_ids: list[str]
) -> Interactions:
    values = parse_values(table, 2) if len(table.columns) > 2 else None
    times: npt.NDArray[Any] | None = parse_times(table, 3) if len(table.columns) > 3 else None
    return Interactions(users, items, values, times, user_ids, item_ids)


def _check_same_pairs(lists: Table, test: Table) -> None:
    """Each line of negatives begins with the pair of the same line of the test file."""
    if len(lists.lines) != len(test.lines):
        expected = f"{len(test.lines)}, one per line of {test.path}"
        raise lists.malformed(-1, f"there are {len(lists.lines)} lists of negatives", expected)
    for row, (found, user, item) in enumerate(zip(lists.columns[0], test.columns[0], test.columns[1])):
        if found.replace(" ", "") != f"({user},{item})".replace(" ", ""):
            expected = f"that of ({user},{item}), line {test.lines[row]} of {test.path}"
            raise lists.malformed(row, f"the list of {reprlib.repr(found)}", expected)
