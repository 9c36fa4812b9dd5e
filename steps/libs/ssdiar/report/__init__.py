"""The report of an experiment set: a page to listen to and correct, and tables of scores or of who spoke how long."""
