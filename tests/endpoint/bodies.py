"""Error bodies as servers really sent them, from public reports; (where it was reported, status,
body, what it is)."""

from __future__ import annotations

from typing import Any

from veneer.endpoint.failure import Fault

PASSING = "passing"
FILTERED = "filtered"
LONG = "long"

# (source, status, body, kind): kind is PASSING, FILTERED, LONG or a Fault.
REPORTED: list[tuple[str, int, Any, str]] = [
    (
        "langchain-ai/langchainjs#1929",
        429,
        {
            "error": {
                "message": (
                    "You exceeded your current quota, please check your plan and billing details."
                ),
                "type": "insufficient_quota",
                "param": None,
                "code": "insufficient_quota",
            }
        },
        Fault.QUOTA,
    ),
    (
        "continuedev/continue#9853",
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "code": "invalid_request_error",
            }
        },
        Fault.QUOTA,
    ),
    (
        "google rate limits, a minute's",
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and "
                    "billing details. Please retry in 37.9s.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"retryDelay": "37s"}],
                }
            }
        ],
        PASSING,
    ),
    (
        "Aider-AI/aider#3550",
        429,
        {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}},
        PASSING,
    ),
    (
        "stanford-crfm/helm#3327",
        400,
        {
            "error": {
                "message": (
                    "The response was filtered due to the prompt triggering Azure OpenAI's content "
                    "management policy."
                ),
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
            }
        },
        FILTERED,
    ),
    (
        "SWE-agent/mini-swe-agent#902",
        502,
        {
            "error": {
                "message": "This content was flagged for possible cybersecurity risk...",
                "code": 502,
            }
        },
        FILTERED,
    ),
    (
        "DeepSeek's Content Exists Risk",
        400,
        {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}},
        FILTERED,
    ),
    (
        "OpenRouter's moderation",
        403,
        {
            "error": {
                "code": 403,
                "message": "Your chosen model requires moderation and your input was flagged",
                "metadata": {"reasons": ["violence"]},
            }
        },
        FILTERED,
    ),
    (
        "ggml-org/llama.cpp#19774",
        400,
        {
            "error": {
                "code": 400,
                "message": "request (4390 tokens) exceeds the available context size (4096 "
                "tokens), try increasing it",
                "type": "exceed_context_size_error",
            }
        },
        LONG,
    ),
    (
        "ggml-org/llama.cpp#19774",
        500,
        {
            "error": {
                "code": 500,
                "message": "Context size has been exceeded.",
                "type": "server_error",
            }
        },
        LONG,
    ),
    (
        "OpenAI",
        400,
        {
            "error": {
                "message": (
                    "This model's maximum context length is 8192 tokens. However, your messages "
                    "resulted in 9000 tokens. Please reduce the length of the messages."
                ),
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
        LONG,
    ),
    (
        "vLLM",
        400,
        {
            "object": "error",
            "message": (
                "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum "
                "context length is 2048 tokens and your request has 12 input tokens (4096 > "
                "2048 - 12)."
            ),
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        LONG,
    ),
    (
        "TGI",
        422,
        {
            "error": (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. "
                "Given: 2000 `inputs` tokens and 128 `max_new_tokens`"
            ),
            "error_type": "validation",
        },
        LONG,
    ),
    ("nginx", 413, "413 Request Entity Too Large", LONG),
    (
        "OpenAI",
        400,
        {
            "error": {
                "message": (
                    "max_tokens is too large: 5000. This model supports at most 4096 completion "
                    "tokens, whereas you provided 5000."
                ),
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "invalid_value",
            }
        },
        Fault.LIMIT,
    ),
    (
        "ollama",
        404,
        {
            "error": {
                "message": 'model "llama9" not found, try pulling it first',
                "type": "api_error",
            }
        },
        Fault.MODEL,
    ),
    (
        "vLLM",
        404,
        {
            "object": "error",
            "message": "The model `x` does not exist.",
            "type": "NotFoundError",
            "code": 404,
        },
        Fault.MODEL,
    ),
    (
        "OpenRouter",
        400,
        {"error": {"message": "x/y is not a valid model ID", "code": 400}},
        Fault.MODEL,
    ),
    (
        "Azure",
        404,
        {
            "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist.",
            }
        },
        Fault.MODEL,
    ),
    (
        "LiteLLM",
        400,
        {
            "error": {
                "message": (
                    "/chat/completions: Invalid model name passed in model=x. Call `/v1/models` "
                    "to view available models for your key."
                ),
                "type": None,
                "param": None,
                "code": "400",
            }
        },
        Fault.MODEL,
    ),
    ("sigoden/aichat#1100", 404, "404 page not found", Fault.ADDRESS),
    ("FastAPI", 404, {"detail": "Not Found"}, Fault.ADDRESS),
    (
        "OpenAI",
        404,
        {
            "error": {
                "message": "Invalid URL (POST /v1/v1/chat/completions)",
                "type": "invalid_request_error",
            }
        },
        Fault.ADDRESS,
    ),
    ("FastAPI", 405, {"detail": "Method Not Allowed"}, Fault.ADDRESS),
    (
        "OpenAI",
        401,
        {
            "error": {
                "message": "Incorrect API key provided: sk-1.",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
        },
        Fault.KEY,
    ),
    (
        "OpenAI",
        403,
        {
            "error": {
                "code": "unsupported_country_region_territory",
                "message": "Country, region, or territory not supported",
                "param": None,
                "type": "request_forbidden",
            }
        },
        Fault.PERMISSION,
    ),
    (
        "Mistral",
        422,
        {
            "object": "error",
            "message": {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "seed"],
                        "msg": "Extra inputs are not permitted",
                        "input": 1,
                    }
                ]
            },
            "type": "invalid_request_error",
        },
        Fault.REQUEST,
    ),
    (
        "Google",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        Fault.KEY,
    ),
    (
        "OpenRouter",
        404,
        {
            "error": {
                "message": "No endpoints found that can handle the requested parameters.",
                "code": 404,
            }
        },
        Fault.REQUEST,
    ),
    (
        "OpenRouter",
        404,
        {"error": {"message": "No endpoints found for x/y.", "code": 404}},
        Fault.MODEL,
    ),
    (
        "Groq",
        400,
        {
            "error": {
                "message": "The model `x` has been decommissioned and is no longer supported.",
                "code": "model_decommissioned",
            }
        },
        Fault.MODEL,
    ),
    ("Azure", 404, {"error": {"code": "404", "message": "Resource not found"}}, Fault.ADDRESS),
    ("a gateway", 451, "Unavailable For Legal Reasons", "own"),
    (
        "llama.cpp",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        PASSING,
    ),
    (
        "Anthropic",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        PASSING,
    ),
    (
        "Cloudflare",
        522,
        "<html><head><title>522: Connection timed out</title></head><body>x</body></html>",
        PASSING,
    ),
    ("Cloudflare", 523, "<html>Origin is unreachable</html>", PASSING),
    ("an HTTP status", 408, "", PASSING),
    ("an HTTP status", 409, "", PASSING),
    ("an HTTP status", 425, "", PASSING),
]

# (source, body, kind): with status 200.
INSIDE: list[tuple[str, Any, str]] = [
    (
        "Aider-AI/aider#3550",
        {
            "error": {"message": "Rate limit exceeded: free-models-per-minute", "code": 429},
            "user_id": "u",
        },
        PASSING,
    ),
    (
        "oobabooga/textgen#7257",
        {
            "error": {
                "code": 400,
                "message": (
                    "the request exceeds the available context size. try increasing the context "
                    "size or enable context shift"
                ),
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 14429,
                "n_ctx": 8192,
            }
        },
        LONG,
    ),
    (
        "modelscope/evalscope#252",
        {
            "object": "error",
            "message": (
                "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are "
                "not permitted', 'input': 42}]"
            ),
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        Fault.REQUEST,
    ),
    (
        "Alishahryar1/free-claude-code#542",
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid JSON payload received. Unknown name "google": Cannot '
                    "find field.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        Fault.REQUEST,
    ),
    (
        "LM Studio",
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        Fault.ADDRESS,
    ),
    (
        "speakeasy-api/gram#3129",
        {"choices": [], "error": {"message": "Upstream overloaded", "code": 502}},
        PASSING,
    ),
    (
        "MiniMax",
        {
            "choices": None,
            "base_resp": {"status_code": 1004, "status_msg": "login fail: no API key"},
        },
        Fault.KEY,
    ),
    ("FastAPI", {"detail": "Internal failure"}, "steady"),
    ("Baidu", {"error_code": 18, "error_msg": "Open api qps request limit reached"}, "steady"),
    (
        "OpenAI's type alone",
        {"error": {"message": "The server had an error", "type": "server_error", "code": None}},
        "steady",
    ),
    (
        "Anthropic",
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        PASSING,
    ),
]
