"""Embeddings: texts as vectors of unit length, whose similarity is their product."""

from veneer.embed.embedder import Embedder
from veneer.embed.load import load_embedder

__all__ = ["Embedder", "load_embedder"]
