"""The order in which 2:4 fills up, its metadata, and the bytes of CSR and COO, against torch where it is installed."""

import warnings

import numpy as np
import pytest

from tinycompress import packing, sparse
from tinycompress.break_even import layout_bytes

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _as_it_runs_elsewhere():
    with np.errstate(all="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def at_most_two_of_four(rng, rows, columns):
    x = rng.integers(1, 100, (rows, columns // 4, 4))
    order = rng.permuted(np.broadcast_to(np.arange(4), x.shape), axis=-1)
    x[order >= rng.integers(0, 3, (rows, columns // 4, 1))] = 0  # none, one or two are left
    return x.reshape(rows, columns)


@pytest.mark.parametrize("dtype, word", [(np.float16, np.int16), (np.int8, np.int32)])
def test_two_of_four_is_what_torch_makes(dtype, word):
    conversions = pytest.importorskip("torch.sparse._semi_structured_conversions")
    for seed in range(20):
        x = at_most_two_of_four(np.random.default_rng(seed), 64, 128).astype(dtype)
        values, meta = conversions.sparse_semi_structured_from_dense_cutlass(torch.from_numpy(x))
        parts = sparse.n_m_encode(x)
        assert (values.numpy().reshape(-1) == parts["values"]).all()
        ours = np.frombuffer(packing.pack(parts["places"], 2), word).reshape(meta.shape)
        offsets = conversions._calculate_meta_reordering_scatter_offsets(*meta.shape, meta.dtype, "cpu").numpy()
        reordered = np.empty(ours.size, word)
        reordered[offsets] = ours.reshape(-1)  # cutlass interleaves rows afterwards, for its kernels
        assert (reordered.reshape(ours.shape) == meta.numpy()).all()


def test_bytes_of_csr_and_coo():
    x = np.where(np.random.default_rng(0).random((7, 9)) < 0.3, 1, 0).astype(np.float32)
    count = int(x.sum())
    csr, coo = torch.from_numpy(x).to_sparse_csr(), torch.from_numpy(x).to_sparse_coo().coalesce()
    size = {
        t: t.numel() * t.element_size()
        for t in (csr.values(), csr.col_indices(), csr.crow_indices(), coo.values(), coo.indices())
    }
    total = list(size.values())
    assert sum(layout_bytes("csr", x.shape, count, 4, 8).values()) == sum(total[:3])
    assert sum(layout_bytes("coo", x.shape, count, 4, 8).values()) == sum(total[3:])
