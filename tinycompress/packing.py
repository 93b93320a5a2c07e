"""Codes of a few bits as bytes, in the order of bits that a reader elsewhere expects.

Two 4-bit codes share a byte; which of them lies in the low half is a convention, and a file read with the wrong one is noise
of the right size. The default puts element 0 into the lowest bits and goes on from there, for any width of 1 to 8 bits. A word
is the unit that codes are dealt into: a byte, or 32 bits stored little-endian; without words codes run across bytes.

Letters     q codes, b bits per code, n codes per word; O rows and I columns of an int4 matrix
Not here: bytes that got shorter by statistics (coding), tables of rows (tables). Read next: tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Order:
    """Where code i lies: in which word, and in which of the word's places."""

    word_bits: int = 0  # bits of a word; 0: no words, codes follow each other across bytes
    first: str = "low"  # the place of a word's first code: its "low" or its "high" bits
    deal: int = (
        0  # 0: neighbours share a word; m: in blocks of m codes, word j holds codes j, j + m / n, ...; -1: one block of all
    )
    places: tuple[int, ...] = ()  # place p of a word holds its code places[p]; empty: the p-th


ORDERS = {
    "low_first": Order(),  # ONNX INT4, FBGEMM, torch quint4x2, TFLite; AutoGPTQ's 2, 3, 4 and 8 bits along a column, as bytes
    "high_first": Order(first="high"),  # bitsandbytes nf4 and fp4
    "halves": Order(8, "high", -1),  # HQQ 4bit_u8, 2bit_u8, 1bit_u8: the first half (quarter, eighth) in the high bits
    "halves_of_32": Order(8, "low", 32),  # ggml Q4_0, Q4_1, Q5_0, Q5_1: byte j of a block holds codes j and j + 16
    "words_32": Order(32),  # compressed-tensors pack_to_int32 (of q + 2^(b - 1)), AutoGPTQ's 4 bits; 3 bits: 10 in a word
    "words_32_dealt": Order(32, "high", -1),  # HQQ 3bit_32: the first tenth in bits 27 to 29
    "awq": Order(32, places=(0, 2, 4, 6, 1, 3, 5, 7)),  # AutoAWQ's gemm layout, 4 bits
}


def pack(codes: npt.ArrayLike, bits: int, order: str | Order = "low_first", signed: bool = False) -> bytes:
    """Return codes as bytes, `bits` bits each, zero padding at the end.

    Equation    low_first: bit t of code i is bit (b i + t) mod 8 of byte (b i + t) // 8                    (1)
    Shapes      codes integers (...) read in C order, 0 <= q < 2^b -> ceil(b count / 8) bytes; whole words, or whole blocks
                of words, for the orders that have them
    Convention  order: a name of ORDERS or an Order. signed: codes in [-2^(b-1), 2^(b-1)) go in as two's complement, as
                ONNX's INT4 does. bits 1 to 8
    Raises      ValueError if a code does not fit, bits are not 1 to 8, or the order does not take that many bits
    Source      ONNX IR, "int4 packing" (low_first); FBGEMM 71d6f8b; HQQ e0b1d00; ggml d99724f; compressed-tensors 0.20;
                bitsandbytes 0.50; AutoAWQ: orders by name, see ORDERS

    >>> pack([1, 2, -3, 7, -8], 4, signed=True).hex(" ")
    '21 7d 08'
    >>> pack([1, 2, 3], 4, "high_first").hex(" "), pack([1, 2, 3, 4], 4, "halves").hex(" ")
    ('12 30', '13 24')
    """
    q = _checked(codes, bits, signed)
    rule = _order(order, bits)
    if not rule.word_bits:
        return _pack_stream(q, bits, rule.first)
    per_word = rule.word_bits // bits
    block = _block(rule, per_word, q.size)
    q = np.concatenate([q, np.zeros(-q.size % block, np.uint8)]) if q.size % block else q
    dealt = _deal(q, block, per_word, rule).astype(f"<u{rule.word_bits // 8}")  # (words, per_word)
    words = np.zeros(len(dealt), dealt.dtype)
    for place, shift in zip(_places(rule, per_word), _shifts(rule, bits, per_word)):
        words |= dealt[:, place] << dealt.dtype.type(shift)
    return words.tobytes()


def unpack(
    buf: bytes | bytearray | memoryview | Array, bits: int, count: int, order: str | Order = "low_first", signed: bool = False
) -> Array:
    """Return the codes that pack made bytes of.

    Shapes      buf: exactly the bytes of pack -> q (count,) uint8, or int8 if signed
    Convention  padding bits are not looked at: other writers leave anything there
    Raises      ValueError if buf is shorter or longer than `count` codes make it, or as pack does
    Source      as pack

    >>> unpack(bytes([0x21, 0x7D, 0x08]), 4, 5, signed=True).tolist()
    [1, 2, -3, 7, -8]
    """
    rule = _order(order, bits)
    data = np.frombuffer(buf, np.uint8) if not isinstance(buf, np.ndarray) else np.ascontiguousarray(buf).view(np.uint8).ravel()
    expected = packed_size(count, bits, rule)
    if data.size != expected:
        raise ValueError(f"the buffer has {data.size} bytes; {count} codes of {bits} bits take {expected} in this order")
    if not rule.word_bits:
        q = _unpack_stream(data, bits, count, rule.first)
    else:
        per_word = rule.word_bits // bits
        block = _block(rule, per_word, count)
        words = data.view(f"<u{rule.word_bits // 8}")
        dealt = np.empty((len(words), per_word), np.uint8)
        for place, shift in zip(_places(rule, per_word), _shifts(rule, bits, per_word)):
            dealt[:, place] = (words >> words.dtype.type(shift)) & words.dtype.type(2**bits - 1)
        q = _collect(dealt, block, per_word, rule)[:count]
    if signed:
        q = ((q ^ np.uint8(2 ** (bits - 1))).astype(np.int16) - 2 ** (bits - 1)).astype(np.int8)
    return q


def packed_size(count: int, bits: int, order: str | Order = "low_first") -> int:
    """Return the bytes that `count` codes take.

    Shapes      takes no arrays
    Raises      ValueError if bits are not 1 to 8, count is negative, or the order does not take that many bits
    Source      this package

    >>> packed_size(5, 4), packed_size(5, 3), packed_size(11, 3, "words_32")
    (3, 2, 8)
    """
    rule = _order(order, bits)
    if count < 0:
        raise ValueError(f"count is {count}; a number of codes is 0 or more")
    if not rule.word_bits:
        return -(-count * bits // 8)
    per_word = rule.word_bits // bits
    block = _block(rule, per_word, count)
    return -(-count // block) * (block // per_word) * (rule.word_bits // 8)


def interleave_rows(q: npt.ArrayLike) -> Array:
    """Return 4-bit weights in the order in which llm-awq's kernel reads them, one after the other, ready for pack(..., 4).

    Equation    per row: each 32 as (4, 4, 2) with its first two axes swapped, then each 8 as evens before odds; then four rows
                take turns, 64 codes each
    Shapes      q (O, I) integers, O a multiple of 4, I of 64 -> (O I,)
    Raises      ValueError if q has another shape
    Source      llm-awq d6e797a, pack_intweight: the bytes are its int16 words, little-endian

    >>> interleave_rows(np.arange(256).reshape(4, 64) % 64)[:10].tolist()
    [0, 8, 16, 24, 1, 9, 17, 25, 2, 10]
    """
    q = np.asarray(q)
    if q.ndim != 2 or q.shape[0] % 4 or q.shape[1] % 64:
        raise ValueError(f"q has shape {q.shape}; this layout takes (O, I) with O a multiple of 4 and I of 64")
    rows, columns = q.shape
    pairs = q.reshape(rows, -1, 4, 4, 2).swapaxes(2, 3).reshape(rows, -1, 4, 2)
    return np.ascontiguousarray(pairs.swapaxes(2, 3).reshape(rows // 4, 4, columns // 64, 64).swapaxes(1, 2)).ravel()


def wrap_bits(x: npt.ArrayLike, bits: int, signed: bool = True) -> Array:
    """Return the low bits of numbers cut to integers: what a plain cast to a narrow type leaves, and no quantizer does.

    Equation    q = trunc(x) mod 2^b, from 2^(b-1) on minus 2^b if signed
    Shapes      x (...) integers or floats -> q (...) int8 if signed, else uint8
    Convention  NaN and infinities give 0, as do floats that int32 cannot hold: an x86 cast makes all of them -2^31
    Raises      ValueError if bits are not 1 to 8
    Source      ml_dtypes 0.6.0, casts to int4, uint4, int2, uint2

    >>> wrap_bits([-9.0, -8.6, 7.5, 8.0, 20.0, float("nan")], 4).tolist()
    [7, -8, 7, -8, 4, 0]
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}; codes have 1 to 8 bits")
    x = np.asarray(x)
    if x.dtype.kind == "f":
        x = np.trunc(np.where(np.abs(x) < 2.0**31, x, 0))  # false for NaN, too
    low = x.astype(np.int64) & (2**bits - 1)
    return np.asarray((low - ((low >> (bits - 1)) << bits)).astype(np.int8) if signed else low.astype(np.uint8))


def _checked(codes: npt.ArrayLike, bits: int, signed: bool) -> Array:
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}; codes have 1 to 8 bits")
    q = np.asarray(codes)
    if q.dtype.kind not in "iub" and q.size:
        raise ValueError(f"codes are {q.dtype}; only integers have bits to pack: quantize first")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if q.size and (q.min() < low or q.max() > high):
        hint = "" if signed or q.min() >= 0 else ": subtract the smallest code first, or give signed=True"
        raise ValueError(f"codes run from {q.min()} to {q.max()}; {bits} bits hold {low} to {high}{hint}")
    return (q.astype(np.uint8) & np.uint8(2**bits - 1)).ravel()  # a cast to uint8 keeps the low bits of negative codes


def _order(order: str | Order, bits: int) -> Order:
    if isinstance(order, str):
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; use one of {', '.join(ORDERS)}, or an Order")
        order = ORDERS[order]
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}; codes have 1 to 8 bits")
    per_word = order.word_bits // bits
    if order.word_bits not in (0, 8, 16, 32) or order.places and sorted(order.places) != list(range(per_word)):
        raise ValueError(f"{order} does not take codes of {bits} bits: {per_word} fit a word; choose an order for that width")
    if order.word_bits == 8 and 8 % bits:
        raise ValueError(f"{order} does not take codes of {bits} bits; only 1, 2, 4 or 8 share a byte evenly")
    return Order(8, order.first) if not order.word_bits and 8 % bits == 0 else order  # the same bits, in fewer steps


def _block(rule: Order, per_word: int, count: int) -> int:
    """Codes that are dealt together, a multiple of per_word; the padding fills the last block."""
    if rule.deal > 0:
        return rule.deal
    return per_word if rule.deal == 0 else max(-(-count // per_word) * per_word, per_word)


def _deal(q: Array, block: int, per_word: int, rule: Order) -> Array:
    if rule.deal == 0:
        return q.reshape(-1, per_word)
    return q.reshape(-1, per_word, block // per_word).swapaxes(1, 2).reshape(-1, per_word)


def _collect(dealt: Array, block: int, per_word: int, rule: Order) -> Array:
    if rule.deal == 0:
        return dealt.ravel()
    return dealt.reshape(-1, block // per_word, per_word).swapaxes(1, 2).ravel()


def _places(rule: Order, per_word: int) -> list[int]:
    return list(rule.places or range(per_word))


def _shifts(rule: Order, bits: int, per_word: int) -> list[int]:
    shifts = [p * bits for p in range(per_word)]
    return shifts if rule.first == "low" else shifts[::-1]


def _pack_stream(q: Array, bits: int, first: str) -> bytes:
    # bit t of each code, the lowest first (or the highest), laid end to end                                      (1)
    steps = np.arange(bits, dtype=np.uint8) if first == "low" else np.arange(bits, dtype=np.uint8)[::-1]
    out = bytearray()
    for start in range(0, q.size, 1 << 20):  # a multiple of 8 codes fills whole bytes, so that pieces can be joined
        piece = (q[start : start + (1 << 20), None] >> steps) & np.uint8(1)
        out += np.packbits(piece.ravel(), bitorder="little" if first == "low" else "big").tobytes()
    return bytes(out)


def _unpack_stream(data: Array, bits: int, count: int, first: str) -> Array:
    weights = (1 << np.arange(bits)).astype(np.uint8) if first == "low" else (1 << np.arange(bits)[::-1]).astype(np.uint8)
    q = np.empty(count, np.uint8)
    for start in range(0, count, 1 << 20):
        stop = min(start + (1 << 20), count)
        piece = data[start * bits // 8 : -(-stop * bits // 8)]
        ones = np.unpackbits(piece, bitorder="little" if first == "low" else "big", count=(stop - start) * bits)
        q[start:stop] = ones.reshape(-1, bits) @ weights
    return q
