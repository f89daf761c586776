"""Mixed-effects models for Python, with a C++ core."""
