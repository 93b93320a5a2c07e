"""From observed values to a range: what activations are like is only known by running the model on some data.

An observer is a frozen summary of the values seen so far: `observe(x)` returns the next one, `range()` the ends it would give a
grid. Smallest and largest value are exact but follow a single outlier; a moving average forgets it; a histogram
(histograms) can cut it off.

Which data? A range is a parameter like a weight. Chosen on test rows it makes the test score a training score. So `calibrate`
takes a split, whole, and hands only its training part on: there is no argument through which test rows could come.

Letters     x a batch of values, lo and hi the ends of a range
Not here: a range cut by percentile or divergence (histograms), the grid with the least squared error (least_squares), other
libraries' histograms (collectors). Read next: cuts, histograms.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tinycompress.grids import Array, value_range


class Observer(Protocol):
    """A frozen summary of the values seen so far."""

    def observe(self, x: npt.ArrayLike) -> Self:
        """Return the summary of all values so far and those of x."""
        ...

    def range(self) -> tuple[Array, Array]:
        """Return the ends lo, hi that choose_grid takes."""
        ...


class Split(Protocol):
    """Whatever has a training part, such as splits.Split."""

    @property
    def train(self) -> Any:
        """The part that may be learned from."""


Seen = TypeVar("Seen", bound=Observer)


@dataclass(frozen=True, eq=False)
class MinMax:
    """The smallest and the largest value so far; over everything, or per slice of `axis`.

    Batches may come in any order and be cut anywhere: the answer is the same.

    >>> MinMax().observe([0.5, -1.0]).observe([2.0]).range()
    (array(-1., dtype=float32), array(2., dtype=float32))
    """

    axis: int | None = None
    nan: str = "refuse"  # or "propagate": both ends become NaN; "ignore": as if it were not there
    infinite: str = "refuse"  # or "propagate"
    ends: tuple[Array, Array] | None = None  # None: nothing seen

    def observe(self, x: npt.ArrayLike) -> Self:
        """Return the summary of all values so far and those of x."""
        x = np.asarray(x)
        if x.size == 0:
            return self
        lo, hi = batch_range(x, self.axis, self.nan, self.infinite)
        if self.ends is not None:
            lo, hi = np.asarray(np.minimum(self.ends[0], lo)), np.asarray(np.maximum(self.ends[1], hi))
        return replace(self, ends=(lo, hi))

    def range(self) -> tuple[Array, Array]:
        """Return the smallest and the largest value seen."""
        if self.ends is None:
            raise ValueError("nothing was observed; observe a batch of training data first")
        return self.ends


@dataclass(frozen=True, eq=False)
class MovingAverage:
    """The smallest and the largest value of a batch, averaged over batches, the latest with the given weight.

    Equation    first batch: lo = min x; then lo = lo + weight (min x - lo), in float32; hi alike          (1)
    Convention  torch's MovingAverageMinMaxObserver with its weight 0.01. The order of batches matters, and values beyond the
                average are clipped later

    >>> MovingAverage(weight=0.5).observe([-1.0, 1.0]).observe([-2.0, 3.0]).range()
    (array(-1.5, dtype=float32), array(2., dtype=float32))
    """

    weight: float = 0.01
    axis: int | None = None
    nan: str = "refuse"
    infinite: str = "refuse"
    ends: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight is {self.weight}; a moving average needs one above 0, and 1 keeps only the latest batch")

    def observe(self, x: npt.ArrayLike) -> Self:
        """Return the summary of all values so far and those of x."""
        x = np.asarray(x)
        if x.size == 0:
            return self
        ends = batch_range(x, self.axis, self.nan, self.infinite)
        if self.ends is not None:
            w = np.float32(self.weight)
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # as a peer that was told to pass infinities on
                lo, hi = (np.asarray(old + w * (new - old)) for old, new in zip(self.ends, ends))  # (1)
            ends = lo, hi
        return replace(self, ends=ends)

    def range(self) -> tuple[Array, Array]:
        """Return the averaged ends."""
        if self.ends is None:
            raise ValueError("nothing was observed; observe a batch of training data first")
        return self.ends


def batch_range(x: npt.ArrayLike, axis: int | None = None, nan: str = "refuse", infinite: str = "refuse") -> tuple[Array, Array]:
    """Return the smallest and the largest value of one batch as float32, bad values refused unless told otherwise.

    Shapes      x any -> two of shape (), or (n,) with one entry per slice of `axis`
    Convention  nan: "refuse", "propagate" or "ignore"; infinite: "refuse" or "propagate"
    Raises      ValueError if there is a NaN or an infinity and it is to be refused, or an option is unknown
    Source      this package

    >>> batch_range([1.0, float("nan"), -1.0], nan="ignore")
    (array(-1., dtype=float32), array(1., dtype=float32))
    """
    if nan not in ("refuse", "propagate", "ignore") or infinite not in ("refuse", "propagate"):
        raise ValueError(f"nan is {nan!r} and infinite {infinite!r}; use 'refuse' or 'propagate', for nan also 'ignore'")
    lo, hi = value_range(x, axis, ignore_nan=nan == "ignore")
    if nan == "refuse" and np.isnan(lo).any():
        raise ValueError("a batch holds NaN; find where it comes from, or observe with nan='ignore'")
    if infinite == "refuse" and (np.isinf(lo) | np.isinf(hi)).any():
        raise ValueError(f"a batch runs from {lo} to {hi} in float32; clip it before it is observed")
    return lo, hi


def observe_batches(observer: Seen, batches: Iterable[npt.ArrayLike]) -> Seen:
    """Return the observer after all batches.

    Shapes      batches of any shapes
    Raises      ValueError as the observer does
    Source      this package

    >>> observe_batches(MinMax(), ([1.0], [3.0, 2.0])).range()
    (array(1., dtype=float32), array(3., dtype=float32))
    """
    for x in batches:
        observer = observer.observe(x)
    return observer


def calibrate(split: Split, batches: Callable[[Any], Iterable[npt.ArrayLike]], observer: Seen) -> Seen:
    """Return the observer after the batches that `batches` makes of the training part of `split`; no other part is read.

    Shapes      batches(split.train) yields arrays of any shapes: the inputs themselves, or a layer's activations for them
    Convention  a split, not an array: rows kept for validation or test cannot be passed by mistake
    Raises      ValueError if a bare array is given for the split, or as the observer does
    Source      this package

    >>> from types import SimpleNamespace
    >>> split = SimpleNamespace(train=[1.0, 2.0, 3.0], test=[99.0])
    >>> calibrate(split, lambda rows: [rows[:2], rows[2:]], MinMax()).range()
    (array(1., dtype=float32), array(3., dtype=float32))
    """
    if not hasattr(split, "train"):
        raise ValueError(f"{type(split).__name__} has no training part; pass the split itself, so that only split.train is read")
    return observe_batches(observer, batches(split.train))
