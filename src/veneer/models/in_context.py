"""In-context alignment: a base model answers behind instructions, and perhaps
examples, in fenced text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.models.formats import encode_text
from veneer.prompts.prompt import Prompt

FENCE = "```"
# what ends an answer; the first keeps the fence's line break out of it
STOP = (f"\n{FENCE}", FENCE, "# Query:")


@dataclass(frozen=True, slots=True)
class FencedFormat:
    """The layout of URIAL (Lin et al. 2023, arXiv 2312.01552): instructions and examples, then each
    query and answer in a fence under "# Query:" and "# Answer:". The query is the prompt's
    messages, not the text for a base model; a system message stands in front of the query that
    follows it. name: the instructions' name, for manifests."""

    name: str
    instructions: str

    def text(self, prompt: Prompt) -> str:
        """The text up to the open fence of the answer."""
        parts, waiting = [self.instructions.rstrip()], ""
        for message in prompt.messages:
            role, content = message["role"], message["content"]
            if role == "system":
                waiting += f"{content}\n\n"
                continue
            if role not in ("user", "assistant"):
                raise InputError(
                    f"prompt {prompt.id!r} has a message of role {role!r}; expected user, "
                    "assistant or system"
                )
            title = "# Query:" if role == "user" else "# Answer:"
            parts.append(f"{title}\n{FENCE}\n{waiting}{content}\n{FENCE}")
            waiting = ""
        return "\n\n".join([*parts, f"# Answer:\n{FENCE}\n"])

    def encode_text(self, tokenizer: Any, text: str) -> list[int]:
        return encode_text(tokenizer, text)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        return encode_text(tokenizer, self.text(prompt))

    def facts(self) -> dict[str, Any]:
        return {"kind": "fenced", "name": self.name, "sha256": sha256_text(self.instructions)}
