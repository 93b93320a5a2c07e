"""What a mistake does: measured on ordinary data, where many do nothing at all, and on the hardest of some live inputs.

Ordinary are 2,000 normal weights on an 8-bit grid with zero point 3, int32 sums, a batch of 20 rows of five classes at
temperature 4, labels and scores of 40 rows. Hard are the first 48 live inputs of one seed, of which that counts on which most
entries are wrong.

Not here: the mistakes (mutants). Read next: killing, kill_matrix.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Mutant
from tinycompress.verify.live import live_generator
from tinycompress.verify.live_requests import requests
from tinycompress.verify.mutants import RIGHT
from tinycompress.verify.operations import OPERATIONS, read_answer

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Harm:
    """What is wrong on ordinary data and on the hardest, each in a few words."""

    ordinary: str
    hard: str


@lru_cache
def ordinary() -> dict[str, Arguments]:
    """Return arguments by operation on which nobody would notice much.

    Shapes      takes no arrays
    Source      this package

    >>> ordinary()["accuracy"][0].size
    40
    """
    rng = np.random.default_rng(0)
    x, z_s, z_t = rng.standard_normal(2000).astype(np.float32), rng.standard_normal((20, 5)), 2 * rng.standard_normal((20, 5))
    y, guess = rng.integers(0, 4, 40), rng.integers(0, 5, 40)
    scores, grades = rng.integers(0, 6, (40, 8)) / 2, rng.integers(0, 4, (40, 8)) * (rng.random((40, 8)) < 0.3)
    grid, soft, w = (0.02, 3, -128, 127), (z_s, z_t, 4.0), rng.standard_normal((5, 3))
    a, b = rng.integers(-128, 128, (20, 64)).astype(np.int8), rng.integers(-128, 128, (64, 5)).astype(np.int8)
    sums = rng.integers(-40_000, 40_000, 2000).astype(np.int32)
    return {
        "quantize": (x, *grid), "fake_quantize": (x, *grid), "fake_quantize_backward": (x + 1, 2 * x, *grid),
        "dequantize": (a, 0.02, 3), "symmetric_qparams": (x, 8), "asymmetric_qparams": (x + 1, 8), "magnitude_mask": (x, 0.3),
        "n_m_mask": (x.reshape(-1, 8), 1, 4), "integer_matmul": (a, b, 3, 0), "pack": (np.arange(16).astype(np.uint8), 4),
        "unpack": (bytes(range(16)), 4, 32), "requantize": (sums, 0.0025, 3, -128, 127),
        "linear": (z_s, w, w[0]), "linear_backward": (z_s[:, :3], z_t, w), "softmax": (z_s, 4.0),
        "cross_entropy": (z_s, y[:20]), "cross_entropy_backward": (z_s, y[:20]), "kd_loss": soft, "kd_loss_backward": soft,
        "binary_kd_loss": (z_s[:, 0], z_t[:, 0], 4.0), "binary_kd_loss_backward": (z_s[:, 0], z_t[:, 0], 4.0),
        "distillation_loss": (z_s, z_t, y[:20], 4.0, 0.9, 0.1), "accuracy": (y, guess), "auc": (y % 2, scores[:, 0]),
        **dict.fromkeys(("precision", "recall", "f1"), (y, guess, "macro")),
        "hit_rate": (scores, grades, 3), "ndcg": (scores, grades.astype(float), 3),
        "adam_step": (x.astype(float), 0.01 * x, 0 * x, 0 * x, 1, 0.001, 0.9, 0.999, 1e-8),
        "masked_training": (np.array([1.0, 0.1]), np.array([True, False]), [np.ones(2)] * 3),
    }  # fmt: skip


@lru_cache
def _hard(operation: str) -> tuple[Arguments, ...]:
    if operation not in OPERATIONS:
        return ()
    drawn = islice(requests(operation, live_generator(operation, 0)), 48)
    return tuple(r.arguments for r in drawn if r.axis is None)


def _called(function: Function, operation: str, arguments: Arguments) -> Any:
    """All answers as one row of float64, from copies that may be written to; None where the call fails."""
    given = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    try:
        answer = function(*given)
        parts = read_answer(operation, answer) if operation in OPERATIONS else (np.asarray(answer),)
        return np.concatenate([np.ravel(part).astype(np.float64) for part in parts])
    except Exception:  # noqa: BLE001 - a mistake may fail in any way
        return None


def compared(right: Any, wrong: Any) -> tuple[float, str]:
    """Return how bad it is, to be compared within an operation, and in words which share of the entries is wrong.

    Shapes      right, wrong (n,), or None
    Convention  a single number is as bad as the difference is large; of arrays those with less than 8 entries count little
    Source      this package

    >>> compared(np.arange(8.0), np.arange(8.0) // 2 * 2)
    (0.5, '50 % differ, by up to 1')
    >>> compared(np.array([0.5]), np.array([0.25]))
    (0.25, '0.25 for 0.5')
    """
    if right is None or wrong is None or right.size == 0:
        return 0.0, "0 % differ"
    if right.size != wrong.size:
        return 1.0, f"{wrong.size} entries for {right.size}"
    apart = np.abs(np.where(wrong == right, 0.0, wrong - right))
    odd = ~(apart <= 1e-9 * np.abs(right)) & ~(np.isnan(right) & np.isnan(wrong))
    if right.size == 1:
        return float(np.nan_to_num(apart[0], nan=np.inf)) if odd[0] else 0.0, f"{wrong[0]:.4g} for {right[0]:.4g}"
    most = f", by up to {apart[odd].max():.3g}" if odd.any() else ""
    return float(odd.mean()) * min(1.0, right.size / 8), f"{100 * odd.mean():.0f} % differ{most}"


def measured(mutant: Mutant) -> Harm:
    """Measure what a mistake does.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.verify.mutants import MUTANTS
    >>> measured(MUTANTS[0]).ordinary
    '47 % differ, by up to 1'
    """
    right = RIGHT[mutant.operation]
    with np.errstate(all="ignore"):
        pairs = [
            compared(_called(right, mutant.operation, arguments), _called(mutant.function, mutant.operation, arguments))
            for arguments in (ordinary()[mutant.operation], *_hard(mutant.operation))
        ]
    scalar = " for " in pairs[0][1]
    # A single weight and a single class are no hard data for operations that usually answer arrays.
    hard = [pair for pair in pairs[1:] if (" for " in pair[1]) == scalar]
    return Harm(pairs[0][1], max(hard, key=lambda pair: pair[0], default=pairs[0])[1].split(",")[0])
