"""Arrays that are mostly zero, stored by position: bitmap, CSR, gaps, n of m; each encodes, decodes, and counts its bytes.

A pruned array is smaller on disk only if what says *where* the kept values are costs less than the zeros did. Each
encoding here turns an array into a few plain arrays, its parts, of which `values` are the kept numbers in C order.
What counts as zero is an argument: 0.0 for floats, the zero point for codes of an asymmetric grid.

Letters     x values, N numbers in x, I its last axis, v bits per value, b bits per gap, d density (the fraction kept)
Not here: which encoding is the smallest at which density (break_even), writing parts to a file (streams, storage),
choosing what to prune (pruning). Read next: break_even, streams.
"""
from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Parts = dict[str, Array]
BitOrder = Literal["little", "big"]
Rows = Literal["flat", "padded"]


def kept(x: npt.ArrayLike, zero: npt.ArrayLike = 0) -> Array:
    """Return where x is not `zero`, as booleans of the shape of x: what the encodings below keep.

    Shapes      x (...), zero () or broadcasting against x -> (...) bool
    Convention  floats are compared by their bits, so NaN is kept and so is -0.0
    Source      this package

    >>> kept(np.array([0.0, 1.5, 0.0, 2.0])).tolist()
    [False, True, False, True]
    """
    x = np.asarray(x)
    if x.dtype.kind == "f":  # subtle: w * mask leaves -0.0 where w < 0, which is not all zero bits; np.where(mask, w, 0) does not
        bits = f"u{x.dtype.itemsize}"
        same = x.view(bits) != np.asarray(zero, x.dtype).view(bits)
    else:
        same = x != zero
    return np.asarray(same)


def bitmap_encode(x: npt.ArrayLike, zero: npt.ArrayLike = 0, bitorder: BitOrder = "little", rows: Rows = "flat") -> Parts:
    """Return one bit per number (1 = kept) and the kept values.

    Shapes      x (...) -> bitmap (bytes,) uint8, values (kept,) of x's dtype
    Units       ceil(N / 8) bytes of bits, or rows ceil(columns / 8) when each row starts a byte; N d values
    Convention  the first number is the lowest bit of its byte (compressed-tensors) or the highest (numpy.packbits);
                compressed-tensors pads each row to a byte
    Source      compressed-tensors, sparse bitmask compressor; numpy.packbits

    >>> bitmap_encode(np.ones((1, 10)))["bitmap"].tolist(), bitmap_encode(np.ones(10), bitorder="big")["bitmap"].tolist()
    ([255, 3], [255, 192])
    """
    x = np.asarray(x)
    mask = kept(x, zero)
    flags = mask.reshape(-1) if rows == "flat" else mask
    return {"bitmap": np.packbits(flags, axis=-1 if flags.ndim else None, bitorder=bitorder).reshape(-1), "values": x[mask]}


def bitmap_decode(
    parts: Parts, shape: tuple[int, ...], zero: npt.ArrayLike = 0, bitorder: BitOrder = "little", rows: Rows = "flat"
) -> Array:
    """Return the array that bitmap_encode took apart.

    Shapes      bitmap (bytes,), values (kept,) -> x of `shape`
    Raises      ValueError if the bitmap has another length, a bit beyond the end, or not as many ones as there are values
    Source      as bitmap_encode

    >>> bitmap_decode({"bitmap": np.array([5], np.uint8), "values": np.array([7, 9])}, (4,)).tolist()
    [7, 0, 9, 0]
    """
    bitmap, values = parts["bitmap"], parts["values"]
    width = shape[-1] if rows == "padded" and shape else math.prod(shape)
    stride = -(-width // 8)
    lines = math.prod(shape) // width if width else 0
    if bitmap.shape != (lines * stride,) or bitmap.dtype != np.uint8:
        raise ValueError(f"bitmap of {bitmap.size} {bitmap.dtype}; shape {shape} needs {lines * stride} bytes")
    flags = np.unpackbits(bitmap.reshape(lines, stride), axis=1, bitorder=bitorder).astype(bool)
    if flags[:, width:].any():
        raise ValueError(f"bitmap has a bit set beyond its {width} columns")
    return _place(np.flatnonzero(flags[:, :width]), values, shape, zero)


def csr_encode(x: npt.ArrayLike, zero: npt.ArrayLike = 0, index_dtype: npt.DTypeLike = np.int32) -> Parts:
    """Return compressed sparse rows: row starts, column of each kept value, kept values.

    Shapes      x (...) -> indptr (rows + 1,), indices (kept,) of index_dtype, values (kept,) of x's dtype
    Units       N d (v + i) / 8 + (rows + 1) i / 8 bytes with i-bit indices: 8 per kept float32 with scipy's int32
    Convention  rows are x's first axis, columns all others flattened; a vector is one row; scipy.sparse has int32 indices,
                torch int64; the Deep Compression paper counts 2 a + n + 1 *numbers* for a kept, n rows
    Raises      ValueError if index_dtype cannot hold the last column or the number kept
    Source      scipy.sparse.csr_array; Han, Mao and Dally, Deep Compression, 2016, section 2

    >>> {k: a.tolist() for k, a in csr_encode(np.array([[0, 5, 0], [0, 0, 0], [7, 0, 9]])).items()}
    {'indptr': [0, 1, 1, 3], 'indices': [1, 0, 2], 'values': [5, 7, 9]}
    """
    x = np.asarray(x)
    rows, columns = _matrix(x.shape)
    mask = kept(x, zero).reshape(rows, columns)
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(mask, axis=1))])
    room = np.iinfo(np.dtype(index_dtype)).max
    if max(columns - 1, indptr[-1]) > room:
        raise ValueError(f"{columns} columns or {indptr[-1]} kept values are too many for {np.dtype(index_dtype)}, up to {room}")
    indptr, indices = indptr.astype(index_dtype), np.nonzero(mask)[1].astype(index_dtype)
    return {"indptr": indptr, "indices": indices, "values": x.reshape(rows, columns)[mask]}


def csr_decode(parts: Parts, shape: tuple[int, ...], zero: npt.ArrayLike = 0) -> Array:
    """Return the array that csr_encode took apart.

    Shapes      indptr (rows + 1,), indices (kept,), values (kept,) -> x of `shape`
    Raises      ValueError if indptr does not rise from 0 to the number of values, or indices do not rise within their row
    Source      as csr_encode

    >>> csr_decode({"indptr": np.array([0, 1, 1]), "indices": np.array([2]), "values": np.array([7])}, (2, 3)).tolist()
    [[0, 0, 7], [0, 0, 0]]
    """
    (rows, columns), values = _matrix(shape), parts["values"]
    indptr, indices = parts["indptr"].astype(np.int64), parts["indices"].astype(np.int64)
    if indptr.shape != (rows + 1,) or indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
        raise ValueError(f"CSR row starts must rise from 0 to {indices.size} in {rows + 1} steps")
    if indices.size and not 0 <= indices.min() <= indices.max() < columns:
        raise ValueError(f"CSR column {indices.min()} or {indices.max()} is outside [0, {columns})")
    return _place(np.repeat(np.arange(rows) * columns, np.diff(indptr)) + indices, values, shape, zero)


def gap_encode(x: npt.ArrayLike, bits: int = 4, zero: npt.ArrayLike = 0, minus_one: bool = True) -> Parts:
    """Return the distance of each kept value from the one before, in `bits` bits, with a filler zero where that is too far.

    Equation    position = cumsum(gap + 1) - 1: gap 0 is the next number, 2^b - 1 reaches 2^b on              (1)
    Shapes      x (...) -> gaps (kept + fillers,) uint8 (uint16 when b > 8), values (kept + fillers,) of x's dtype
    Units       (N d + fillers) (v + b) / 8 bytes; at random positions fillers / (N d) is q / (1 - q), q = (1 - d)^(2^b)
    Convention  minus_one=True is (1), as Deep Compression's decoder does it; False stores the distance itself, which
                reaches 2^b - 1 and leaves code 0 unused. The paper's figure prints distances and reaches 2^b, which
                b bits cannot hold unless one is subtracted. A filler's value is the zero that stands at its place.
    Raises      ValueError if bits is outside 1 to 16, or 1 with minus_one=False (which reaches 1, so nothing is left out)
    Source      Han, Mao and Dally, Deep Compression, 2016, section 2 and figure 2; songhan/Deep-Compression-AlexNet decode.py

    >>> parts = gap_encode(np.array([0, 34, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17]), bits=3)
    >>> parts["gaps"].tolist(), parts["values"].tolist()
    ([1, 2, 7, 2], [34, 9, 0, 17])
    """
    x, reach = np.asarray(x), _reach(bits, minus_one)
    distance = np.diff(np.flatnonzero(kept(x, zero)), prepend=-1)
    entries = -(-distance // reach)  # the value itself, and a filler for each full reach before it
    steps = np.full(entries.sum(), reach)
    steps[np.cumsum(entries) - 1] = distance - (entries - 1) * reach
    gaps = (steps - minus_one).astype(np.uint8 if bits <= 8 else np.uint16)
    return {"gaps": gaps, "values": x.reshape(-1)[np.cumsum(steps) - 1]}


def gap_decode(parts: Parts, shape: tuple[int, ...], bits: int = 4, zero: npt.ArrayLike = 0, minus_one: bool = True) -> Array:
    """Return the array that gap_encode took apart.

    Shapes      gaps (n,), values (n,) -> x of `shape`
    Raises      ValueError if a gap has more than `bits` bits or leads beyond the end
    Source      as gap_encode

    >>> gap_decode({"gaps": np.array([1, 2]), "values": np.array([5, 6])}, (6,)).tolist()
    [0, 5, 0, 0, 6, 0]
    """
    gaps, reach = parts["gaps"].astype(np.int64), _reach(bits, minus_one)
    if gaps.size and not 1 - minus_one <= gaps.min() <= gaps.max() <= reach - minus_one:
        raise ValueError(f"gap {gaps.min()} or {gaps.max()} is outside [{1 - minus_one}, {reach - minus_one}]")
    return _place(np.cumsum(gaps + minus_one) - 1, parts["values"], shape, zero)


def n_m_encode(x: npt.ArrayLike, keep: int = 2, group: int = 4, zero: npt.ArrayLike = 0) -> Parts:
    """Return the `keep` values of each `group` along the last axis, and the place of each inside its group.

    Shapes      x (..., I) with I a multiple of group -> places (N keep / group,) uint8, values as many
    Units       N keep / group (v + ceil(log2 group)) / 8 bytes: 2:4 is 9/16 of float16, 5/8 of int8
    Convention  places rise; where fewer than `keep` are not zero, zeros fill up from the middle to the end of the group,
                then from the middle down (torch's order for 2:4). Two places of 2 bits, low first, make torch's nibble.
                1:2 of float32 takes 1 bit here; cutlass writes two 2-bit places for it
    Raises      ValueError if the last axis is no multiple of group, or a group has more than `keep` that are not zero
    Source      NVIDIA A100 2:4 sparsity; torch.sparse.SparseSemiStructuredTensor (cutlass layout, before its reordering)

    >>> {k: a.tolist() for k, a in n_m_encode(np.array([[0, 3, 0, 4], [5, 0, 0, 0]])).items()}
    {'places': [1, 3, 0, 2], 'values': [3, 4, 5, 0]}
    """
    x = np.asarray(x)
    if not 0 < keep <= group <= 256 or x.ndim == 0 or x.shape[-1] % group:
        raise ValueError(f"{keep}:{group} needs 0 < keep <= group <= 256 and a last axis in whole groups; the shape is {x.shape}")
    groups, mask = x.reshape(-1, group), kept(x, zero).reshape(-1, group)
    most = np.count_nonzero(mask, axis=1).max(initial=0)
    if most > keep:
        raise ValueError(f"a group of {group} has {most} values that are not zero; {keep}:{group} keeps {keep}")
    fill = np.r_[group // 2 : group, group // 2 - 1 : -1 : -1] if group > 1 else np.zeros(1, np.int64)
    order = fill[np.argsort(~mask[:, fill], axis=1, kind="stable")[:, :keep]]  # what is kept first, then fillers
    places = np.sort(order, axis=1)
    return {"places": places.reshape(-1).astype(np.uint8), "values": np.take_along_axis(groups, places, axis=1).reshape(-1)}


def n_m_decode(parts: Parts, shape: tuple[int, ...], keep: int = 2, group: int = 4, zero: npt.ArrayLike = 0) -> Array:
    """Return the array that n_m_encode took apart.

    Shapes      places (N keep / group,), values as many -> x of `shape`
    Raises      ValueError if the counts do not fit the shape, or places do not rise within their group
    Source      as n_m_encode

    >>> n_m_decode({"places": np.array([1, 3]), "values": np.array([3, 4])}, (4,)).tolist()
    [0, 3, 0, 4]
    """
    size, places = math.prod(shape), parts["places"].astype(np.int64)
    if not shape or shape[-1] % group or places.size != size // group * keep:
        raise ValueError(f"{places.size} places of {keep}:{group} do not fit shape {shape}, which needs {size // group * keep}")
    rows = places.reshape(-1, keep)
    if places.size and not (0 <= rows.min() and rows.max() < group):
        raise ValueError(f"place {rows.min()} or {rows.max()} is outside [0, {group})")
    return _place((np.arange(size // group)[:, None] * group + rows).reshape(-1), parts["values"], shape, zero)


def _place(positions: Array, values: Array, shape: tuple[int, ...], zero: npt.ArrayLike) -> Array:
    """`values` at their flat positions, zeros elsewhere."""
    size = math.prod(shape)
    if values.shape != positions.shape:
        raise ValueError(f"{positions.size} positions and {values.size} values; they come in pairs")
    if positions.size and (positions[-1] >= size or (np.diff(positions) <= 0).any()):
        raise ValueError(f"positions do not rise, or lead to {positions[-1]}, beyond the {size} numbers of shape {shape}")
    x = np.empty(shape, values.dtype)
    x[...] = zero
    x.reshape(-1)[positions] = values
    return x


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


def _reach(bits: int, minus_one: bool) -> int:
    if not (1 if minus_one else 2) <= bits <= 16:
        raise ValueError(f"gaps of {bits} bits: use 1 to 16, and 2 to 16 when the distance itself is stored")
    return int(2**bits if minus_one else 2**bits - 1)
