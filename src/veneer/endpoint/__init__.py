"""A client for OpenAI-compatible endpoints: retries, bounded concurrency, and a cache, so that no
request is paid for twice."""

from veneer.endpoint.client import Endpoint
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.reply import ChatRequest, Reply, Usage

__all__ = ["ChatRequest", "Endpoint", "EndpointConfig", "Reply", "Usage"]
