"""Model compression for search and recommendation, where each formula can be read, run and checked.

The map, in reading order; each module opens with its idea, its letters, and what to read next:

interactions    what was shown, clicked, bought: read files of any usual format
splits          leave-one-out and by fraction, sampled negatives, shuffled batches
shop            a synthetic shop whose best possible scores are known
ops             linear, relu, sigmoid, embedding, softmax(T): each with its backward right below it
losses          bce, cross_entropy, listwise: mean or sum said, each with its backward
recommender     init, forward, backward, scores, top_k
optimizers      sgd, adam
training        fit: one loop for all; a compressed view of the parameters plugs in as two functions
conventions     the rules that differ between libraries, as frozen records
pruning         score -> mask -> apply
rounding        every rounding rule by its true name; saturating casts
quantization    grids, quantize, dequantize, fake_quantize and its gradient
calibration     from observed values to a range
integer         int8 x int8 -> int32, exactly; requantize
distillation    softened targets, the KD loss and its gradient; binary and ranking forms
storage         honest bytes: low-bit packing; save and load a compressed model
recipes         the ways to make a model smaller, each a few lines over the files above
metrics         accuracy ... F1; hit rate, NDCG, MRR: every average, tie and empty case named
cost            bytes, multiply-adds, measured latency
report          rows -> text, JSON, CSV; formatting only
verify          is yours the same?
cli             the command line
"""
import importlib
from types import ModuleType

READING_ORDER = (
    "interactions", "splits", "shop", "ops", "losses", "recommender", "optimizers", "training", "conventions", "pruning", "rounding",
    "quantization", "calibration", "integer", "distillation", "storage", "recipes", "metrics", "cost", "report", "verify", "cli",
)  # fmt: skip

__all__ = list(READING_ORDER)
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """Import a module of the map when it is first asked for, so that `import tinycompress` costs nothing."""
    if name in READING_ORDER:
        return importlib.import_module(f"tinycompress.{name}")
    raise AttributeError(f"module 'tinycompress' has no attribute {name!r}; it has {', '.join(READING_ORDER)}")
