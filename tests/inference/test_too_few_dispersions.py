"""Moderation of dispersions says how many there are when there are too few."""

import numpy as np
import pytest

from ranef.inference.hypotheses.dispersions import pilot_trend


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("fits", [1, 2, 5])
def test_too_few_dispersions_are_counted(known: int, fits: int) -> None:
    estimate = np.full(fits, np.nan)
    estimate[:known] = 0.5
    with pytest.raises(ValueError, match=f"{known} of {fits} is: fit more responses"):
        pilot_trend(estimate, np.ones(fits), np.zeros(fits))
