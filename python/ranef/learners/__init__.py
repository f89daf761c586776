"""Learners with random effects: trees, forests, boosting and any regressor of scikit-learn."""
