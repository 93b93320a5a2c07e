"""Integer layers and row tables against the torch that is installed: 100,000 values and more per operation, most near ties."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinycompress.conventions import get  # noqa: E402
from tinycompress.dynamic import dynamic_linear  # noqa: E402
from tinycompress.grids import Grid  # noqa: E402
from tinycompress.integer import integer_matmul  # noqa: E402
from tinycompress.integer_layers import quantized_add, quantized_linear, quantized_mul  # noqa: E402
from tinycompress.tables import greedy_range, look_up, pack_rows, sum_bags  # noqa: E402

ENGINES = torch.backends.quantized.supported_engines
RULE = {"x86": "fbgemm", "fbgemm": "fbgemm", "qnnpack": "qnnpack", "onednn": "onednn"}
N = 100_000

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith("2.13."), reason=f"presets are of torch 2.13, this is {torch.__version__}"
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.backends.quantized.engine
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the quantized dtypes are deprecated: the reason why their bits are kept here
        yield
    torch.backends.quantized.engine = before


def as_torch(q, scale, zero_point):
    codes = torch.from_numpy(q)
    if np.ndim(scale):
        scales = torch.tensor(np.asarray(scale, np.float64))
        return torch._make_per_channel_quantized_tensor(codes, scales, torch.zeros(len(scale), dtype=torch.int64), 0)
    return torch._make_per_tensor_quantized_tensor(codes, float(scale), int(zero_point))


def near_ties(rng, acc, step, s_y):
    """A bias that puts most outputs within two ulps of halfway between two codes."""
    halfway = (rng.integers(-140, 141, acc.shape) + 0.5) * np.float64(s_y)
    bias = (halfway - acc * np.float64(step)).astype(np.float32)
    return (bias.view(np.int32) + rng.integers(-2, 3, acc.shape).astype(np.int32)).view(np.float32)


def linear_cases(rng, engine):
    done = 0
    while done < N:
        outputs = int(rng.integers(1, 1200))
        per_channel, with_bias = rng.random() < 0.5, rng.random() < 0.8
        kind = [np.float32, np.float64][int(rng.integers(0, 2))]  # torch keeps scales in float64; some steps use them unrounded
        s_x, s_w = kind(rng.uniform(0.001, 0.2)), np.asarray(rng.uniform(0.05, 0.1, outputs if per_channel else ()), kind)
        if rng.random() < 0.2:
            s_x, s_w = np.float32(1), np.full_like(s_w, 0.5)
        s_y = kind(np.max(s_x * s_w) * (10 ** rng.uniform(0, 5) if with_bias else 2.0 ** rng.integers(0, 8)))
        x, z_x, z_y = rng.integers(0, 256, (2, 3)).astype(np.uint8), int(rng.integers(0, 256)), int(rng.integers(0, 256))
        w = rng.integers(-128, 128, (outputs, 3)).astype(np.int8)
        acc = integer_matmul(x, w.T, z_x).astype(np.float64)
        bias = near_ties(rng, acc[0], s_x * s_w, s_y) if with_bias else None
        w_grid = Grid(s_w, np.zeros(s_w.shape, np.int64), -128, 127, 1 if per_channel else None)
        yield x, Grid(s_x, z_x, 0, 255), w, w_grid, bias, Grid(s_y, z_y, 0, 255)
        done += 2 * outputs


@pytest.mark.parametrize("engine", [e for e in ENGINES if e in RULE])
def test_linear(engine):
    rng, wrong = np.random.default_rng(7), 0
    for x, x_grid, w, w_grid, bias, y_grid in linear_cases(rng, engine):
        torch.backends.quantized.engine = engine
        packed = torch.ops.quantized.linear_prepack(
            as_torch(w, w_grid.scale, 0), None if bias is None else torch.from_numpy(bias)
        )
        peer = torch.ops.quantized.linear(
            as_torch(x, x_grid.scale, x_grid.zero_point), packed, float(y_grid.scale), int(y_grid.zero_point)
        )
        ours = quantized_linear(x, x_grid, w.T, w_grid, bias, y_grid, RULE[engine] + ".linear")
        wrong += (ours != peer.int_repr().numpy()).sum()
    assert wrong == 0


@pytest.mark.parametrize("engine", [e for e in ENGINES if e in RULE])
def test_linear_whose_results_leave_int32(engine):
    torch.backends.quantized.engine = engine
    x, w = np.uint8([[255, 255]]), np.int8([[127, 127], [-127, -127], [1, -1]])
    packed = torch.ops.quantized.linear_prepack(as_torch(w, 1.0, 0), None)
    for z_y in (0, 7):
        peer = torch.ops.quantized.linear(as_torch(x, 1.0, 0), packed, 1e-7, z_y).int_repr().numpy()
        ours = quantized_linear(
            x, Grid(1.0, 0, 0, 255), w.T, Grid(1.0, 0, -128, 127), None, Grid(1e-7, z_y, 0, 255), RULE[engine] + ".linear"
        )
        assert np.array_equal(ours, peer)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e in RULE])
@pytest.mark.parametrize("reduce_range", [False, True])
def test_linear_dynamic(engine, reduce_range):
    torch.backends.quantized.engine = engine
    rng, wrong, done = np.random.default_rng(3), 0, 0
    while done < N:
        rows, inputs, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 40)), int(rng.integers(1, 400))
        # values at half steps of the scale 2^-k that the range -z 2^-k ... (255 - z) 2^-k leads to
        z, unit = int(rng.integers(0, 256)), 2.0 ** -int(rng.integers(0, 8))
        x = (rng.integers(-2 * z, 2 * (255 - z) + 1, (rows, inputs)) / 2 * unit).astype(np.float32)
        x.flat[0], x.flat[-1] = -z * unit, (255 - z) * unit
        if rng.random() < 0.3:
            x = rng.normal(size=x.shape).astype(np.float32)
        w = rng.integers(-128, 128, (outputs, inputs)).astype(np.int8)
        scale = rng.uniform(0.001, 0.1, outputs) if rng.random() < 0.5 else float(rng.uniform(0.001, 0.1))
        bias = rng.normal(size=outputs).astype(np.float32) if rng.random() < 0.7 else None
        packed = torch.ops.quantized.linear_prepack(as_torch(w, scale, 0), None if bias is None else torch.from_numpy(bias))
        peer = torch.ops.quantized.linear_dynamic(torch.from_numpy(x), packed, reduce_range).numpy()
        grid = Grid(scale, np.zeros(np.shape(scale), np.int64), -128, 127, 1 if np.ndim(scale) else None)
        ours = dynamic_linear(x, w.T, grid, bias, RULE[engine] + ".linear_dynamic", reduce_range)
        wrong, done = wrong + (ours != peer).sum(), done + peer.size
    assert wrong == 0


@pytest.mark.parametrize("engine", [e for e in ENGINES if e in ("fbgemm", "qnnpack")])
@pytest.mark.parametrize("op", ["add", "mul"])
def test_elementwise(engine, op):
    torch.backends.quantized.engine = engine
    rng, wrong, done = np.random.default_rng(5), 0, 0
    while done < N:
        n, unsigned = int(rng.integers(1, 900)), rng.random() < 0.5
        dtype = np.uint8 if unsigned else np.int8
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        a, b = (rng.integers(low, high + 1, n).astype(dtype) for _ in range(2))
        scales = [(1.0, 1.0, 2.0), (0.5, 0.25, 1.0), tuple(np.float32(rng.uniform(0.01, 0.2, 3)))][int(rng.integers(0, 3))]
        grids = [Grid(np.float32(s), int(rng.integers(low, high + 1)), low, high) for s in scales]
        peer = getattr(torch.ops.quantized, op)(
            as_torch(a, grids[0].scale, grids[0].zero_point), as_torch(b, grids[1].scale, grids[1].zero_point),
            float(grids[2].scale), int(grids[2].zero_point),
        ).int_repr().numpy()  # fmt: skip
        if op == "mul":
            ours = quantized_mul(a, grids[0], b, grids[1], grids[2], "torch.quantized.mul")
        else:
            name = "qnnpack.add" if engine == "qnnpack" and unsigned else "torch.quantized.add"
            ours = quantized_add(a, grids[0], b, grids[1], grids[2], name)
        wrong, done = wrong + (ours != peer).sum(), done + n
    assert wrong == 0


def tables(rng, columns_step):
    """Random rows and the ones that hurt: ties, constant, both zeros, tiny, huge, one outlier."""
    done = 0
    while done < 2 * N:
        v, d = int(rng.integers(1, 60)), columns_step * int(rng.integers(1, 100 // columns_step))
        kind = int(rng.integers(0, 6))
        x = rng.normal(size=(v, d)) * 10.0 ** rng.integers(-9, 6)
        if kind == 0:  # halves of a step of a range of 15 or 255 or 3
            x = rng.integers(0, 31, (v, d)) / 2 + rng.integers(-3, 4)
        elif kind == 1:  # zeros of both signs are the minimum
            x = np.where(rng.random((v, d)) < 0.5, np.copysign(0.0, rng.normal(size=(v, d))), np.abs(x))
        elif kind == 2:
            x = np.repeat(rng.normal(size=(v, 1)), d, axis=1)
        elif kind == 3:
            x[:, 0] *= 1e3
        with np.errstate(under="ignore"):
            yield np.asarray(x, np.float16 if kind == 4 and np.abs(x).max() < 6e4 else np.float32)
        done += v * d


PREPACK = {"fbgemm.rowwise8": "byte", "fbgemm.rowwise4": "4bit", "fbgemm.rowwise2": "2bit"}


@pytest.mark.parametrize("name", PREPACK)
def test_row_tables_have_the_bytes(name):
    rng, op = np.random.default_rng(11), PREPACK[name]
    for x in tables(rng, 8 // get(name).bits):
        peer = getattr(torch.ops.quantized, f"embedding_bag_{op}_prepack")(torch.from_numpy(x)).numpy()
        table = pack_rows(x, name)
        assert np.array_equal(table.data, peer), x
        with np.errstate(all="ignore"):
            decoded = getattr(torch.ops.quantized, f"embedding_bag_{op}_unpack")(torch.from_numpy(peer)).numpy()
        assert np.array_equal(look_up(table, np.arange(len(x))), decoded, equal_nan=True)


@pytest.mark.parametrize("name", ["fbgemm.rowwise4", "fbgemm.rowwise2"])
def test_optimized_row_tables_have_the_bytes(name):
    rng, op, bits = np.random.default_rng(2), PREPACK[name], get(name).bits
    for _ in range(40):
        x = (rng.normal(size=(int(rng.integers(1, 20)), 4 * int(rng.integers(1, 20)))) ** 3).astype(np.float32)
        peer = getattr(torch.ops.quantized, f"embedding_bag_{op}_prepack")(torch.from_numpy(x), True, 200, 0.16).numpy()
        assert np.array_equal(pack_rows(x, name, greedy_range(x, bits)).data, peer)


@pytest.mark.parametrize("name", PREPACK)
def test_bags_are_summed_within_the_bound(name):
    rng, op = np.random.default_rng(1), PREPACK[name]
    x = rng.normal(size=(500, 64)).astype(np.float32)
    table = pack_rows(x, name)
    lengths = rng.integers(0, 30, 200)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    codes, weights = rng.integers(0, 500, offsets[-1]), rng.normal(size=offsets[-1]).astype(np.float32)
    arrays = (torch.from_numpy(v) for v in (table.data, codes, offsets))
    sums = getattr(torch.ops.quantized, f"embedding_bag_{op}_rowwise_offsets")
    peer = sums(*arrays, per_sample_weights=torch.from_numpy(weights), include_last_offset=True, mode=0).numpy()
    ours = sum_bags(table, codes, offsets, weights)
    # FBGEMM adds weight bias and weight scale code per entry in float32: at most 3 L + 1 roundings of numbers no larger than
    # the sum of |weight| (|scale| 255 + |bias|); ours rounds once
    largest = np.abs(look_up(table, np.arange(500))).max(1) + np.abs(x.min(1))
    magnitude = np.array([np.sum(np.abs(weights[a:b]) * 2 * largest[codes[a:b]]) for a, b in zip(offsets[:-1], offsets[1:])])
    assert (np.abs(ours - peer) <= ((3 * lengths + 2) * 2.0**-24 * magnitude)[:, None]).all()
