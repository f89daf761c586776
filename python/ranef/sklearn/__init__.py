"""Mixed models, and learners with random effects, as estimators of scikit-learn."""

from .learners import GroupEmbedding, REEMRegressor
from .mixed import MixedClassifier, MixedRegressor

__all__ = ["GroupEmbedding", "MixedClassifier", "MixedRegressor", "REEMRegressor"]
