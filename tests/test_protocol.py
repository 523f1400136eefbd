import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ageboost import ProtocolError
from ageboost.datasets import read_utkface
from ageboost.evaluation import UTKFACE_PROTOCOL, FoldProtocol, bootstrap_interval


def table_of(contents, folds):
    """Photos that differ by one number each."""
    photos = [np.full((2, 2, 3), content, np.uint8) for content in contents]
    return pd.DataFrame({"photo": photos, "age": 30, "fold": list(folds)})


def contents_of(table):
    return {photo.flat[0] for photo in table["photo"]}


tables = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), min_size=1, max_size=40)


@given(tables)
def test_no_photo_is_on_both_sides_of_any_split(rows):
    table = table_of(*zip(*rows, strict=True))
    protocol = FoldProtocol((0, 1), (2, 3), (4, 5))
    for train, held_out in [protocol.split(table), *protocol.folds(table)]:
        assert not contents_of(train) & contents_of(held_out)


@given(tables)
def test_photos_for_testing_come_out_of_no_split(rows):
    table = table_of(*zip(*rows, strict=True))
    protocol = FoldProtocol((0, 1), (2, 3), (4, 5))
    for parts in [protocol.split(table), *protocol.folds(table)]:
        for part in parts:
            assert not part["fold"].isin([4, 5]).any()


def test_each_fold_is_held_out_once():
    table = table_of(range(8), [0, 1, 2, 3, 0, 1, 2, 4])
    held_out = [part for _, part in FoldProtocol((0, 1), (2, 3), (4,)).folds(table)]
    assert pd.concat(held_out).index.sort_values().tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_the_test_part_opens_once(tmp_path):
    table = table_of([1, 2, 3, 1], [0, 1, 2, 2])
    protocol = FoldProtocol((0,), (1,), (2,))
    train, test = protocol.open_test(table, tmp_path / "opened.json")
    assert train.index.tolist() == [0, 1]
    assert test.index.tolist() == [2], "row 3 is a copy of row 0, which trains"
    with pytest.raises(ProtocolError, match=r"opened\.json"):
        protocol.open_test(table, tmp_path / "opened.json")


def test_a_test_part_that_is_not_there_is_refused_and_leaves_no_record(tmp_path):
    with pytest.raises(ProtocolError, match="no photos of the test folds"):
        FoldProtocol((0,), (1,), (2,)).open_test(table_of([1], [0]), tmp_path / "opened.json")
    assert not list(tmp_path.iterdir())


def test_a_fold_cannot_have_two_roles():
    with pytest.raises(ValueError, match="two roles"):
        FoldProtocol((0, 1), (1,), (2,))


def test_a_table_without_folds_is_refused():
    with pytest.raises(ProtocolError, match="fold"):
        UTKFACE_PROTOCOL.split(pd.DataFrame({"photo": [], "age": []}))


def test_the_same_seed_gives_the_same_interval():
    errors = np.random.default_rng(0).exponential(4, 500)
    first, second = (bootstrap_interval(errors, random_state=3) for _ in range(2))
    assert first == second
    assert first[0] < errors.mean() < first[1]


def test_an_interval_of_no_values_is_nan():
    assert np.isnan(bootstrap_interval([np.nan])).all()


@given(st.lists(st.floats(0, 50), min_size=1, max_size=50))
def test_an_interval_lies_within_the_values(values):
    low, high = bootstrap_interval(values, n_draws=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@pytest.mark.slow
def test_copies_in_utkface_never_train_for_photos_that_they_copy(utkface):
    train, validation = UTKFACE_PROTOCOL.split(read_utkface(utkface))

    def digest(path):
        with open(path, "rb") as file:
            return hashlib.sha1(file.read()).digest()

    assert not set(train["photo"].map(digest)) & set(validation["photo"].map(digest))
    assert len(train) > 14_000
    assert len(validation) > 4_600
