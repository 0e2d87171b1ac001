"""IFEval: instructions that a program can check (Zhou et al. 2023, arXiv 2311.07911;
Apache-2.0). Measured only.

The checkers are lm-eval's, which follow the published ones (extra `ifeval`). Two of them count
sentences and words with nltk's punkt_tab model, which is no part of a package: without it the
prompts that need them are left out, and `source` says how many.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from veneer.foundation.errors import InputError, MissingExtra
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin, describe, locate
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split

FILE = "ifeval/input_data.jsonl"
FIELDS = ("key", "prompt", "instruction_id_list", "kwargs")
NEED_PUNKT = ("length_constraints:number_sentences", "change_case:capital_word_frequency")
LONGEST = 32_768  # characters that are looked at: some checkers take quadratic time on blanks


class Checkers(NamedTuple):
    """checkable: ids of the instructions that can be checked here. takes: id -> the names of its
    arguments. strict, loose: (example, answer) -> a result with follow_instruction_list."""

    checkable: frozenset[str]
    takes: Mapping[str, frozenset[str]]
    example: Callable[..., Any]
    strict: Callable[..., Any]
    loose: Callable[..., Any]


@dataclass(frozen=True)
class IFEval(Task):
    """prompt_strict, prompt_loose: whether all of a prompt's instructions are followed, in the
    answer as it is, or in one of eight variants of it (without markdown stars, its first or its
    last line). instruction_strict, instruction_loose: the share of them. (The published figure by
    instruction pools the instructions of all prompts; here n counts prompts.)
    """

    data: Path | None = None
    name = "ifeval"
    origin = Origin("google-research/google-research", {FILE: None})
    licence = "Apache-2.0"
    citation = "Zhou et al. 2023, arXiv 2311.07911"
    headlines: ClassVar[Mapping[str, Better]] = {"prompt_strict": "up", "instruction_strict": "up"}
    scoring = (
        "prompt_strict, prompt_loose: all instructions of a prompt are followed, in the answer as "
        "it is or in one of eight variants; instruction_strict, instruction_loose: the share of "
        "them; by lm-eval's checkers"
    )
    max_new_tokens = 512
    published_max_new_tokens = 1280

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        return [] if split == "train" else self._all()[0]

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        use, reference = checkers(), prompt.reference
        example = use.example(
            key=prompt.id,
            instruction_id_list=reference["instructions"],
            prompt=prompt.messages[-1]["content"],
            kwargs=reference["arguments"],
        )
        out = {}
        for how, check in (("strict", use.strict), ("loose", use.loose)):
            with _drawing_from(prompt.id):
                followed = check(example, text[:LONGEST]).follow_instruction_list
            out[f"prompt_{how}"] = float(all(followed))
            out[f"instruction_{how}"] = sum(followed) / len(followed)
        return out

    def source(self) -> dict[str, Any]:
        left_out = self._all()[1]
        return {
            **describe(self.origin, [locate(self.origin, FILE, self.data)]),
            "left_out": {"prompts": left_out, "why": "nltk's punkt_tab is not installed"}
            if left_out
            else None,
        }

    def _all(self) -> tuple[list[Prompt], int]:
        """Return the prompts that can be checked, and the number of those that cannot."""
        path = locate(self.origin, FILE, self.data)
        checkable = checkers().checkable
        prompts, left_out = [], 0
        for number, row in enumerate(read_rows(path, FIELDS, texts=("prompt",), id="key"), 1):
            instructions, arguments = row["instruction_id_list"], row["kwargs"]
            if not (
                isinstance(instructions, list)
                and instructions
                and isinstance(arguments, list)
                and len(instructions) == len(arguments)
            ):
                raise InputError(
                    f"{path} row {number} does not have as many kwargs as instructions; get "
                    "the file again"
                )
            if unknown := set(instructions) - checkable - set(NEED_PUNKT):
                raise InputError(
                    f"{path} row {number} asks for {sorted(unknown)[0]!r}, for which lm-eval "
                    "has no checker"
                )
            arguments = [
                _arguments(name, given, f"{path} row {number}")
                for name, given in zip(instructions, arguments, strict=True)
            ]
            if set(instructions) - checkable:
                left_out += 1
                continue
            prompts.append(
                Prompt.from_text(
                    f"ifeval-{row['key']}",
                    row["prompt"],
                    task=self.name,
                    instructions=instructions,
                    arguments=arguments,
                )
            )
        return prompts, left_out


def _arguments(name: str, given: Any, where: str) -> dict[str, Any]:
    """Return the arguments of an instruction: those that it takes, without the nulls with which the
    hub's copy fills the others, and with whole numbers as such, which pandas writes as 3.0.

    Raises InputError where one is missing or of another type: the checkers would draw one by
    chance, or read a list written as text letter by letter.
    """
    if not isinstance(given, dict):
        raise InputError(
            f"{where} has the kwargs {given!r:.60} for {name}; expected an object for each "
            "instruction; get the file again"
        )
    filled = {k: v for k, v in given.items() if v is not None and v != ""}
    filled = {k: v for k, v in filled.items() if not (isinstance(v, float) and math.isnan(v))}
    takes = checkers().takes[name]
    if wrong := sorted(set(filled) ^ takes):
        has = "has" if wrong[0] in filled else "lacks"
        raise InputError(
            f"{where} {has} the argument {wrong[0]!r} of {name}; expected "
            f"{', '.join(sorted(takes)) or 'none'}; get the file again"
        )
    return {
        k: _argument(k, v, f"{where} has the {k} {v!r:.60} for {name}") for k, v in filled.items()
    }


def _argument(key: str, value: Any, problem: str) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    whole = key.startswith(("num_", "nth_")) or key.endswith("frequency")
    listed = key in ("keywords", "forbidden_words")
    kind, what = (
        (int, "a whole number") if whole else (list, "a list") if listed else (str, "a text")
    )
    parts = value if listed and isinstance(value, list) else []
    if type(value) is not kind or not value or not all(isinstance(v, str) and v for v in parts):
        raise InputError(f"{problem}; expected {what}; get the file again")
    return value


@contextlib.contextmanager
def _drawing_from(seed: str) -> Iterator[None]:
    """Let a checker draw the same each time: it draws a letter where the data names a sign that is
    no letter, such as "#"."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@functools.cache
def checkers() -> Checkers:
    """Return lm-eval's checkers, with a fixed seed for the language detector, which draws. Raises
    MissingExtra without them.

    On import lm-eval tries to download punkt_tab, and prints; its output is dropped.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            langdetect, nltk = (
                importlib.import_module("langdetect"),
                importlib.import_module("nltk"),
            )
            from lm_eval.tasks.ifeval import instructions_registry, utils
    except ImportError:
        raise MissingExtra("lm_eval", "ifeval", "checking IFEval's instructions") from None
    langdetect.DetectorFactory.seed = 0
    checkable = set(instructions_registry.INSTRUCTION_DICT)
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        checkable -= set(NEED_PUNKT)
    return Checkers(
        frozenset(checkable),
        {
            name: frozenset(made(name).get_instruction_args_keys())
            for name, made in instructions_registry.INSTRUCTION_DICT.items()
        },
        utils.InputExample,
        utils.test_instruction_following_strict,
        utils.test_instruction_following_loose,
    )
