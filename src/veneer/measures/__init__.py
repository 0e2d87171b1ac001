"""Measures that several studies share: rows of results from captures and from answers."""
