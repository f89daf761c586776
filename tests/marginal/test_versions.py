"""Versions of other packages that do not work together are named."""

import pytest

from ranef.marginal.adapter import check_versions


def test_marginaleffects_says_which_polars_it_needs():
    with pytest.raises(ImportError, match=r'pip install "polars<2"'):
        check_versions("0.6.0", "2.1.0")
    for pair in (("0.6.0", "1.35.2"), ("0.7.1", "2.1.0"), ("1.0", "2.0")):
        check_versions(*pair)
