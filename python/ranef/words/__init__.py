"""Words of other packages, and what each is called here."""
