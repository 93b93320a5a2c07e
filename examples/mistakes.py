"""The mistake museum: what people really get wrong, the law that each mistake breaks, and the harm, measured.

Harm is what happens on ordinary data: 2,000 normal weights on an 8-bit grid with zero point 3, a sum of int32, a batch of 20 rows of five
classes at temperature 4, the labels and scores of 40 rows. Mistakes that leave ordinary data alone (0 % differ) wait for the other kind:
ties, outliers, empty rows, long arrays. That is why random tests prove so little.

    python examples/mistakes.py

It prints:

"""
import sys

import numpy as np

from tinycompress.verify.live import live_generator
from tinycompress.verify.live_requests import requests
from tinycompress.verify.mutants import MUTANTS, RIGHT, measured_harm


def ordinary(operation):
    """Arguments on which nobody would notice much."""
    rng = np.random.default_rng(0)
    x, z_s, z_t = rng.standard_normal(2000).astype(np.float32), rng.standard_normal((20, 5)), 2 * rng.standard_normal((20, 5))
    y, guess = rng.integers(0, 4, 40), rng.integers(0, 5, 40)
    scores, grades = rng.integers(0, 6, (40, 8)) / 2, rng.integers(0, 4, (40, 8)) * (rng.random((40, 8)) < 0.3)
    grid = (0.02, 3, -128, 127)
    known = {
        "quantize": (x, *grid), "fake_quantize": (x, *grid), "fake_quantize_backward": (x + 1, 2 * x, *grid),
        "symmetric_qparams": (x, 8), "asymmetric_qparams": (x + 1, 8), "magnitude_mask": (x.round(1), 0.301), "n_m_mask": (x.reshape(-1, 8).round(1), 1, 4),
        "requantize": (rng.integers(-40_000, 40_000, 2000).astype(np.int32), 0.0025, 3, -128, 127),
        "cross_entropy": (z_s, y[:20]), "cross_entropy_backward": (z_s, y[:20]), "distillation_loss": (z_s, z_t, y[:20], 4.0, 0.9, 0.1),
        "kd_loss": (z_s, z_t, 4.0), "kd_loss_backward": (z_s, z_t, 4.0), "accuracy": (y, guess), "softmax": (z_s, 4.0),
        "binary_kd_loss": (z_s[:, 0], z_t[:, 0], 4.0), "binary_kd_loss_backward": (z_s[:, 0], z_t[:, 0], 4.0),
        **dict.fromkeys(("precision", "recall", "f1"), (y, guess, "macro")), "auc": (y % 2, scores[:, 0]),
        "hit_rate": (scores, grades, 3), "ndcg": (scores, grades.astype(float), 3),
        "adam_step": (x.astype(float), 0.01 * x, 0 * x, 0 * x, 1, 0.001, 0.9, 0.999, 1e-8),
        "masked_training": (np.array([1.0, 0.1]), np.array([True, False]), [np.ones(2)] * 3),
    }  # fmt: skip
    if operation in known:
        return known[operation]
    drawn = requests(operation, live_generator(operation, 0))
    return next(r.arguments for i, r in enumerate(drawn) if i > 12)


def main():
    print(f"{'operation':<24} {'mistake':<28} {'law broken':<26} {'measured':<46} harm")
    for mutant in MUTANTS:
        arguments = [a.copy() if isinstance(a, np.ndarray) else a for a in ordinary(mutant.operation)]
        right = RIGHT[mutant.operation](*[a.copy() if isinstance(a, np.ndarray) else a for a in arguments])
        with np.errstate(all="ignore"):
            wrong = mutant.function(*arguments)
        harm = measured_harm(mutant, right, wrong)
        print(f"{mutant.operation:<24} {mutant.name:<28} {mutant.law:<26} {harm:<46} {mutant.harm}")


if __name__ == "__main__":
    sys.exit(main())
