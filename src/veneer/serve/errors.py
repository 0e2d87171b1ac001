"""Errors as OpenAI's clients read them: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class ApiError(Exception):
    """A request that is not answered. message: for the client, so without paths or inner workings;
    param: the field at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        kind = TYPES.get(self.status, "invalid_request_error")
        return {
            "error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        }


def unavailable(message: str, code: str) -> ApiError:
    """503, which clients try again after a second."""
    return ApiError(503, message, code=code, headers={"Retry-After": "1"})


def failed() -> ApiError:
    """500 of a fault that is the server's own; what it was stands in the server's log only."""
    return ApiError(500, "the server failed on this request; its log says why", code="server_error")
