"""Toy problems of users and items, small enough to look at."""

import numpy as np

from tinycompress.interactions import Interactions
from tinycompress.problems import implicit, shop_problem
from tinycompress.shop import make_shop


def part(pairs, n_users, n_items):
    """Interactions of (user, item) pairs, under ids "0", "1" ..."""
    ids = [str(n) for n in range(n_items)]
    users, items = np.array(pairs).T
    return Interactions(users, items, None, None, ids[:n_users], ids)


def kinds(split, negatives, n_impressions):
    """The same split as ids and as histories, and a shop."""
    of = {kind: implicit("x", split, negatives, np.random.default_rng(2), history=kind == "history") for kind in ("ids", "history")}
    return of | {"shop": shop_problem(make_shop(np.random.default_rng(0), n_impressions=n_impressions))}
