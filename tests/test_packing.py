"""Packing: every width and order against one big integer, known bytes of other libraries, and everything that does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.packing import ORDERS, Order, interleave_rows, pack, packed_size, unpack, wrap_bits

WIDTHS = st.integers(1, 8)


def fits(name, bits):
    return {"awq": bits == 4, "halves": 8 % bits == 0, "halves_of_32": 8 % bits == 0}.get(name, True)


PAIRS = [(name, bits) for name in ORDERS for bits in range(1, 9) if fits(name, bits)]


def some(rng, bits, count, signed=False):
    return rng.integers(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - 1) if signed else 2**bits, count)


@given(st.sampled_from(PAIRS), st.integers(0, 130), st.booleans(), st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_back(pair, count, signed, seed):
    (name, bits), rng = pair, np.random.default_rng(seed)
    q = some(rng, bits, count, signed)
    buffer = pack(q, bits, name, signed)
    back = unpack(buffer, bits, count, name, signed)
    assert (
        np.array_equal(back, q)
        and back.dtype == (np.int8 if signed else np.uint8)
        and len(buffer) == packed_size(count, bits, name)
    )
    for form in (bytearray(buffer), memoryview(buffer), np.frombuffer(buffer, np.uint8)):
        assert np.array_equal(unpack(form, bits, count, name, signed), q)


@given(WIDTHS, st.lists(st.integers(0, 255), max_size=40))
def test_streams_are_one_big_integer(bits, values):
    q = [v % 2**bits for v in values]
    size = -(-bits * len(q) // 8)
    low = sum(v << (bits * i) for i, v in enumerate(q))
    high = sum(v << (8 * size - bits * (i + 1)) for i, v in enumerate(q))
    assert pack(q, bits) == low.to_bytes(size, "little") and pack(q, bits, "high_first") == high.to_bytes(size, "big")


@given(st.sampled_from(PAIRS), st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_orders_put_each_code_where_their_description_says(pair, count, seed):
    (name, bits), order = pair, ORDERS[pair[0]]
    if not order.word_bits:
        return
    q = some(np.random.default_rng(seed), bits, count).tolist()
    n = order.word_bits // bits
    block = {0: n, -1: -(-count // n) * n}.get(order.deal, order.deal)
    q += [0] * (-count % block)
    words = []
    for start in range(0, len(q), block):
        for w in range(block // n):
            chosen = [q[start + w + p * (block // n)] if order.deal else q[start + w * n + p] for p in range(n)]
            chosen = [chosen[p] for p in order.places] if order.places else chosen
            at = range(n) if order.first == "low" else range(n - 1, -1, -1)
            words.append(sum(v << (bits * place) for v, place in zip(chosen, at, strict=True)))
    assert pack(q[:count], bits, name) == b"".join(w.to_bytes(order.word_bits // 8, "little") for w in words)


def test_bytes_of_other_libraries():
    assert pack([1, 2, -3, 7, -8], 4, signed=True).hex() == "217d08"  # ONNX INT4
    assert pack([0, 1, 2, 3, 0, 2, 2, 3], 2).hex() == "e4e8"  # FBGEMM, 2-bit rows
    assert pack(np.arange(16).reshape(8, 2), 4, "halves") == bytes([8, 25, 42, 59, 76, 93, 110, 127])  # HQQ pack_4bit_u8
    assert pack([[0, 1], [2, 3]] * 4, 2, "halves") == bytes([0, 85, 170, 255])  # HQQ pack_2bit_u8
    word = pack(np.array([-8, -7, 0, 1, 2, 3, 7, -1]) + 8, 4, "words_32")
    assert int.from_bytes(word, "little") == 0x7FBA9810  # compressed-tensors pack_to_int32
    block = np.arange(32) % 16
    assert list(pack(block, 4, "halves_of_32")) == [(block[j] | block[j + 16] << 4) for j in range(16)]  # ggml Q4_0
    awq = int.from_bytes(pack(range(8), 4, "awq"), "little")
    assert [(awq >> 4 * p) & 15 for p in range(8)] == [0, 2, 4, 6, 1, 3, 5, 7]
    three = np.frombuffer(pack(np.arange(10) % 8, 3, "words_32_dealt"), np.int32)[0]
    assert [(three >> 27 - 3 * p) & 7 for p in range(10)] == (np.arange(10) % 8).tolist()  # HQQ pack_3bit_32


def test_an_order_of_ones_own():
    big_pairs = Order(16, "high")
    assert pack([1, 2, 3, 4], 4, big_pairs).hex() == "3412"
    with pytest.raises(ValueError, match="does not take codes of 3 bits"):
        pack([1], 3, Order(8))
    with pytest.raises(ValueError, match="does not take"):
        pack([1], 4, Order(32, places=(0, 1)))
    with pytest.raises(ValueError, match="awq"):
        pack([1], 4, "AWQ")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([16], 4), "16"),
        (([-1], 4), "signed=True"),
        (([8], 4, "low_first", True), "-8 to 7"),
        (([1.0], 4), "float64"),
        (([1], 0), "1 to 8"),
        (([1], 9), "1 to 8"),
        (([1], 8, "awq"), "does not take"),
    ],
)
def test_codes_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        pack(*arguments)


@pytest.mark.parametrize("size", [0, 1, 2, 4, 100])
def test_buffers_of_another_length(size):
    with pytest.raises(ValueError, match=f"{size} bytes; 5 codes of 4 bits take 3"):
        unpack(bytes(size), 4, 5)


def test_the_empty_and_the_padding():
    assert pack([], 3) == b"" and unpack(b"", 3, 0).shape == (0,)
    assert pack([1], 1) == b"\x01" and pack([1, 1, 1], 3) == bytes([1 + 8 + 64, 0])
    assert unpack(b"\xff", 4, 1).tolist() == [15]  # the padding of other writers is not looked at
    assert pack(np.uint8([[1, 2], [3, 4]]).T, 4) == pack([1, 3, 2, 4], 4)
    with pytest.raises(ValueError, match="-1"):
        unpack(b"", 4, -1)


def test_a_million_codes_run_across_the_pieces():
    q = np.random.default_rng(0).integers(0, 8, (1 << 20) + 13)
    assert np.array_equal(unpack(pack(q, 3), 3, q.size), q)
    low = int.from_bytes(pack(q, 3)[393216 : 393216 + 6], "little")  # 2^20 codes of 3 bits end with a whole byte
    assert [(low >> 3 * i) & 7 for i in range(13)] == q[1 << 20 :].tolist()


def test_a_kernel_order_is_a_permutation():
    q = np.arange(8 * 128).reshape(8, 128)
    assert np.array_equal(np.sort(interleave_rows(q)), np.arange(8 * 128))
    with pytest.raises(ValueError, match="multiple of 4"):
        interleave_rows(np.zeros((3, 64), int))


@given(st.floats(-1e4, 1e4) | st.sampled_from([float("inf"), float("-inf"), float("nan"), 2.0**31, -(2.0**31), 1e300]), WIDTHS)
def test_casts_that_keep_the_low_bits(x, bits):
    whole = int(x) if abs(x) < 2**31 else 0
    low = whole % 2**bits
    assert int(wrap_bits(x, bits, signed=False)) == low
    assert int(wrap_bits(x, bits)) == (low - 2**bits if low >= 2 ** (bits - 1) else low)
    with pytest.raises(ValueError, match="bits"):
        wrap_bits(x, 9)
    if abs(x) < 2**31:
        assert wrap_bits(int(x), bits) == wrap_bits(x, bits)
    with pytest.raises(ValueError, match="1 to 8"):
        packed_size(1, 9)
