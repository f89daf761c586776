"""Words of other packages, and their names here."""
