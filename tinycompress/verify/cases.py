"""Which inputs become vectors: from many candidates the fewest that tell the conventions apart three times over.

Two points are told apart by a case when their answers differ by more than both tolerances. The pairs that must part are: two
options of one axis beside the default, and beside each profile; two profiles; and pairs drawn at random from the whole space.
Cases are taken greedily until each pair that any candidate parts is parted THREE times.

Letters     P pairs of points
Not here: the candidates themselves (cases_integers, cases_masks, cases_floats), files (vectors). Read next: profiles, vectors.
"""
from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.verify import cases_floats, cases_integers, cases_masks, wire
from tinycompress.verify.axes import Point, claimed, default_point, legal, option_names
from tinycompress.verify.cases_integers import Case
from tinycompress.verify.oracle import Answer
from tinycompress.verify.profiles import load_profiles
from tinycompress.verify.tables import Table, spread, table

THREE = 3
KEPT_ANYWAY = {"empty", "scalar", "axis", "overflow", "equal", "all", "none", "below", "2-d"}  # legal, and forgotten
LARGEST = 1000  # cells of a table: a case that speaks about too much at once is hard to read
_SOURCES: dict[str, Any] = {
    **dict.fromkeys(("quantize", "fake_quantize", "fake_quantize_backward"), cases_integers.quantizers),
    "dequantize": cases_integers.dequantizers,
    **dict.fromkeys(("symmetric_qparams", "asymmetric_qparams"), cases_integers.qparams),
    "requantize": cases_masks.requantize, "integer_matmul": cases_masks.integer_matmul,
    "pack": cases_masks.packing, "unpack": cases_masks.packing,
    "magnitude_mask": cases_masks.magnitude_mask, "n_m_mask": cases_masks.n_m_mask,
    **dict.fromkeys(("linear", "linear_backward", "adam_step"), cases_floats.layers),
    **dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc"), cases_floats.classification),
    **dict.fromkeys(("hit_rate", "ndcg"), cases_floats.ranking),
}  # fmt: skip


def candidates(operation: str, seed: int = 20261101) -> list[Case]:
    """Return the cases of one operation that vectors are chosen from; another seed draws others.

    Shapes      takes no arrays
    Source      this package

    >>> len(candidates("accuracy")) > 10
    True
    """
    source = _SOURCES.get(operation, cases_floats.losses)
    with np.errstate(all="ignore"):
        return [case for case in source(np.random.default_rng(seed)) if case.operation == operation]


def identify(case: Case) -> str:
    """Return the id of a case: its operation and a digest of what is passed. The same input has the same id for ever.

    Shapes      takes no arrays
    Source      this package

    >>> identify(candidates("accuracy")[0])[:9]
    'accuracy-'
    """
    words = " ".join([case.operation, str(case.axis), *[wire.to_words(a) for a in case.arguments]])
    return f"{case.operation}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def differ(a: Answer, b: Answer) -> bool:
    """Say whether two answers can be told apart whatever correct program gives them.

    Shapes      of one operation
    Source      this package

    >>> differ(Answer(refused=True), Answer(undefined=True))
    False
    """
    if a.undefined or b.undefined:
        return False
    if a.refused or b.refused:
        return a.refused != b.refused
    for x, y, s, t in zip(a.values, b.values, a.tol, b.tol, strict=True):
        if x.shape != y.shape:
            return True
        if s is None or t is None:
            different = (x != y) & ~((x != x) & (y != y))
        else:
            different = ~(np.abs(x - y) <= s + t) & (x != y) & ~(np.isnan(x) & np.isnan(y))
        if different.any():
            return True
    return False


def parts(operation: str, found: Table, pairs: Sequence[tuple[Point, Point]]) -> npt.NDArray[np.bool_]:
    """Return which pairs of points a table tells apart.

    Shapes      P pairs -> (P,)
    Source      this package

    >>> parts("accuracy", table("accuracy", [np.array([1]), np.array([1])]), [({"unit": "fraction"}, {"unit": "count"})]).tolist()
    [False]
    """
    count = len(found.answers)
    apart = np.zeros((count + 1, count + 1), bool)
    for i, j in itertools.combinations(range(count), 2):
        apart[i, j] = apart[j, i] = differ(found.answers[i], found.answers[j])
    names, which = option_names(operation), spread(operation, found)
    index = []
    for side in (0, 1):
        at = [
            np.array([options.index(pair[side][axis]) for pair in pairs]) if which.shape[i] > 1 else np.zeros(len(pairs), int)
            for i, (axis, options) in enumerate(names.items())
        ]
        index.append(which[tuple(at)])
    good: npt.NDArray[np.bool_] = apart[index[0], index[1]] & (index[0] >= 0) & (index[1] >= 0)
    return good


# Options that no input can tell from the default while the other axes have their defaults, and why.
SAME_AS_DEFAULT: dict[tuple[str, str, str], str] = {
    ("n_m_mask", "ragged", "zero_pad"): "zeros behind a row lose every tie to the entries before them",
}


def pairs_to_part(operation: str, drawn: int = 30) -> list[tuple[Point, Point]]:
    """Return the pairs of points that vectors must tell apart, if any input can.

    Shapes      takes no arrays
    Source      this package

    >>> len(pairs_to_part("accuracy", 0))
    7
    """
    names, origin, good = option_names(operation), default_point(operation), legal(operation)

    def is_legal(point: Point) -> bool:
        return bool(good[tuple(options.index(point[axis]) for axis, options in names.items())])

    firsts = [origin]
    for profile in load_profiles().values():
        if operation in profile.operations:
            cell = np.argwhere(profile.points(operation))[0]
            firsts.append({axis: options[i] for (axis, options), i in zip(names.items(), cell, strict=True)})
    pairs = [(a, b) for a, b in itertools.combinations(firsts, 2) if a != b]
    for first in firsts:  # so that a diagnosis near a profile names every axis
        for axis, options in names.items():
            near = options if first is origin else (first[axis], *(o for o in options if o != first[axis]))
            pairs += [({**first, axis: a}, {**first, axis: b}) for a, b in itertools.combinations(near, 2)
                      if first is origin or a == first[axis]]  # fmt: skip
    rng = np.random.default_rng(7)
    for _ in range(drawn):
        a, b = ({axis: str(rng.choice(options)) for axis, options in names.items()} for _ in range(2))
        pairs.append((a, b))
        axis = str(rng.choice(list(names)))
        pairs.append((a, {**a, axis: b[axis]}))  # neighbours: one axis apart
    return [pair for pair in pairs if pair[0] != pair[1] and all(map(is_legal, pair))]


def choose(operation: str) -> list[tuple[Case, Table]]:
    """Return the cases that become vectors, each with its table, in the order of the candidates.

    Shapes      takes no arrays
    Source      this package; greedy multi-cover

    >>> 3 <= len(choose("accuracy")) <= 20
    True
    """
    pool = []
    origin = tuple(np.argwhere(claimed(operation))[0])
    for case in candidates(operation):
        found = table(operation, case.arguments, case.axis)
        which = spread(operation, found)
        own = found.answers[which[tuple(i if n > 1 else 0 for i, n in zip(origin, which.shape, strict=True))]]
        # a tolerance that could hide another convention: the case is dropped, unless it is here for another reason
        hides = any(a is not own and not a.undefined and not differ(own, a) for a in found.answers)
        if found.which.size <= LARGEST and (not hides or set(case.flags) & KEPT_ANYWAY):
            pool.append((case, found))
    pairs = pairs_to_part(operation)
    apart = np.array([parts(operation, found, pairs) for _, found in pool])
    cost = np.array([400 + f.which.size + 10 * sum(v.size for a in f.answers for v in a.values) for _, f in pool])  # bytes, about
    needed = np.minimum(apart.sum(axis=0), THREE)
    chosen = [i for i, (case, _) in enumerate(pool) if set(case.flags) & KEPT_ANYWAY]
    while True:
        missing = needed - apart[chosen].sum(axis=0) > 0
        gain = apart[:, missing].sum(axis=1) / cost
        gain[chosen] = 0
        if not gain.any():
            return [pool[i] for i in sorted(chosen)]
        chosen.append(int(np.argmax(gain)))
