"""How much probability is left for classes that have no label yet."""

import numpy as np
import pytest

from labelloop.learning.missing_mass import missing_mass


def test_nothing_is_left_once_every_class_has_a_label() -> None:
    assert missing_mass(np.array([1, 1, 1]), 3) == 0.0
    assert missing_mass(np.array([40, 2]), 2) == 0.0


def test_classes_met_once_tell_of_others_still_to_be_met() -> None:
    alone, together = np.array([1, 1, 1, 1]), np.array([2, 2])
    assert missing_mass(alone, 10) > missing_mass(together, 10)
    assert missing_mass(together, 10) == pytest.approx(1 / 5)


def test_few_classes_that_are_left_get_no_more_than_succession_gives_them() -> None:
    assert missing_mass(np.array([1, 1]), 3) == pytest.approx(1 / 5)


def test_a_thousand_classes_that_never_occur_take_next_to_nothing() -> None:
    assert missing_mass(np.array([50, 50]), 1000) == pytest.approx(1 / 101)


def test_it_is_near_what_is_really_missing() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(30))
    told, true = [], []
    for seed in range(200):
        counts = np.random.default_rng(seed).multinomial(20, shares)
        told.append(missing_mass(counts[counts > 0], 30))
        true.append(shares[counts == 0].sum())
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.05)
