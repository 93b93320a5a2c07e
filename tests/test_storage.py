"""Files: what is saved comes back bit for bit in every encoding, in the bytes that are stated, and whole or not at all."""

import errno
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinycompress import coding, container, packing, sparse, storage, streams, tensors
from tinycompress.grids import Grid
from tinycompress.quantization import Quantized

ENCODINGS = ("dense", "bitmap", "csr", "gap1", "gap4", "gap8", "gap16", "auto")
CODECS = ("none", "zlib", "lzma", "range", "smallest")
EDGES = {
    "f": [0.0, -0.0, 1.0, -1.5, np.nan, np.inf, -np.inf, 6e-8, 65504.0],
    "b": [False, True],
}


def integers(dtype):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return st.sampled_from([0, 0, 1, low, high]) | st.integers(low, high)


@st.composite
def arrays(draw):
    """Any dtype that can be stored, 0 to 3 axes, empty too, mostly zero, in any memory order."""
    dtype = np.dtype(draw(st.sampled_from(streams.DTYPES)))
    elements = st.sampled_from(EDGES[dtype.kind]) if dtype.kind in EDGES else integers(dtype)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7))
    x = draw(hnp.arrays(dtype, shape, elements=elements, fill=st.just(dtype.type(0))))
    return draw(st.sampled_from([x, x.T, x[..., ::-1] if x.ndim else x]))


@st.composite
def quantized(draw):
    """Codes of 1 to 16 bits on any grid: signed or not, one scale or one per slice or per group, float zero points too."""
    bits = draw(st.integers(1, 16))
    qmin = draw(st.sampled_from([0, -(2 ** (bits - 1)), -(2 ** (bits - 1)) + (bits > 1)]))
    qmax = qmin + draw(st.integers(1, 2**bits - 1))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    scales = (shape[axis],) if axis is not None else draw(st.sampled_from([(), (1,) * len(shape)]))
    scale = draw(
        hnp.arrays(
            draw(st.sampled_from([np.float32, np.float64])), scales, elements=st.sampled_from([0.5, 1.0, 2.0**-140, 1e30, 0.1])
        )
    )
    whole = draw(st.booleans())
    low, high = max(qmin, -(2**31)), qmax
    z = (
        draw(hnp.arrays(np.int64, scales, elements=st.integers(low, high)))
        if whole
        else draw(hnp.arrays(scale.dtype, scales, elements=st.sampled_from([0.5, -3.25])))
    )
    grid = Grid(scale, z, qmin, qmax, axis)
    q = draw(hnp.arrays(grid.dtype, shape, elements=st.integers(qmin, qmax)))
    if whole:  # prune: most codes mean zero
        q = np.where(draw(hnp.arrays(bool, shape)), q, grid.along(len(shape))[1]).astype(grid.dtype)
    return Quantized(q, grid, bits)


def same(a, b):
    """Equal in type, dtype, shape and every bit."""
    if isinstance(a, Quantized):
        one, two = a.grid, b.grid
        facts = (one.qmin, one.qmax, one.axis, one.unchecked, a.bits) == (two.qmin, two.qmax, two.axis, two.unchecked, b.bits)
        return (
            isinstance(b, Quantized)
            and facts
            and same(a.codes, b.codes)
            and same(one.scale, two.scale)
            and same(one.zero_point, two.zero_point)
        )
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def holds(tensor, encoding):
    """Whether an encoding named can hold a tensor: without a code that means zero, nothing can be left out."""
    x = tensor.codes if isinstance(tensor, Quantized) else tensor
    return (
        encoding in ("dense", "auto")
        or x.size == 0
        or not isinstance(tensor, Quantized)
        or tensor.grid.zero_point.dtype.kind == "i"
    )


@settings(max_examples=100)
@given(arrays() | quantized(), st.sampled_from(ENCODINGS), st.sampled_from(CODECS))
def test_encode_decode(tensor, encoding, codec):
    codecs = streams.CODECS if codec == "smallest" else () if codec == "none" else (codec,)
    if not holds(tensor, encoding):
        with pytest.raises(ValueError, match="no code is zero"):
            tensors.encode(tensor, (encoding,), codecs)
        return
    entry, data = tensors.encode(tensor, (encoding,), codecs)
    back = tensors.decode(json.loads(json.dumps(entry)), data)
    assert same(tensor, back)
    array = back.codes if isinstance(back, Quantized) else back
    assert array.flags.writeable and array.flags.c_contiguous
    assert tensors.memory(entry) >= array.nbytes


@settings(max_examples=15)
@given(
    st.dictionaries(st.text(max_size=5), arrays() | quantized(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=3) | st.lists(st.booleans(), max_size=2), max_size=3),
)
def test_save_load(tmp_path_factory, named, meta):
    path = tmp_path_factory.getbasetemp() / "m.tcz"
    size = storage.save(path, named, meta)
    first = path.read_bytes()
    assert size == os.path.getsize(path) == len(first)
    assert sum(storage.sizes(path).values()) == size and set(storage.sizes(path)) == {"", *named}
    back, said = storage.load(path)
    assert list(back) == list(named) and said == meta and all(same(named[k], back[k]) for k in named)
    storage.save(path, back, said)
    assert path.read_bytes() == first  # the same tensors are the same bytes: no clock, no chance


def test_two_of_four(tmp_path):
    w = np.array([[1, 0, 0, 2], [0, 0, 3, 0], [0, 0, 0, 0]], np.float32)
    storage.save(tmp_path / "m", {"w": w}, encoding="2:4", codec="none")
    entry, data = tensors.encode(w, ("2:4",), ())
    assert same(storage.load(tmp_path / "m")[0]["w"], w) and len(data) == 6 * 4 + -(-6 * 2 // 8)


# ---- size ----


def overhead(path, named):
    """Bytes of the file beyond what its tensors' streams hold."""
    _, sections = container.read_sections(path)
    return os.path.getsize(path) - sum(map(len, sections))


def test_overhead_is_bounded(tmp_path):
    rng = np.random.default_rng(0)
    for count in (0, 1, 10, 40):
        grid = Grid(np.full(8, 0.03, np.float32), np.zeros(8, int), -7, 7, 1)
        named = {f"table{i}": Quantized(rng.integers(-7, 8, (50 + i, 8)).astype(np.int8), grid, 4) for i in range(count)}
        named |= {f"b{i}": rng.normal(size=16 + i).astype(np.float32) for i in range(count)}
        storage.save(tmp_path / "m", named)
        # 50 fixed, 4 of checksum for each tensor, and a header that deflate makes of at most 46 bytes for each, 60 for itself
        assert overhead(tmp_path / "m", named) <= 50 + 60 + (4 + 46) * len(named)


@given(arrays() | quantized())
def test_raw_header_is_bounded(tensor):
    entry, data = tensors.encode(tensor, ("auto",), ())
    # at most 6 streams (csr's three, and scales and zero points) of at most 120 characters, axes of at most 20, and words
    assert len(json.dumps(entry, separators=(",", ":"))) <= 6 * 120 + 40 * 20 + 200
    plain = tensor.codes if isinstance(tensor, Quantized) else np.asarray(tensor)
    beside = (tensor.grid.scale.nbytes + tensor.grid.zero_point.nbytes) if isinstance(tensor, Quantized) else 0
    assert len(data) <= plain.nbytes + beside + 120 + 6 * 120  # an encoding with a shorter entry may have longer data


def test_plain_bytes_are_those_of_packed_codes():
    rng = np.random.default_rng(1)
    for bits in range(1, 17):
        q = rng.integers(0, 2**bits, 1001).astype(np.uint16)
        q[:2] = 0, 2**bits - 1
        entry, data = tensors.encode(Quantized(q, Grid(1.0, 0, 0, 2**bits - 1), bits), ("dense",), ())
        scale = 8  # a float64; the zero point, which is 0, takes nothing
        high = -(-1001 * (bits - 8) // 8) if bits > 8 else 0  # low bytes, and the bits above them packed
        assert len(data) - scale == (-(-1001 * bits // 8) if bits <= 8 else 1001 + high)
        if bits <= 8:
            assert data[:-scale] == packing.pack(q, bits)


def test_auto_is_the_smallest_that_was_made():
    rng = np.random.default_rng(2)
    for density in (1.0, 0.9, 0.5, 0.1, 0.01, 0.0):
        x = np.where(rng.random((60, 50)) < density, rng.normal(size=(60, 50)), 0).astype(np.float32)
        for codecs in ((), ("zlib",)):
            size = {
                e: sum(map(len, (data, json.dumps(entry, separators=(",", ":")))))
                for e in ENCODINGS
                for entry, data in [tensors.encode(x, (e,), codecs)]
            }
            assert size["auto"] <= min(size.values())


def test_auto_picks_what_the_break_even_table_says():
    from tinycompress import break_even

    rng = np.random.default_rng(3)
    for density in (0.7, 0.3, 0.04, 0.01):
        x = np.where(rng.random((300, 200)) < density, rng.normal(size=(300, 200)), 0).astype(np.float32)
        entry, data = tensors.encode(x, ("auto",), ())
        name, bits = break_even.winner(density, 32, ("dense", "bitmap", *(f"gap{b}" for b in range(2, 13))))
        # six standard deviations of the number kept; .05 for an entry shorter by 300 characters than the shortest data's
        assert abs(8 * len(data) / x.size - bits) <= 6 * (32 + 8) * np.sqrt(density / x.size) + 0.05
        assert density < 0.1 or entry["encoding"] == name == "bitmap"


@pytest.mark.parametrize("codec", streams.CODECS)
def test_codecs_shrink_uneven_codes(tmp_path, codec):
    q = np.random.default_rng(4).normal(8, 1.2, (2000, 8)).round().clip(0, 15).astype(np.uint8)
    bits = coding.entropy(np.bincount(q.reshape(-1)))
    stream, data = streams.to_stream(q, (codec,))
    # nothing that treats codes alone is below their entropy; the range coder is 1 % above, Huffman's code 1 bit
    above = {"range": 0.01 * bits, "zlib": 1.0, "lzma": 4.0 - bits}[codec]
    assert stream.codec == codec and bits < 8 * len(data) / q.size <= bits + above <= 4
    t = {"q": Quantized(q, Grid(0.1, 0, 0, 15), 4)}
    assert storage.save(tmp_path / "b", t, codec=codec) < storage.save(tmp_path / "a", t, codec="none")
    assert same(t["q"], storage.load(tmp_path / "b")[0]["q"])


def test_smallest_is_no_larger_than_any(tmp_path):
    t = {"w": np.random.default_rng(5).normal(size=(100, 7)).astype(np.float32), "i": np.arange(900).reshape(30, 30)}
    sizes = {c: storage.save(tmp_path / "m", t, codec=c) for c in CODECS}
    assert sizes["smallest"] <= min(sizes.values()) + 20  # the header deflates differently
    assert storage.save(tmp_path / "m", t, codec=["zlib", "lzma"]) <= sizes["none"]


def test_encoding_by_tensor(tmp_path):
    t = {"a": np.eye(8), "b": np.eye(8), "c": np.eye(8)}
    storage.save(tmp_path / "m", t, encoding={"a": "csr", "b": ("dense", "bitmap")})
    (entries,) = container.fields(container.read_sections(tmp_path / "m")[0], tensors=list)
    assert entries[0]["encoding"] == "csr" and entries[1]["encoding"] in ("dense", "bitmap")


# ---- whole or not at all ----


def listing(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where):
    path = tmp_path / "m.tcz"
    storage.save(path, {"w": np.ones(3)}, {"old": 1})
    old = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "write":

        class Full:
            def __init__(self, name, mode):
                self.file = open(name, mode)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def write(self, block):
                self.file.write(block[:5])  # a part gets through
                full()

        monkeypatch.setattr(container, "open", Full, raising=False)
    else:
        monkeypatch.setattr(os, where, full)
    with pytest.raises(OSError, match="No space"):
        storage.save(path, {"w": np.zeros(1000)}, {"new": 1})
    monkeypatch.undo()
    assert path.read_bytes() == old and listing(tmp_path) == ["m.tcz"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.save(tmp_path / "m", {})
    assert listing(tmp_path) == []


def test_a_save_is_flushed_before_it_is_named(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, lambda *a, name=name, real=getattr(os, name), **k: (calls.append(name), real(*a, **k))[1])
    storage.save(tmp_path / "m", {})
    assert calls[:2] == ["fsync", "replace"]


def test_a_link_keeps_pointing_where_it_did(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage.save(tmp_path / "link", {"w": np.ones(2)})
    assert (tmp_path / "link").is_symlink() and same(storage.load(tmp_path / "real")[0]["w"], np.ones(2))


def test_other_byte_orders_and_numpy_scalars_come_back_as_arrays_of_this_machine(tmp_path):
    storage.save(tmp_path / "m", {"big": np.array([1, 300], ">i4"), "f": np.array([1.5, -0.0], ">f8"), "n": np.float32(2.5)})
    back = storage.load(tmp_path / "m")[0]
    assert (
        same(back["big"], np.array([1, 300], np.int32))
        and same(back["f"], np.array([1.5, -0.0]))
        and same(back["n"], np.array(2.5, np.float32))
    )


def cyclic():
    meta = {}
    meta["self"] = meta
    return meta


W = {"w": np.ones((2, 2))}
SCALES = Grid(np.float32(np.nan), 0, 0, 15, unchecked=True)


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((W,), {"encoding": "zip"}, "'w': no encoding is named 'zip'"),
        ((W,), {"encoding": "gap17"}, "no encoding is named 'gap17'"),
        ((W,), {"encoding": "2:4"}, "'w': 2:4 needs"),
        ((W,), {"encoding": {"v": "csr"}}, "names 'v', which is no tensor; they are w"),
        ((W,), {"codec": "rar"}, "no codec is named 'rar'"),
        (({"w": np.array([None])},), {}, "'w': object"),
        (({"w": np.array(["a"])},), {}, "'w': <U1|'w': str"),
        (({"w": np.ones(2, complex)},), {}, "'w': complex128"),
        (({"w": np.ones(2, np.longdouble)},), {}, "'w': (longdouble|float128)"),
        (({"w": np.zeros((1,) * 33)},), {}, "33 axes"),
        (({1: np.ones(2)},), {}, "tensor name 1"),
        (({"w": Quantized(np.uint8([1]), SCALES, 4)},), {}, "scale nan .* not finite"),
        (({"w": Quantized(np.uint8([16]), Grid(1.0, 0, 0, 15), 4)},), {}, "from 16 to 16, outside their grid's 0 to 15"),
        (
            ({"w": Quantized(np.uint8([1, 2]), Grid(np.ones(3), [0, 0, 0], 0, 15, 0), 4)},),
            {},
            "scales of shape|shape mismatch|broadcast",
        ),
        (
            ({"w": Quantized(np.uint8([[1, 2]]), Grid(np.ones(3), [0, 0, 0], 0, 15, 0), 4)},),
            {},
            r"do not fit codes of shape \(1, 2\)",
        ),
        ((W, {"a": (1, 2)}), {}, "no tuples"),
        ((W, {1: 2}), {}, "string keys"),
        ((W, {"a": float("nan")}), {}, "meta is not JSON"),
        ((W, {"a": np.float32(1)}), {}, "meta is not JSON"),
        ((W, cyclic()), {}, "meta is not JSON"),
        ((W, {"a": "x" * container.MAX_HEADER}), {}, "put long lists into arrays"),
    ],
)
def test_save_refuses(tmp_path, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        storage.save(tmp_path / "m", *arguments, **options)
    assert listing(tmp_path) == []


def test_save_refuses_what_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder or a device"):
        storage.save(tmp_path, W)
    with pytest.raises(ValueError, match="is a folder or a device"):
        storage.save("/dev/null", W)
    with pytest.raises(ValueError, match="there is no folder"):
        storage.save(tmp_path / "none" / "m", W)
    assert listing(tmp_path) == []


def test_load_refuses_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe", "."):
        with pytest.raises(ValueError, match="is not a file"):
            storage.load(tmp_path / name)


def test_sizes_refuse_a_file_that_holds_no_model(tmp_path):
    container.write_sections(tmp_path / "other", {"tensors": [{"name": 3}]}, [b""])
    with pytest.raises(ValueError, match="is no model"):
        storage.sizes(tmp_path / "other")


def test_what_is_no_codec_dtype_or_header_is_refused(tmp_path):
    for call in (lambda: streams.shrink(b"", "gzip"), lambda: streams.swell(b"", "gzip", 0)):
        with pytest.raises(ValueError, match="no codec is named 'gzip'"):
            call()
    with pytest.raises(ValueError, match="complex128 cannot be stored"):
        streams.to_stream(np.zeros(1, complex))
    with pytest.raises(ValueError, match="not JSON"):
        container.write_sections(tmp_path / "m", {"a": 1j}, [])
    assert listing(tmp_path) == []


def test_names_that_others_call():
    assert storage.pack is packing.pack and storage.unpack is packing.unpack
    assert sparse.gap_decode is not None
