"""Files of every usual form hold the same interactions; and what is written is what is read."""
import csv
import gzip
import io
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.delimited import read_table
from tinycompress.interactions import Interactions, codes_of, read, rows_to_keep

ROWS = [("ann", "7", "4.5", "10"), ("bob", "7", "3", "11"), ("ann", "9", "1", "12")]


def lines(delimiter, rows=ROWS, end="\n"):
    return "".join(delimiter.join(row) + end for row in rows)


FORMS = {
    "u.data": lines("\t"),
    "ratings.dat": lines("::"),
    "ratings.csv": "userId,movieId,rating,timestamp\n" + lines(","),
    "comma, no header": lines(","),
    "semicolon": lines(";"),
    "spaces": lines(" "),
    "runs of spaces": lines("   "),
    "spaces around commas": lines(" , "),
    "CR LF": lines("\t", end="\r\n"),
    "CR": lines("\t", end="\r"),
    "no last line end": lines("\t").rstrip("\n"),
    "blank lines": "\n" + lines("\t", end="\n\n  \n") + "\n\n",
    "byte order mark": "\ufeff" + lines("\t"),
    "byte order mark and header": "\ufeffuser_id,item_id,rating,timestamp\n" + lines(","),
    "quoted": "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in ROWS),
    "header in another order": "Timestamp;Rating;Product-ID;CustomerID\n" + lines(";", [row[::-1] for row in ROWS]),
    "header with types": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + lines("\t"),
    "header with two values": "user,item,rating,time,score\n" + lines(",", [(*row, "0") for row in ROWS]),
    "header with other columns": "note,user,item,rating,time,more\n" + lines(",", [("x", *row, "y") for row in ROWS]),
}


def of(path):
    found = read(path)
    return [
        (found.user_ids[u], found.item_ids[i], v, t)
        for u, i, v, t in zip(found.users, found.items, found.values, found.times)
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
def test_every_form_is_read_alike(tmp_path, form, zipped):
    path = tmp_path / "data"
    data = FORMS[form].encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert of(path) == [("ann", "7", 4.5, 10), ("bob", "7", 3.0, 11), ("ann", "9", 1.0, 12)]


# Any text without the characters that end a line or have a meaning in csv; outer space is stripped, by the rule
CHARACTERS = st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])
IDS = st.text(CHARACTERS, min_size=1, max_size=4).map(str.strip).filter(bool)


@given(st.lists(st.tuples(IDS, IDS, st.floats(0, 1e300), st.integers(-(2**62), 2**62)), min_size=1, max_size=8))
def test_what_csv_writes_is_read_back(tmp_path_factory, rows):
    rows = [("user zero", "item zero", 0.0, 0), ("user one", "item one", 1.0, 1), *rows]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(text.getvalue().encode())
    last = {(user, item): (value, time) for user, item, value, time in rows}  # the last line of a pair is kept
    assert {(user, item): (value, time) for user, item, value, time in of(path)} == last


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=8))
def test_ids_of_any_text_in_a_tab_file(tmp_path_factory, rows):
    rows = [(a, b) for a, b in [("user zero", "item zero"), ("user one", "item one"), *rows] if not set(a + b) & set('\t"')]
    path = tmp_path_factory.mktemp("tab") / "data.tsv"
    path.write_bytes("".join(f"{user}\t{item}\n" for user, item in rows).encode())
    found = read(path, delimiter="\t")
    kept = [pair for place, pair in enumerate(rows) if pair not in rows[place + 1 :]]
    assert [(found.user_ids[u], found.item_ids[i]) for u, i in zip(found.users, found.items)] == kept


def test_quoted_cells_hold_delimiters_quotes_and_line_breaks(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('"ann, or ""anna""","two\nlines",1\nbob,lamp,2\n')
    found = read(path)
    assert found.user_ids == ['ann, or "anna"', "bob"] and found.item_ids == ["two\nlines", "lamp"]
    assert read_table(path).lines == [1, 3]


def test_codes_follow_first_appearance_and_go_back(tmp_path):
    path = tmp_path / "data"
    path.write_text("7\tx\n007\ty\n7\ty\n")
    found = read(path)
    assert found.user_ids == ["7", "007"], "ids are text: these are two"
    assert [codes_of(found.user_ids)[text] for text in ("7", "007")] == [0, 1]
    assert found.values is None and found.times is None
    assert found.users.dtype == found.items.dtype == np.int64


def test_columns_by_name_by_number_and_none(tmp_path):
    path = tmp_path / "judgments.csv"
    path.write_text("query,docid,name,final_rating\nlamp,7,Lamp,3\ndesk,9,Desk,0\n")
    by_name = read(path, columns=("query", "docid", "final_rating"))
    assert by_name.user_ids == ["lamp", "desk"] and by_name.values.tolist() == [3, 0] and by_name.times is None
    path.write_text("x\ty\tlamp\t7\t12\nx\ty\tdesk\t9\t13\n")
    by_number = read(path, columns=(2, 3, None, 4))
    assert by_number.item_ids == ["7", "9"] and by_number.values is None and by_number.times.tolist() == [12, 13]
    for wrong in ((0,), (None, 1), (0, 1, 2, 3, 4)):
        with pytest.raises(ValueError, match="give user and item"):
            read(path, columns=wrong)


def test_a_header_needs_a_user_and_an_item_name(tmp_path):
    path = tmp_path / "data"
    path.write_text("user\tx\nann\ty\n")  # a user called "user"
    assert read(path).user_ids == ["user", "ann"]


def test_times_keep_every_bit_and_dates_become_seconds(tmp_path, monkeypatch):
    path = tmp_path / "data"
    path.write_text(f"a\tx\t1\t{2**62 + 1}\nb\ty\t1\t-5\n")
    assert read(path).times.tolist() == [2**62 + 1, -5], "float64 would round the first"
    path.write_text("a\tx\t1\t1.5\nb\ty\t1\t2\n")
    assert read(path).times.tolist() == [1.5, 2.0]
    path.write_text("a\tx\t1\t2011-12-09 12:50:00\nb\ty\t1\t2011-12-09T14:50:00+02:00\na\ty\t1\t2011-12-09T12:50:00Z\n")
    assert read(path).times.tolist() == [1323435000] * 3  # date -u -d '2011-12-09 12:50' +%s
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # where the reader sits does not matter
    time.tzset()
    try:
        assert read(path).times.tolist() == [1323435000] * 3
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_pair_is_kept_once(tmp_path):
    path = tmp_path / "data"
    path.write_text("a\tx\t1\nb\tx\t2\na\tx\t3\nb\ty\t4\na\tx\t5\n")
    assert read(path).values.tolist() == [2, 4, 5]
    assert read(path, duplicates="first").values.tolist() == [1, 2, 4]
    with pytest.raises(ValueError, match="line 3: .*it stood in line 1"):
        read(path, duplicates="refuse")
    with pytest.raises(ValueError, match="'last', 'first' or 'refuse'"):
        read(path, duplicates="sum")


@given(st.lists(st.integers(0, 3)))
def test_rows_to_keep_is_a_dictionary(pairs):
    first, last = {}, {}
    for row, pair in enumerate(pairs):
        first.setdefault(pair, row)
        last[pair] = row
    assert rows_to_keep(np.array(pairs, np.int64), "first").tolist() == sorted(first.values())
    assert rows_to_keep(np.array(pairs, np.int64), "last").tolist() == sorted(last.values())


def test_the_delimiter_is_the_one_most_lines_agree_on(tmp_path):
    path = tmp_path / "data"
    path.write_text("a b\tx,y\t1\nc\tz\t2\na b\tz;;\t3\n")  # commas, spaces and semicolons in ids
    assert read(path).user_ids == ["a b", "c"] and read(path).item_ids == ["x,y", "z", "z;;"]
    path.write_text("a|x|1\nb|y|2\n")
    assert read(path, delimiter="|").item_ids == ["x", "y"]
    with pytest.raises(ValueError, match="delimiter is ''"):
        read(path, delimiter="")


def test_other_encodings_are_read_when_named(tmp_path):
    path = tmp_path / "data"
    path.write_bytes("josé\tx\nana\ty\n".encode("utf-16"))
    assert read(path, encoding="utf-16").user_ids == ["josé", "ana"]
    path.write_bytes("josé\tx\nana\ty\n".encode("latin-1"))
    assert read(path, encoding="latin-1").user_ids == ["josé", "ana"]
    with pytest.raises(ValueError, match="no encoding is named"):
        read(path, encoding="latin-99")


def test_interactions_refuse_codes_without_ids_and_columns_that_differ():
    one, ids = np.array([1]), ["a", "b"]
    with pytest.raises(ValueError, match="codes 2 to 2; there are ids for 0 to 1"):
        Interactions(np.array([2]), one, None, None, ids, ids)
    with pytest.raises(ValueError, match=r"\[1, 1, 2\] rows"):
        Interactions(one, one, np.array([1.0, 2.0]), None, ids, ids)
    with pytest.raises(ValueError, match="int64"):
        Interactions(one.astype(np.int32), one, None, None, ids, ids)


def test_rows_keep_ids_and_pairs_tell_pairs_apart():
    ids = ["a", "b", "c"]
    all_pairs = Interactions(np.arange(9) // 3, np.arange(9) % 3, np.arange(9.0), None, ids, ids)
    assert all_pairs.pairs.tolist() == list(range(9))
    some = all_pairs.rows(np.array([8, 0]))
    assert some.values.tolist() == [8, 0] and some.n_users == some.n_items == 3
    assert all_pairs.rows(all_pairs.users == 1).items.tolist() == [0, 1, 2] and len(some) == 2
