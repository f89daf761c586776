"""Tests of hypotheses and terms, and their degrees of freedom."""
