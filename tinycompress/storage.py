"""A compressed model in one file, and honest bytes: whatever is claimed about size is os.path.getsize of a file that loads.

Each tensor is written in the encoding that really came out smallest: dense, or by the positions of what is not zero, its
numbers packed to the bits they need and entropy-coded where that helps. Quantized tensors keep their grid, scales bit for
bit. There is no pickle: reading a file runs nothing, and every length in it is checked before it is believed.

Letters     x values, q codes, b bits
Not here: byte strings (streams), positions (sparse), the file's frame and checksums (container). A model that is shared levels
and codes is two arrays. Read next: ties, recipes, cost.
"""
from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tinycompress.container import fields, read_sections, write_sections
from tinycompress.packing import pack, unpack
from tinycompress.streams import CODECS
from tinycompress.tensors import Tensor, decode, encode, memory

__all__ = ["save", "load", "sizes", "pack", "unpack"]


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any] | None = None,
    *,
    encoding: str | Sequence[str] | Mapping[str, str | Sequence[str]] = "auto",
    codec: str | Sequence[str] = "zlib",
) -> int:
    """Write tensors and meta as one file, whole or not at all, and return its size in bytes (os.path.getsize).

    Shapes      tensors: name -> array (...) of bool, integers or float16/32/64, or Quantized; meta: JSON that comes back equal
    Units       bytes. Beyond the tensors' own data a file has 50, 4 per tensor, and its header: deflated, some 30 per tensor
    Convention  encoding: a name, several of which the smallest is taken, or a dict from tensor to either (others "auto").
                Names: dense, bitmap, csr, gap<b> (Deep Compression's relative index), n:m such as 2:4. "auto" makes dense
                and, if anything is zero, all others that can hold the tensor, the gap at its best width and at 8.
                For Quantized, zero is its zero point. A named encoding that cannot hold a tensor is an error. Where a coder
                follows, dense often wins although most is zero: frequent symbols are cheap wherever they stand
                codec: none, zlib, lzma (slower, finds repetitions), range (slow, learns frequencies fastest), several of
                which each part of a tensor takes the smallest, or "smallest", which is all; plain is always a candidate
                Arrays come back in C order and this machine's byte order, with the same dtype, shape and bits (NaN, -0.0)
    Raises      ValueError if an encoding or codec is unknown or unfit, a dtype or code cannot be stored, a scale is not finite,
                meta would come back changed, or the path cannot be a file; OSError as the system gives it, nothing left behind
    Source      this package; Han, Mao and Dally, Deep Compression, 2016, for what is stored

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = save(folder + "/m.tcz", {"w": np.float32([[0, 1.5], [0, 0]])}, {"k": 10})
    ...     tensors, meta = load(folder + "/m.tcz")
    ...     print(tensors["w"].tolist(), meta, size == os.path.getsize(folder + "/m.tcz"))
    [[0.0, 1.5], [0.0, 0.0]] {'k': 10} True
    """
    codecs = CODECS if codec == "smallest" else tuple(c for c in _names(codec) if c != "none")
    choice = dict(encoding) if isinstance(encoding, Mapping) else dict.fromkeys(tensors, encoding)
    unknown = [name for name in choice if name not in tensors]
    if unknown:
        raise ValueError(f"encoding names {unknown[0]!r}, which is no tensor; they are {', '.join(tensors) or 'none'}")
    said = dict(meta or {})
    if _through_json(said) != said:
        raise ValueError("meta would not come back equal: use string keys, lists (no tuples), and finite plain numbers")
    entries, sections = [], []
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise ValueError(f"tensor name {name!r} is not a string")
        try:
            entry, data = encode(tensor, _names(choice.get(name, "auto")), codecs)
        except ValueError as error:
            raise ValueError(f"tensor {name!r}: {' '.join(str(error).split())}") from None
        entries.append({"name": name, **entry})
        sections.append(data)
    return write_sections(path, {"meta": said, "tensors": entries}, sections)


def load(path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and meta that save wrote.

    Shapes      -> name -> array or Quantized, in the order of the file; meta
    Convention  the arrays together may take max_bytes in memory, said by their shapes and checked before any is made: a
                small file can honestly stand for a vast array of zeros
    Raises      ValueError, one line that begins with the file's name, if it is not whole or not well-formed in any way
    Source      this package

    >>> import tempfile, numpy as np
    >>> from tinycompress.quantization import Grid, Quantized
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save(folder + "/m", {"q": Quantized(np.int8([[3, -4]]), Grid(np.float32(0.5), 0, -8, 7), 4)})
    ...     print(load(folder + "/m")[0]["q"].codes)
    [[ 3 -4]]
    """
    header, sections = read_sections(path)
    name = os.fsdecode(path)
    try:
        entries, meta = fields(header, tensors=list, meta=dict)
        if len(entries) != len(sections):
            raise ValueError(f"{len(entries)} tensors and {len(sections)} sections")
        names = [fields(entry, name=str)[0] for entry in entries]
        if len(set(names)) != len(names):
            raise ValueError(f"tensor {max(names, key=names.count)!r} is there twice")
        total = sum(map(memory, entries))
        if total > max_bytes:
            raise ValueError(f"its tensors take {total} bytes of memory, above max_bytes {max_bytes}; pass more if that is meant")
    except ValueError as error:
        raise ValueError(f"{name!r} is no model: {error}") from None
    tensors = {}
    for tensor, entry, data in zip(names, entries, sections):
        try:
            tensors[tensor] = decode(entry, data)
        except ValueError as error:
            raise ValueError(f"{name!r}, tensor {tensor!r}: {' '.join(str(error).split())}") from None
    return tensors, meta


def sizes(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return the bytes that each tensor takes in a file, and under "" those of the header and checksums.

    Shapes      takes no arrays
    Units       bytes; together they are os.path.getsize(path)
    Raises      ValueError as load
    Source      this package

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     total = save(folder + "/m", {"w": np.float32([0.1, 0.2, 0.3])}, codec="none")
    ...     found = sizes(folder + "/m")
    >>> found["w"], sum(found.values()) == total
    (12, True)
    """
    header, sections = read_sections(path)
    try:
        names = [fields(entry, name=str)[0] for entry in fields(header, tensors=list)[0]]
    except ValueError as error:
        raise ValueError(f"{os.fsdecode(path)!r} is no model: {error}") from None
    found = dict(zip(names, map(len, sections)))
    return {**found, "": found.get("", 0) + os.path.getsize(path) - sum(map(len, sections))}


def _names(choice: str | Sequence[str]) -> tuple[str, ...]:
    return (choice,) if isinstance(choice, str) else tuple(choice)


def _through_json(meta: dict[str, Any]) -> Any:
    try:
        return json.loads(json.dumps(meta, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"meta is not JSON: {error}; use plain strings, finite numbers, lists and dicts") from None
