"""Requests to a server on loopback, and an endpoint that waits little between attempts."""

from __future__ import annotations

from veneer.endpoint import ChatRequest, EndpointConfig


def config(url: str, **words) -> EndpointConfig:
    quick = {
        "first_wait": 0.01,
        "longest_wait": 0.02,
        "timeout": 5.0,
        "key_env": "VENEER_TEST_KEY",
        "retries": 3,
    }
    return EndpointConfig(url, "stand-in", **{**quick, **words})


def ask(*texts: str) -> list[ChatRequest]:
    return [ChatRequest(({"role": "user", "content": t},), {"temperature": 0}) for t in texts]
