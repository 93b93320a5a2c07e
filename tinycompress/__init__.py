"""Model compression for search and recommendation, where each formula can be read, run and checked."""

import importlib
from types import ModuleType

# The map: the only list of the modules, in reading order, room by room. An hour's plain path through it is ops, losses,
# recommender, training, pruning, quantization, soft_targets, recipes; the others refine, or make a library's rule exact.
_MAP = """
Data:
  bags                    a list of codes per entity, kept end to end with offsets
  delimited               from a file to a table of text; every complaint names the line
  interactions            what was shown, clicked, bought: read files of any usual format
  prepared                data sets that others have split already: NCF's three files, an npz archive
  judgments               what people said of search results: query, product, grade; folds of queries
  fields                  what the model sees of a user, an item, a query: categorical codes or bags of codes
  bm25                    how well a text answers a query by the words they share: the score to beat
  splits                  leave-one-out and by fraction, sampled negatives, shuffled batches
  ragged                  lists of unequal length: flat for the model, padded for a formula
  shop                    a synthetic shop whose best possible scores are known
  optimum                 the best possible scores, when the true probabilities are known
  problems                from a data set to a problem: training rows, the lists that choose the epoch, those that judge
  search_problems         from judgments, or the shop's searches, to lists that train a ranker and lists that judge it
The recommender and its training:
  ops                     linear, relu, sigmoid, embedding, softmax(T): each with its backward right below it
  losses                  bce, cross_entropy, listwise: mean or sum said, each with its backward
  recommender             the model: embeddings, joined, then a small MLP; init, forward, backward
  scoring                 the same scores in less time; top_k
  catalogue               the K best of a whole catalogue for one user or query, what can be prepared prepared
  optimizers              sgd, adam
  training                fit: one loop for all; a compressed view of the parameters plugs in as two functions
  alternating             a product model by least squares: each row the exact best while the other table stays
How others choose:
  rule                    what every record has: options that are checked, and provenance
  pruning_rules           the axes on which pruning libraries differ
  quantization_rules      the axes on which quantization libraries differ
  integer_rules           the axes on which integer kernels and row formats differ
  distillation_rules      the axes on which distillation losses differ
  conventions             the named points of these axes: get(name), from conventions.toml
Fewer weights: pruning:
  selection               the k-th smallest of many, without sorting
  counting                how many a sparsity prunes, and which of equals: every library's rule
  patterns                n of m: the same number kept in every group
  schedules               how much at which step: one cubic
  pruning                 score -> mask -> apply
  masking                 masks that hold through training: views, buffers; what is held still, rows held together
  retraining              prune and train in turns: rounds, rewinding, dense-sparse-dense; sensitivity of each layer
  structured              whole units, columns, blocks, rows; taking them away for real
  saliency                better scores than magnitude: Taylor, OBD, Wanda, Fisher
  reconstruction          prune a layer and repair it: OBS, its greedy form, SparseGPT, least squares
Fewer bits: quantization:
  rounding                every rounding rule by its true name; saturating casts
  fused                   a b + c rounded once, as one machine instruction does it
  grids                   scale and zero point: the evenly spaced values that codes stand for
  row_groups              rows cut into groups, one scale for each
  ranges                  which codes, and which range: NaN, one-sided and flat data
  grid_rules              from a range to a scale and zero point, by any library's rule
  terms                   a grid as one convention sees it: scale, reciprocal, zero point, ends
  elementwise             one block to codes and back by any library's rule: scale, zero point, rounding, overflow, range
  quantization            grids, quantize, dequantize, fake_quantize and its gradient
  summation               a float32 sum in the order in which a vector kernel adds
  learned_scale           gradients for the scale, the zero point, the ends of the range
  quantization_aware      training for the codes a model will be stored in: straight-through and learned scales, as views
  calibration             from observed values to a range: extremes, averages; only the training part is read
  cuts                    where to cut a histogram: percentile, divergence, walk
  histograms              a histogram that grows with the data and forgets nothing
  collectors              histograms as other libraries gather and cut them
  least_squares           the grid with the least squared error
Integers only:
  fixed_point             multiplying by a fraction with integers only: one rounding or two
  requantization          from an int32 sum to an output code, by any library's arithmetic
  integer                 int8 x int8 -> int32, exactly, at the speed of the float product
  dynamic                 float in, float out, an integer product between; grids chosen per batch
  integer_layers          linear, change of grid, product, sum: codes in, codes out
  integer_network         a whole MLP in integers, its fake-quantized twin, and the bound between them
A smaller model taught by a larger one: distillation:
  divergences             how far two rows of logits are apart, and the slope: forward, reverse, Jensen-Shannon
  soft_targets            a teacher's softened row as the target: the KD loss, its gradient, its T^2
  binary_distillation     one logit a row: clicks
  ranking_distillation    lists: a softmax over the candidates, weights by position
  relaxed_ranking         only the teacher's first places in order, the rest merely below: Plackett-Luce
  distillation            hard labels and soft targets together; binary and ranking forms by name
  decoupled_distillation  the labelled class against the rest, and the rest among themselves
  feature_distillation    hidden layers: hints through a learned projection, distances and angles
  similarity_distillation rows against rows: Gram matrices, probabilities of neighbours, correlations
Fewer rows: dense training on raw + compressed data:
  dense_training          one loss over raw and compressed rows, or raw and compressed parameters
  condensation            fewer rows that teach as much: unique, herded, weighted
  synthetic_rows          rows that never were: matched feature means, labels solved for
Fewer levels and fewer numbers:
  codebooks               levels that are means of what they replace: k-means, and the best there is
  priced_levels           levels for codes of unequal length: error against bits
  column_codebooks        a codebook for each column, or for a few together; levels that learn
  product_quantization    a row as a few codes, one for each part of it; scores by look-up
  rate_distortion         the least error at a given rate, and how near each way comes
  loss_weighted           codes chosen by what they do to the loss, not by distance
  row_curvature           how much a change of each embedding row costs: one small matrix per row
  coded_tables            a table as short codes: a codebook for every column, chosen by the loss, bits paid for
  factorization           fewer numbers: low rank, folded layers, rotations, shared rows
Honest bytes:
  packing                 codes of a few bits as bytes: element 0 in the low bits, or any library's order
  tables                  embedding rows as bytes: low-bit codes, each row's scale and bias behind them
  coding                  lossless: entropy, Huffman's bound, a range coder short enough to read
  sparse                  mostly zero: bitmap, CSR, gaps, n of m, each with its exact bytes
  break_even              which sparse encoding wins at which density, against the entropy bound
  streams                 one array as bytes: packed, then through a lossless coder if that is shorter
  container               the file itself: sections under checksums, written whole or not at all
  tensors                 one tensor as a header entry and bytes, in the encoding that came out smallest
  storage                 honest bytes: low-bit packing; save and load a compressed model
Judging:
  ties                    rows sorted by score, and the groups of equal scores in them
  retrieval               is it among the first K? hit rate, recall, precision, overlap: expectations over ties
  ranking                 where in the top K? NDCG, MRR, average precision: expectations over ties
  classification          confusion matrix, accuracy, precision, recall, F1: averages and zero division named
  probabilities           AUC, log loss, calibration error
  metrics                 all measures of quality by one name, and how sure a difference is
  cost                    bytes, multiply-adds, measured latency
  report                  rows -> text, JSON, CSV; formatting only
All of it together:
  baselines               what a file of no model scores: most popular, item neighbours, EASE
  evaluation              how good a model is on a problem, and how good the best possible is
  recipes                 the ways to make a model smaller, each a few lines over the files above
  small_models            recipes for the smallest file: fewer and simpler numbers, each a code that the loss chose
  search                  a ranker learned from judged lists: words of the query, words of the product, a prior
  comparison              the main table: each recipe written, read back, judged and timed
  frontier                bytes against quality, one row for each way of ranking, and which of them nothing beats
  smallest                the smallest file that still ranks as the original does, found on validation lists
  smallest_job            from data to the table of the smallest file, and what each of its parts bought
  arguments               the options of the compress command, and which of them go together
  compress                the command that trains, compresses, judges: options in, files and tables out
  verify                  is yours the same?
  cli                     the command line
"""

READING_ORDER = tuple(line.split()[0] for line in _MAP.splitlines() if line.startswith("  "))
__doc__ = f"{__doc__}\n\nThe map, in reading order; each module opens with its idea, its letters, and what to read next.\n{_MAP}"
__all__ = ["READING_ORDER", *READING_ORDER]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """Import a module of the map when it is first asked for, so that `import tinycompress` costs nothing."""
    if name in READING_ORDER:
        return importlib.import_module(f"tinycompress.{name}")
    raise AttributeError(f"module 'tinycompress' has no attribute {name!r}; it has {', '.join(READING_ORDER)}")
