"""Values as text that any language reads: floats by their bits, integers by value, masks as a string of 0 and 1.

A value is a type, a shape and its entries in C order. As plain words, as one `scanf` reads them: TYPE NDIM DIM... ENTRY..., so
0.5 and 1.5 in float32 are `f32 1 2 3f000000 3fc00000`, and the int 3 is `i64 0 3`. As JSON the same three parts:
{"type": "f32", "shape": [2], "data": ["3f000000", "3fc00000"]}. A Python float is f64, an int i64, bytes u8, a string text.

Not here: requests and answers (children), the files of vectors. Read next: guards, adapters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOATS = {"f16": ">f2", "f32": ">f4", "f64": ">f8"}
INTEGERS = {name: np.dtype(name[0] + str(int(name[1:]) // 8)) for name in ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")}
_NAMES = {
    **{np.dtype(code).newbyteorder("="): name for name, code in FLOATS.items()},
    **{dtype: name for name, dtype in INTEGERS.items()},
    np.dtype(bool): "bool",
}
LARGEST = 1 << 20  # entries of one answer: no request needs a hundredth of it


def type_of(value: Any) -> str:
    """Return the name under which a value travels.

    Shapes      any
    Raises      ValueError if it cannot travel
    Source      this package

    >>> type_of(np.float32([1])), type_of(1), type_of(1.0), type_of("micro"), type_of(b"")
    ('f32', 'i64', 'f64', 'text', 'u8')
    """
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bytes, bytearray)):
        return "u8"
    dtype = np.asarray(value).dtype
    name = _NAMES.get(dtype.newbyteorder("=") if dtype.kind in "fiu" else dtype)
    if name is None:
        raise ValueError(f"a value of dtype {dtype} cannot travel; use one of {', '.join([*FLOATS, *INTEGERS])}, bool, text")
    return name


def _entries(value: Any, name: str) -> tuple[tuple[int, ...], Any]:
    """Shape, and the entries: a list of words for floats, a list of ints, one string for a mask or text."""
    if name == "text":
        return (), value
    array = np.frombuffer(value, np.uint8) if isinstance(value, (bytes, bytearray)) else np.asarray(value)
    if name in FLOATS:
        big_endian = array.astype(FLOATS[name]).tobytes()
        return array.shape, big_endian.hex(" ", int(name[1:]) // 8).split()
    if name == "bool":
        return array.shape, (array.ravel() + np.uint8(48)).astype(np.uint8).tobytes().decode("ascii")
    return array.shape, array.ravel().tolist()


def to_words(value: Any) -> str:
    """Write a value as plain words.

    Shapes      any
    Raises      ValueError if it cannot travel
    Source      this package

    >>> to_words(np.float32([[0.5, -0.0]])), to_words(np.array([True, False])), to_words(-3), to_words("micro")
    ('f32 2 1 2 3f000000 80000000', 'bool 1 2 10', 'i64 0 -3', 'text 0 micro')
    """
    name = type_of(value)
    shape, entries = _entries(value, name)
    words = entries if isinstance(entries, str) else " ".join(entries if name in FLOATS else map(str, entries))
    return " ".join([name, str(len(shape)), *map(str, shape), words]).rstrip()


def to_json(value: Any) -> dict[str, Any]:
    """Write a value as an object of JSON.

    Shapes      any
    Raises      ValueError if it cannot travel
    Source      this package

    >>> to_json(np.int8([[1, -2]]))
    {'type': 'i8', 'shape': [1, 2], 'data': [1, -2]}
    """
    name = type_of(value)
    shape, entries = _entries(value, name)
    return {"type": name, "shape": list(shape), "data": entries}


def from_words(words: Sequence[str], start: int = 0) -> tuple[Any, int]:
    """Read the value that begins at `start`, and say where the next one begins.

    Shapes      any
    Raises      ValueError if the words are no value
    Source      this package

    >>> from_words("ok 7 i8 1 2 5 -6".split(), 2)
    (array([ 5, -6], dtype=int8), 7)
    """
    name = words[start] if start < len(words) else "nothing"
    at = start + 1
    rank = _count(words[at] if at < len(words) else "nothing", "the number of dimensions")
    if rank > 8 or at + rank >= len(words) + 1:
        raise ValueError(f"{rank} dimensions announced after {name}; {len(words) - at - 1} words follow")
    shape = tuple(_count(word, "a dimension") for word in words[at + 1 : at + 1 + rank])
    if len(shape) != rank:
        raise ValueError(f"{rank} dimensions announced after {name}; {len(shape)} came")
    at += 1 + rank
    size = math.prod(shape)
    used = (1 if size else 0) if name in ("bool", "text") else size
    entries: Any = list(words[at : at + used])
    if name in ("bool", "text"):
        entries = entries[0] if entries else ""
    return build(name, shape, entries), at + used


def from_json(value: Any) -> Any:
    """Read a value from an object of JSON.

    Shapes      any
    Raises      ValueError if it is no value
    Source      this package

    >>> from_json({"type": "f32", "shape": [], "data": ["3f000000"]})
    array(0.5, dtype=float32)
    """
    if not isinstance(value, dict) or set(value) != {"type", "shape", "data"}:
        raise ValueError(f"{_clip(value)} is no value; use an object with type, shape and data")
    shape = value["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise ValueError(f"{_clip(shape)} is no shape; use a list of at most 8 whole numbers")
    return build(value["type"], tuple(shape), value["data"])


def build(name: Any, shape: tuple[int, ...], entries: Any) -> Any:
    """Make the array (or the string) of a type, a shape and its entries.

    Shapes      as `shape` says
    Raises      ValueError if they do not fit together
    Source      this package

    >>> build("bool", (2, 2), "1001")
    array([[ True, False],
           [False,  True]])
    """
    size = math.prod(shape)
    if size > LARGEST:
        raise ValueError(f"{size} entries; at most {LARGEST} are read")
    if name == "text" and isinstance(entries, str):
        return entries
    if name not in FLOATS and name not in INTEGERS and name != "bool":
        raise ValueError(f"{_clip(name)} is no type; use one of {', '.join([*FLOATS, *INTEGERS])}, bool, text")
    if not isinstance(entries, str if name == "bool" else list) or len(entries) != size:
        count = len(entries) if isinstance(entries, (str, list)) else _clip(entries)
        raise ValueError(f"{count} entries of {name} for the shape {shape}, which holds {size}")
    if name == "bool":
        if set(entries) - {"0", "1"}:
            raise ValueError(f"the mask {_clip(entries)} holds more than 0 and 1")
        return np.array([c == "1" for c in entries], bool).reshape(shape)
    if name in FLOATS:
        digits = int(name[1:]) // 4
        if not all(isinstance(word, str) and len(word) == digits for word in entries):
            wrong = next(word for word in entries if not isinstance(word, str) or len(word) != digits)
            raise ValueError(f"{_clip(wrong)} is no {name}: a float travels as {digits} hex digits, the most significant first")
        raw = np.frombuffer(bytes.fromhex("".join(entries)), FLOATS[name])
        return raw.astype(raw.dtype.newbyteorder("=")).reshape(shape)
    numbers = [word if type(word) is int else _integer(word) for word in entries]
    try:
        return np.array(numbers, INTEGERS[name]).reshape(shape)
    except OverflowError:
        # subtle: C promotes, so an honest child may name too small a type; what it wrote is what it answered
        if all(-(2**63) <= n < 2**63 for n in numbers):
            return np.array(numbers, np.int64).reshape(shape)
        raise ValueError(f"an integer outside 64 bits among {_clip(numbers)}") from None


def _count(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise ValueError(f"{_clip(word)} is not {what}")
    return int(word)


def _integer(word: Any) -> int:
    # subtle: int() also reads underscores, blanks and other alphabets' digits
    if isinstance(word, str) and len(word) < 24 and word.isascii() and word.removeprefix("-").isdigit():
        return int(word)
    raise ValueError(f"{_clip(word)} is not a whole number")


def _clip(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
