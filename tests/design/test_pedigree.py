"""Pedigrees against the tabular method: A row by row, from founders to the youngest."""

import numpy as np
import pandas as pd
import pytest

import ranef


def tabular(sire, dam):
    """Additive relationships; parents by number, before their offspring, -1 for unknown ones."""
    n = len(sire)
    A = np.zeros((n, n))
    for i in range(n):
        for parent in (sire[i], dam[i]):
            if parent >= 0:
                A[i, :i] += 0.5 * A[parent, :i]
        A[:i, i] = A[i, :i]
        both = sire[i] >= 0 and dam[i] >= 0
        A[i, i] = 1.0 + (0.5 * A[sire[i], dam[i]] if both else 0.0)
    return A


def herd(n, seed, founders=6):
    """Draw parents at random among the animals before, some unknown; sexes alternate."""
    rng = np.random.default_rng(seed)
    sire, dam = np.full(n, -1), np.full(n, -1)
    for i in range(founders, n):
        males, females = np.arange(0, i, 2), np.arange(1, i, 2)
        if rng.random() < 0.9:
            sire[i] = rng.choice(males[-8:])
        if rng.random() < 0.9:
            dam[i] = rng.choice(females[-8:])
    return sire, dam


@pytest.mark.parametrize("seed", range(4))
def test_inverse_and_inbreeding(seed):
    sire, dam = herd(60, seed)
    A = tabular(sire, dam)
    names = np.array([f"a{i}" for i in range(60)] + [None], dtype=object)
    shuffle = np.random.default_rng(seed).permutation(60)  # rows may stand in any order
    found = ranef.pedigree(names[shuffle], names[sire][shuffle], names[dam][shuffle])
    assert list(found.labels) == list(names[shuffle])
    expected = A[np.ix_(shuffle, shuffle)]
    assert expected.diagonal().max() > 1.1
    np.testing.assert_allclose(found.precision.toarray(), np.linalg.inv(expected), atol=1e-8)
    np.testing.assert_allclose(found.inbreeding, expected.diagonal() - 1.0, atol=1e-12)
    assert found.inbreeding.index.equals(found.labels)


def test_parents_without_a_row_are_founders():
    found = ranef.pedigree([3, 4], [1, 1], [2, None])
    assert found.labels.tolist() == [1, 2, 3, 4]
    A = np.linalg.inv(found.precision.toarray())
    np.testing.assert_allclose(A[2], [0.5, 0.5, 1.0, 0.25])
    assert (ranef.pedigree(["x"], [""], [" "]).diagonal == 1.0).all()


@pytest.mark.parametrize(
    ("id", "sire", "dam", "message"),
    [
        (["a", "a"], [None, None], [None, None], "'a' repeat"),
        (["a", None], [None, None], [None, None], "id is missing in 1 row"),
        (["a", "b"], ["b", "a"], [None, None], "is its own ancestor"),
        (["a"], ["a"], [None], "'a' is its own parent"),
        (["a", "b", "c"], [None, "a", None], [None, None, "a"], "'a' are sire of one animal and"),
        (["a", "b"], [None], [None, None], "id, sire and dam have 2, 1 and 2 values"),
        ([1, 2], ["1", None], [None, None], "different types"),
        ([1.5, 2.0], [None, None], [None, None], "fractions"),
    ],
)
def test_refusals(id, sire, dam, message):
    with pytest.raises(ranef.DataError, match=message):
        ranef.pedigree(id, sire, dam)


def test_a_loop_is_named_by_descent():
    with pytest.raises(ranef.DataError, match=r"'[abc]' of '[abc]' of '[abc]' of '[abc]'"):
        ranef.pedigree(["a", "b", "c", "d"], ["b", "c", "a", "a"], [None] * 4)


def test_draws_have_the_covariance():
    sire, dam = herd(20, 1)
    found = ranef.pedigree(range(20), *(pd.Series(p).where(p >= 0) for p in (sire, dam)))
    draws = found.draw(np.random.default_rng(1), 40_000)
    A = tabular(sire, dam)
    assert np.abs(draws @ draws.T / 40_000 - A).max() < 0.06


def test_precision_reads_dense_sparse_and_labelled():
    from scipy.sparse import csc_array

    Q = np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]])
    labels = ["a", "b", "c"]
    given = (Q, csc_array(Q), pd.DataFrame(Q, labels, labels))
    for matrix in given:
        found = ranef.Precision(matrix, labels)
        np.testing.assert_array_equal(found.precision.toarray(), Q)
        np.testing.assert_allclose(found.diagonal, np.linalg.inv(Q).diagonal())
    assert ranef.Precision(given[2]).labels.tolist() == labels


@pytest.mark.parametrize(
    ("Q", "labels", "message"),
    [
        (np.eye(2), None, "needs the labels"),
        (np.eye(3), ["a", "b"], r"shape \(3, 3\) for 2 labels"),
        (np.eye(2), ["a", "a"], "'a' repeat"),
        ([[1.0, 0.5], [0.2, 1.0]], ["a", "b"], "not symmetric: its elements for 'a', 'b'"),
        ([[1.0, 2.0], [2.0, 1.0]], ["a", "b"], "1 eigenvalue is negative, the smallest is -1"),
        ([[1.0, np.nan], [np.nan, 1.0]], ["a", "b"], "missing or infinite"),
        ([["x", "y"], ["z", "w"]], ["a", "b"], "not numbers"),
    ],
)
def test_precision_refusals(Q, labels, message):
    with pytest.raises(ranef.DataError, match=message):
        ranef.Precision(Q, labels)


@pytest.mark.parametrize(
    ("sire", "label"),
    [([0, 0, 1], "0"), (["0", "", "a"], "'0'"), (["*", None, "a"], r"'\*'")],
)
def test_what_stands_for_unknown_parents_is_no_animal(sire, label):
    animals = [1, 2, 3] if isinstance(sire[0], int) else ["a", "b", "c"]
    with pytest.raises(ranef.DataError, match=f"{label} occurs as a parent but has no row"):
        ranef.pedigree(animals, sire, [None, None, animals[1]])


def test_an_animal_called_zero_has_a_row():
    found = ranef.pedigree([0, 1, 2], [None, 0, 0], [None, None, 1])
    assert found.inbreeding.tolist() == [0.0, 0.0, 0.25]
