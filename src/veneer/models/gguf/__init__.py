"""GGUF files, llama.cpp's format: a merged folder written as one, and what a file says that
transformers leaves out."""
