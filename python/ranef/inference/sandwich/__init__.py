"""Cluster-robust covariances and the tests that rest on them."""
