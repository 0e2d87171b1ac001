"""veneer import: stored answers of other programs as responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from veneer.foundation.settings import Option, refuse_unused
from veneer.terminal.output import MessageOptions

if TYPE_CHECKING:
    from veneer.imports import Imported
    from veneer.prompts.prompt import Prompt

Kind = Literal[
    "auto",
    "overton-open",
    "overton-api",
    "overton-judge",
    "bertscore",
    "embeddings",
    "jsonl",
    "inspect",
    "lm-eval",
    "batch",
    "alpaca-eval",
    "model-answers",
    "harmbench",
    "jailbreakbench",
    "wildbench",
    "garak",
    "promptfoo",
    "helm",
]


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Read stored answers, list what was dropped and why, and write them as `veneer generate`
    does."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer import outputs.json --format alpaca-eval --out answers.jsonl",
        "veneer import batch.jsonl --prompts prompts.jsonl --system mine --out answers.jsonl",
    )

    source: Annotated[str, Option(positional=True, metavar="FILE")]
    """The file with the stored answers."""
    out: Annotated[str, Option(metavar="FILE")]
    """File for the answers, JSON lines; prompts in the file are written to OUT.prompts.jsonl."""
    format: Kind = "auto"
    """auto looks at the file. overton-*, bertscore, embeddings: the files published beside
    arXiv 2406.17692."""
    system: Annotated[str | None, Option(metavar="NAME")] = None
    """Name of the system that answered. Default: as the file says, or the name of its folder. For a
    file with several systems: the one whose answers are imported."""
    prompts: str | None = None
    """Prompts of the answers, as a prompt file (overton-judge, overton-api, batch and model-answers
    files hold none)."""
    no_clean: bool = False
    """Keep white space around the text and the code fence that closes it."""
    keep_truncated: bool = False
    """Keep answers that ended at the token limit."""
    keep_empty: bool = False
    """Keep answers without text."""
    keep_repeated: bool = False
    """Keep further answers for the same prompt and sample number."""
    answer_only: bool = False
    """Where further blocks follow an answer ("# Answer:", "# Query:"), keep the answer alone."""
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from veneer.foundation.errors import InputError
        from veneer.foundation.files import json_lines
        from veneer.imports import Rules, read_stored
        from veneer.imports.registry import PROMPTS
        from veneer.imports.tables import other_rows
        from veneer.prompts.files import read_prompts

        if self.format in ("overton-judge", "bertscore", "embeddings"):
            answers = ("system", *(f"keep_{kind}" for kind in ("truncated", "empty", "repeated")))
            where = f"with --format {self.format}"
            refuse_unused(self, where, *answers, "no_clean", "answer_only")
            if self.format != "overton-judge":
                refuse_unused(self, where, "prompts")
        source, out = Path(self.source), Path(self.out)
        given = None if self.prompts is None else read_prompts(self.prompts)
        if self.format in ("overton-judge", "bertscore", "embeddings"):
            rows, summary = other_rows(source, self.format, None if given is None else len(given))
            _write({out: json_lines(rows)})
            print(f"{source} ({self.format}): {summary}\n{len(rows)} rows in {out}")
            return
        rules = Rules(
            not self.no_clean,
            not self.keep_truncated,
            not self.keep_empty,
            not self.keep_repeated,
            self.answer_only,
        )
        imported = read_stored(source, self.format, rules, self.system)
        if not imported.responses:
            raise InputError(
                f"{'; '.join(line.strip() for line in imported.summary())}; expected at least one "
                "answer that stays"
            )
        if given is not None:
            _check_same(imported, given, self.prompts or "")
        prompts = given or imported.prompts
        texts = {out: "".join(r.line() for r in imported.responses)}
        if prompts:
            beside = out.with_name(out.name + PROMPTS)
            texts = {beside: json_lines(_stored(p) for p in prompts), **texts}
        _write(texts)
        print("\n".join(imported.summary()))
        print(
            f"{len(imported.responses)} answers in {out}"
            + (f", prompts in {beside}" if prompts else "")
        )


def _check_same(imported: Imported, prompts: list[Prompt], name: str) -> None:
    """Raises InputError where an answer would be given to another prompt than its
    own, or to none."""
    from veneer.foundation.errors import InputError

    by_id = {p.id: p for p in prompts}
    own = {p.id: p.messages[-1]["content"] for p in imported.prompts}
    for response in imported.responses:
        prompt = by_id.get(response.prompt_id)
        if prompt is None:
            raise InputError(
                f"{imported.source} answers the prompt {response.prompt_id!r}, and {name} has none "
                "with that id; give its prompts"
            )
        text = own.get(response.prompt_id, prompt.messages[-1]["content"])
        if text != prompt.messages[-1]["content"]:
            raise InputError(
                f"{imported.source} has {text[:60]!r} as the prompt {response.prompt_id!r}, and "
                f"{name} has {prompt.messages[-1]['content'][:60]!r}; give its own prompts, or "
                "leave --prompts out"
            )


def _stored(prompt: Prompt) -> dict[str, Any]:
    """A prompt as a row of a prompt file: its text, or its turns where they are several."""
    turns = prompt.messages
    alone = len(turns) == 1 and turns[0]["role"] == "user"
    return {
        "id": prompt.id,
        **({} if prompt.cluster is None else {"cluster": prompt.cluster}),
        **({"prompt": turns[0]["content"]} if alone else {"messages": list(turns)}),
    }


def _write(texts: dict[Path, str]) -> None:
    """Each text to its file; files with the same text stay unchanged (a second run of the same
    command, or of one that was killed)."""
    from veneer.foundation.errors import InputError
    from veneer.foundation.files import write_text

    other = [
        p
        for p, text in texts.items()
        if p.exists()
        and (not p.is_file() or p.read_bytes() != text.encode("utf-8", errors="replace"))
    ]
    if other:
        raise InputError(
            f"{other[0]} exists and holds something else; give another --out, or delete it"
        )
    for path, text in texts.items():
        if not path.exists():
            write_text(path, text)
