"""Mixed models as estimators of scikit-learn."""

from .mixed import MixedClassifier, MixedRegressor

__all__ = ["MixedClassifier", "MixedRegressor"]
