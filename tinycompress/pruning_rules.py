"""How pruning libraries differ: what they count, which of equals they take, how they fill a group, when they prune.

Each field is an axis, each option a value that some library uses; a library is one point of that space. What an option
does is said beside it, in the source.

Not here: the arithmetic (counting, patterns, schedules); the points (conventions). Read next: quantization_rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinycompress.rule import OWN, Provenance, brief, check_options


@dataclass(frozen=True)
class CountRule:
    """How many entries `sparsity` means, and which of them where magnitudes tie; interpreted by counting."""

    of: Literal["pruned", "kept"] = "pruned"  # the side whose number is rounded: s n, or (1 - s) n
    rounding: Literal["half_even", "floor", "ceil"] = "half_even"
    offset: Literal[-1, 0, 1] = 0  # added to the pruned number: thresholds that are one index off
    base: Literal["n", "n_minus_1"] = "n"
    precision: Literal["float64", "float32"] = "float64"  # of 1 - s and of the product
    relative_to: Literal["total", "remaining"] = "total"  # with an existing mask: n counts all entries, or those still kept
    at_threshold: Literal["exact", "keep_all", "prune_all"] = "exact"  # entries equal to the threshold
    at_threshold_global: Literal["as_local", "exact", "keep_all", "prune_all"] = "as_local"  # when layers are ranked jointly
    ties: Literal["low_index_pruned_first", "high_index_pruned_first", "unspecified"] = "low_index_pruned_first"  # if exact;
    # unspecified: the peer's own order comes from the internals of its selection, here the low index is pruned first
    at_minimum: Literal["as_elsewhere", "shuffle", "shuffle_floor"] = "as_elsewhere"  # when the threshold is the smallest
    # magnitude of all: prune the first k (or floor(s n)) of those minima, in the order of Python's random.Random(42).shuffle
    when_none: Literal["allow", "error"] = "allow"  # the rule prunes nothing
    when_all: Literal["allow", "keep_one", "skip"] = "allow"  # it would leave nothing; skip: then it prunes nothing
    when_beyond: Literal["clip", "error"] = "clip"  # it asks for more than there are
    sparsity_one: Literal["as_elsewhere", "prune_all", "error"] = "as_elsewhere"
    score: Literal["magnitude", "square"] = "magnitude"  # square: w w in the dtype of w, where small numbers underflow and tie
    nan: Literal["error", "largest", "never_kept"] = "error"  # never_kept: ranks above infinity, then fails the comparison
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class NMRule:
    """Which entries of each group of a row are kept; interpreted by patterns."""

    first_number: Literal["kept", "pruned"] = "kept"  # what "2" counts where the outside library writes 2:4
    select: Literal["rank", "best_pattern"] = "rank"  # best_pattern: the first largest float32 sum over all patterns, in the
    # order in which CPython iterates over the set of them
    ties: Literal["low_index_kept", "high_index_kept", "unspecified"] = "low_index_kept"  # unspecified: as for counts; here low
    ragged: Literal["short_group", "zero_pad", "top_pad", "straddle_rows", "error"] = "short_group"  # the last group of a row:
    # short_group keeps min(keep, its length); zero_pad ranks zeros behind it, top_pad something larger than all weights;
    # straddle_rows cuts the flattened array into groups, and needs only its size to be a multiple
    keep_none: Literal["allow", "error"] = "allow"  # keep = 0
    score: Literal["magnitude", "square"] = "magnitude"
    nan: Literal["error", "spreads"] = "error"  # spreads: every sum of the group is NaN, and the first pattern wins
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class ScheduleRule:
    """How a training step becomes the progress and the sparsity of a polynomial schedule; interpreted by schedules."""

    form: Literal["from_final", "from_initial", "share_of_final"] = "from_final"  # with c = (1 - progress)^power:
    # s_f + (s_i - s_f) c;  s_i + (s_f - s_i) (1 - c);  s_f (1 - (1 - s_i) c), where s_i is itself a share of s_f
    progress: Literal["this_step", "next_step"] = "this_step"  # of step t: t - begin, or t + 1 - begin
    span: Literal["to_end", "to_last_update"] = "to_end"  # to_last_update: the last multiple of frequency before end
    update_at: Literal["frequency_from_begin", "frequency_from_zero", "every_step"] = "frequency_from_begin"
    end_included: Literal["yes", "no"] = "yes"  # whether step = end still updates
    before_begin: Literal["initial", "zero"] = "initial"
    empty_span: Literal["error", "nan", "final"] = "error"  # begin = end
    falling: Literal["allow", "stay", "error"] = "allow"  # initial > final; stay: at initial
    final_one: Literal["allow", "error"] = "allow"  # final = 1
    precision: Literal["float64", "float32"] = "float64"
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)
