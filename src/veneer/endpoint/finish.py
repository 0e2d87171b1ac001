"""How an answer ended: one table brings the words of many servers to five kinds (docs/endpoints.md
shows it)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """finished: the model ended its answer. cut: a limit of tokens ended it. withheld: a filter
    took it, or a part of it. failed: there is no answer, whatever text came. unknown: the server
    does not say, or says a word that is not in the table. Only the first three are answers."""

    FINISHED = "finished"
    CUT = "cut"
    WITHHELD = "withheld"
    FAILED = "failed"
    UNKNOWN = "unknown"


# OpenAI's, for what is stored
WORD = {Ending.FINISHED: "stop", Ending.CUT: "length", Ending.WITHHELD: "content_filter"}

# The words are those of OpenAI, Azure, Anthropic, Gemini and Vertex AI, Mistral, Cohere, DeepSeek,
# xAI, Z.AI, Bedrock, Together, AI21, Aleph Alpha, OpenRouter, LiteLLM, vLLM, SGLang, TGI, llama.cpp
# and Ollama, in lower case with "_" between their parts.
_FINISHED = """
stop eos eos_token eos_found end end_turn endturn end_of_turn end_of_text endoftext
end_of_sequence stop_sequence stopsequence stop_string stop_str stop_token stop_word complete
completed finish finished done
"""
_CUT = """
length max_tokens max_token max_length max_new_tokens max_output_tokens max_completion_tokens
maximum_tokens max_tokens_exceeded model_length model_context_window_exceeded
context_length_exceeded context_length context_window_exceeded token_limit length_limit
length_capped limit truncated incomplete error_limit repetition
"""
_WITHHELD = """
content_filter content_filtered contentfilter contentfiltered content_policy safety recitation
language blocklist prohibited_content spii image_safety sensitive refusal guardrail_intervened
moderation blocked flagged error_toxic toxic jailbreak
"""
_FAILED = """
error abort aborted cancel cancelled canceled user_cancel failed failure timeout network_error
server_error internal_error engine_error unavailable overloaded insufficient_system_resource
insufficient_resources other load unload pause_turn malformed_model_output malformed_response
missing_thought_signature no_image
"""
_TOOLS = """
tool_calls tool_call tool_use tool function_call function_calls function_call_filter
malformed_function_call malformed_tool_use unexpected_tool_call too_many_tool_calls
"""

_TABLE = {
    word: ending
    for words, ending in (
        (_FINISHED, Ending.FINISHED),
        (_CUT, Ending.CUT),
        (_WITHHELD, Ending.WITHHELD),
        (f"{_FAILED} {_TOOLS}", Ending.FAILED),
    )
    for word in words.split()
}


def words_of(ending: Ending) -> list[str]:
    """Return the words of the table that stand for this ending, sorted."""
    return sorted(word for word, e in _TABLE.items() if e is ending)


def ending_of(word: Any) -> Ending:
    """Return the kind of a finish reason. Enumerations ("FinishReason.MAX_TOKENS"), explained ones
    ("content_filter: RECITATION") and SGLang's own form ({"type": "stop", "matched": 2}) are read
    as well; null, a missing and an empty one are unknown."""
    return _TABLE.get(_plain(word), Ending.UNKNOWN)


def is_tool_call(word: Any) -> bool:
    """Return whether the model called a tool, or tried to."""
    return _plain(word) in _TOOLS.split()


def word_of(reason: Any) -> str | None:
    """Return the word of a finish reason; None where it has none. SGLang and HELM store an object
    with the word ({"type": "length", "length": 16}, {"reason": "length"})."""
    if isinstance(reason, dict):
        reason = reason.get("type", reason.get("reason"))
    return reason if isinstance(reason, str) else None


def _plain(reason: Any) -> str:
    word = (word_of(reason) or "").partition(":")[0].strip().rpartition(".")[2]
    # endTurn, MaxTokens
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word) if not word.isupper() else word
    return re.sub(r"[\s-]+", "_", word).lower().removeprefix("finish_reason_")
