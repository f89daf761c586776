"""Seeds of runs that report their seed."""

from __future__ import annotations

import numpy as np

__all__ = ["root_seed"]


def root_seed(seed: int | None) -> np.random.SeedSequence:
    """Make the root of a run's seeds; of none given, one of 32 bits, short enough to report.

    Examples
    --------
    >>> root_seed(7).entropy
    7
    >>> len(str(root_seed(None).entropy)) <= 10
    True
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    return np.random.SeedSequence(seed)
