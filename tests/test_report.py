"""The same rows as text, JSON and CSV: complete, valid, narrow enough, and written whole or not at all."""
import csv
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.report import HEADINGS, KEYS, SIZE_KEYS, Row, SizeRow, to_csv, to_json, to_text, write

NAN, INF = float("nan"), float("inf")
PROMISED = "name parameters nonzero bytes ratio accuracy precision recall f1 hit_rate ndcg gap overlap latency_ms speedup".split()
ROWS = [
    Row("original", 61411, 61411, 248012, 1.0, 0.75, 0.5, 0.25, 0.125, 0.625, 0.375, 0.03125, 1.0, 0.5, 1.0),
    Row("pruned + int8", np.int64(61411), np.int8(7), 41877, np.float32(5.5), None, NAN, INF, -INF, np.float64(0.5), gap=-0.25),
]
FACT = st.none() | st.integers(-10**18, 10**18) | st.floats() | st.floats(0, 1)


@st.composite
def rows(draw):
    return Row(draw(st.text(max_size=20)), **{key: draw(FACT) for key in KEYS[1:]})


def test_keys_are_those_promised():
    assert list(KEYS) == list(HEADINGS)[: len(KEYS)] == PROMISED and set(SIZE_KEYS) <= set(HEADINGS)
    assert to_csv([]).splitlines() == [",".join(PROMISED)] and json.loads(to_json([])) == []


def test_json_has_every_key_and_null_for_what_is_missing():
    first, second = json.loads(to_json(ROWS), parse_constant=pytest.fail)
    assert list(first) == list(second) == PROMISED
    assert list(first.values())[1:] == [61411, 61411, 248012, 1.0, 0.75, 0.5, 0.25, 0.125, 0.625, 0.375, 0.03125, 1.0, 0.5, 1.0]
    assert {key: value for key, value in second.items() if value is not None} == {
        "name": "pruned + int8", "parameters": 61411, "nonzero": 7, "bytes": 41877, "ratio": 5.5, "hit_rate": 0.5, "gap": -0.25,
    }  # fmt: skip
    assert isinstance(second["parameters"], int) and isinstance(first["ratio"], float)


def test_csv_has_the_same_facts():
    read = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    for text, facts in zip(read, json.loads(to_json(ROWS)), strict=True):
        assert text == {key: "" if value is None else str(value) for key, value in facts.items()}


@settings(max_examples=25)
@given(table=st.lists(rows(), max_size=4))
def test_any_row_is_valid_everywhere(table):
    assert [list(row) for row in json.loads(to_json(table), parse_constant=pytest.fail)] == [PROMISED] * len(table)
    assert [row["name"] for row in json.loads(to_json(table))] == [row.name for row in table]
    assert all(len(row) == len(KEYS) for row in csv.reader(io.StringIO(to_csv(table), newline="")))
    for facts, row in zip(json.loads(to_json(table)), table, strict=True):
        assert all(facts[key] is None or facts[key] == getattr(row, key) for key in KEYS)


def test_text():
    lines = to_text(ROWS, k=20).split("\n")
    assert len(lines) == 4 and "hit rate" in lines[0] and lines[1].split()[0] == "model" and lines[1].count("@20") == 2
    assert "top-20" in lines[0] and "@10" not in lines[0] + lines[1]
    shares = "0.7500 0.5000 0.2500 0.1250 0.6250 0.3750 +0.0312 1.0000".split()
    assert lines[2].split() == ["original", "61,411", "61,411", "248,012", "1.00", *shares, "0.5", "1.00"]
    assert lines[3].split()[3:] == "61,411 7 41,877 5.50 - - - - 0.5000 - -0.2500 - - -".split()
    ends = [[i for i, (a, b) in enumerate(zip(line, line[1:] + " ", strict=True)) if a != " " and b == " "] for line in lines]
    assert ends[2][1:] == ends[3][3:]  # numbers end under each other; the second name has two spaces
    assert to_text([]).split("\n")[1].split()[:2] == ["model", "parameters"]


@settings(max_examples=40)
@given(
    name=st.text(st.characters(codec="ascii"), max_size=30).map(lambda s: s * 8),
    count=st.integers(0, 10**30) | st.floats(0, 1e300),
    share=st.floats(0, 1e300) | st.floats(0, 1),
)
def test_text_is_at_most_160_columns_and_one_line_per_row(name, count, share):
    row = Row(name, count, count, count, *[share] * 11)
    lines = to_text([row, ROWS[0]]).split("\n")
    assert len(lines) == 4 and max(map(len, lines)) <= 160
    assert all(line == line.rstrip() and line.isprintable() for line in lines)


def test_numbers_keep_three_digits_where_they_are_small_and_an_exponent_where_they_are_huge():
    row = Row("x", 10**9, 999_999_999, None, 0.01234, 123.0, latency_ms=0.0, speedup=123456.0)
    facts = ["x", "1.000e+09", "999,999,999", "-", "0.0123", "1.2e+02", *["-"] * 7, "0.00", "1.2e+05"]
    assert to_text([row]).split("\n")[2].split() == facts
    row = Row("x", ratio=1e5, accuracy=100.0, precision=99.5, latency_ms=1.0, speedup=99999.0)
    facts = ["x", "-", "-", "-", "1.0e+05", "1.0e+02", "99.5000", *["-"] * 6, "1.00", "99999.00"]
    assert to_text([row]).split("\n")[2].split() == facts


def test_rows_of_sizes_have_columns_of_their_own():
    """What was not measured of any row is no column of the table; in JSON and CSV it is there, and missing."""
    rows = [SizeRow("original", 900, 1.0, "nothing", 0.5, 0.25, NAN, NAN, 0.0, 0.0, 0.0),
            SizeRow("small", np.int64(450), 2.0, "texts", 0.5, 0.125, NAN, NAN, -0.125, -0.25, 0.0625), SizeRow("best")]  # fmt: skip
    assert list(SIZE_KEYS) == "name bytes ratio outside hit_rate ndcg seen_hit_rate seen_ndcg difference low high".split()
    first, second, best = json.loads(to_json(rows), parse_constant=pytest.fail)
    assert list(second) == list(SIZE_KEYS) and list(second.values()) == [
        "small", 450, 2.0, "texts", 0.5, 0.125, None, None, -0.125, -0.25, 0.0625,
    ]  # fmt: skip
    assert to_csv(rows).splitlines()[2] == "small,450,2.0,texts,0.5,0.125,,,-0.125,-0.25,0.0625"
    assert first["outside"] == "nothing" and best["outside"] is None, "known to be nothing, and not known"
    *head, original, small, best = to_text(rows, k=5).split("\n")
    assert "kept out" in head[0] and "@5" in head[1] and "seen" not in head[0]
    assert small.split() == ["small", "450", "2.00", "texts", "0.5000", "0.1250", "-0.1250", "-0.2500", "+0.0625"]
    assert best.split() == ["best", *"-" * 8]
    assert original.split()[-3:] == ["+0.0000"] * 3


def test_a_long_name_gives_way_to_the_numbers():
    name = "pruned, quantized, distilled, folded, rotated and coded " * 3
    first, second, *lines = to_text([Row(name), Row(name, 10**15, latency_ms=12345.6)]).split("\n")
    assert "top-10" in first and "@10" in second
    assert max(map(len, [first, second, *lines])) == 160
    shown = lines[0].split("..")[0]
    assert len(shown) > 30 and name.startswith(shown) and lines[0][len(shown) : len(shown) + 4] == "..  "
    assert to_text([Row("n" * 30)]).split("\n")[2].startswith("n" * 30 + "  ")


def test_written_whole(tmp_path):
    path = tmp_path / "rows.json"
    write(path, "old")
    write(os.fspath(path), "neu\u00e9\n")
    assert path.read_bytes() == "neu\u00e9\n".encode() and os.listdir(tmp_path) == ["rows.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write(path, "new" * 100_000 + "\ud800")  # a surrogate cannot be written
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["rows.json"]
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no folder" / "rows.json", "new")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no links and pipes here")
def test_links_stay_links_and_pipes_pipes(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", "through")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "through"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe", "flows")
    assert os.read(reader, 9) == b"flows" and sorted(os.listdir(tmp_path)) == ["link", "pipe", "real"]
    os.close(reader)
