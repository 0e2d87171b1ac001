"""A client for OpenAI-compatible endpoints: retries, bounded concurrency, a cache;
nothing is asked twice."""

from veneer.endpoint.client import Endpoint
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.reply import ChatRequest, Reply, Usage

__all__ = ["ChatRequest", "Endpoint", "EndpointConfig", "Reply", "Usage"]
