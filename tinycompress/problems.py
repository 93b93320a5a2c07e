"""From a data set to a problem: what the model sees, what it is trained on, which lists choose the epoch and which judge it.

A problem is a frozen record that any model of the same fields can be trained and judged on; a student meets the same batches
and the same lists as its teacher. Ranking is judged on lists of candidates, one list per user or query; classes are judged on
pairs with a label.

Letters     N lists or pairs, L candidates of a list
Not here: the model (recommender), how it is judged (evaluation), how it is made smaller (recipes).
Read next: search_problems, evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.fields import Field, batch_inputs, history_field, id_field
from tinycompress.interactions import Interactions, read
from tinycompress.prepared import read_ncf, read_npz
from tinycompress.shop import Sessions, Shop, shop_fields
from tinycompress.splits import (
    Split,
    implicit_examples,
    leave_one_out,
    ranking_lists,
    sample_negatives,
    seen_items,
    shuffled_batches,
    training_negatives,
)

Array = NDArray[np.floating]
Batch = tuple[tuple[Any, ...], Any]
Rows = Mapping[str, NDArray[np.integer[Any]]]  # which entity of each kind a pair is about: {"user": (N,), "item": (N,)}


@dataclass(frozen=True, eq=False)
class Lists:
    """Candidates to rank: N lists of L."""

    rows: Rows  # each (N L,), list by list
    relevance: NDArray[np.float32]  # (N, L); 0 is irrelevant


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows with a label each."""

    rows: Rows  # each (N,)
    labels: NDArray[Any]  # (N,) class numbers


@dataclass(frozen=True, eq=False)
class Problem:
    """All that training and judging need, the model apart."""

    name: str
    fields: tuple[Field, ...]
    loss: str  # a name of losses.LOSSES
    outputs: int  # logits per row
    examples: Callable[[np.random.Generator], Pairs]  # the training rows of one epoch, with negatives where they are drawn
    whole: Callable[[np.random.Generator], Pairs]  # the same with the validation rows, once they have chosen the epoch
    train: Lists  # training rows as lists, for the gap between training and test
    valid: Lists  # choose the epoch
    test: Lists  # judge
    pairs: Pairs  # judge as classes
    truth: tuple[Array, Array] | None = None  # where outcomes are drawn from known probabilities: those of `pairs` (N, C),
    # and the expected gains by which `test` is best ranked (N, L)

    def batches(self, batch_size: int, whole: bool = False) -> Callable[[np.random.Generator], Iterator[Batch]]:
        """The function that `training.fit` asks for an epoch's batches: (inputs, labels), rows shuffled."""
        examples = self.whole if whole else self.examples

        def epoch(rng: np.random.Generator) -> Iterator[Batch]:
            all_rows = examples(rng)
            for part in shuffled_batches(rng, len(all_rows.labels), batch_size):
                yield batch_inputs(self.fields, {k: r[part] for k, r in all_rows.rows.items()}), all_rows.labels[part]

        return epoch


def read_split(path: str | Path, rng: np.random.Generator, negatives: int | None = None) -> tuple[Split, NDArray[np.int64]]:
    """Read any interactions file and return its split, with the negatives that each test item is ranked against.

    Shapes      -> Split, negatives (N, L): those of test row n are negatives[n]
    Convention  NAME.train.rating means NCF's three files, NAME.npz an archive; both bring their test items and negatives with
                them, and the last item of each user's training part becomes the validation item, or, without times, a drawn
                one, because such files are often sorted by item. Any other file is split by leave-one-out, ties in time by file
                order, and `negatives` of each test user's unmet items are drawn, 99 if None
    Raises      ValueError with file, line and what was expected there; if a user has not so many unmet items, or the file brings
                its own negatives and a number was asked for
    Source      He et al. 2017 (NCF, WWW), section 4.1

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "clicks.csv")
    ...     _ = open(path, "w").write("".join(f"{u},{i},1,{i}\\n" for u in "ab" for i in range(3)) + "c,3,1,0\\nc,4,1,1\\n")
    ...     split, negatives = read_split(path, np.random.default_rng(0), negatives=1)
    >>> split.test.items.tolist(), negatives.shape
    ([2, 2, 4], (3, 1))
    """
    name = str(path)
    if name.endswith((".train.rating", ".npz")):
        if negatives is not None:
            raise ValueError(f"{path} brings its own negatives, and {negatives} are asked for; leave the number out")
        whole, test, given = read_npz(path) if name.endswith(".npz") else read_ncf(name.removesuffix(".train.rating"))
        rest = leave_one_out(whole) if whole.times is not None else leave_one_out(whole, "draw", rng)
        # The test items came with the file: of the rest the last row is for validation, and the last but one trains too.
        learned = whole.rows(np.flatnonzero(np.isin(whole.pairs, rest.test.pairs, invert=True)))
        return Split(learned, rest.test, test), given
    split = leave_one_out(read(path))
    if negatives is not None and negatives < 1:
        raise ValueError(f"{negatives} negatives are asked for; a test item is ranked against 1 at least")
    count, users, items = 99 if negatives is None else negatives, split.test.users, split.test.n_items
    seen = seen_items(split.train, split.valid, split.test)
    unmet = items - np.diff(seen.offsets)[users]
    if len(users) and unmet.min() < count:
        who = split.test.user_ids[users[unmet.argmin()]]
        raise ValueError(
            f"{path}: user {who} has not met {unmet.min()} of {items} items, and is to be ranked against {count}; ask for as "
            "many negatives as everyone has, or fewer"
        )
    return split, sample_negatives(rng, users, seen, items, count)


def implicit(
    name: str, split: Split, negatives: NDArray[np.int64], rng: np.random.Generator, history: bool = False, per_positive: int = 4
) -> Problem:
    """Return the problem of ranking each user's held-out item above items never met: one logit, sampled negatives.

    Shapes      negatives (N, L), one row per row of split.test
    Convention  a user and an item are their ids, or, with `history`, the items bought and the buyers (training part only). In an
                epoch each training row meets `per_positive` fresh negatives that its user has not met in training. As classes a
                test item is judged against the first `per_positive` of its negatives, the proportion of training.
                The lists of the training part, one positive per user, have as many negatives, met in no part.
    Raises      ValueError if some user has met too many items to draw that many
    Source      He et al. 2017 (NCF, WWW), section 3.2; Deng et al. 2019 (DeepCF, AAAI) for histories

    >>> from tinycompress.interactions import Interactions
    >>> ids = [str(n) for n in range(9)]
    >>> part = lambda item: Interactions(np.array([0, 1]), np.array([item, item + 1]), None, None, ids[:2], ids)
    >>> problem = implicit("toy", Split(part(0), part(2), part(4)), np.array([[7], [8]]), np.random.default_rng(0))
    >>> problem.test.rows["item"].tolist(), problem.test.relevance.tolist()
    ([4, 7, 5, 8], [[1.0, 0.0], [1.0, 0.0]])
    """
    train, test = split.train, split.test
    met = seen_items(train, split.valid, test)
    count = negatives.shape[1]

    def lists(users: NDArray[np.int64], items: NDArray[np.int64], others: NDArray[np.int64]) -> Lists:
        candidates, relevance = ranking_lists(items, others)
        return Lists({"user": np.repeat(users, candidates.shape[1]), "item": candidates.reshape(-1)}, relevance)

    def drawn(part: Interactions) -> Lists:
        return lists(part.users, part.items, sample_negatives(rng, part.users, met, part.n_items, count))

    def examples_of(*parts: Interactions) -> Callable[[np.random.Generator], Pairs]:
        met_there = seen_items(*parts)

        def examples(rng: np.random.Generator) -> Pairs:
            # Negatives avoid what was met in these parts only: avoiding the test items would tell the model where they are.
            drawn = [implicit_examples(p, training_negatives(rng, p.users, met_there, p.n_items, per_positive)) for p in parts]
            users, items, labels = (np.concatenate(column) for column in zip(*drawn))
            return Pairs({"user": users, "item": items}, labels)

        return examples

    one_each = np.unique(train.users[rng.permutation(len(train))], return_index=True)[1]
    fields = (
        (history_field(train, "user"), history_field(train, "item"))
        if history
        else (id_field("user", train.n_users), id_field("item", train.n_items))
    )
    users, items, labels = implicit_examples(test, negatives[:, :per_positive])
    return Problem(
        name, fields, "bce", 1, examples_of(train), examples_of(train, split.valid),
        train=drawn(train.rows(one_each)), valid=drawn(split.valid), test=lists(test.users, test.items, negatives),
        pairs=Pairs({"user": users, "item": items}, labels.astype(np.int64)),
    )  # fmt: skip


def shop_problem(shop: Shop) -> Problem:
    """Return the problem of foretelling skip, click or buy for each product shown, and of ranking those of a search.

    Shapes      three logits per impression; lists of L candidates with relevance 0 skip, 1 click, 2 buy
    Convention  training rows are not learned from twice: the validation sessions choose the epoch and stay unlearned. The lists
                of the training part are as many as those of the test part, the first ones.
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> problem.outputs, problem.test.relevance.shape, [field.name for field in problem.fields][:2]
    (3, (8, 25), ['user id', 'query words'])
    """

    def lists(sessions: Sessions, count: int) -> Lists:
        length = sessions.products.shape[1]
        return Lists(
            {entity: rows[: count * length] for entity, rows in sessions.rows.items()},
            sessions.outcomes[:count].astype(np.float32),
        )

    learned = Pairs(shop.train.rows, shop.train.labels)

    def examples(rng: np.random.Generator) -> Pairs:
        return learned

    count = len(shop.test.users)
    probabilities = shop.test.probabilities
    return Problem(
        "shop", shop_fields(shop), "cross_entropy", 3, examples, examples,
        train=lists(shop.train, count), valid=lists(shop.valid, len(shop.valid.users)), test=lists(shop.test, count),
        pairs=Pairs(shop.test.rows, shop.test.labels),
        truth=(probabilities.reshape(-1, 3), probabilities @ np.arange(3.0)),
    )  # fmt: skip
