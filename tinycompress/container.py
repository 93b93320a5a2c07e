"""The file itself: numbered sections of bytes behind a JSON header, all of it under checksums, written whole or not at all.

    8 bytes   magic, whose control characters reveal a transfer that changed line ends
    2         format version
    4 + 4     length of the header, deflated and as JSON
    8         length of the payload
    4 + 4     CRC-32 of the deflated header; CRC-32 of everything before this number
    ...       header: {"sizes": [bytes of each section], "header": whatever the caller says about them}
    ...       payload: sections end to end, each followed by the CRC-32 of its bytes
    16        BLAKE2b digest of everything before it

Integers are little-endian; the header is deflated with the preset dictionary _WORDS. Sections have sizes and no positions,
so they cannot overlap, and they must fill the file to its last byte. A reader allocates nothing on the word of a number that the
file's true length does not bear out. Checksums find accidents; they do not prove who wrote the file, and a reader of the
sections must doubt them still.

Not here: what the sections mean (storage) and how they got small (streams). Read next: tensors, storage.
"""
from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import stat
import struct
import zlib
from typing import Any, NoReturn

from tinycompress.streams import shrink, swell

MAGIC = b"\x89TCZ\r\n\x1a\n"
VERSION = 1
MAX_HEADER = 1 << 22  # bytes of JSON: parsed, it takes some twenty times that
_WORDS = (  # what headers of models mostly say: both sides know it, so a header stores only how it differs
    b'"bool""int16""uint16""int32""uint32""uint64""float16""float64""planes""lzma""range""bitmap","parts":{"bitmap":["csr","parts":{"'
    b'indptr":["indices":["gap4","parts":{"gaps":["2:4","parts":{"places":["uint8",1,1,4,0,"packed","none",1],"values":["int16",{"sizes":['
    b'],"header":{"meta":{"recipe":"},"tensors":[{"name":"b0","shape":[64],"encoding":"dense","parts":{"values":["float32",1,64,8,null,'
    b'"planes","zlib",1]}},{"name":"w0","shape":[32,16],"encoding":"dense","parts":{"values":["float32",1,64,8,null,"packed","none",1]}},'
    b'{"name":"table0","bits":8,"qmin":-127,"qmax":127,"axis":null,"unchecked":false,"codes":{"shape":[1000,8],"encoding":"dense","parts":'
    b'{"values":["int8",8000,8000,8,-127,"packed","zlib",1]}},"scale":["float32",1,4,8,null,"packed","none",1],'
    b'"zero_point":["int64",1,0,0,0,"packed","none",1]}]}}'
)
_START = struct.Struct("<8sHIIQII")
_DIGEST = 16
FIXED = _START.size + _DIGEST  # bytes of a file beyond its header and sections; 4 more per section


def write_sections(path: str | os.PathLike[str], header: Any, sections: list[bytes]) -> int:
    """Write the sections and what the header says of them as one file, and return its bytes (os.path.getsize).

    The file is written under a temporary name beside the target, flushed to the disk, and only then renamed over it: at
    every moment the path holds the whole old file or the whole new one.

    Shapes      header anything JSON can say without NaN; sections of bytes
    Units       bytes; FIXED + 4 per section + the deflated header on top of the sections
    Raises      ValueError if the folder is missing, the path is no plain file, or the header is too large or not JSON;
                OSError as the system gives it (disk full, no permission), with nothing left behind
    Source      this package; the layout is in the module's docstring

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = write_sections(folder + "/a", {"n": 2}, [b"ab", b"c"])
    ...     read_sections(folder + "/a"), size - FIXED - 2 * 4 - 3 < 40  # what is left is the header, deflated
    (({'n': 2}, [b'ab', b'c']), True)
    """
    target = os.path.realpath(path)  # subtle: renaming over a symbolic link would replace the link, not the file
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{os.fsdecode(path)!r} is a folder or a device; give the name of a file")
    if not os.path.isdir(os.path.dirname(target)):
        raise ValueError(f"{os.fsdecode(path)!r}: there is no folder {os.path.dirname(target)!r}; make it first")
    blocks = _layout(os.fsdecode(path), header, sections)
    temporary = f"{target}.{secrets.token_hex(6)}.tmp"
    try:
        with open(temporary, "xb") as f:
            for block in blocks:
                f.write(block)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(target))
    return os.path.getsize(target)


def read_sections(path: str | os.PathLike[str]) -> tuple[Any, list[bytes]]:
    """Return the header and the sections of a file that write_sections made, once every checksum agrees.

    Shapes      -> what the header says, sections of bytes
    Raises      ValueError if the file is missing, foreign, too new, cut short, longer than it says, or damaged anywhere
    Source      as write_sections, whose example reads back

    >>> try: read_sections("/")
    ... except ValueError as error: print(error)
    '/' is not a file
    """
    name = os.fsdecode(path)
    if not os.path.exists(path) or not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for, perhaps for ever
        raise ValueError(f"{name!r} is not a file")
    with open(path, "rb") as f:
        start = f.read(_START.size)
        if start[:8] != MAGIC:
            raise ValueError(f"{name!r} begins with {start[:8]!r}, not {MAGIC!r}: it is no file of this package, or damaged")
        if len(start) < _START.size:
            _damaged(name, f"it ends after {len(start)} of at least {FIXED} bytes")
        _, version, stored, raw, payload, header_crc, start_crc = _START.unpack(start)
        if version != VERSION:
            raise ValueError(f"{name!r} has format version {version}; this build reads {VERSION}: use the build that wrote it")
        if zlib.crc32(start[:-4]) != start_crc:
            _damaged(name, "the checksum of its first bytes differs")
        size, said = os.fstat(f.fileno()).st_size, FIXED + stored + payload
        if size != said:
            _damaged(name, f"it has {size} bytes and says {said}")
        if raw > MAX_HEADER:
            raise ValueError(f"{name!r} has a header of {raw} bytes; at most {MAX_HEADER} are read")
        rest = f.read(stored + payload + _DIGEST)
    if len(rest) != stored + payload + _DIGEST:
        _damaged(name, "it became shorter while it was read")
    if zlib.crc32(rest[:stored]) != header_crc:
        _damaged(name, "the checksum of its header differs")
    sizes, header = _parse(name, rest[:stored], raw)
    if sum(sizes) + 4 * len(sizes) != payload:
        _damaged(name, f"its sections take {sum(sizes) + 4 * len(sizes)} bytes and its payload has {payload}")
    sections, at = [], stored
    for i, n in enumerate(sizes):
        sections.append(rest[at : at + n])
        if zlib.crc32(sections[-1]).to_bytes(4, "little") != rest[at + n : at + n + 4]:
            _damaged(name, f"the checksum of section {i} of {len(sizes)} differs")
        at += n + 4
    digest = hashlib.blake2b(start, digest_size=_DIGEST)
    digest.update(memoryview(rest)[:-_DIGEST])
    if digest.digest() != rest[-_DIGEST:]:
        _damaged(name, "the checksum of the whole differs")
    return header, sections


def fields(entry: Any, **types: type) -> tuple[Any, ...]:
    """Return the named fields of a JSON object, each of exactly its type.

    Shapes      takes no arrays
    Raises      ValueError if the entry is no object, or a field is missing or of another type (True is no int)
    Source      this package

    >>> fields({"a": 1, "b": "x"}, b=str, a=int)
    ('x', 1)
    """
    if type(entry) is not dict:
        raise ValueError(f"a header entry is {type(entry).__name__}, not an object")
    for name, kind in types.items():
        if type(entry.get(name)) is not kind:
            raise ValueError(f"header field {name!r} is {type(entry.get(name)).__name__}, not {kind.__name__}")
    return tuple(entry[name] for name in types)


def _layout(name: str, header: Any, sections: list[bytes]) -> list[bytes]:
    """The blocks of the file, in order."""
    try:
        text = json.dumps({"sizes": [len(s) for s in sections], "header": header}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name!r}: not JSON: {error}; use plain strings, finite numbers, lists and dicts") from None
    if len(text) > MAX_HEADER:
        raise ValueError(f"{name!r}: a header of {len(text)} bytes, above {MAX_HEADER}; put long lists into arrays")
    stored = shrink(text.encode("ascii"), "zlib", _WORDS)
    payload = [part for s in sections for part in (s, zlib.crc32(s).to_bytes(4, "little"))]
    start = _START.pack(MAGIC, VERSION, len(stored), len(text), sum(map(len, payload)), zlib.crc32(stored), 0)[:-4]
    blocks = [start, zlib.crc32(start).to_bytes(4, "little"), stored, *payload]
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for block in blocks:
        digest.update(block)
    return [*blocks, digest.digest()]


def _parse(name: str, stored: bytes, raw: int) -> tuple[list[int], Any]:
    """Sizes and header, from JSON that says nothing twice and has no number JSON does not have."""
    try:
        text = swell(stored, "zlib", raw, _WORDS).decode("ascii")
        said = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name!r} has a header that cannot be read: {error}") from None
    if not isinstance(said, dict) or set(said) != {"sizes", "header"} or not isinstance(said["sizes"], list):
        raise ValueError(f"{name!r} has a header without sizes and header")
    if not all(type(n) is int and n >= 0 for n in said["sizes"]):
        raise ValueError(f"{name!r} has a section whose size is not a whole number >= 0")
    return said["sizes"], said["header"]


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = value if key not in found else _refuse(f"an object with {key!r} twice")
    return found


def _damaged(name: str, how: str) -> NoReturn:
    raise ValueError(f"{name!r} is cut short or damaged: {how}; copy it again from where it was whole")


def _sync_folder(folder: str) -> None:
    """Make the new name itself durable, where the system lets a folder be opened (Windows does not)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
