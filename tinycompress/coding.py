"""Lossless coding: how few bits a sequence of codes can take, and a coder that gets there and can be read.

Codes that are not equally frequent need fewer bits than their width. The entropy H is the least any code can average
that treats symbols alone and knows their frequencies; Huffman's code spends whole bits per symbol and stays below
H + 1; a range coder spends fractions of bits, and this one learns the frequencies as it goes, so no table is stored.

Letters     q codes, A symbols that may occur, b bits (of a code), n counts, p probabilities, H entropy
Not here: zlib and lzma, which are faster and see repetitions too (streams chooses between them and this one), and packing to
equal widths (packing). Read next: sparse, streams.
"""
from __future__ import annotations

import heapq
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAX_COUNT = 1 << 24  # codes in one stream: keeps the totals below 2^25, which the bound of range_encode uses
MAX_CONTEXTS = 1 << 20  # nodes in all trees: what a decoder allocates before it has read anything
_FULL, _SMALL, _MASK = 1 << 48, 1 << 40, (1 << 40) - 1  # the interval is kept between 2^40 and 2^48 units wide


def entropy(counts: npt.ArrayLike) -> float:
    """Return the entropy of symbols that occur `counts` times, in bits per symbol.

    Equation    H = -sum p log2 p, p = n / sum n, 0 log2 0 = 0                        (1)
    Shapes      counts (...) >= 0 -> a number; no symbols at all: 0.0
    Units       bits per symbol
    Limits      A equally frequent symbols: log2 A; one symbol only: 0
    Raises      ValueError if a count is negative or not finite
    Source      Shannon, A Mathematical Theory of Communication, 1948, section 6

    >>> entropy([1, 1, 2])
    1.5
    """
    n = np.asarray(counts, np.float64)
    if not (np.isfinite(n) & (n >= 0)).all():
        raise ValueError(f"counts must be finite and not negative; the smallest is {n.min()}, the largest {n.max()}")
    p = n[n > 0] / max(n.sum(), 1e-300)
    return float(-(p * np.log2(p)).sum()) + 0.0  # (1); + 0.0 turns -0.0 into 0.0


def huffman_lengths(counts: npt.ArrayLike) -> Array:
    """Return the length in bits of each symbol's codeword in a code that no prefix code beats.

    Equation    merge the two rarest symbols until one is left; a symbol's length is how often it was merged
    Shapes      counts (A,) integers -> (A,) int64; 0 for a symbol that does not occur
    Bound       H <= sum(n L) / sum(n) < H + 1 and sum over used symbols of 2^-L = 1
    Convention  ties merge the lowest index first; a lone symbol has length 0 (DEFLATE spends 1 bit on it)
    Raises      ValueError if a count is negative
    Source      Huffman, A Method for the Construction of Minimum-Redundancy Codes, 1952

    >>> huffman_lengths([5, 1, 2, 0]).tolist()
    [1, 2, 2, 0]
    """
    n = np.asarray(counts)
    if n.ndim != 1 or n.dtype.kind not in "iu" or (n < 0).any():
        raise ValueError(f"counts must be a row of integers >= 0; got {n.dtype} of shape {n.shape}, smallest {n.min(initial=0)}")
    lengths = np.zeros(n.size, np.int64)
    heap = [(int(n[i]), int(i), [int(i)]) for i in np.flatnonzero(n)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (n1, first, a), (n2, _, b) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[a + b] += 1
        heapq.heappush(heap, (n1 + n2, first, a + b))
    return lengths


def huffman_bits(counts: npt.ArrayLike, length_bits: int = 8) -> int:
    """Return the size of a Huffman-coded sequence with its table, which published figures easily forget.

    Equation    sum(n L) + A length_bits, one codeword length per symbol of the alphabet
    Shapes      counts (A,) integers -> a number of bits
    Source      Han, Mao and Dally, Deep Compression, 2016, section 4 (where the table is not counted)

    >>> huffman_bits([5, 1, 2, 0], length_bits=4)
    27
    """
    n = np.asarray(counts)
    return int((n * huffman_lengths(n)).sum()) + n.size * length_bits


def adaptive_bits(codes: npt.ArrayLike, bits: int, columns: int = 1) -> float:
    """Return the bits that an ideal coder spends if it learns as it goes: what range_encode is measured against.

    A code is b yes-or-no decisions, highest bit first; the bits before it choose a node of a tree, and each node counts
    its own zeros and ones. After n0 zeros and n1 ones the next zero has p = (n0 + 1/2) / (n0 + n1 + 1) (Krichevsky and
    Trofimov), so that the product over a whole sequence depends on its counts alone, not on their order:

    Equation    sum over nodes of log2( pi Gamma(n0 + n1 + 1) / (Gamma(n0 + 1/2) Gamma(n1 + 1/2)) )      (2)
    Shapes      codes (...) integers in [0, 2^bits) -> a number of bits
    Bound       N H <= (2) <= N H + sum over visited nodes of (log2(n0 + n1) / 2 + 1), H that of each column by itself
    Convention  code i has the statistics of column i % columns, so a table's columns can each learn their own
    Source      Krichevsky and Trofimov, The Performance of Universal Encoding, 1981; Willems, Shtarkov and Tjalkens, 1995

    >>> round(adaptive_bits([0, 0], bits=1), 6)  # -log2(1/2 * 3/4)
    1.415037
    """
    from scipy.special import gammaln  # costs more to import than this whole module

    q = _checked(codes, bits, columns).astype(np.int64)
    column, total = np.arange(q.size) % columns, 0.0
    for depth in range(bits):
        node = (column << (depth + 1)) | (q >> (bits - 1 - depth))
        n0, n1 = np.bincount(node, minlength=columns << (depth + 1)).reshape(-1, 2).T
        used = n0 + n1 > 0
        n0, n1 = n0[used], n1[used]
        total += float((np.log(np.pi) + gammaln(n0 + n1 + 1.0) - gammaln(n0 + 0.5) - gammaln(n1 + 0.5)).sum())  # (2)
    return total / float(np.log(2))


def range_encode(codes: npt.ArrayLike, bits: int, columns: int = 1) -> bytes:
    """Return codes as bytes of nearly adaptive_bits length: a binary arithmetic coder over the tree of adaptive_bits.

    The whole sequence names one subinterval of [0, 1): each decision keeps the part of the interval that its probability
    deserves, and the bytes are a number inside the last one. `low` and `width` hold its start and size, in units that
    shrink by 256 whenever a byte of `low` is settled. The last four bytes are the CRC-32 of those before.

    Equation    split = floor(width (2 n0 + 1) / (2 n0 + 2 n1 + 2))                  (3)
    Shapes      codes (...) integers in [0, 2^bits), in C order -> bytes
    Bound       8 len <= adaptive_bits + 40 + codes bits 2^-14: width >= 2^40 and 2 n + 2 <= 2^25, so the floor in (3)
                takes at most the fraction 2^-15 of a zero's p, log2(1 / (1 - 2^-15)) < 2^-14 bits, and nothing of a one's;
                settled bytes say no more than the interval does; 8 bits end the number, 32 are the checksum
    Raises      ValueError if codes do not fit, or there are more than 2^24 of them, or columns 2^bits > 2^20
    Source      Martin, Range encoding, 1979; the decision tree as in Pavlov's LZMA

    >>> range_encode([0] * 1000, bits=4).hex()
    '00000012d941ff'
    """
    zeros, totals = _new_trees(bits, columns)
    out, low, width = bytearray(), 0, _FULL
    for i, code in enumerate(_checked(codes, bits, columns).tolist()):
        tree, node = i % columns << bits, 1
        for place in range(bits - 1, -1, -1):
            k = tree + node
            split = width * zeros[k] // totals[k]  # (3)
            totals[k] += 2
            if code >> place & 1:
                low, width, node = low + split, width - split, 2 * node + 1
            else:
                zeros[k] += 2
                width, node = split, 2 * node
            while width < _SMALL:
                _settle(out, low)
                low, width = (low & _MASK) << 8, width << 8
    _settle(out, low + _MASK)  # the interval is wider than 2^40, so a number whose other bytes are 0 lies inside
    return bytes(out) + zlib.crc32(out).to_bytes(4, "little")


def range_decode(buf: bytes, bits: int, count: int, columns: int = 1) -> Array:
    """Return the `count` codes that range_encode wrote, by taking the same decisions again.

    Shapes      -> (count,) uint8, or uint16 when bits > 8
    Raises      ValueError if the checksum differs, or the bytes hold another number of codes
    Source      as range_encode

    >>> range_decode(range_encode([3, 1, 2, 2], bits=2), bits=2, count=4)
    array([3, 1, 2, 2], dtype=uint8)
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"count {count} is outside [0, {MAX_COUNT}]")
    zeros, totals = _new_trees(bits, columns)
    body, crc = bytes(buf[:-4]), bytes(buf[-4:])
    if not body or zlib.crc32(body).to_bytes(4, "little") != crc:
        raise ValueError(f"range-coded stream of {len(buf)} bytes is truncated or damaged: its checksum differs")
    body += bytes(5)  # the zeros that range_encode leaves unsaid
    value, width, used = int.from_bytes(body[:6], "big"), _FULL, 6  # value: the number named, less `low`
    q = np.empty(count, np.uint8 if bits <= 8 else np.uint16)
    for i in range(count):
        tree, node = i % columns << bits, 1
        for _ in range(bits):
            k = tree + node
            split = width * zeros[k] // totals[k]  # (3)
            totals[k] += 2
            if value >= split:
                value, width, node = value - split, width - split, 2 * node + 1
            else:
                zeros[k] += 2
                width, node = split, 2 * node
            while width < _SMALL:
                if used == len(body):
                    raise ValueError(f"range-coded stream ends after {i} of {count} codes")
                value, width, used = value << 8 | body[used], width << 8, used + 1
        q[i] = node - (1 << bits)
    if used != len(body):
        raise ValueError(f"range-coded stream holds more than {count} codes: {len(body) - used} bytes are left")
    return q


def _settle(out: bytearray, low: int) -> None:
    """Append the top byte of low. subtle: low can have grown past 2^48; the carry then runs back through written 255s."""
    if low >= _FULL:
        i = len(out) - 1
        while out[i] == 255:
            out[i], i = 0, i - 1
        out[i] += 1
    out.append(low >> 40 & 255)


def _new_trees(bits: int, columns: int) -> tuple[list[int], list[int]]:
    """2 n0 + 1 and 2 n + 2 of every node, before anything was seen."""
    if not 1 <= bits <= 16 or columns < 1 or columns << bits > MAX_CONTEXTS:
        raise ValueError(f"{columns} columns of {bits}-bit codes: bits must be 1 to 16 and columns 2^bits at most {MAX_CONTEXTS}")
    return [1] * (columns << bits), [2] * (columns << bits)


def _checked(codes: npt.ArrayLike, bits: int, columns: int) -> Array:
    q = np.asarray(codes)
    q = q.astype(np.uint8) if q.size == 0 else q.reshape(-1)
    _new_trees(bits, columns)
    if q.dtype.kind not in "iub" or q.size > MAX_COUNT or (q.size and not 0 <= q.min() <= q.max() < 1 << bits):
        raise ValueError(f"codes must be at most {MAX_COUNT} integers in [0, {1 << bits}); got {q.size} of {q.dtype}")
    return q
