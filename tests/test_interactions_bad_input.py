"""A file that is not what it should be: one line says which file, which line, what was found and what was expected."""
import gzip
import io
import zipfile

import numpy as np
import pytest

from tinycompress import prepared
from tinycompress.interactions import read

GOOD = b"a\tx\t1\t10\nb\ty\t2\t11\n"
CSV = b"user,item,rating\na,x,1\nb,y,2\n"


def npz():
    file = io.BytesIO()
    np.savez(file, a=np.arange(3))
    return file.getvalue()


BAD = {  # what the file holds, the line at fault, what the message says
    "empty": (b"", 1, "the file is empty"),
    "only blank lines": (b"\n  \n\r\n", 1, "the file is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", 1, "the file is empty"),
    "a header and no more": (b"user,item,rating\n\n", 1, "nothing follows the header"),
    "a column too few": (GOOD + b"c\tx\t3\n", 3, "columns cut by '\\t': 3; expected 4, as in line 1"),
    "a column too many": (CSV + b"\nc,z,3,4\n", 5, "columns cut by ',': 4; expected 3, as in line 1"),
    "another delimiter in the middle": (GOOD + b"c,z,3,12\n", 3, "columns cut by '\\t': 1; expected 4"),
    "one column": (b"a\nb\n", 1, "one column, 'a'; expected at least two"),
    "five columns without names": (b"a\tx\t1\t2\t3\n" * 2, 1, "5 columns, and no header names them"),
    "rating is a word": (CSV + b"c,z,good\n", 4, "the value 'good' is not a number"),
    "rating is empty": (GOOD + b"c\tx\t\t3\n", 3, "the value '' is not a number"),
    "rating with an underscore": (GOOD + b"c\tx\t1_0\t3\n", 3, "the value '1_0' is not a number"),
    "rating beyond numbers": (GOOD + b"c\tx\t" + b"9" * 400 + b"\t3\n", 3, "is not a number"),
    "rating is negative": (CSV + b"c,z,-1\n", 4, "the value '-1' is negative; expected a number from 0 up"),
    "rating is NaN": (CSV + b"c,z,NaN\n", 4, "the value 'NaN' is not finite"),
    "rating is infinite": (CSV + b"c,z,inf\n", 4, "the value 'inf' is not finite"),
    "rating overflows": (CSV + b"c,z,1e999\n", 4, "the value '1e999' is not finite"),
    "an unknown header": (b"who,what,stars given\na,x,1\nb,y,2\n", 1, "if this line is a header, name the columns"),
    "time is a word": (GOOD + b"c\tx\t1\tnoon\n", 3, "the time 'noon' is neither a number nor an ISO date"),
    "time is a date of no calendar": (GOOD + b"c\tx\t1\t2011-02-30\n", 3, "the time '2011-02-30' is neither"),
    "time is NaN": (GOOD + b"c\tx\t1\tnan\n", 3, "the time 'nan' is not finite"),
    "time beyond 63 bits": (GOOD + b"c\tx\t1\t9999999999999999999\n", 3, "or beyond 63 bits"),
    "user id is empty": (GOOD + b" \tx\t1\t3\n", 3, "the user id in column 1 is empty"),
    "item id is empty": (CSV + b"c,,1\n", 4, "the item id in column 2 is empty"),
    "one user": (b"a\tx\na\ty\n", 2, "one user met, 'a'; expected at least two users"),
    "one item": (b"a\tx\nb\tx\n", 2, "one item met, 'x'; expected at least two items"),
    "one line": (b"a\tx\t1\n", 1, "one user met"),
    "undecodable bytes": (GOOD + b"caf\xe9\tz\t1\t3\n", 3, "byte 0xe9 is not utf-8"),
    "binary": (GOOD[:5] + b"\n" + bytes(range(11, 256)), 2, "byte 0x80 is not utf-8"),
    "an image": (b"\x89PNG\r\n\x1a\n", 1, "byte 0x89 is not utf-8"),
    "utf-16": ("a\tx\nb\ty\n".encode("utf-16-le"), 1, "there is a NUL character"),
    "an embedded NUL": (GOOD + b"c\0\tz\t1\t3\n", 3, "there is a NUL character"),
    "an npz archive": (npz(), 1, "a zip or npz archive"),
    "a quote that never ends": (CSV + b'c,"z,1\nd,z,1\n', 4, "the quotes are wrong"),
    "text after a quote": (CSV + b'c,"z"z,1\n', 4, "the quotes are wrong"),
    "a cell beyond the limit of csv": (CSV + b'c,"' + b"z" * 200_000 + b'",1\n', 4, "the quotes are wrong"),
    "a fault after a quoted line break": (CSV + b'c,"z\nz",1\nd,z,-1\n', 6, "the value '-1' is negative"),
    "a fault after blank lines": (b"\n\n" + GOOD + b"\n\nc\tx\t-1\t3\n", 7, "the value '-1' is negative"),
    "a fault after CR LF": (GOOD.replace(b"\n", b"\r\n") + b"c\tx\t-1\t3\r\n", 3, "the value '-1' is negative"),
}


def said_about(path, act):
    """The message, after checks that hold for every one: a ValueError, one line, begins with the path, says what was expected."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        act()
    message = str(caught.value)
    assert type(caught.value) is ValueError and "\n" not in message and len(message) < 300 + 2 * len(str(path))
    assert message.startswith(str(path)) and "expected" in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "the reader would see two errors for one"
    return message


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_file(tmp_path, name):
    data, line, says = BAD[name]
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    message = said_about(path, lambda: read(path))
    assert f", line {line}: " in message and says in message


def test_no_file_a_directory_a_broken_gzip(tmp_path):
    assert "no such file" in said_about(tmp_path / "none", lambda: read(tmp_path / "none"))
    assert "a directory" in said_about(tmp_path, lambda: read(tmp_path))
    path = tmp_path / "data.gz"
    for broken in (gzip.compress(GOOD)[:-9], gzip.compress(GOOD)[:20] + b"zzzzzzzzzzzzzz", b"\x1f\x8b"):
        path.write_bytes(broken)
        assert "the gzip stream is broken" in said_about(path, lambda: read(path))


def test_columns_that_are_not_there(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(CSV)
    message = said_about(path, lambda: read(path, columns=("user", "article")))
    assert "line 1: no column is named 'article'; expected it among user, item, rating" in message
    assert "3 columns; expected one of number 7" in said_about(path, lambda: read(path, columns=(0, 1, 7)))


NCF = {
    "train.rating": "a\t7\t5\na\t8\t1\nb\t7\t2\n",
    "test.rating": "a\t9\t3\nb\t8\t4\n",
    "test.negative": "(a,9)\t10\t11\n(b,8)\t9\t10\n",
}
BAD_NCF = {
    "no negatives": ("test.negative", None, "no such file"),
    "a list too few": ("test.negative", "(a,9)\t10\t11\n", "line 1: there are 1 lists of negatives; expected 2"),
    "another order": ("test.negative", "(b,8)\t9\t10\n(a,9)\t10\t11\n", "line 1: the list of '(b,8)'; expected that of (a,9)"),
    "lists of different length": ("test.negative", "(a,9)\t10\t11\n(b,8)\t9\n", "line 2: columns cut by '\\t': 2; expected 3"),
    "an empty negative": ("test.negative", "(a,9)\t10\t11\n(b,8)\t9\t\n", "line 2: the item id in column"),
    "a negative rating": ("train.rating", "a\t7\t-5\nb\t7\t2\n", "line 1: the value '-5' is negative"),
    "five columns": ("train.rating", "a\t7\t5\t6\t7\n", "line 1: 5 columns"),
    "empty train": ("train.rating", "", "line 1: the file is empty"),
}


@pytest.mark.parametrize("name", BAD_NCF)
def test_a_malformed_triple(tmp_path, name):
    part, text, says = BAD_NCF[name]
    for end, good in (NCF | {part: text}).items():
        if good is not None:
            (tmp_path / f"tiny.{end}").write_text(good)
    assert says in said_about(tmp_path / f"tiny.{part}", lambda: prepared.read_ncf(tmp_path / "tiny"))


ARRAYS = {
    "train_user": [0, 1],
    "train_item": [2, 0],
    "train_time": [5, 6],
    "test_user": [0],
    "test_item": [1],
    "negatives": [[0, 3]],
}
BAD_NPZ = {
    "missing": ("negatives", None, "array negatives: it is missing"),
    "floats": ("test_item", [1.0], "array test_item: it is float64 of shape (1,)"),
    "negative": ("train_user", [0, -1], "array train_user: it runs from -1 to 0; expected row numbers, from 0"),
    "ids": ("train_user", [0, 2**40], "array train_user: it runs from 0 to 1099511627776; expected row numbers"),
    "one axis": ("negatives", [0], "expected integers along 2 axes"),
    "empty": ("train_user", np.zeros(0, int), "array train_user: it is int64 of shape (0,)"),
    "lengths": ("train_item", [2, 0, 1], "array train_item: it has 3 rows; expected 2, as train_user has"),
    "times": ("train_time", [2, 0, 1], "array train_time: it has 3 rows"),
    "times in words": ("train_time", ["noon", "night"], "array train_time: it is <U5 of shape (2,); expected numbers"),
    "lists": ("negatives", [[0, 3], [0, 3]], "array negatives: it has 2 rows; expected 1"),
    "pickled": ("test_item", np.array([{}]), "no npz archive of plain arrays"),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_a_malformed_archive(tmp_path, name):
    array, content, says = BAD_NPZ[name]
    path = tmp_path / "tiny.npz"
    np.savez(path, **{key: value for key, value in (ARRAYS | {array: content}).items() if value is not None})
    assert says in said_about(path, lambda: prepared.read_npz(path))


def test_a_path_through_a_file_is_no_path(tmp_path):
    (tmp_path / "file").write_text("user,item\n1,2\n")
    assert "cannot be read" in said_about(tmp_path / "file" / "in", lambda: read(tmp_path / "file" / "in"))


def test_archives_that_are_none(tmp_path):
    assert "no such file" in said_about(tmp_path / "none", lambda: prepared.read_npz(tmp_path / "none"))
    path = tmp_path / "tiny.npz"
    np.save(tmp_path / "one.npy", np.arange(3))
    np.savez(path, **ARRAYS)
    whole = path.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("train_user.npy", "not an array")
    for content in (b"", b"text", whole[: len(whole) // 2], (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        assert "no npz archive" in said_about(path, lambda: prepared.read_npz(path))
    path.write_bytes((tmp_path / "other.zip").read_bytes())
    assert "array train_user: it is |S12 of shape ()" in said_about(path, lambda: prepared.read_npz(path))
    assert "no npz archive" in said_about(tmp_path, lambda: prepared.read_npz(tmp_path))
