"""What every other room stands on: errors, files, the record of a run, the table of results."""
