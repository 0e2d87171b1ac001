"""The result of an import: responses, prompts where the file stores them, and counts of what was
dropped, changed or noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from veneer.endpoint.finish import WORD, Ending, ending_of, is_tool_call, word_of
from veneer.foundation.errors import InputError
from veneer.foundation.reading.turns import Turns
from veneer.foundation.text import FENCE, clean, is_no_text, without_end_tokens
from veneer.imports.rows import as_response
from veneer.prompts.files import transcript
from veneer.prompts.prompt import Prompt
from veneer.reasoning import split_reasoning
from veneer.systems.responses import Response

BROKEN = "error: the answer broke off"
TOOL = "error: a tool was called in place of an answer"
MARK = "error: a mark of an error in place of the answer ($ERROR$, #NAME?)"
WORDS = ("none", "nan", "null")
WORD_ALONE = "the word None, nan or null alone: perhaps a request that failed"
ENDED = "end tokens of a chat template (<|im_end|>, </s>) removed"
HALF = "half of a character written as ?"
WITHHELD = "marked by a content filter"


@dataclass(frozen=True, slots=True)
class Rules:
    """How stored answers are treated; every rule can be turned off. A failed answer is always
    dropped, whatever text it holds.

    clean: strip, and drop one closing code fence. drop_truncated: drop answers that ended at the
    token limit, where the file shows it (in the words of any server, endpoint/finish.py).
    drop_empty: drop answers without text once cleaned, and those that hold reasoning alone.
    drop_repeated: drop a second row of a system for the same prompt and sample number. answer_only:
    where an answer continues with blocks of its own ("# Answer:", "# Query:"), keep the answer
    alone. Equal answers of different samples always stay: without them a system would look more
    varied than it is.
    """

    clean: bool = True
    drop_truncated: bool = True
    drop_empty: bool = True
    drop_repeated: bool = True
    answer_only: bool = False


AS_STORED = Rules(clean=False, drop_truncated=False, drop_empty=False)
"""As the published figures count: every answer that is a text, whole; the measures
clean it themselves."""


@dataclass
class Imported:
    """Imported answers. dropped: reason -> number of answers dropped. noticed: sentence -> number
    of answers that stayed and that it concerns. numbered: whether the reader numbered the prompts,
    since the file gives them no ids. ids: id in the file -> id that the answers have now, where
    they were joined with those of other files (joined.py)."""

    source: str
    format: str
    rules: Rules = field(default_factory=Rules)
    responses: list[Response] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)
    numbered: bool = False
    ids: dict[str, str] = field(default_factory=dict)
    _seen: set[tuple[str, str, str, int]] = field(default_factory=set, repr=False)
    _prompts: dict[str, tuple[str, Turns]] = field(default_factory=dict, repr=False)

    def put_prompt(
        self,
        prompt_id: str,
        turns: Turns,
        where: str,
        *,
        plain: str | None = None,
        task: str = "prompts",
        cluster: str | None = None,
    ) -> None:
        """Add the prompt that a row stores, once. plain: the text that base read, where the file
        has it. cluster: as a `Prompt` has it.

        Raises InputError where an earlier row has another prompt under the same id: an answer would
        belong to the wrong one.
        """
        before = self._prompts.setdefault(prompt_id, (where, turns))
        if before[1] != turns:
            raise InputError(
                f"{where} has the id {prompt_id!r} and another prompt than {before[0]}; give each "
                "prompt its own id"
            )
        if before[0] == where:
            alone = len(turns) == 1
            text = (
                plain if plain is not None else turns[0]["content"] if alone else transcript(turns)
            )
            self.prompts.append(Prompt(prompt_id, turns, text, task, cluster=cluster))

    def put(
        self,
        prompt_id: str,
        sample_id: int,
        system: str,
        text: str,
        *,
        task: str = "prompts",
        finish: Any = None,
        fenced: bool = False,
        seed: int = 0,
        reasoning: str | None = None,
    ) -> None:
        """Add one stored answer under the rules. finish: why it ended, as the file stores it.
        fenced: its prompt opened a code fence, so a whole answer closes it. reasoning: what the
        file keeps apart from the answer; a thought that is part of the text is removed from it
        (docs/thinking.md)."""
        rules = self.rules
        if text != _valid(text):
            self.noticed[HALF] += 1
        text, prompt_id, system, task, finish = map(
            _valid, (text, prompt_id, system, task, word_of(finish) or "")
        )
        ending = ending_of(finish)
        if ending is Ending.FAILED:
            self.dropped[TOOL if is_tool_call(finish) else BROKEN] += 1
            return
        if is_no_text(text):
            self.dropped[MARK] += 1
            return
        if text.strip().lower() in WORDS:
            self.noticed[WORD_ALONE] += 1
        parts = split_reasoning(text)
        thoughts = [_valid(t) for t in (reasoning, parts.reasoning) if t is not None]
        reasoning, text = "\n\n".join(thoughts) if thoughts else None, parts.answer
        if (whole := without_end_tokens(text)) != text:
            self.noticed[ENDED] += 1
            text = whole
        if parts.reasoning is not None:
            self.noticed["reasoning taken out of the answer's text"] += 1
        if fenced and not text.strip().endswith(FENCE):
            self.noticed["no closing fence: mostly truncated or running on"] += 1
        if rules.answer_only:
            text = own_answer(text)
        if rules.clean:
            cleaned = clean(text)
            if len(cleaned) < len(text.strip()):
                self.noticed["closing fence removed"] += 1
            text = cleaned
        if ending is Ending.CUT:
            if rules.drop_truncated:
                self.dropped["truncated at the token limit"] += 1
                return
            self.noticed["truncated at the token limit"] += 1
        if not clean(text):
            why = "empty" if reasoning is None else "unfinished: reasoning and no answer"
            if rules.drop_empty:
                self.dropped[why] += 1
                return
            self.noticed[why] += 1
        key = (system, task, prompt_id, sample_id)
        if key in self._seen and rules.drop_repeated:
            self.dropped["a second answer for the same prompt and sample number"] += 1
            return
        self._seen.add(key)
        if ending is Ending.WITHHELD:
            self.noticed[WITHHELD] += 1
        ended = WORD.get(ending) or finish or "unknown"
        self.responses.append(
            as_response(prompt_id, sample_id, system, task, text, ended, seed, reasoning)
        )

    def name(self, system: str) -> None:
        """Give the answers' system another name; of several systems, keep the one that has this
        name. Raises InputError where there are several and none has it: their answers to one prompt
        would be taken for samples of one system."""
        names = list(dict.fromkeys(r.system for r in self.responses))
        if len(names) > 1 and system not in names:
            shown = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
            raise InputError(
                f"{self.source} holds answers of {len(names)} systems ({shown}), and none is "
                f"called {system!r}; name one of them as the file does, or give a file of one "
                "system alone"
            )
        if system not in names:
            self.responses = [replace(r, system=system) for r in self.responses]
        elif others := sum(r.system != system for r in self.responses):
            self.responses = [r for r in self.responses if r.system == system]
            self.dropped["another system's answer"] += others

    def rename(self, ids: Mapping[str, str]) -> None:
        """Give prompts and answers other ids."""
        self.ids = dict(ids)
        self.prompts = [replace(p, id=ids[p.id]) for p in self.prompts]
        self.responses = [replace(r, prompt_id=ids[r.prompt_id]) for r in self.responses]

    def summary(self) -> list[str]:
        """Return what happened, one line per fact, for people."""
        prompts = len({r.prompt_id for r in self.responses})
        lines = [
            f"{self.source} ({self.format}): {len(self.responses)} answers to {prompts} prompts"
        ]
        lines += [f"  dropped {n}: {why}" for why, n in self.dropped.most_common()]
        lines += [f"  kept {n}: {what}" for what, n in self.noticed.most_common()]
        return lines


def own_answer(text: str) -> str:
    """Return the answer of a text that continues with its own blocks: behind its first "# Answer:"
    fence, if there is one, up to the fence that closes it or to the next "# Query:" block (arXiv
    2406.17692, the summary-cot outputs)."""
    head, marker, rest = text.partition("# Answer:\n" + FENCE + "\n")
    if marker and "# Query:" not in head:
        text = rest
    return text.partition("\n# Query:")[0].partition("\n" + FENCE)[0].strip()


def _valid(text: str) -> str:
    """Replace halves of characters (lone surrogates), which no tokenizer and no file can hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
