"""Errors in the form that OpenAI's clients read: {"error": {"message", "type", "param",
"code"}}."""

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
    """A refused request. message: for the client, so without paths and inner workings; param: the
    field at fault."""

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
    """Return a 503, after which clients try again in a second."""
    return ApiError(503, message, code=code, headers={"Retry-After": "1"})


def failed() -> ApiError:
    """Return the 500 of a fault of the server itself; only the server's log holds the cause."""
    return ApiError(500, "the server failed on this request; its log says why", code="server_error")
