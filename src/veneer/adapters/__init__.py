"""Adapters that let other tools use Veneer's systems."""
