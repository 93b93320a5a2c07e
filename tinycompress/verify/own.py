"""tinycompress itself as an adapter: its functions under the names and arguments of the kit's operations, nothing added.

Each method is one call. An adapter for another library looks the same: any module or object with functions of these names.

Not here: any arithmetic; the functions are where `import` says. Read next: diagnosis.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress import (
    binary_distillation,
    classification,
    grids,
    integer,
    losses,
    ops,
    optimizers,
    packing,
    patterns,
    probabilities,
    pruning,
    quantization,
    ranking,
    requantization,
    retrieval,
    soft_targets,
)  # fmt: skip

Array = npt.NDArray[Any]


def _grid(scale: Any, zero_point: Any, qmin: int = -(1 << 31), qmax: int = (1 << 31) - 1, axis: int | None = None) -> grids.Grid:
    return grids.Grid(scale, zero_point, qmin, qmax, axis)


class Own:
    """The functions of this package, as the kit calls them."""

    linear = staticmethod(ops.linear)
    linear_backward = staticmethod(ops.linear_backward)
    softmax = staticmethod(ops.softmax)
    cross_entropy = staticmethod(losses.cross_entropy)
    cross_entropy_backward = staticmethod(losses.cross_entropy_backward)
    kd_loss = staticmethod(soft_targets.kd_loss)
    kd_loss_backward = staticmethod(soft_targets.kd_loss_backward)
    binary_kd_loss = staticmethod(binary_distillation.binary_kd_loss)
    binary_kd_loss_backward = staticmethod(binary_distillation.binary_kd_loss_backward)
    integer_matmul = staticmethod(integer.integer_matmul)
    requantize = staticmethod(requantization.requantize)
    pack = staticmethod(packing.pack)
    unpack = staticmethod(packing.unpack)
    magnitude_mask = staticmethod(pruning.magnitude_mask)
    adam_step = staticmethod(optimizers.adam_step)
    n_m_mask = staticmethod(patterns.n_m_mask)
    accuracy = staticmethod(classification.accuracy)
    precision = staticmethod(classification.precision)
    recall = staticmethod(classification.recall)
    f1 = staticmethod(classification.f1)
    auc = staticmethod(probabilities.auc)
    hit_rate = staticmethod(retrieval.hit_rate)
    ndcg = staticmethod(ranking.ndcg)

    def quantize(self, x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Array:
        """Codes of x."""
        return quantization.quantize(x, _grid(scale, zero_point, qmin, qmax, axis))

    def dequantize(self, q: Array, scale: Any, zero_point: Any, axis: int | None = None) -> Array:
        """Values of codes."""
        info = np.iinfo(q.dtype)
        return quantization.dequantize(q, _grid(scale, zero_point, int(info.min), int(info.max), axis))

    def fake_quantize(self, x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Array:
        """Values of the codes of x."""
        return quantization.fake_quantize(x, _grid(scale, zero_point, qmin, qmax, axis))

    def fake_quantize_backward(
        self, dy: Array, x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None
    ) -> Array:
        """The gradient of fake_quantize, straight through."""
        return quantization.fake_quantize_backward(dy, x, _grid(scale, zero_point, qmin, qmax, axis))

    def symmetric_qparams(self, x: Array, bits: int) -> Any:
        """Scale of a symmetric grid."""
        return grids.symmetric_grid(x, bits).scale

    def asymmetric_qparams(self, x: Array, bits: int) -> tuple[Any, Any]:
        """Scale and zero point of an asymmetric grid of signed codes."""
        grid = grids.asymmetric_grid(x, bits)
        return grid.scale, grid.zero_point


OWN = Own()
