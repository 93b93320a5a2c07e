"""Data sets split by others: all parts in the same codes, nothing added, nothing lost."""
import gzip

import numpy as np
import pytest

from tinycompress.prepared import count_clashes, read_ncf, read_npz

TRAIN = "a\t7\t5\t10\na\t8\t1\t11\nb\t7\t2\t12\na\t7\t4\t13\n"  # (a, 7) twice
TEST = "b\t9\t3\t14\na\t10\t4\t15\n"
NEGATIVE = "(b,9)\t8\t12\t10\n(a,10)\t9\t8\t11\n"


def write(folder, zipped=False):
    for end, text in (("train.rating", TRAIN), ("test.rating", TEST), ("test.negative", NEGATIVE)):
        path = folder / f"tiny.{end}{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    return read_ncf(folder / "tiny")


def test_the_triple_comes_back_as_it_was_written(tmp_path):
    train, test, negatives = write(tmp_path)
    user, item = train.user_ids, train.item_ids
    assert user == ["a", "b"] and item == ["7", "8", "9", "10", "12", "11"]
    triples = lambda part: [(user[u], item[i], v, t) for u, i, v, t in zip(part.users, part.items, part.values, part.times)]  # noqa: E731
    assert triples(train) == [("a", "8", 1, 11), ("b", "7", 2, 12), ("a", "7", 4, 13)], "the last line of a pair"
    assert triples(test) == [("b", "9", 3, 14), ("a", "10", 4, 15)]
    assert [[item[i] for i in row] for row in negatives] == [["8", "12", "10"], ["9", "8", "11"]]
    assert test.user_ids is user and test.item_ids is item and negatives.flags["C_CONTIGUOUS"]


def test_gzipped_parts_are_found(tmp_path):
    plain, zipped = (write(tmp_path / name) for name in ("plain", "zipped") if (tmp_path / name).mkdir() is None)
    assert plain[0].pairs.tolist() == zipped[0].pairs.tolist() and (plain[2] == zipped[2]).all()
    assert write(tmp_path, zipped=True)[1].pairs.tolist() == plain[1].pairs.tolist()


def test_an_archive_comes_back_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"train_user": [0, 0, 2], "train_item": [3, 1, 3], "train_time": [7, 8, 9], "test_user": [2, 1], "test_item": [0, 5]}
    negatives = rng.integers(0, 9, (2, 7))
    path = tmp_path / "tiny.npz"
    for dtype in (np.int16, np.uint8, np.int64):
        np.savez(path, negatives=negatives.astype(dtype), **{name: np.array(array, dtype) for name, array in arrays.items()})
        train, test, found = read_npz(path)
        assert train.users.tolist() == [0, 0, 2] and train.items.tolist() == [3, 1, 3] and train.times.tolist() == [7, 8, 9]
        assert test.users.tolist() == [2, 1] and test.items.tolist() == [0, 5] and test.times is None
        assert (found == negatives).all() and found.dtype == np.int64
        assert train.user_ids == ["0", "1", "2"] and train.n_items == max(5, negatives.max()) + 1


def test_clashes_are_counted(tmp_path):
    train, test, negatives = write(tmp_path)
    assert list(count_clashes(train, test, negatives).values()) == [0, 0, 1, 0], "(a, 8) is in train"
    negatives = np.array([[2, 4, 4], [0, 1, 3]])  # 9, the positive of b, and twice 12; 7 and 8, both of a, and 10, its positive
    assert list(count_clashes(train, test, negatives).values()) == [0, 2, 2, 1]
    assert count_clashes(train, train, np.zeros((3, 0), int))["test rows seen in training"] == 3


def test_a_prepared_file_loses_no_row(tmp_path):
    """Its test items are given; of the rest the last row of each user is for validation, and every other one trains."""
    from tinycompress.problems import read_split

    rows = [(u, i, 1, 10 * u + i) for u in range(3) for i in range(4)]
    name = tmp_path / "toy"
    (tmp_path / "toy.train.rating").write_text("".join("\t".join(map(str, r)) + "\n" for r in rows))
    (tmp_path / "toy.test.rating").write_text("".join(f"{u}\t4\t1\t99\n" for u in range(3)))
    (tmp_path / "toy.test.negative").write_text("".join(f"({u},4)\t5\t6\n" for u in range(3)))
    split, negatives = read_split(f"{name}.train.rating", np.random.default_rng(0))
    kept = sorted(split.train.pairs.tolist() + split.valid.pairs.tolist())
    assert len(kept) == len(rows) and len(set(kept)) == len(rows) and len(split.valid) == 3 and negatives.shape == (3, 2)
    with pytest.raises(ValueError, match="toy.train.rating brings its own negatives, and 5 are asked for; leave"):
        read_split(f"{name}.train.rating", np.random.default_rng(0), 5)


def test_who_has_met_too_much_is_named_as_the_file_does(tmp_path):
    from tinycompress.problems import read_split

    path = tmp_path / "clicks.csv"
    path.write_text("".join(f"{user},{item},1,{item}\n" for user, most in (("ann", 4), ("bob", 6)) for item in range(most)) + "eve,7,1,1\n")
    with pytest.raises(ValueError, match="user bob has not met 1 of 7 items, and is to be ranked against 2; ask for as many"):
        read_split(path, np.random.default_rng(0), 2)
    with pytest.raises(ValueError, match="0 negatives are asked for"):
        read_split(path, np.random.default_rng(0), 0)
    assert read_split(path, np.random.default_rng(0), 1)[1].shape == (2, 1)
    with pytest.raises(ValueError, match="ranked against 99"):
        read_split(path, np.random.default_rng(0))
