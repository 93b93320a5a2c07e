"""Sparse encodings give back what they were given, in exactly the bytes they say; which wins when, by formula and as measured."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinycompress import break_even, packing, sparse

DTYPES = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int16, np.int64, np.uint64, np.bool_)
NUMBERS = {
    "f": [0.0, 0.0, 0.0, -0.0, 1.5, -2.0, np.nan, np.inf, 6e-8],
    "i": [0, 0, 0, 1, -1, 127, -128],
    "u": [0, 0, 0, 1, 255],
    "b": [False, True],
}


@st.composite
def mostly_zero(draw, shapes=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)):
    """An array of any dtype, in any memory order, whose zeros come in runs."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    x = draw(hnp.arrays(dtype, draw(shapes), elements=st.sampled_from(NUMBERS[dtype.kind]), fill=st.just(dtype.type(0))))
    return draw(st.sampled_from([x, x.T, np.asfortranarray(x)]))


@st.composite
def coded(draw):
    """(codes, zero points), the zero points along an axis, so that no single number is the zero."""
    q = draw(hnp.arrays(np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(-4, 4)))
    z = draw(hnp.arrays(np.int64, (1, q.shape[1]), elements=st.integers(-2, 2)))
    return np.where(draw(hnp.arrays(bool, q.shape)), q, z).astype(np.int8), z


def same(a, b):
    """Equal in dtype, shape and every bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def places(shape, parts, reach):
    """Where gap-coded values lie, from the words of the rule: each lies gap + 1 beyond the one before, the first from -1."""
    at, found = -1, []
    for gap in parts["gaps"].tolist():
        at += gap + reach
        found.append(at)
    assert all(p < math.prod(shape) for p in found)
    return found


@given(mostly_zero(), st.sampled_from(["little", "big"]), st.sampled_from(["flat", "padded"]))
def test_bitmap(x, bitorder, rows):
    parts = sparse.bitmap_encode(x, bitorder=bitorder, rows=rows)
    assert same(sparse.bitmap_decode(parts, x.shape, bitorder=bitorder, rows=rows), x)
    lines = x.size // x.shape[-1] if x.ndim and x.shape[-1] else 0
    stated = -(-x.size // 8) if rows == "flat" or not x.ndim else lines * -(-x.shape[-1] // 8)
    assert parts["bitmap"].nbytes == stated and parts["values"].size == sparse.kept(x).sum()


@given(mostly_zero(), st.sampled_from([np.int32, np.int64, np.uint16]))
def test_csr(x, index_dtype):
    parts = sparse.csr_encode(x, index_dtype=index_dtype)
    assert same(sparse.csr_decode(parts, x.shape), x)
    rows = x.shape[0] if x.ndim > 1 else 1
    i, kept = np.dtype(index_dtype).itemsize, int(sparse.kept(x).sum())
    assert sum(a.nbytes for a in parts.values()) == kept * (x.itemsize + i) + (rows + 1) * i


@given(mostly_zero(), st.integers(1, 16), st.booleans())
def test_gaps(x, bits, minus_one):
    bits = max(bits, 1 if minus_one else 2)
    parts = sparse.gap_encode(x, bits, minus_one=minus_one)
    assert same(sparse.gap_decode(parts, x.shape, bits, minus_one=minus_one), x)
    where = places(x.shape, parts, 1 if minus_one else 0)
    reach = 2**bits if minus_one else 2**bits - 1
    kept = np.flatnonzero(sparse.kept(x)).tolist()
    fillers = sum((b - a - 1) // reach for a, b in zip([-1, *kept], kept))
    assert len(where) == len(kept) + fillers and set(kept) <= set(where) and parts["gaps"].max(initial=0) < 2**bits
    assert same(parts["values"], np.ascontiguousarray(x).reshape(-1)[where])
    # packed, the gaps take the bits they are named for
    if bits <= 8:
        assert len(packing.pack(parts["gaps"], bits)) == -(-len(where) * bits // 8)


@st.composite
def grouped(draw):
    """(x, keep, group) with at most `keep` of each group not zero."""
    group = draw(st.integers(1, 8))
    keep = draw(st.integers(1, group))
    x = draw(mostly_zero(st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda s: (s[0], s[1] * group))))
    x = np.ascontiguousarray(x if x.shape[-1] % group == 0 else x.T)
    groups = x.reshape(-1, group)
    groups[np.argsort(np.argsort(~sparse.kept(groups), axis=1, kind="stable"), axis=1, kind="stable") >= keep] = 0
    return x, keep, group


@given(grouped())
def test_n_of_m(case):
    x, keep, group = case
    parts = sparse.n_m_encode(x, keep, group)
    assert same(sparse.n_m_decode(parts, x.shape, keep, group), x)
    assert parts["places"].size == parts["values"].size == x.size // group * keep
    assert parts["places"].max(initial=0) < 2 ** (group - 1).bit_length()


@given(coded())
def test_the_zero_of_codes_is_their_zero_point(case):
    q, z = case
    assert same(sparse.bitmap_decode(sparse.bitmap_encode(q, z), q.shape, z), q)
    assert same(sparse.csr_decode(sparse.csr_encode(q, z), q.shape, z), q)
    assert same(sparse.gap_decode(sparse.gap_encode(q, 2, z), q.shape, 2, z), q)
    assert sparse.csr_encode(q, z)["values"].size == (q != z).sum()


def test_negative_zero_and_nan_are_kept():
    assert sparse.kept(np.array([0.0, -0.0, np.nan, 1.0])).tolist() == [False, True, True, True]


@pytest.mark.parametrize("shape", [(4, 8), (1, 1), (7, 3), (0, 5)])
def test_csr_is_scipys(shape):
    rng = np.random.default_rng(0)
    x = np.where(rng.random(shape) < 0.3, rng.normal(size=shape), 0).astype(np.float32)
    theirs, ours = scipy.sparse.csr_array(x), sparse.csr_encode(x)
    assert ours["indptr"].tolist() == theirs.indptr.tolist() and ours["indices"].tolist() == theirs.indices.tolist()
    assert same(ours["values"], theirs.data)


def test_layout_bytes_are_those_of_scipys_arrays():
    rng = np.random.default_rng(3)
    for rows, columns, dtype in ((4, 8, np.float32), (6, 10, np.float64), (12, 4, np.int8)):
        x = np.where(rng.random((rows, columns)) < 0.4, rng.integers(1, 100, (rows, columns)), 0).astype(dtype)
        count, v = np.count_nonzero(x), np.dtype(dtype).itemsize
        for layout in ("csr", "csc", "bsr"):
            m = scipy.sparse.bsr_array(x, blocksize=(2, 2)) if layout == "bsr" else getattr(scipy.sparse, layout + "_array")(x)
            ours = break_even.layout_bytes(layout, x.shape, len(m.data), v, block=(2, 2) if layout == "bsr" else (1, 1))
            assert ours == {part: getattr(m, part).nbytes for part in ("data", "indices", "indptr")}
        m = scipy.sparse.coo_array(x)
        assert break_even.layout_bytes("coo", x.shape, count, v) == {
            part: getattr(m, part).nbytes for part in ("data", "row", "col")
        }
        parts = sparse.bitmap_encode(x, rows="padded")
        assert break_even.layout_bytes("bitmap", x.shape, count, v) == {part: parts[part].nbytes for part in ("values", "bitmap")}


def test_two_of_four_fills_up_in_torchs_order():
    rows = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]])
    assert sparse.n_m_encode(rows)["places"].reshape(-1, 2).tolist() == [[0, 2], [1, 2], [2, 3], [2, 3], [2, 3], [0, 3]]


# ---- when does which win ----

TABLE = {  # v, density -> encoding: bits per weight to the digits in which such tables are printed; gaps are expectations
    (32, 0.5): {"csr32": "32", "csr16": "24", "bitmap": "17", "gap4": "18.0", "gap5": "18.5", "gap8": "20", "entropy": "17"},
    (32, 0.1): {
        "csr32": "6.4",
        "csr16": "4.8",
        "bitmap": "4.2",
        "gap4": "4.42",
        "gap5": "3.83",
        "gap8": "4.0",
        "entropy": "3.67",
    },
    (32, 0.05): {
        "csr32": "3.2",
        "csr16": "2.4",
        "bitmap": "2.6",
        "gap4": "3.2",
        "gap5": "2.29",
        "gap8": "2.00",
        "entropy": "1.89",
    },
    (32, 0.01): {
        "csr32": "0.64",
        "csr16": "0.48",
        "bitmap": "1.32",
        "gap4": "2.42",
        "gap5": "1.35",
        "gap8": "0.43",
        "entropy": "0.40",
    },
    (8, 0.5): {"csr32": "20", "csr16": "12", "bitmap": "5", "gap4": "6", "gap5": "6.5", "gap8": "8", "entropy": "5"},
    (8, 0.25): {"csr32": "10", "csr16": "6", "bitmap": "3", "gap4": "3.03", "gap5": "3.25", "gap8": "4.0", "entropy": "2.81"},
    (8, 0.1): {"csr32": "4", "csr16": "2.4", "bitmap": "1.8", "gap4": "1.47", "gap5": "1.35", "gap8": "1.6", "entropy": "1.27"},
}


@pytest.mark.parametrize("v, d", TABLE)
def test_the_table_of_bits_per_weight(v, d):
    (row,) = break_even.break_even_table(v, densities=(d,))
    for encoding, text in TABLE[v, d].items():
        digits = len(text.partition(".")[2])
        assert f"{row[encoding]:.{digits}f}" == text, encoding


@pytest.mark.parametrize("density", [0.5, 0.2, 0.05, 0.01])
def test_sizes_are_those_of_arrays(density):
    rng, n = np.random.default_rng(int(1000 * density)), 400_000
    x = np.where(rng.random((400, 1000)) < density, 1 + rng.random((400, 1000)), 0).astype(np.float32)
    d = np.count_nonzero(x) / n  # bitmap and CSR are exact at the density that came out
    assert 8 * sum(a.nbytes for a in sparse.bitmap_encode(x).values()) / n == pytest.approx(
        break_even.bits_per_weight("bitmap", d, 32), rel=1e-12
    )
    csr = 8 * sum(a.nbytes for a in sparse.csr_encode(x).values()) - 401 * 32  # row starts are not in the formula
    assert csr / n == pytest.approx(break_even.bits_per_weight("csr32", d, 32), rel=1e-12)
    for bits in (4, 8):
        entries = len(sparse.gap_encode(x, bits)["gaps"])
        q = (1 - density) ** (2**bits)
        # entries of one kept value are 1 + a geometric number of fillers, variance q / (1 - q)^2; their mean is 1 / (1 - q),
        # and kept values number n d +- sqrt(n d (1 - d)): six standard deviations of the sum
        sigma = math.sqrt(n * density * (q + (1 - density)) / (1 - q) ** 2)
        expected = break_even.bits_per_weight(f"gap{bits}", density, 32) * n / (32 + bits)
        assert abs(entries - expected) <= 6 * sigma + 1


@pytest.mark.parametrize("name, v, bits", [("2:4", 16, 9.0), ("2:4", 8, 5.0), ("1:2", 32, 16.5), ("1:4", 8, 2.5), ("2:3", 4, 4)])
def test_n_of_m_takes_the_bits_that_tell_places_apart(name, v, bits):
    assert break_even.bits_per_weight(name, 0.25, v) == bits
    assert break_even.bits_per_weight(name, 0.7, v) == math.inf


@given(st.integers(1, 99), st.integers(1, 8), st.sampled_from([4, 8, 32]))
def test_gaps_cost_what_the_exact_expectation_says(percent, b, v):
    d = Fraction(percent, 100)
    q = (1 - d) ** (2**b)  # P(a gap needs a filler); fillers are geometric
    exact = d * (v + b) * (1 + q / (1 - q))
    assert break_even.bits_per_weight(f"gap{b}", percent / 100, v) == pytest.approx(
        float(exact), rel=2**b * 2**-50
    )  # d itself is rounded


@given(st.floats(2**-14, 1), st.sampled_from([1, 2, 4, 8, 16, 32]))  # below, row starts would outweigh csr16's indices
def test_nothing_beats_the_entropy_bound(d, v):
    (row,) = break_even.break_even_table(v, densities=(d,))
    narrow = d * (v - math.log2(2**v - 1)) if v > 1 else d  # a value that is kept is not zero: one pattern less
    assert row["waste"] >= -narrow - 1e-12 or row["winner"] == "2:4"  # 2:4 is not of random positions
    assert row[row["winner"]] == min(row[e] for e in break_even.ENCODINGS)


@pytest.mark.parametrize("v, d", [(32, 0.96875), (8, 0.875), (4, 0.75), (1, 0.0)])
def test_bitmap_breaks_even_at_one_minus_one_over_v(v, d):
    assert break_even.break_even_density("bitmap", v) == d


@given(
    st.sampled_from(["bitmap", "csr32", "csr16", "gap4", "gap5", "gap8", "2:4", "entropy"]), st.sampled_from([2, 4, 8, 16, 32])
)
def test_break_even_is_where_it_crosses(encoding, v):
    d = break_even.break_even_density(encoding, v)
    assert d == 0 or break_even.bits_per_weight(encoding, d * (1 - 1e-9), v) < v <= break_even.bits_per_weight(
        encoding, min(d * (1 + 1e-9), 1), v
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sparse.csr_encode(np.ones((1, 300)), index_dtype=np.uint8), "300 columns"),
        (lambda: sparse.gap_encode(np.ones(3), 0), "1 to 16"),
        (lambda: sparse.gap_encode(np.ones(3), 1, minus_one=False), "2 to 16"),
        (lambda: sparse.n_m_encode(np.ones((1, 4))), "keeps 2"),
        (lambda: sparse.n_m_encode(np.zeros((1, 6))), "whole groups"),
        (lambda: sparse.n_m_encode(np.zeros(())), "whole groups"),
        (lambda: sparse.bitmap_decode({"bitmap": np.array([16], np.uint8), "values": np.ones(1)}, (4,)), "beyond its 4"),
        (
            lambda: sparse.bitmap_decode({"bitmap": np.array([3], np.uint8), "values": np.ones(1)}, (4,)),
            "2 positions and 1 values",
        ),
        (lambda: sparse.bitmap_decode({"bitmap": np.zeros(2, np.uint8), "values": np.ones(0)}, (4,)), "needs 1 bytes"),
        (
            lambda: sparse.csr_decode({"indptr": np.array([0, 2, 1]), "indices": np.array([0]), "values": np.ones(1)}, (2, 3)),
            "rise from 0",
        ),
        (
            lambda: sparse.csr_decode({"indptr": np.array([0, 2]), "indices": np.array([1, 1]), "values": np.ones(2)}, (1, 3)),
            "do not rise",
        ),
        (
            lambda: sparse.csr_decode({"indptr": np.array([0, 1]), "indices": np.array([3]), "values": np.ones(1)}, (1, 3)),
            r"\[0, 3\)",
        ),
        (lambda: sparse.gap_decode({"gaps": np.array([16]), "values": np.ones(1)}, (99,)), r"\[0, 15\]"),
        (lambda: sparse.gap_decode({"gaps": np.array([0]), "values": np.ones(1)}, (9,), minus_one=False), r"\[1, 15\]"),
        (lambda: sparse.gap_decode({"gaps": np.array([9]), "values": np.ones(1)}, (9,)), "beyond the 9"),
        (lambda: sparse.n_m_decode({"places": np.array([0]), "values": np.ones(1)}, (4,)), "needs 2"),
        (lambda: sparse.n_m_decode({"places": np.array([2, 2]), "values": np.ones(2)}, (4,)), "do not rise"),
        (lambda: sparse.n_m_decode({"places": np.array([2, 4]), "values": np.ones(2)}, (4,)), r"\[0, 4\)"),
        (lambda: break_even.bits_per_weight("zip", 0.5, 8), "no encoding is named 'zip'"),
        (lambda: break_even.bits_per_weight("3:2", 0.5, 8), "3:2"),
        (lambda: break_even.bits_per_weight("bitmap", 1.5, 8), "density 1.5"),
        (lambda: break_even.layout_bytes("zip", (1, 1), 1), "no layout"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
