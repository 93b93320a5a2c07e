"""What the compress command can be told: its options, what each may be, and which of them go together.

The command prints one of two tables, and each has options of its own. An option of the other table is refused, because one that
is read and does nothing looks as if it had been obeyed.

Not here: what is done with the options (compress). Read next: compress.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compress`, in three groups: of both tables, of the main one, of the smallest file.

    Shapes      takes no arrays
    Source      argparse

    >>> parser = argparse.ArgumentParser()
    >>> add_options(parser)
    >>> parser.parse_args(["--hidden", "16,8"]).hidden
    (16, 8)
    """
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    c = parser.add_argument
    c("file", nargs="?", metavar="FILE", help="ratings or clicks: any delimited text with a user and an item, "
      "NAME.train.rating of NCF's three files, or an npz archive; without it, the shop")  # fmt: skip
    c("--smallest", action="store_true", help="instead of the main table: the smallest file of a set that ranks as the original")
    c("--history", action="store_true", help="a user is the items bought and an item its buyers, not an id")
    c("--negatives", type=_at_least(1), help="items never met that each test item is ranked against, 99 if not said; some files "
      "bring their own")  # fmt: skip
    c("--json", metavar="FILE", help="write the rows as JSON as well")
    c("--csv", metavar="FILE", help="write the rows as CSV as well")
    c("--save", metavar="DIR", help="keep the models' files in this folder")
    c("--seed", type=_at_least(0), default=0, help="seed of all random numbers")
    c("--columns", type=_at_least(1), default=32, help="columns of each embedding table")
    c("--hidden", type=_widths, default="64,32", metavar="N,N", help="widths of the hidden layers")
    c("--epochs", type=_at_least(1), default=20, help="epochs at the most; validation chooses")
    c("--batch", type=_at_least(1), default=1024, help="rows of a batch")
    c("--lr", type=_positive, default=2e-3, help="learning rate of Adam")
    c("-k", type=_at_least(1), default=10, help="cut of hit rate, NDCG and overlap")
    c = parser.add_argument_group("of the main table").add_argument
    c("--student-columns", type=_at_least(1), default=8, help="columns of each embedding table of the distilled student")
    c("--student-hidden", type=_widths, default="32,16", metavar="N,N", help="widths of the student's hidden layers")
    c("--sparsity", type=_fraction, default=0.5, help="share of each table row and layer that is pruned")
    c("--bits", type=_bits, default=8, help="bits of the model with a scale for each row")
    c("--low-bits", type=_bits, default=4, help="bits of the models with one scale for each tensor")
    c("--temperature", type=_positive, default=2.0, help="temperature by which teacher and student are softened")
    c("--alpha", type=_fraction, default=0.7, help="weight of the teacher's part in the student's loss")
    c("--tune-epochs", type=_at_least(1), default=2, help="epochs after pruning, with the masks held")
    c("--runs", type=_at_least(1), default=30, help="timed runs of each model, after 3 for warming up")
    c = parser.add_argument_group("of the smallest file").add_argument
    c("--within", type=_fraction, default=0.005, help="how much of hit rate and NDCG it may lose in validation")


MAIN_ONLY = "student_columns student_hidden sparsity bits low_bits temperature alpha tune_epochs runs".split()
SMALLEST_ONLY = ["within"]


def refuse_unused(a: argparse.Namespace) -> None:
    """Refuse an option of the table that was not asked for.

    Shapes      takes no arrays
    Convention  an option given its default value cannot be told from one not given, and passes
    Raises      ValueError with the option, its value and what to do
    Source      this package

    >>> parser = argparse.ArgumentParser()
    >>> add_options(parser)
    >>> refuse_unused(parser.parse_args(["--smallest", "--bits", "4"]))
    Traceback (most recent call last):
    ValueError: --bits 4 does nothing with --smallest; leave one of the two out
    """
    parser = argparse.ArgumentParser()
    add_options(parser)
    default = parser.parse_args([])
    for name in MAIN_ONLY if a.smallest else SMALLEST_ONLY:
        value = getattr(a, name)
        if value != getattr(default, name):
            remedy = "with --smallest; leave one of the two out" if a.smallest else "without --smallest; add that"
            words = ",".join(map(str, value)) if isinstance(value, tuple) else value
            raise ValueError(f"--{name.replace('_', '-')} {words} does nothing {remedy}")


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.lstrip("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
        return int(text)

    return number


def _bits(text: str) -> int:
    if text not in map(str, range(2, 9)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bits from 2 to 8")
    return int(text)


def _real(text: str, fine: Callable[[float], bool], need: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not fine(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {need}")
    return value


def _fraction(text: str) -> float:
    return _real(text, lambda v: 0 <= v <= 1, "a number from 0 to 1")


def _positive(text: str) -> float:
    return _real(text, lambda v: 0 < v < float("inf"), "a positive number")


def _widths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of widths such as 64,32")
    return tuple(int(part) for part in parts)
