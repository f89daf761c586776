"""Coefficient tables against values of R 4.2.2 (pt, qt, pnorm, qnorm)."""

import numpy as np
import pytest

from ranef.inference.coverage import t_quantile
from ranef.report.coefficients import coefficient_table, interval_table, t_pvalue


def test_p_values_match_r_far_into_the_tail():
    # R: 2*pt(-47.76850879272715, 1028), 2*pt(-4.380194965493926, 889), 2*pnorm(-1.96)
    ours = t_pvalue([47.76850879272715, -4.380194965493926, 1.96], [1028, 889, np.inf])
    np.testing.assert_allclose(
        ours, [2.8887998227197104e-263, 1.3269597923503757e-05, 0.04999579029644087], rtol=1e-8
    )


def test_quantiles_match_printed_tables():
    np.testing.assert_allclose(
        t_quantile(0.95, [1, 10, np.inf]), [12.706204736, 2.228138852, 1.959963985], rtol=1e-9
    )


def test_table_has_the_documented_columns_and_keeps_aliased_rows():
    table = coefficient_table(["a", "b"], [1.0, np.nan], [0.5, np.nan], 10.0)
    assert list(table.columns) == ["estimate", "se", "df", "t", "pvalue"]
    assert table.loc["a", "t"] == 2.0
    assert table.loc["b"].isna().all()


def test_interval_is_symmetric_and_level_is_checked():
    frame = interval_table(["a"], [1.0], [2.0], np.inf)
    np.testing.assert_allclose(frame.loc["a"], [1 - 2 * 1.959963985, 1 + 2 * 1.959963985])
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval_table(["a"], [1.0], [2.0], np.inf, level=95)
