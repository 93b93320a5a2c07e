"""One tensor as an entry of a file's header and one run of bytes, in the encoding that really came out smallest.

An encoding turns an array into parts (its values, and for a sparse one what says where they are), and each part is a
stream. Which encoding is smallest depends on the values, on the coder behind it and on the header's own line, so every
candidate is made and measured, never predicted. A quantized tensor is its codes, of which the zero point is the zero, and
its grid, whose scales keep their bits.

Letters     x values, q codes, s scale, z zero_point, b bits
Not here: the encodings (sparse), bytes (streams), files (container). Read next: storage.
"""
from __future__ import annotations

import json
import math
import re
from dataclasses import astuple
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress import sparse
from tinycompress.container import fields
from tinycompress.grids import Grid
from tinycompress.quantization import Quantized
from tinycompress.streams import DTYPES, Stream, checked, from_stream, to_stream

Array = npt.NDArray[Any]
Tensor = Array | Quantized
Entry = dict[str, Any]
Names = tuple[str, ...]

MAX_AXES = 32
_NAME = re.compile(r"dense|bitmap|csr|gap([1-9]|1[0-6])|([1-9]\d{0,2}):([1-9]\d{0,2})")
_PARTS = {"dense": (), "bitmap": ("bitmap",), "csr": ("indptr", "indices"), "gap": ("gaps",), "n:m": ("places",)}  # and values


def encode(tensor: Tensor, encodings: Names = ("auto",), codecs: Names = ("zlib",)) -> tuple[Entry, bytes]:
    """Return a tensor's header entry and bytes, in whichever of `encodings` takes fewest, the entry's own JSON counted.

    Shapes      array (...), or Quantized with codes (...) -> entry, bytes
    Convention  encodings: dense, bitmap, csr, gap<b>, n:m, or auto: dense and, if anything is zero, all of these that can
                hold the tensor (gaps at 8 bits and at their best width before coding; of n:m only 2:4). Zero is +0.0 of
                floats, the zero point of a Quantized; where zero points are no integers, auto is dense. An array without
                numbers is always dense
    Raises      ValueError if an encoding is unknown or cannot hold the tensor, or the tensor cannot be stored: codes outside
                their grid or bits, a scale that is not finite, a dtype such as object
    Source      this package

    >>> entry, data = encode(np.array([0, 0, 0, 7, 0, 0, 0, 0], np.int8), ("csr",))
    >>> entry["encoding"], list(entry["parts"]), data.hex()
    ('csr', ['indptr', 'indices', 'values'], '02')
    """
    if not isinstance(tensor, Quantized):
        return _encode_array(np.asarray(tensor), encodings, codecs, 0)
    _check_quantized(tensor)
    grid, zero = tensor.grid, _zero(tensor.grid, tensor.codes.ndim)
    (scale, scale_data), (shift, shift_data) = to_stream(grid.scale, codecs), to_stream(grid.zero_point, codecs)
    codes, data = _encode_array(tensor.codes, encodings, codecs, zero)
    entry = {"bits": int(tensor.bits), "qmin": grid.qmin, "qmax": grid.qmax, "axis": grid.axis, "unchecked": grid.unchecked}
    steps = {"scale_shape": list(grid.scale.shape), "scale": list(astuple(scale)), "zero_point": list(astuple(shift))}
    return {**entry, "codes": codes, **steps}, data + scale_data + shift_data


def decode(entry: Entry, data: bytes) -> Tensor:
    """Return the tensor that encode took apart, from an entry that may say anything.

    Shapes      entry, bytes -> array (...) or Quantized
    Raises      ValueError if the entry lacks a field or has one of another type, or the data does not bear it out
    Source      as encode

    >>> decode(*encode(np.array([[0, 0, 2]], np.uint8)))
    array([[0, 0, 2]], dtype=uint8)
    """
    if "codes" not in entry:
        return _decode_array(entry, data, 0)
    codes, bits, qmin, qmax, unchecked = fields(entry, codes=dict, bits=int, qmin=int, qmax=int, unchecked=bool)
    axis, shape = entry.get("axis"), _shape(entry, "scale_shape")
    if axis is not None and type(axis) is not int or not (1 <= bits <= 16 and -(1 << 31) <= qmin < qmax < 1 << 32):
        raise ValueError(f"axis {axis!r}, {bits} bits and codes from {qmin} to {qmax} are no grid of 1 to 16 bits")
    scale, shift = _stream(entry, "scale"), _stream(entry, "zero_point")
    if scale.dtype not in ("float32", "float64") or not scale.count == shift.count == math.prod(shape):
        raise ValueError(f"{scale.count} scales of {scale.dtype} and {shift.count} zero points are no grid of shape {shape}")
    end = len(data) - shift.size
    s = from_stream(scale, data[end - scale.size : end]).reshape(shape)
    grid = Grid(s, from_stream(shift, data[end:]).reshape(shape), qmin, qmax, axis, unchecked)
    q = _decode_array(codes, data[: end - scale.size], _zero(grid, len(_shape(codes))))
    tensor = Quantized(q, grid, bits)
    _check_quantized(tensor)
    return tensor


def memory(entry: Entry) -> int:
    """Return the bytes that decoding an entry will allocate for numbers and positions, from what it says alone.

    Shapes      takes no arrays
    Units       bytes: those of the arrays, and 8 for each number of a sparse one's parts
    Raises      ValueError if a field is missing or a shape absurd: negative, of over 32 axes, smaller than its parts
    Source      this package

    >>> memory(encode(np.zeros((4, 5), np.float32), ("dense",))[0])
    80
    """
    if "codes" in entry:
        return memory(fields(entry, codes=dict)[0]) + 8 * (_stream(entry, "scale").count + _stream(entry, "zero_point").count)
    shape, streams = _shape(entry), _streams(entry)
    size, count = math.prod(shape), [stream.count for stream in streams.values()]
    if max(count) > size + 1 or streams["values"].count > size:
        raise ValueError(f"parts of {', '.join(map(str, count))} numbers are larger than their array, whose shape is {shape}")
    return size * np.dtype(streams["values"].dtype).itemsize + (len(count) > 1) * 8 * sum(count)


def _encode_array(x: Array, encodings: Names, codecs: Names, zero: Any) -> tuple[Entry, bytes]:
    if x.dtype.name not in DTYPES or x.ndim > MAX_AXES:
        raise ValueError(f"{x.dtype} with {x.ndim} axes cannot be stored; use {', '.join(DTYPES)}, up to {MAX_AXES} axes")
    made = []
    for name in _candidates(x, encodings, zero):
        columns = x.shape[-1] if name == "dense" and x.ndim > 1 else 1
        streams = {part: to_stream(a, codecs, columns) for part, a in _parts(x, name, zero).items()}
        parts = {part: list(astuple(stream)) for part, (stream, _) in streams.items()}
        made.append(({"shape": list(x.shape), "encoding": name, "parts": parts}, b"".join(data for _, data in streams.values())))
    return min(made, key=lambda pair: len(pair[1]) + len(json.dumps(pair[0], separators=(",", ":"))))


def _decode_array(entry: Entry, data: bytes, zero: Any) -> Array:
    streams, parts, at = _streams(entry), {}, 0
    for part, stream in streams.items():
        parts[part] = from_stream(stream, data[at : at + stream.size])
        at += stream.size
    if at != len(data):
        raise ValueError(f"{len(data)} bytes where its parts have {at}")
    name, shape = entry["encoding"], _shape(entry)
    if name != "dense" and zero is None:
        raise ValueError(f"its zero points are no integers, so no code is zero, and it cannot be {name}")
    if name == "dense":
        return parts["values"].reshape(shape)
    if name == "bitmap":
        return sparse.bitmap_decode(parts, shape, zero)
    if name == "csr":
        return sparse.csr_decode(parts, shape, zero)
    if name.startswith("gap"):
        return sparse.gap_decode(parts, shape, int(name[3:]), zero)
    keep, group = map(int, name.split(":"))
    return sparse.n_m_decode(parts, shape, keep, group, zero)


def _parts(x: Array, name: str, zero: Any) -> sparse.Parts:
    if name == "dense":
        return {"values": x}
    if zero is None:
        raise ValueError(f"its zero points are no integers, so no code is zero, and it cannot be {name}; use dense")
    if name == "bitmap":
        return sparse.bitmap_encode(x, zero)
    if name == "csr":
        return sparse.csr_encode(x, zero, np.int64)  # a stream packs the indices to the bits they need
    if name.startswith("gap"):
        return sparse.gap_encode(x, int(name[3:]), zero)
    keep, group = map(int, name.split(":"))
    return sparse.n_m_encode(x, keep, group, zero)


def _candidates(x: Array, encodings: Names, zero: Any) -> list[str]:
    """The encodings to try, each checked by name, `auto` spelt out."""
    found: list[str] = []
    for name in encodings:
        if name != "auto" and not _NAME.fullmatch(name):
            raise ValueError(f"no encoding is named {name!r}; use auto, dense, bitmap, csr, gap<bits> (gap4), n:m (2:4)")
        found += [name] if name != "auto" else ["dense", *_that_fit(x, zero)]
    return list(dict.fromkeys(found)) if x.size and found else ["dense"]


def _that_fit(x: Array, zero: Any) -> list[str]:
    mask = sparse.kept(x, zero) if zero is not None else np.True_
    if mask.all():
        return []
    distance = np.diff(np.flatnonzero(mask), prepend=-1)
    value_bits = 8 * x.dtype.itemsize if x.dtype.kind == "f" else (int(x.max()) - int(x.min())).bit_length()
    best = min(range(1, 17), key=lambda b: int((-(-distance // 2**b)).sum()) * (value_bits + b))
    two_four = x.ndim > 0 and x.shape[-1] % 4 == 0 and bool((np.count_nonzero(mask.reshape(-1, 4), axis=1) <= 2).all())
    return ["bitmap", "csr", f"gap{best}", "gap8", *(["2:4"] if two_four else [])]


def _shape(entry: Entry, name: str = "shape") -> tuple[int, ...]:
    (shape,) = fields(entry, **{name: list})
    whole = len(shape) <= MAX_AXES and all(type(n) is int and n >= 0 for n in shape)
    if not whole or math.prod(max(n, 1) for n in shape) >= 1 << 59:
        raise ValueError(f"{shape[: MAX_AXES + 1]} is no shape: up to {MAX_AXES} whole numbers >= 0 whose product fits a memory")
    return tuple(shape)


def _stream(entry: Entry, name: str) -> Stream:
    (values,) = fields(entry, **{name: list})
    if len(values) != 8:
        raise ValueError(f"{name} is not a list of the 8 fields of a stream")
    return checked(Stream(*values))


def _streams(entry: Entry) -> dict[str, Stream]:
    """The streams of an array's parts, which must be those of its encoding."""
    name, parts = fields(entry, encoding=str, parts=dict)
    kind = "gap" if name.startswith("gap") else "n:m" if ":" in name else name
    if not _NAME.fullmatch(name) or tuple(parts) != (*_PARTS[kind], "values"):
        raise ValueError(f"encoding {name!r} with parts {', '.join(parts)} is none that this build reads")
    streams = {part: _stream(parts, part) for part in parts}
    if any(part != "values" and np.dtype(stream.dtype).kind not in "iu" for part, stream in streams.items()):
        raise ValueError(f"the parts of {name!r} that say where values are must be integers")
    return streams


def _zero(grid: Grid, ndim: int) -> Array | None:
    """The code of 0.0, ready to broadcast against the codes; None if the zero points are no integers."""
    return grid.along(ndim)[1] if grid.zero_point.dtype.kind in "iu" else None


def _check_quantized(tensor: Quantized) -> None:
    q, grid, bits = tensor.codes, tensor.grid, tensor.bits
    if q.dtype.kind not in "iu" or not 1 <= bits <= 16 or grid.qmax - grid.qmin >= 1 << bits:
        raise ValueError(f"codes {q.dtype} from {grid.qmin} to {grid.qmax} are not integers of {bits} bits (1 to 16)")
    if q.size and not grid.qmin <= q.min() <= q.max() <= grid.qmax:
        raise ValueError(f"codes reach from {q.min()} to {q.max()}, outside their grid's {grid.qmin} to {grid.qmax}")
    if not np.isfinite(grid.scale).all() or not np.isfinite(grid.zero_point).all():
        raise ValueError(f"scale {grid.scale} or zero point {grid.zero_point} is not finite: such codes stand for no values")
    if np.broadcast_shapes(grid.along(q.ndim)[0].shape, q.shape) != q.shape:
        raise ValueError(f"scales of shape {grid.scale.shape} along axis {grid.axis} do not fit codes of shape {q.shape}")
