"""Files that are damaged, foreign or hostile: each is refused by one line of ValueError, and none runs, hangs or swells."""

import hashlib
import json
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinycompress import coding, container, storage, streams
from tinycompress.grids import Grid
from tinycompress.quantization import Quantized

RNG = np.random.default_rng(0)
MODEL = {
    "table0": Quantized(
        RNG.integers(-7, 8, (6, 4)).astype(np.int8), Grid(np.full(4, 0.5, np.float32), np.zeros(4, int), -7, 7, 1), 4
    ),
    "w0": np.where(RNG.random((5, 8)) < 0.2, RNG.normal(size=(5, 8)), 0).astype(np.float32),
    "b0": RNG.normal(size=3).astype(np.float32),
    "flags": RNG.random(19) < 0.5,
}
OTHER = {"table0": MODEL["table0"], "w0": MODEL["w0"] * 2, "b0": MODEL["b0"], "flags": ~MODEL["flags"]}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "m.tcz"
    storage.save(path, MODEL, {"recipe": "w4"}, codec="smallest")
    return path.read_bytes()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "m.tcz"
    storage.save(path, OTHER, {"recipe": "w8"}, codec="none", encoding="dense")
    return path.read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("bad") / "bad.tcz"


def refused(place, data, match=None, peak=8 << 20):
    """Loading `data` raises ValueError with one line that names the file, and allocates no more than `peak`."""
    place.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            storage.load(place)
        assert tracemalloc.get_traced_memory()[1] <= peak + 4 * len(data)
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert str(place) in message and "\n" not in message and len(message) < 700


# ---- the format as its description has it, written down a second time ----


def build(text, sections, version=1, raw=None, stored=None, magic=b"\x89TCZ\r\n\x1a\n", payload=None):
    """A file whose checksums all agree, whatever its header says."""
    if stored is None:
        deflate = zlib.compressobj(9, wbits=-15, zdict=container._WORDS)
        stored = deflate.compress(text) + deflate.flush()
    body = b"".join(s + struct.pack("<I", zlib.crc32(s)) for s in sections)
    start = magic + struct.pack(
        "<HIIQI",
        version,
        len(stored),
        len(text) if raw is None else raw,
        len(body) if payload is None else payload,
        zlib.crc32(stored),
    )
    start += struct.pack("<I", zlib.crc32(start))
    whole = start + stored + body
    return whole + hashlib.blake2b(whole, digest_size=16).digest()


def parts(data):
    """(header text, sections) of a good file, by its description alone."""
    stored, raw, payload = struct.unpack("<IIQ", data[10:26])
    text = zlib.decompressobj(-15, zdict=container._WORDS).decompress(data[34 : 34 + stored])
    sections, at = [], 34 + stored
    for n in json.loads(text)["sizes"]:
        sections.append(data[at : at + n])
        at += n + 4
    assert len(text) == raw and at == 34 + stored + payload == len(data) - 16
    return text, sections


def edited(data, change, sections=None):
    """The file with its header changed and all checksums made right again."""
    text, old = parts(data)
    said = json.loads(text)
    change(said["header"])
    said["sizes"] = [len(s) for s in sections or old]
    return build(json.dumps(said, separators=(",", ":")).encode(), sections or old)


def test_the_description_is_the_format(good, place):
    text, sections = parts(good)
    place.write_bytes(build(text, sections))
    tensors, meta = storage.load(place)
    assert meta == {"recipe": "w4"} and list(tensors) == list(MODEL)
    assert (tensors["w0"] == MODEL["w0"]).all() and (tensors["table0"].codes == MODEL["table0"].codes).all()


# ---- accidents ----


def loads(place):
    try:
        storage.load(place)
    except ValueError as error:
        return "bad.tcz" not in str(error)
    return True


def test_every_single_flipped_bit_is_found(good, place):
    place.write_bytes(good)
    found = []
    with open(place, "r+b", buffering=0) as f:  # one byte at a time: making a new file each time takes ten times as long
        for bit in range(8 * len(good)):
            for mask in (1 << bit % 8, 0):
                f.seek(bit // 8)
                f.write(bytes([good[bit // 8] ^ mask]))
                found += [bit] * (mask > 0 and loads(place))
    assert not found and loads(place)


def test_every_truncation_is_found(good, place):
    place.write_bytes(good)
    assert loads(place)
    with open(place, "r+b", buffering=0) as f:
        for end in reversed(range(len(good))):
            f.truncate(end)
            assert not loads(place)


@st.composite
def damages(draw):
    """A function of (file, other file) -> damaged file: the accidents that happen to files, and a few at once."""

    def flips(
        data, _, where=draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8))
    ):
        data = bytearray(data)
        for at, mask in where:
            data[int(at * len(data))] ^= mask
        return bytes(data)

    cut = draw(st.floats(0, 1, exclude_max=True))
    junk = draw(st.binary(min_size=1, max_size=40))
    until = draw(st.floats(0, 1, exclude_max=True))
    chosen = draw(
        st.lists(
            st.sampled_from(
                [
                    flips,
                    lambda d, o: d[: int(cut * len(d))],
                    lambda d, o: d + junk,
                    lambda d, o: junk + d,
                    lambda d, o: d[: int(cut * len(d))] + junk + d[int(cut * len(d)) :],
                    lambda d, o: d[: int(cut * len(d))] + d[int(cut * len(d)) + 1 + int(until * 20) :],
                    lambda d, o: d[: int(cut * len(d))] + bytes(len(d) - int(cut * len(d))),  # a block never written
                    lambda d, o: o[:34] + d[34:],  # the other file's first bytes
                    lambda d, o: d[:34] + o[34:],
                    lambda d, o: o[: int(cut * len(o))] + d[int(cut * len(d)) :],  # two files mixed
                    lambda d, o: d + o,
                    lambda d, o: d[:-16] + o[-16:],  # the other file's digest
                    lambda d, o: d.replace(b"\r\n", b"\n"),  # sent as text
                    lambda d, o: bytes(b & 127 for b in d),  # sent in 7 bits
                ]
            ),
            min_size=1,
            max_size=3,
        )
    )
    return chosen


@settings(max_examples=220, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damages())
def test_damaged_files_are_refused(good, other, place, chosen):
    data = good
    for damage in chosen:
        data = damage(data, other)
    if data not in (good, other):
        refused(place, data)


def test_a_damage_is_located(good, place):
    text, sections = parts(good)
    at = len(good) - 16 - sum(len(s) + 4 for s in sections)
    for offset, match in (
        (3, "begins with"),
        (20, "checksum of its first bytes"),
        (at - 3, "checksum of its header"),
        (at + 1, "section 0 of 4"),
        (len(good) - 20, "section 3 of 4"),
        (len(good) - 1, "checksum of the whole"),
    ):
        data = bytearray(good)
        data[offset] ^= 4
        refused(place, bytes(data), match)


# ---- other files ----


def test_foreign_files(place, tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones(3))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("a", b"0" * 1000)
    for data in (
        b"",
        b"\x89",
        b"{}",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        (tmp_path / "a.npz").read_bytes(),
        (tmp_path / "a.zip").read_bytes(),
        zlib.compress(bytes(1000)),
        bytes(1000),
        RNG.bytes(1000),
        "\ufeffein Text".encode("utf-16"),
    ):
        refused(place, data, "begins with")
    refused(place, b"\x89TCZ\r\n\x1a\n", "ends after 8")


class Bomb:
    """What a pickle would run."""

    ran = False

    def __reduce__(self):
        return setattr, (Bomb, "ran", True)


def test_nothing_is_executed(place, good):
    pickled = pickle.dumps(Bomb())
    refused(place, pickled, "begins with")
    refused(place, edited(good, lambda h: None, [pickled] * 4), "bytes")
    with np.testing.assert_raises(ValueError):
        storage.save(place, {"w": np.array([Bomb()], object)})
    assert not Bomb.ran


@pytest.mark.parametrize("version", [0, 2, 65535])
def test_another_version_is_named(place, good, version):
    text, sections = parts(good)
    refused(place, build(text, sections, version=version), f"format version {version}; this build reads 1")


# ---- hostile files, whose checksums agree ----


def header(tensors, meta=None, sizes=None):
    return json.dumps({"sizes": sizes if sizes is not None else [], "header": {"meta": meta or {}, "tensors": tensors}}).encode()


def dense(shape, stream, name="w"):
    return {"name": name, "shape": shape, "encoding": "dense", "parts": {"values": stream}}


def test_bombs(place):
    zeros = streams.shrink(bytes(8 << 20), "zlib")  # 8 MiB in 8 kB
    refused(place, build(b"", [], raw=1000, stored=zeros), "do not stand for exactly 1000", peak=1 << 20)
    refused(place, build(b"", [], raw=2**32 - 1, stored=zeros), "at most 4194304", peak=1 << 20)
    for codec in ("zlib", "lzma"):
        small = streams.shrink(bytes(8 << 20), codec)
        swelling = dense([1000], ["float32", 1000, len(small), 8, None, "packed", codec, 1])
        window = 4 << 20 if codec == "lzma" else 0  # what LZMA looks back at, whatever the file says
        refused(
            place,
            build(header([swelling], sizes=[len(small)]), [small]),
            "do not stand for exactly 4000",
            peak=(1 << 20) + window,
        )
    vast = dense([1 << 40], ["float32", 1 << 40, len(zeros), 8, None, "packed", "zlib", 1])
    refused(place, build(header([vast], sizes=[len(zeros)]), [zeros]), "above max_bytes", peak=1 << 20)
    constant = dense([1 << 20, 1 << 12], ["uint8", 1 << 32, 0, 0, 7, "packed", "none", 1])  # no bytes stand for 4 GiB
    refused(place, build(header([constant], sizes=[0]), [b""]), "above max_bytes", peak=1 << 20)
    empty = {"values": ["float32", 0, 0, 0, None, "packed", "none", 1]}
    pointers = {
        "indptr": ["uint8", 1 << 31, 0, 0, 0, "packed", "none", 1],
        "indices": ["uint8", 0, 0, 0, None, "packed", "none", 1],
        **empty,
    }
    sparse = {"name": "w", "shape": [1 << 31, 0], "encoding": "csr", "parts": pointers}
    refused(place, build(header([sparse], sizes=[0]), [b""]), "larger than their array", peak=1 << 20)
    coded = coding.range_encode(np.zeros(10, np.uint8), 8)
    slow = dense([1 << 26], ["uint8", 1 << 26, len(coded), 8, 0, "packed", "range", 1])
    refused(place, build(header([slow], sizes=[len(coded)]), [coded]), "range-coded symbols", peak=1 << 20)
    wide = dense([10], ["uint8", 10, len(coded), 8, 0, "packed", "range", 10**12])
    refused(place, build(header([wide], sizes=[len(coded)]), [coded]), "columns", peak=1 << 20)


@pytest.mark.parametrize("codec", ["none", "zlib", "lzma"])
def test_coded_bytes_end_where_they_say(codec):
    plain = bytes(range(40)) * 3
    data = streams.shrink(plain, codec)
    assert streams.swell(data, codec, 120) == plain
    wrong = [(data + b"x", 120), (data, 119), (data, 121), *((data[:end], 120) for end in range(len(data)))]
    for damaged, size in wrong:
        with pytest.raises(ValueError, match="do not stand for exactly|damaged"):
            streams.swell(damaged, codec, size)


@pytest.mark.parametrize(
    "shape",
    [[-1], [-2, -2], [2**70], [2**31, 2**31, 2**31, 0], [1] * 33, [1.0], [True], ["4"], [None], [[4]], "4", 4, None, {"0": 4}],
)
def test_absurd_shapes(place, shape):
    stream = ["float32", 1, 4, 8, None, "packed", "none", 1]
    refused(place, build(header([dense(shape, stream)], sizes=[4]), [bytes(4)]), peak=1 << 20)


@pytest.mark.parametrize("shape", [[2**70, 0], [2**31, 2**31, 0], [0] * 33])
def test_absurd_shapes_of_nothing(place, shape):
    stream = ["float32", 0, 0, 0, None, "packed", "none", 1]
    refused(place, build(header([dense(shape, stream)], sizes=[0]), [b""]), "is no shape")


def test_bytes_that_no_part_claims(place):
    stream = ["float32", 1, 4, 8, None, "packed", "none", 1]
    refused(place, build(header([dense([1], stream)], sizes=[6]), [bytes(6)]), "6 bytes where its parts have 4")
    refused(place, build(header([dense([1], stream)], sizes=[3]), [bytes(3)]), "a stream of 4 bytes, of which 3")


def test_positions_are_integers(place):
    one = np.array([1], np.float32).tobytes()
    stream = ["float32", 1, 4, 8, None, "packed", "none", 1]
    entry = {"name": "w", "shape": [5], "encoding": "gap4", "parts": {"gaps": stream, "values": stream}}
    refused(place, build(header([entry], sizes=[8]), [one + one]), "must be integers")


def test_max_bytes_can_be_raised_and_lowered(place):
    storage.save(place, {"w": np.zeros(1000)})
    with pytest.raises(ValueError, match="take 8000 bytes of memory, above max_bytes 7999"):
        storage.load(place, max_bytes=7999)
    assert storage.load(place, max_bytes=8000)[0]["w"].size == 1000


@pytest.mark.parametrize(
    "text, match",
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "without sizes and header"),
        (b'{"sizes":[]}', "without sizes and header"),
        (b'{"sizes":[],"header":{},"more":1}', "without sizes and header"),
        (b'{"sizes":[-1],"header":{}}', "not a whole number"),
        (b'{"sizes":[1e3],"header":{}}', "not a whole number"),
        (b'{"sizes":[true],"header":{}}', "not a whole number"),
        (b'{"sizes":[],"sizes":[],"header":{}}', "'sizes' twice"),
        (b'{"sizes":[],"header":{"meta":NaN,"tensors":[]}}', "NaN is not JSON"),
        (b'{"sizes":[],"header":{"meta":{"a":1e999},"tensors":[]}}', "1e999 is not JSON"),
        (b'{"sizes":[],"header":{"meta":{"a":' + b"9" * 5000 + b'},"tensors":[]}}', "cannot be read"),
        (b'{"sizes":[],"header":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "cannot be read"),
        (b'{"sizes":[],"header":[]}', "is no model: a header entry is list"),
        (b'{"sizes":[],"header":{"tensors":[]}}', "'meta' is NoneType"),
        (b'{"sizes":[],"header":{"meta":[],"tensors":[]}}', "'meta' is list"),
        (b'{"sizes":[],"header":{"meta":{},"tensors":[1]}}', "1 tensors and 0 sections"),
        (b'{"sizes":[9],"header":{"meta":{},"tensors":[]}}', "sections take 13 bytes and its payload has 0"),
    ],
)
def test_headers_that_are_none(place, text, match):
    refused(place, build(text, []), match, peak=32 << 20)  # a 4 MiB header may take some twenty times that


def test_sections_cannot_overlap_or_leave_gaps(place, good):
    text, sections = parts(good)
    said = json.loads(text)
    for sizes in ([0], [len(sections[0]) * 2], [2**63], [len(s) for s in sections][:-1], [len(s) + 1 for s in sections]):
        refused(place, build(json.dumps({**said, "sizes": sizes}).encode(), sections), "sections take")
    refused(place, build(text, sections, payload=10**15), "says")


def a(entry, **fields):
    entry.update(fields)


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda h: a(h["tensors"][1], name="b0"), "'b0' is there twice"),
        (lambda h: h["tensors"].pop(), "3 tensors and 4 sections"),
        (lambda h: h["tensors"][0].pop("bits"), "'bits' is NoneType, not int"),
        (lambda h: a(h["tensors"][0], bits=10**9), "no grid of 1 to 16 bits"),
        (lambda h: a(h["tensors"][0], bits=3), "3 bits"),
        (lambda h: a(h["tensors"][0], bits=True), "'bits' is bool, not int"),
        (lambda h: a(h["tensors"][0], qmin=-(10**30)), "no grid"),
        (lambda h: a(h["tensors"][0], qmin=7), "no grid"),
        (lambda h: a(h["tensors"][0], qmin=-1), "outside"),
        (lambda h: a(h["tensors"][0], axis=5), "axis 5"),
        (lambda h: a(h["tensors"][0], axis=0), "do not fit|broadcast"),
        (lambda h: a(h["tensors"][0], axis=True), "axis True"),
        (lambda h: a(h["tensors"][0], scale_shape=[2, 2]), "scale has shape"),
        (lambda h: a(h["tensors"][0], unchecked=0), "'unchecked' is int"),
        (lambda h: a(h["tensors"][0]["codes"], shape=[4, 6]), "do not fit|broadcast"),
        (lambda h: a(h["tensors"][0]["codes"], shape=[6, 5]), "reshape"),
        (lambda h: h["tensors"][3]["parts"]["values"].__setitem__(4, 1), "from 1 to 2 do not fit bool"),
        (lambda h: h["tensors"][3]["parts"]["values"].__setitem__(4, -1), "from -1 to 0 do not fit bool"),
        (lambda h: h["tensors"][1]["parts"]["indices"].__setitem__(4, 2**70), "do not fit uint8|do not fit int64"),
        (lambda h: a(h["tensors"][1], encoding="zip"), "'zip'"),
        (lambda h: a(h["tensors"][1], encoding="dense"), "none that this build reads"),
        (lambda h: a(h["tensors"][1], parts={}), "none that this build reads"),
        (lambda h: a(h["tensors"][1], parts=[]), "'parts' is list"),
        (lambda h: a(h["tensors"][2]["parts"], values=[1, 2]), "not a list of the 8"),
        *(
            (lambda h, i=i, v=v: h["tensors"][2]["parts"]["values"].__setitem__(i, v), m)
            for i, v, m in (
                (0, "object", "dtype 'object'"),
                (0, "float64", "stand for exactly|reshape"),
                (0, None, "dtype None"),
                (1, 2, "stand for exactly"),
                (1, -3, "none is negative"),
                (2, 11, "bytes"),
                (3, 17, "no width above 16"),
                (3, 7, "width is 7"),
                (4, 0, "only integers"),
                (5, "lifo", "layout 'lifo'"),
                (6, "pickle", "codec 'pickle'"),
                (6, [], r"codec \[\]"),
                (7, -1, "none is negative"),
                (7, "1", "none is negative"),
            )
        ),
        (lambda h: a(h["tensors"][3], shape=[20]), "reshape"),
    ],
)
def test_headers_that_lie(place, good, change, match):
    plain = storage.load
    place.write_bytes(good)
    tensors, meta = plain(place)
    storage.save(place, tensors, meta, codec="none", encoding={"table0": "dense", "w0": "csr", "b0": "dense", "flags": "dense"})
    refused(place, edited(place.read_bytes(), change), match)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_scales_that_stand_for_nothing(place, good, scale):
    text, sections = parts(good)
    place.write_bytes(good)
    tensors, meta = storage.load(place)
    storage.save(place, tensors, meta, codec="none")
    text, sections = parts(place.read_bytes())
    fours = np.full(4, 0.5, np.float32).tobytes()
    assert sections[0].endswith(fours)  # zero points are all 0 and take no bytes
    bad = np.array([0.5, scale, 0.5, 0.5], np.float32).tobytes()
    refused(place, build(text, [sections[0][: -len(fours)] + bad, *sections[1:]]), "'table0': scale .* not finite")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_header_loads_or_is_refused(good, place, data):
    """Whatever one value of the header becomes, with checksums that agree: ValueError or a model, and little memory."""
    said = json.loads(parts(good)[0])
    node, key = said, "header"
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 5)):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    old = node[key]
    node[key] = data.draw(
        st.sampled_from(
            [
                None,
                True,
                0,
                1,
                -1,
                2,
                3,
                7,
                8,
                1 << 20,
                1 << 40,
                1 << 80,
                0.5,
                "",
                "dense",
                "csr",
                "gap3",
                "2:4",
                "9:9",
                "bitmap",
                "int64",
                "uint8",
                "bool",
                "range",
                "lzma",
                [],
                {},
                [4],
                [[]],
                {"a": 1},
            ]
        )
        | (st.integers(old - 3, old + 3) if type(old) is int else st.just([old]))
    )
    place.write_bytes(build(json.dumps(said).encode(), parts(good)[1]))
    tracemalloc.start()
    try:
        storage.load(place, max_bytes=1 << 22)
    except ValueError as error:
        assert str(place) in str(error) and "\n" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= 40 << 20  # ten times max_bytes: numbers, symbols, positions


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_section_loads_or_is_refused(good, place, data):
    """The same for the bytes of a section: what a coder is given, with checksums that agree."""
    text, sections = parts(good)
    i = data.draw(st.sampled_from([k for k, s in enumerate(sections) if s]))
    s = bytearray(sections[i])
    for _ in range(data.draw(st.integers(1, 4))):
        s[data.draw(st.integers(0, len(s) - 1))] = data.draw(st.integers(0, 255))
    sections[i] = bytes(s)
    place.write_bytes(build(text, sections))
    try:
        tensors, _ = storage.load(place)
    except ValueError as error:
        assert str(place) in str(error) and "\n" not in str(error)
    else:
        assert [getattr(t, "codes", t).shape for t in tensors.values()] == [getattr(t, "codes", t).shape for t in MODEL.values()]
