"""One array as bytes: packed to the bits its numbers need, then through a lossless coder if that makes it shorter.

An array becomes symbols. Integers that span few values (codes, indices, masks) are symbols themselves once the smallest
is subtracted, as many bits wide as the largest then needs; of floats and wide integers the bytes are the symbols, 8 bits
wide. Every candidate is really made and the shortest kept. The plain packed symbols are always a candidate, so that no
coder makes anything longer.

Letters     x numbers, N of them, q symbols, b bits per symbol
Not here: packing (packing), the range coder (coding), files (container), what arrays belong together (storage).
Read next: container, tensors.
"""
from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress import coding
from tinycompress.packing import pack, unpack

Array = npt.NDArray[Any]

CODECS = ("zlib", "lzma", "range")
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
MAX_DECISIONS = 1 << 24  # symbols x bits given to the range coder, which is plain Python: some ten seconds
_WINDOW = 1 << 22  # bytes that LZMA looks back, and so what reading allocates: fixed here, never read from a file


@dataclass(frozen=True)
class Stream:
    """What must be known to read an array back from its bytes. A file holds these fields as a list, in this order."""

    dtype: str  # one of DTYPES
    count: int  # numbers in the array
    size: int  # bytes on disk
    width: int  # bits per symbol, 0 to 16; all numbers equal: 0 bits, no bytes
    offset: int | None  # number = symbol + offset; None: symbols are the bytes of the numbers, lowest first
    layout: str  # before the coder: packed to `width` bits, or planes: whole bytes, those of equal significance side by side
    codec: str  # none, zlib (deflate), lzma, range
    columns: int  # range: symbol i has the statistics of column i % columns


def to_stream(x: npt.ArrayLike, codecs: tuple[str, ...] = ("zlib",), columns: int = 1) -> tuple[Stream, bytes]:
    """Return the Stream of an array and its bytes, the shortest that the named codecs give.

    Shapes      x (...) of DTYPES, taken in C order -> bytes
    Units       plain bytes: ceil(N b / 8) for integers that span at most 2^b <= 2^16 values, else N itemsize
    Convention  the range coder learns floats' bytes by their place, and integers both alike and per column, for rows of
                `columns` numbers; it is left out above 2^24 symbol bits. Equal lengths: the plainer
    Raises      ValueError if a codec is unknown, or the dtype is none of DTYPES
    Source      this package; planes as in HDF5's shuffle filter

    >>> stream, data = to_stream(np.array([10, 11, 13, 10], np.int64))
    >>> data.hex(), stream.width, stream.offset, stream.codec
    ('34', 2, 10, 'none')
    """
    x = np.asarray(x).reshape(-1)
    for c in codecs:
        if c not in CODECS:
            raise ValueError(f"no codec is named {c!r}; use {', '.join(CODECS)}")
    if x.dtype.name not in DTYPES:
        raise ValueError(f"an array of dtype {x.dtype} cannot be stored; use one of {', '.join(DTYPES)}")
    q, width, offset = _symbols(x.astype(x.dtype.newbyteorder("<"), copy=False))
    made = [(_packed(q, width), "packed", "none", 1)]
    if width:
        laid = {"packed": made[0][0], "planes": _planes(q, x.size)}
        laid = laid if laid["planes"] != laid["packed"] else {"packed": made[0][0]}
        made += [(shrink(plain, c), layout, c, 1) for layout, plain in laid.items() for c in codecs if c != "range"]
    if width and "range" in codecs and q.size * width <= MAX_DECISIONS:
        tried = {x.dtype.itemsize} if offset is None else {1, columns}
        tried = {c for c in tried if c << width <= coding.MAX_CONTEXTS}
        made += [(coding.range_encode(q, width, c), "packed", "range", c) for c in sorted(tried)]
    data, layout, codec, used = min(made, key=lambda candidate: len(candidate[0]))
    return Stream(x.dtype.name, x.size, len(data), width, offset, layout, codec, used), data


def from_stream(stream: Stream, data: bytes) -> Array:
    """Return the numbers that to_stream turned into `data`.

    Shapes      bytes -> (count,) of the stream's dtype
    Raises      ValueError if a field of the stream is none it can have, data holds another number of bytes or symbols,
                or a number lies outside its dtype
    Source      as to_stream

    >>> from_stream(*to_stream(np.array([0.5, -0.0, 3.0], np.float32)))
    array([ 0.5, -0. ,  3. ], dtype=float32)
    """
    if len(data) != checked(stream).size:
        raise ValueError(f"a stream of {stream.size} bytes, of which {len(data)} are there")
    dtype, width = np.dtype(stream.dtype), stream.width
    each = dtype.itemsize if stream.offset is None else 1 + (width > 8)  # bytes per number in planes
    symbols = stream.count * (dtype.itemsize if stream.offset is None else 1)
    if stream.codec == "range" and symbols * width > MAX_DECISIONS:
        raise ValueError(f"{symbols} range-coded symbols of {width} bits; at most {MAX_DECISIONS} bits are read, as are written")
    if stream.codec == "range":
        q = coding.range_decode(data, width, symbols, stream.columns)
    elif stream.layout == "packed":
        q = _unpacked(swell(data, stream.codec, _packed_size(symbols, width)), width, symbols)
    else:
        q = _unplaned(swell(data, stream.codec, stream.count * each), stream.count, each)
        q = q if stream.offset is None else q.view(f"<u{each}")
    if stream.offset is None:
        return np.frombuffer(q.tobytes(), dtype.newbyteorder("<")).astype(dtype)
    low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    least, most = stream.offset, stream.offset + int(q.max(initial=0))
    if not low <= least <= most <= high:
        raise ValueError(f"numbers from {least} to {most} do not fit {dtype}")
    unsigned = np.dtype(f"u{dtype.itemsize}")  # modulo 2^bits, as in _symbols
    return np.asarray(q.astype(unsigned) + unsigned.type(least % 2 ** (8 * dtype.itemsize))).view(dtype)


def checked(stream: Stream) -> Stream:
    """Return the stream itself, if its fields are some that to_stream can have written.

    Shapes      takes no arrays
    Raises      ValueError if a field is of another type or outside its options
    Source      this package

    >>> checked(Stream("int8", 3, 3, 8, -128, "packed", "none", 1)).count
    3
    """
    for name, value, options in (
        ("dtype", stream.dtype, DTYPES),
        ("layout", stream.layout, ("packed", "planes")),
        ("codec", stream.codec, ("none", *CODECS)),
    ):
        if value not in options:
            raise ValueError(f"a stream of {name} {value!r}; this build reads {', '.join(options)}")
    numbers = (stream.count, stream.size, stream.width, stream.columns, stream.offset or 0)
    if not all(type(n) is int for n in numbers) or min(numbers[:4]) < 0 or stream.width > 16:
        raise ValueError(f"a stream with count, size, width, columns, offset {numbers}; none is negative, no width above 16")
    if stream.offset is None and stream.width != (8 if stream.count else 0):
        raise ValueError(f"a stream of {stream.count} numbers' bytes whose width is {stream.width}, not 8")
    if stream.offset is not None and np.dtype(stream.dtype).kind == "f":
        raise ValueError(f"a stream of {stream.dtype} with offset {stream.offset}; only integers have one")
    return stream


def shrink(data: bytes, codec: str, words: bytes = b"") -> bytes:
    """Return data through a coder of the standard library, without its usual frame: other checksums cover it.

    Shapes      bytes -> bytes
    Convention  deflate runs with and without its search for repetitions, which costs more than it finds in codes that are
                frequent or rare but in no order; `words` is text that both sides know and deflate refers back to
    Raises      ValueError if the codec is not none, zlib or lzma
    Source      RFC 1951 (deflate); Pavlov's LZMA

    >>> len(shrink(bytes(1000), "zlib")) < 20, len(shrink(bytes(1000), "lzma")) < 20
    (True, True)
    """
    if codec == "none":
        return data
    if codec == "zlib":
        strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)
        deflaters = [zlib.compressobj(6, wbits=-15, strategy=s, zdict=words) for s in strategies]
        return min((d.compress(data) + d.flush() for d in deflaters), key=len)
    if codec == "lzma":
        import lzma  # not every build of Python has it, and files without it must load there

        return lzma.compress(data, lzma.FORMAT_RAW, filters=_lzma_filters(min(max(len(data), 1 << 12), _WINDOW)))
    raise ValueError(f"no codec is named {codec!r} here; use none, zlib or lzma")


def swell(data: bytes, codec: str, size: int, words: bytes = b"") -> bytes:
    """Return the `size` bytes that shrink made `data` of; makes at most one byte more, whatever data says.

    Shapes      bytes -> bytes
    Raises      ValueError if data is damaged, or stands for fewer or more than `size` bytes, or ends early or late
    Source      zlib.decompressobj and lzma.LZMADecompressor: max_length stops a small file that swells without end

    >>> swell(shrink(b"aaaa", "lzma"), "lzma", 4)
    b'aaaa'
    """
    out, ended = _swollen(data, codec, size + 1, words)
    if len(out) != size or not ended:
        raise ValueError(f"{len(data)} bytes of {codec} data do not stand for exactly {size} bytes")
    return out


def _swollen(data: bytes, codec: str, most: int, words: bytes) -> tuple[bytes, bool]:
    """What the data stands for, but no more than `most` bytes, and whether that is exactly all."""
    if codec == "none":
        return data, True
    if codec == "zlib":
        inflater = zlib.decompressobj(-15, zdict=words)
        try:
            return inflater.decompress(data, most), inflater.eof and not inflater.unused_data
        except zlib.error as error:
            raise ValueError(f"deflated data is damaged: {error}") from None
    if codec == "lzma":
        import lzma

        stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_lzma_filters(_WINDOW))
        try:
            return stream.decompress(data, most), stream.eof and not stream.unused_data
        except lzma.LZMAError as error:
            raise ValueError(f"LZMA data is damaged: {error}") from None
    raise ValueError(f"no codec is named {codec!r} here; use none, zlib or lzma")


def _lzma_filters(window: int) -> list[dict[str, int]]:
    """LZMA without contexts: symbols have no alignment, and there are too few of them to learn from their neighbours."""
    import lzma

    return [{"id": lzma.FILTER_LZMA1, "dict_size": window, "lc": 0, "lp": 0, "pb": 0}]


def _symbols(x: Array) -> tuple[Array, int, int | None]:
    """Symbols, their width, and the offset (None: they are the numbers' bytes)."""
    if x.size and x.dtype.kind in "iub":
        low, high = int(x.min()), int(x.max())
        width = (high - low).bit_length()
        if width <= 16:  # subtle: int8 127 - (-128) does not fit int8, but it does modulo 2^8, unsigned
            unsigned = np.dtype(f"<u{x.dtype.itemsize}")
            q = x.view(unsigned) - unsigned.type(low % 2 ** (8 * x.dtype.itemsize))
            return q.astype(np.uint8 if width <= 8 else "<u2"), width, low
    return np.ascontiguousarray(x).view(np.uint8), 8 if x.size else 0, None


def _packed(q: Array, width: int) -> bytes:
    """Symbols at `width` bits; of those wider than 8 bits the low bytes first, then the rest."""
    if width <= 8:
        return q.tobytes() if width == 8 else pack(q, width) if width else b""
    return q.astype(np.uint8).tobytes() + pack((q >> 8).astype(np.uint8), width - 8)


def _packed_size(symbols: int, width: int) -> int:
    return -(-symbols * width // 8) if width <= 8 else symbols + -(-symbols * (width - 8) // 8)


def _unpacked(data: bytes, width: int, symbols: int) -> Array:
    if width <= 8:
        return np.asarray(unpack(data, width, symbols), np.uint8) if width else np.zeros(symbols, np.uint8)
    high = np.asarray(unpack(data[symbols:], width - 8, symbols), np.uint16)
    return np.asarray(high << 8 | np.frombuffer(data, np.uint8, symbols))


def _planes(q: Array, count: int) -> bytes:
    return q.view(np.uint8).reshape(count, -1).T.tobytes()


def _unplaned(data: bytes, count: int, each: int) -> Array:
    return np.frombuffer(data, np.uint8).reshape(each, count).T.reshape(-1)
