"""The coder against exact probabilities, its stated length, and damage."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress import coding

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12)


@st.composite
def coded(draw, most=80):
    """(codes, bits, columns), with runs, rare codes, and all widths."""
    bits = draw(st.integers(1, 16))
    few = draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=3))
    codes = draw(st.lists(st.sampled_from(few) | st.integers(0, 2**bits - 1), max_size=most))
    return np.array(codes, np.uint16), bits, draw(st.integers(1, 5 if bits < 15 else 1))


def sequential_bits(codes, bits, columns):
    """-log2 of the exact product of the probabilities that are given to one decision after the other."""
    seen, product = {}, Fraction(1)
    for i, code in enumerate(codes.tolist()):
        for depth in range(bits):
            prefix, bit = (i % columns, depth, code >> (bits - depth)), code >> (bits - 1 - depth) & 1
            n = seen.setdefault(prefix, [0, 0])
            product *= Fraction(2 * n[bit] + 1, 2 * sum(n) + 2)
            n[bit] += 1
    return math.log2(product.denominator) - math.log2(product.numerator), seen


@given(COUNTS)
def test_entropy_is_between_zero_and_log2_of_the_alphabet_and_ignores_scale(counts):
    h, used = coding.entropy(counts), sum(n > 0 for n in counts)
    # each p log2 p has a few roundings of relative 2^-53, and |p log2 p| < 1
    assert -1e-13 <= h <= math.log2(max(used, 1)) + 1e-13
    assert coding.entropy([2 * n for n in counts]) == h
    assert coding.entropy([*counts, 0]) == pytest.approx(h, abs=1e-13)


def test_entropy_of_powers_of_two_is_exact():
    assert coding.entropy([8, 4, 2, 1, 1]) == 1.875  # 1/2 1 + 1/4 2 + 1/8 3 + 1/16 4 + 1/16 4
    assert coding.entropy([0, 7, 0]) == coding.entropy([]) == coding.entropy([0]) == 0.0


@given(COUNTS)
def test_huffman_is_within_one_bit_of_the_entropy_and_complete(counts):
    n, lengths = np.array(counts), coding.huffman_lengths(counts)
    used = n > 0
    assert (lengths[~used] == 0).all()
    if used.any():
        average = Fraction(int((n * lengths).sum()), int(n.sum()))
        assert coding.entropy(n) - 1e-13 <= average < coding.entropy(n) + 1
        assert sum(Fraction(1, 2 ** int(k)) for k in lengths[used]) == 1


@settings(max_examples=20)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_no_prefix_code_beats_huffman(counts):
    ours = sum(n * k for n, k in zip(counts, coding.huffman_lengths(counts).tolist(), strict=True))
    others = (
        sum(n * k for n, k in zip(counts, lengths, strict=True))
        for lengths in itertools.product(range(1, len(counts)), repeat=len(counts))
        if sum(Fraction(1, 2**k) for k in lengths) <= 1  # Kraft: exactly these lengths have a prefix code
    )
    assert ours == min(others)


def test_huffman_table_is_counted():
    assert coding.huffman_bits([5, 1, 2, 0]) == 11 + 4 * 8
    assert coding.huffman_bits(np.zeros(0, int)) == 0


@settings(max_examples=30)
@given(coded(most=25))
def test_adaptive_bits_is_the_product_of_exact_probabilities(case):
    codes, bits, columns = case
    exact, _ = sequential_bits(codes, bits, columns)
    terms = codes.size * bits + 1
    # each of the at most `terms` summed terms is below 60 and has relative error below 2^-48 (four gammaln, each 2^-50)
    assert abs(coding.adaptive_bits(codes, bits, columns) - exact) <= terms * 60 * 2**-48


@settings(max_examples=25)
@given(coded(), st.randoms())
def test_adaptive_bits_knows_counts_only(case, random):
    codes, bits, _ = case
    shuffled = codes.tolist()
    random.shuffle(shuffled)
    assert coding.adaptive_bits(shuffled, bits) == coding.adaptive_bits(codes, bits)


@given(coded())
def test_adaptive_bits_is_near_the_entropy_of_its_columns(case):
    codes, bits, columns = case
    _, seen = sequential_bits(codes, bits, columns)
    least = sum(
        coding.entropy(np.bincount(codes[c::columns])) * codes[c::columns].size for c in range(columns) if codes[c::columns].size
    )
    most = least + sum(math.log2(sum(n)) / 2 + 1 for n in seen.values())
    assert least - 1e-9 <= coding.adaptive_bits(codes, bits, columns) <= most + 1e-9  # 1e-9: float64 sums of below 1e5


@given(coded())
def test_range_coder_round_trip_and_length(case):
    codes, bits, columns = case
    stream = coding.range_encode(codes, bits, columns)
    back = coding.range_decode(stream, bits, codes.size, columns)
    assert back.dtype == (np.uint8 if bits <= 8 else np.uint16) and back.tolist() == codes.tolist()
    # the bound of its docstring
    assert 8 * len(stream) <= coding.adaptive_bits(codes, bits, columns) + 40 + codes.size * bits * 2**-14 + 1e-9


@pytest.mark.parametrize("bits, spread", [(1, 0.6), (2, 0.6), (4, 1.5), (4, 0.4), (8, 20.0)])
def test_within_one_percent_of_the_adaptive_entropy(bits, spread):
    rng = np.random.default_rng(bits)
    codes = np.clip(np.rint(rng.normal(2**bits / 2, spread, 20_000)), 0, 2**bits - 1).astype(np.uint8)
    stream = coding.range_encode(codes, bits)
    assert (coding.range_decode(stream, bits, codes.size) == codes).all()
    assert coding.adaptive_bits(codes, bits) <= 8 * len(stream) <= 1.01 * coding.adaptive_bits(codes, bits)


def test_carries_run_through_written_bytes():
    # a coder without the carry loop gets some of these wrong: settled 255s are hit every few hundred bytes
    codes = np.random.default_rng(5).integers(0, 256, 8_000)
    stream = coding.range_encode(codes, 8)
    assert (coding.range_decode(stream, 8, codes.size) == codes).all()


def test_columns_pay_off_where_columns_differ():
    rng = np.random.default_rng(1)
    table = rng.normal([2.0, 8.0, 13.0], 0.7, (2_000, 3)).round().clip(0, 15).astype(np.uint8)
    assert len(coding.range_encode(table, 4, columns=3)) < 0.6 * len(coding.range_encode(table, 4))


@settings(max_examples=15)
@given(coded(most=30), st.data())
def test_damage_is_refused(case, data):
    codes, bits, columns = case
    stream = coding.range_encode(codes, bits, columns)
    for bit in range(8 * len(stream)):  # CRC-32 finds every single flip
        flipped = bytearray(stream)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="checksum"):
            coding.range_decode(bytes(flipped), bits, codes.size, columns)
    for end in range(len(stream)):
        with pytest.raises(ValueError, match="truncated|checksum"):
            coding.range_decode(stream[:end], bits, codes.size, columns)


def test_another_number_of_codes_is_refused():
    codes = np.random.default_rng(2).integers(0, 16, 500)
    stream = coding.range_encode(codes, 4)
    with pytest.raises(ValueError, match="ends after"):
        coding.range_decode(stream, 4, 600)
    with pytest.raises(ValueError, match="more than 400"):
        coding.range_decode(stream, 4, 400)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: coding.entropy([1, -1]), "not negative"),
        (lambda: coding.entropy([math.nan]), "finite"),
        (lambda: coding.huffman_lengths([1, -2]), ">= 0"),
        (lambda: coding.huffman_lengths([0.5]), "integers"),
        (lambda: coding.range_encode([4], 2), r"\[0, 4\)"),
        (lambda: coding.range_encode([-1], 2), r"\[0, 4\)"),
        (lambda: coding.range_encode([0.5], 2), "float64"),
        (lambda: coding.range_encode([0], 0), "1 to 16"),
        (lambda: coding.range_encode([0], 17), "1 to 16"),
        (lambda: coding.range_encode([0], 16, columns=17), "at most 1048576"),
        (lambda: coding.range_decode(b"", 4, 1), "truncated"),
        (lambda: coding.range_decode(bytes(5), 4, -1), "outside"),
        (lambda: coding.range_decode(bytes(5), 4, 2**24 + 1), "outside"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
