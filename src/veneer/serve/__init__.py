"""An OpenAI-compatible server for Veneer's systems (docs/serve.md)."""
