"""Figures that the papers print, computed again from their published data."""
