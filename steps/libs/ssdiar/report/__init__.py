"""The report of an experiment set: what its systems scored, collected once and shown as a table."""
