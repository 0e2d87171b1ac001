"""Veneer's systems in other people's tools."""
