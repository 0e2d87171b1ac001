"""Fitting of the built-in judges."""
