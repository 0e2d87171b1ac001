"""veneer tasks: list the tasks, or show the prompts of one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from veneer.foundation.settings import Option, refuse_unused
from veneer.terminal.options import Machine, data_folder
from veneer.terminal.output import MessageOptions
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.prompts.prompt import Prompt
    from veneer.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class TasksTemplates(TemplateOptions):
    """What base and the aligned model read around each prompt (docs/chat-templates.md)."""

    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes."""
    system: str | None = None
    """System text for the chat template."""


@dataclass(frozen=True, kw_only=True)
class TasksCommand:
    """List the tasks, or with `show NAME` print a task's prompts as base and the aligned model read
    them, and how it is scored."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer tasks",
        "veneer tasks show lab-sums -n 3 --aligned lab:aligned",
    )

    words: Annotated[tuple[str, ...], Option(positional=True, metavar="[show NAME]")] = ()
    """`show` and a task's name, or a custom task file."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    n: Annotated[int, Option(alias="-n")] = 2
    """Number of prompts to show."""
    split: Literal["train", "test"] = "test"
    """Part of the prompts to show."""
    aligned: str | None = None
    """An aligned model, whose chat template then renders the messages."""
    json: bool = False
    """Print JSON instead of a table."""
    templates: TasksTemplates = field(default_factory=TasksTemplates)
    machine: Machine = field(default_factory=Machine)
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from veneer.foundation.errors import InputError

        if self.words and (len(self.words) != 2 or self.words[0] != "show"):
            raise InputError(
                f"found `veneer tasks {' '.join(self.words)}`; expected `veneer tasks` or `veneer "
                "tasks show NAME`"
            )
        if self.n < 1:
            raise InputError(f"found -n {self.n}; expected 1 or more")
        if not self.words:
            refuse_unused(self, "without show NAME", "n", "split", "aligned")
            refuse_unused(self.templates, "without show NAME")
        if self.aligned is None:
            self.machine.refuse_loading("without --aligned")
        else:
            self.machine.refuse_unread(self.aligned)
        facts: Any = self._shown(self.words[1]) if self.words else self._listed()
        if self.json:
            print(json.dumps(facts, ensure_ascii=False, indent=1))
        elif self.words:
            _print_task(facts)
        else:
            _print_list(facts)

    def _listed(self) -> list[dict[str, Any]]:
        from veneer.foundation.errors import InputError
        from veneer.tasks.registry import importable_tasks

        out = []
        for task in importable_tasks(data_folder(self.data)):
            row = _facts(task)
            if task.available():
                try:
                    row |= {split: len(task.prompts(split)) for split in ("train", "test")}
                except InputError as error:  # one broken file does not hide the other tasks
                    row["problem"] = str(error)
            out.append(row)
        return out

    def _shown(self, name: str) -> dict[str, Any]:
        from veneer.foundation.errors import InputError
        from veneer.models.formats import PlainFormat, given_format
        from veneer.tasks.registry import get_task

        base = given_format(self.templates.base_template)
        if not isinstance(base, PlainFormat):
            raise InputError(
                "a chat template belongs to a model's tokenizer; give a template with {prompt} "
                "in it"
            )
        task = get_task(name, data_folder(self.data))
        prompts = task.prompts(self.split)
        if not prompts:
            raise InputError(
                f"{name} has no {self.split} prompts, it is measured only; show its test prompts"
            )
        system = self.templates.system
        rendered = self._rendered(prompts[: self.n])
        shown = [
            {
                "id": p.id,
                "base": base.text(p),
                "aligned": ([] if system is None else [{"role": "system", "content": system}])
                + list(p.messages),
                "aligned_rendered": text,
                "reference": p.reference,
                "group": task.group(p),
                "cluster": task.cluster(p),
            }
            for p, text in zip(prompts, rendered, strict=False)
        ]
        sizes = {split: len(task.prompts(split)) for split in ("train", "test")}
        return {
            **_facts(task),
            **sizes,
            "data": task.source(),
            "split": self.split,
            "prompts": shown,
        }

    def _rendered(self, prompts: list[Prompt]) -> list[str | None]:
        """The prompts as the aligned model's chat template puts them, special tokens and all."""
        if self.aligned is None:
            self.templates.refuse_template_options("without --aligned")
            return [None] * len(prompts)
        from veneer.models.formats import check_arguments
        from veneer.models.load import load_model

        tokenizer = load_model(self.aligned, **self.machine.how()).tokenizer
        form = self.templates.chat_format(self.templates.system)
        check_arguments(form, tokenizer)
        return [
            tokenizer.decode(form.encode(tokenizer, p), skip_special_tokens=False) for p in prompts
        ]


def _facts(task: Task) -> dict[str, Any]:
    """Return what describes a task, without its prompts."""
    from veneer.tasks.task import PACKAGED

    return {
        "name": task.name,
        "kind": task.kind,
        "headlines": dict(task.headlines),
        "headline_judges": dict(task.headline_judges),
        "judges": list(task.judges),
        "needs_judge": task.needs_judge,
        "scoring": task.scoring,
        "stop": list(task.stop),
        "max_new_tokens": task.max_new_tokens,
        "published_max_new_tokens": task.published_max_new_tokens,
        "from": task.source()["from"] if task.origin is PACKAGED else task.origin.repository,
        "licence": task.licence,
        "citation": task.citation,
    }


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 200  # one line per task
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("task", "kind", "train", "test", "headline", "judges", "data", "licence"):
        table.add_column(heading, justify="right" if heading in ("train", "test") else "left")
    for row in rows:
        headline, better = next(iter(row["headlines"].items()))
        sizes = [str(row[split]) if split in row else "-" for split in ("train", "test")]
        judges = ", ".join(row["judges"]) + (" *" if row["needs_judge"] else "")
        table.add_row(
            row["name"],
            row["kind"],
            *sizes,
            f"{headline} {better}",
            judges,
            row["from"],
            row["licence"],
        )
    console.print(table)
    console.print()
    console.print(
        "- is data that is missing (--data or VENEER_DATA names its folder); * needs a judge "
        "model, and is left out unless named;"
    )
    console.print("your own task is a file: veneer tasks show file:NAME.jsonl (docs/tasks.md)")
    for row in rows:
        if "problem" in row:
            console.print(f"{row['name']}: {row['problem']}")


def _print_task(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    files = facts["data"]["files"]
    lines = {
        "task": f"{facts['name']} ({facts['kind']})",
        "prompts": f"{facts['train']} train, {facts['test']} test",
        "headlines": ", ".join(
            f"{metric} {better}" for metric, better in facts["headlines"].items()
        ),
        "judges": (", ".join(facts["judges"]) or "none")
        + (" (needs a judge model)" if facts["needs_judge"] else ""),
        "scoring": facts["scoring"],
        "ends at": ", ".join(json.dumps(s, ensure_ascii=False) for s in facts["stop"])
        or "the end of turn alone",
        "limits": (
            f"{facts['max_new_tokens']} new tokens, {facts['published_max_new_tokens']} "
            "with --published"
        ),
        "data": (
            f"{facts['from']} ({facts['licence']}), {len(files)} "
            f"file{'' if len(files) == 1 else 's'}"
        ),
        "left out": _left_out(facts["data"].get("left_out")),
        "citation": facts["citation"],
    }
    for what, text in lines.items():
        if text:
            console.print(Text.assemble((f"{what:<10}", "bold"), text), soft_wrap=True)
    for prompt in facts["prompts"]:
        console.print()
        console.print(Text(f"{facts['split']} prompt {prompt['id']}", style="bold"))
        parts = {"base reads": prompt["base"]}
        if prompt["aligned_rendered"] is None:
            parts |= {
                f"aligned reads ({m['role']}, through its chat template)": m["content"]
                for m in prompt["aligned"]
            }
        else:
            parts["aligned reads"] = prompt["aligned_rendered"]
        for key, name in (("reference", "reference"), ("group", "group"), ("cluster", "cluster")):
            if prompt[key]:
                parts[name] = (
                    prompt[key]
                    if isinstance(prompt[key], str)
                    else json.dumps(prompt[key], ensure_ascii=False)
                )
        for what, text in parts.items():
            console.print(Text(f"  {what}", style="dim"))
            for line in _visible(text).split("\n"):
                console.print(Text(f"    {line}"), soft_wrap=True)


def _left_out(facts: dict[str, Any] | None) -> str:
    if not facts:
        return ""
    kinds = ", ".join(f"{n} {kind}" for kind, n in facts.get("error_types", {}).items())
    return f"{facts['prompts']} prompts ({facts['why']}{': ' if kinds else ''}{kinds})"


def _visible(text: str) -> str:
    """The text with control characters as escapes, so that a terminal does not obey them."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
