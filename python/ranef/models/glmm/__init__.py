"""Generalised linear mixed models: kernel, criterion, search, estimate."""
