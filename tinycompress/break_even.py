"""When does which sparse encoding win? Bits per weight by density and value width, against the entropy bound.

A kept value costs its own bits and a share of what says where it is. That share is constant for a bitmap, falls with
density for indices, and for gaps depends on how often a gap is too long. No encoding of random positions beats
H(d) + d v. Everything here is arithmetic about sizes; `sparse` makes the arrays, and the tests count those.

Letters     d density (the fraction kept), v bits per value, i bits per index, b bits per gap, N numbers
Not here: encoding anything (sparse), what entropy coding takes off afterwards (coding, streams).
Read next: streams, storage.
"""
from __future__ import annotations

import math
from typing import Literal

ENCODINGS = ("dense", "bitmap", "csr32", "csr16", "gap4", "gap5", "gap8", "2:4")


def bits_per_weight(encoding: str, density: float, value_bits: float) -> float:
    """Return how many bits one weight takes, kept or not, at a density; positions random, row starts not counted.

    Equation    dense v | bitmap 1 + d v | csr with i-bit indices d (v + i)                                   (1)
                gap of b bits d (v + b) (1 + q / (1 - q)), q = (1 - d)^(2^b): each further 2^b zeros need a filler   (2)
                n:m n / m (v + ceil(log2 m)), which holds d <= n / m only: inf above                           (3)
                entropy H(d) + d v, H(d) = -d log2 d - (1 - d) log2(1 - d)                                     (4)
    Shapes      takes no arrays
    Limits      d -> 0: dense v, bitmap 1, gaps (v + b) / 2^b (fillers alone), csr and entropy 0. (4) gives a kept value all
                2^v patterns; it is not zero, so log2(2^v - 1) bits would do, and dense can be d (v - that) below (4); csr<i>
                goes below it at d < e / 2^i, where rows are so empty that their starts, not counted here, outweigh the rest
    Convention  names: dense, bitmap, csr<i>, gap<b>, n:m, entropy
    Raises      ValueError if the name is none of these, or density is outside [0, 1]
    Source      Han, Mao and Dally, Deep Compression, 2016, section 2; Shannon 1948 for (4)

    >>> bits_per_weight("csr32", 0.25, 32), bits_per_weight("bitmap", 0.25, 32), bits_per_weight("entropy", 0.5, 8)
    (16.0, 9.0, 5.0)
    """
    d, v = density, value_bits
    if not 0 <= d <= 1 or v <= 0:
        raise ValueError(f"density {d} must be in [0, 1] and value_bits {v} above 0")
    if encoding == "dense":
        return v
    if encoding == "bitmap":
        return 1 + d * v  # (1)
    if encoding == "entropy":
        return d * v - sum(p * math.log2(p) for p in (d, 1 - d) if p > 0)  # (4)
    if encoding.startswith("csr") and encoding[3:].isdecimal():
        return d * (v + int(encoding[3:]))  # (1)
    if encoding.startswith("gap") and encoding[3:].isdecimal():
        b = int(encoding[3:])
        hit = -math.expm1(2**b * math.log1p(-d)) if d < 1 else 1.0  # 1 - q, exact also where q is next to 1
        return d * (v + b) / hit if d > 0 else (v + b) / 2**b  # (2), since 1 + q / (1 - q) = 1 / (1 - q)
    keep, colon, group = encoding.partition(":")
    if colon and keep.isdecimal() and group.isdecimal() and 0 < int(keep) <= int(group):
        held = int(keep) / int(group)
        return held * (v + (int(group) - 1).bit_length()) if d <= held else math.inf  # (3)
    raise ValueError(f"no encoding is named {encoding!r}; use entropy or one of {', '.join(ENCODINGS)} (any number of bits)")


def break_even_density(encoding: str, value_bits: float) -> float:
    """Return the density below which an encoding takes fewer bits than the dense array.

    Equation    csr v / (v + i); bitmap 1 - 1 / v; n:m n / m if n (v + ceil(log2 m)) < m v; gaps and entropy by bisection
    Shapes      takes no arrays
    Limits      0 where it never is the smaller one (a bitmap of 1-bit values)
    Source      bits_per_weight = v, solved for d: every formula there rises with d, entropy up to its crossing

    >>> break_even_density("bitmap", 32), break_even_density("bitmap", 8), break_even_density("bitmap", 4)
    (0.96875, 0.875, 0.75)
    >>> break_even_density("csr32", 32), break_even_density("csr16", 8)
    (0.5, 0.3333333333333333)
    """
    low, high = 0.0, 1.0  # at low smaller than dense, at high not, as far as known
    if bits_per_weight(encoding, low, value_bits) >= value_bits:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bits_per_weight(encoding, middle, value_bits) < value_bits else (low, middle)
    return high


def winner(density: float, value_bits: float, encodings: tuple[str, ...] = ENCODINGS) -> tuple[str, float]:
    """Return the encoding with the fewest bits per weight at a density, and those bits.

    Shapes      takes no arrays
    Convention  equal sizes: the one named first
    Source      bits_per_weight

    >>> winner(0.5, 32), winner(0.05, 32, ("dense", "bitmap", "csr32", "csr16"))
    (('bitmap', 17.0), ('csr16', 2.4000000000000004))
    """
    return min(((e, bits_per_weight(e, density, value_bits)) for e in encodings), key=lambda pair: pair[1])


def break_even_table(
    value_bits: float, densities: tuple[float, ...] = (0.9, 0.5, 0.25, 0.1, 0.05, 0.01), encodings: tuple[str, ...] = ENCODINGS
) -> list[dict[str, float | str]]:
    """Return one row per density: the bits per weight of each encoding, the entropy bound, and which encoding wins.

    Shapes      takes no arrays
    Units       bits per weight; `waste` is what the winner takes above the entropy bound
    Source      bits_per_weight

    >>> row = break_even_table(8, densities=(0.5,))[0]
    >>> row["csr32"], row["csr16"], row["bitmap"], row["gap8"], row["entropy"], row["winner"], row["waste"]
    (20.0, 12.0, 5.0, 8.0, 5.0, 'bitmap', 0.0)
    """
    rows: list[dict[str, float | str]] = []
    for d in densities:
        sizes = {e: bits_per_weight(e, d, value_bits) for e in encodings}
        bound, (name, best) = bits_per_weight("entropy", d, value_bits), winner(d, value_bits, encodings)
        rows.append({"density": d, **sizes, "entropy": bound, "winner": name, "waste": best - bound})
    return rows


def layout_bytes(
    layout: Literal["dense", "csr", "csc", "coo", "bsr", "bitmap", "n:m"],
    shape: tuple[int, int],
    count: int,
    value_bytes: int = 4,
    index_bytes: int = 4,
    block: tuple[int, int] = (1, 1),
    row_offset_bytes: int = 0,
    place_bits: int = 2,
) -> dict[str, int]:
    """Return the exact bytes of a matrix in memory as well-known libraries lay it out, by part; their sum is the matrix.

    Equation    csr count (v + i) + (rows + 1) i; csc the same with columns; coo count (v + 2 i)
                bsr count (r c v + i) + (rows / r + 1) i for count blocks of r x c
                bitmap count v + rows (ceil(columns / 8) + row offsets); n:m count v + ceil(count place_bits / 8)
    Shapes      takes no arrays; `count` is what is kept: values, or blocks for bsr
    Units       bytes
    Convention  scipy.sparse: index_bytes 4; torch: 8; compressed-tensors: bitmap with row_offset_bytes 8; cutlass 2:4
                place_bits 2, and 4 for its 1:2 of float32
    Raises      ValueError if the layout is none of these
    Source      scipy.sparse 1.17, torch 2.13, compressed-tensors

    >>> layout_bytes("csr", (4, 8), 5)
    {'data': 20, 'indices': 20, 'indptr': 20}
    >>> [sum(layout_bytes(k, (4, 8), 5).values()) for k in ("dense", "csr", "csc", "coo", "bitmap")]
    [128, 60, 76, 60, 24]
    >>> sum(layout_bytes("csr", (4, 8), 5, index_bytes=8).values()), layout_bytes("n:m", (32, 64), 1024, value_bytes=2)
    (100, {'values': 2048, 'places': 256})
    """
    (rows, columns), v, i = shape, value_bytes, index_bytes
    if layout == "dense":
        return {"values": rows * columns * v}
    if layout == "coo":
        return {"data": count * v, "row": count * i, "col": count * i}
    if layout == "bitmap":
        bitmap = {"values": count * v, "bitmap": rows * -(-columns // 8)}
        return {**bitmap, "row_offsets": rows * row_offset_bytes} if row_offset_bytes else bitmap
    if layout == "n:m":
        return {"values": count * v, "places": -(-count * place_bits // 8)}
    if layout not in ("csr", "csc", "bsr"):
        raise ValueError(f"no layout is named {layout!r}; use dense, csr, csc, coo, bsr, bitmap or n:m")
    pointers = columns if layout == "csc" else rows // block[0]
    return {"data": count * block[0] * block[1] * v, "indices": count * i, "indptr": (pointers + 1) * i}
