"""Prompts: the object, the files they are read from, and the templates around them."""
