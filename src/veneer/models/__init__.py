"""Any causal language model: load it, read and write its head, encode prompts for
it, decode with it."""
