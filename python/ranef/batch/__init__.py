"""Batches of fits: responses, groups, folders of results."""
