"""The base of all other packages: errors, files, the record of a run, the table of results."""
