"""Second opinions on a fit: other starts, other searches, diagnosis, remedies."""
