"""Tables of low-bit rows: bytes against a scalar oracle, values within their bound, lookups and bags without decoding all."""

import struct
import tracemalloc
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import conventions
from tinycompress.conventions import RowFormat
from tinycompress.tables import RowTable, greedy_range, look_up, pack_rows, row_bytes, sum_bags

FBGEMM = ("fbgemm.rowwise8", "fbgemm.rowwise4", "fbgemm.rowwise2")
FORMATS = [RowFormat(bits=b, dtype=d) for b in (8, 4, 2) for d in ("float32", "float16")] + list(FBGEMM)
EPSILON = Fraction(float(np.float32(1e-8)))


def rule_of(form):
    return conventions.get(form) if isinstance(form, str) else form


@st.composite
def tables(draw, max_rows=4, max_columns=20):
    """Rows with ties, without width, with zeros of both signs, of one value, tiny, far from zero."""
    columns = draw(st.integers(1, max_columns))
    tied = st.sampled_from([0.0, -0.0, 0.5, 1.5, 2.5, 15.0, 7.5, -1.0, 255.0])
    free = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
    tiny, far = st.floats(2.0**-40, 2.0**-20, width=32), st.floats(1000, 1001, width=32)
    entries = draw(st.sampled_from([tied, free, tiny, far, st.just(5.0)]))
    return np.float32([[draw(entries) for _ in range(columns)] for _ in range(draw(st.integers(1, max_rows)))])


def row_oracle(row, rule):
    """The bytes of one row, in fractions; the sign of a zero bias is left to others."""
    fl, half = oracle.to_float, (lambda v: oracle.to_float(v, 11, -24)) if rule.dtype == "float16" else oracle.to_float
    x, levels = [Fraction(float(v)) for v in row], 2**rule.bits - 1
    bias = half(min(x))
    width = fl(max(x) - bias)
    if rule.codes_from == "stored":
        s = half(fl(width / levels)) if width else Fraction(1)
        s = s or Fraction(1)
        inverse = fl(1 / s)
        if inverse >= 2**128:
            s = inverse = Fraction(1)
    else:
        s = half(fl(width / levels)) if width else Fraction(rule.empty_row == "one")
        inverse = fl(levels / fl(width + EPSILON))
    q = [oracle.half_even(fl(fl(v - bias) * inverse)) for v in x]
    q = [min(max(v, 0), levels) for v in q] if rule.clip else [v % 256 for v in q]
    packed = sum(v << (rule.bits * i) for i, v in enumerate(q)).to_bytes(-(-rule.bits * len(q) // 8), "little")
    return packed + struct.pack("<ee" if rule.dtype == "float16" else "<ff", float(s), float(bias))


@given(tables(), st.sampled_from(FORMATS))
def test_bytes_are_those_of_the_formula(x, form):
    table = pack_rows(x, form)
    rule = rule_of(form)
    for row, data in zip(x, table.data, strict=True):
        ours, theirs = data.tobytes(), row_oracle(row, rule)
        size = np.dtype(rule.dtype).itemsize
        assert ours[:-size] == theirs[:-size]
        assert np.frombuffer(ours[-size:], rule.dtype)[0] == np.frombuffer(theirs[-size:], rule.dtype)[0]  # -0.0 equals 0.0


@given(tables(), st.sampled_from(FORMATS))
def test_decoded_values_are_rounded_once(x, form):
    rule, table = rule_of(form), pack_rows(x, form)
    decoded = look_up(table, np.arange(len(x)))
    size = np.dtype(rule.dtype).itemsize
    for data, row in zip(table.data, decoded, strict=True):
        s, bias = np.frombuffer(data[-2 * size :].tobytes(), rule.dtype)
        stream = int.from_bytes(data[: -2 * size].tobytes(), "little")
        for i, value in enumerate(row):
            q = (stream >> (rule.bits * i)) % 2**rule.bits
            assert Fraction(float(value)) == oracle.to_float(q * Fraction(float(s)) + Fraction(float(bias)))


@given(tables())
def test_values_come_back_within_the_bound(x):
    for form in FORMATS[:6]:
        rule = rule_of(form)
        decoded = look_up(pack_rows(x, form), np.arange(len(x))).astype(float)
        lo, hi = x.min(1).astype(float), x.max(1).astype(float)
        levels, u = 2**rule.bits - 1, 2.0 ** (-11 if rule.dtype == "float16" else -24)
        unit = 2.0 ** (-25 if rule.dtype == "float16" else -150)  # half a subnormal
        bias_error = np.abs(lo) * u + unit
        s = (hi - lo + bias_error) / levels * (1 + u) + 2 * unit
        # half a step; s and bias as stored are off by u, s up to `levels` times; a few float32 roundings on the way
        bound = s / 2 + levels * (s * u + 2 * unit) + bias_error + 2.0**-20 * (np.abs(lo) + np.abs(hi))
        # a scale below the format's smallest number becomes 1, and the row its bias
        bound = np.where((hi - lo) / levels < 2 * unit, np.maximum(bound, hi - lo + bias_error), bound)
        assert (np.abs(decoded - x) <= bound[:, None]).all()


def test_bytes_measured_on_fbgemm():
    rows = {
        "fbgemm.rowwise8": ([[0, 1, 2, 3], [5, 5, 5, 5]], ["0055aaffc1c0403c00000000", "00000000000000000000a040"]),
        "fbgemm.rowwise4": ([[0, 1, 2, 3], [5, 5, 5, 5]], ["50fa66320000", "0000003c0045"]),
        "fbgemm.rowwise2": ([[0, 1, 2, 3, 0.5, 1.5, 2.5, 3]], ["e4e8003c0000"]),
    }
    for name, (x, expected) in rows.items():
        assert [row.tobytes().hex() for row in pack_rows(x, name).data] == expected
    assert pack_rows([[0, 0.5, 1.5, 2.5, 3.5, 15]], "fbgemm.rowwise4").data[0, :3].tobytes().hex() == "0022f4"


def test_corners_where_a_format_destroys_its_row():
    """Kept as they are, because the bytes are; the docstring names them."""
    narrow = look_up(pack_rows([[0, 1e-9, 2e-9, 3e-9]], "fbgemm.rowwise8"), [0])[0]
    assert 0.2 < narrow[3] / 3e-9 < 0.25  # codes by range + 1e-8, scale by range
    tiny = pack_rows([[1e-7, 2e-7, 3e-7, 4e-7]], "fbgemm.rowwise4")
    assert tiny.data[0].tolist() == [0, 0, 0, 60, 2, 0] and look_up(tiny, [0]).tolist() == [[2.0**-23] * 4]  # scale becomes 1
    assert np.isnan(look_up(pack_rows([[1e6, 1, 2, 3]], "fbgemm.rowwise4"), [0])).all()  # float16 scale is infinite
    assert pack_rows([[3e38, -3e38]], "fbgemm.rowwise8").data[0, :2].tolist() == [0, 0]


def test_the_sign_of_a_zero_bias_follows_the_lanes():
    def bias_bits(row, name):
        return pack_rows([row], name).data[0, -1] >> 7

    assert bias_bits([-0.0, 0.0, 1.0, 2.0], "fbgemm.rowwise4") == 1 and bias_bits([0.0, -0.0, 1.0, 2.0], "fbgemm.rowwise4") == 0
    # 16 columns: lane 0 sees columns 0 and 8 and keeps the later one
    lanes = [0.0] + [1.0] * 7 + [-0.0] + [1.0] * 7
    assert bias_bits(lanes, "fbgemm.rowwise8") == 1 and bias_bits(lanes[::-1], "fbgemm.rowwise8") == 0
    assert bias_bits([-0.0, 0.0, 1.0, 2.0], RowFormat()) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_bags_equal_the_sum_of_their_rows(form):
    rng = np.random.default_rng(0)
    table = pack_rows(rng.normal(size=(50, 13)), form)
    lengths = np.array([3, 0, 1, 0, 7, 0])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    codes, weights = rng.integers(0, 50, 11), rng.normal(size=11)
    values = look_up(table, codes).astype(float)
    for w, given_weights in ((np.ones(11), None), (weights, weights)):
        y = sum_bags(table, codes, offsets, given_weights)
        for n in range(6):
            here = slice(offsets[n], offsets[n + 1])
            exact, size = (w[here, None] * values[here]).sum(0), np.abs(w[here, None] * values[here]).sum(0)
            # look_up rounds each row to float32 once, sum_bags the sum: 2 u of the magnitudes
            assert (np.abs(y[n] - exact) <= 2.0**-23 * size).all()
    assert y.dtype == np.float32 and not y[[1, 3, 5]].any()


def test_bags_longer_than_a_block(monkeypatch):
    rng = np.random.default_rng(1)
    table = pack_rows(rng.integers(0, 4, (30, 4)), "fbgemm.rowwise2")
    codes, offsets = rng.integers(0, 30, 1000), np.array([0, 0, 990, 990, 1000])
    whole = sum_bags(table, codes, offsets)
    monkeypatch.setattr("tinycompress.tables.BLOCK", 28)  # 7 entries at a time
    assert np.array_equal(sum_bags(table, codes, offsets), whole)
    assert np.array_equal(whole[1], look_up(table, codes[:990]).sum(0))


def test_looking_up_decodes_no_other_rows():
    table = pack_rows(np.random.default_rng(0).normal(size=(20_000, 64)), "fbgemm.rowwise4")
    rows = np.arange(0, 20_000, 2000)
    look_up(table, rows), sum_bags(table, rows, [0, 10])
    tracemalloc.start()
    look_up(table, rows), sum_bags(table, rows, [0, 10])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 < 20_000 * 64 * 4  # the decoded table would take 5 MB


def test_given_ranges_and_the_greedy_search():
    x = np.float32([[-1.0, 0.3, 0.31, 0.8, 2, 9, 0.1, 0.2], [1, 1, 1, 1, 1, 1, 1, 1]])
    lo, hi = greedy_range(x, 4)
    assert (lo >= x.min(1)).all() and (hi <= x.max(1)).all()
    plain, searched = pack_rows(x, "fbgemm.rowwise4"), pack_rows(x, "fbgemm.rowwise4", (lo, hi))
    assert searched.data[0].tolist() == [32, 50, 245, 34, 65, 57, 0, 188]  # measured: optimized_qparams=True
    errors = [np.square(look_up(t, [0])[0] - x[0]).sum() for t in (plain, searched)]
    assert errors[1] < errors[0]
    assert np.array_equal(pack_rows(x, RowFormat(), (x.min(1), x.max(1))).data, pack_rows(x).data)
    with pytest.raises(ValueError, match="finite"):
        greedy_range([[np.inf, 0.0]], 4)


@pytest.mark.parametrize("columns", [1, 3, 5, 7])
@pytest.mark.parametrize("form", FORMATS)
def test_ragged_rows_begin_on_their_own_byte(columns, form):
    x = np.random.default_rng(columns).normal(size=(6, columns)).astype(np.float32)
    table = pack_rows(x, form)
    assert table.data.shape == (6, row_bytes(columns, form))
    for v in range(6):
        assert np.array_equal(table.data[v], pack_rows(x[v : v + 1], form).data[0])


def test_empty_tables_bags_and_half_precision():
    assert pack_rows(np.zeros((0, 5)), "fbgemm.rowwise4").data.shape == (0, 7)
    assert pack_rows(np.zeros((3, 0))).data.shape == (3, 8)
    table = pack_rows([[1.0, 2.0]])
    assert (
        look_up(table, []).shape == (0, 2)
        and look_up(table, [[0, 0]]).shape == (1, 2, 2)
        and sum_bags(table, [], [0]).shape == (0, 2)
    )
    assert sum_bags(table, [], [0, 0]).tolist() == [[0.0, 0.0]]
    x = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float16)
    assert np.array_equal(pack_rows(x, "fbgemm.rowwise4").data, pack_rows(x.astype(np.float32), "fbgemm.rowwise4").data)


def test_refusals():
    table = pack_rows([[1.0, 2.0]])
    for rows in ([1], [-1], [0.0]):
        with pytest.raises(ValueError, match="rows 0 to 0"):
            look_up(table, rows)
    for offsets in ([0], [0, 2], [1, 1], [0, 1, 0, 1], []):
        with pytest.raises(ValueError, match="offsets"):
            sum_bags(table, [0], offsets)
    with pytest.raises(ValueError, match="1 NaN"):
        pack_rows([[1.0, np.nan]])
    with pytest.raises(ValueError, match="shape"):
        pack_rows([1.0])
    with pytest.raises(ValueError, match="columns"):
        RowTable(table.data, 3, table.format)
