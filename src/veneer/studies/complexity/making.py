"""Which programs a study makes of a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.foundation.files import ScratchFolder
from veneer.foundation.progress import Progress
from veneer.head.config import ExtractConfig
from veneer.head.events import solver_progress
from veneer.head.extract import split_of
from veneer.head.veneer import Veneer
from veneer.measures.extraction import extract_to
from veneer.models.formats import TextFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.complexity.head_programs import HeadCandidate, HeadCoding, front_of
from veneer.studies.complexity.program import encoder, files
from veneer.studies.complexity.program.decoders import data as data_decoder
from veneer.studies.complexity.program.decoders import head as head_decoder
from veneer.studies.complexity.program.decoders import lora as lora_decoder
from veneer.studies.complexity.programs import (
    BEFORE,
    FENCED,
    Program,
    Workshop,
    as_decoders_do,
    with_factors,
)
from veneer.studies.complexity.settings import ProgramSettings
from veneer.systems.in_context import in_context_format
from veneer.systems.lora import LoraConfig, chosen, examples_of
from veneer.systems.tuning import Example, answer_loss, sharing

BIAS_STEP = -2  # of the bias control, in logits, as a power of two
FLOAT_BITS = 16  # of one parameter in the published formula


class Making:
    """Makes the programs of one study. tried: view -> number of programs that were coded."""

    def __init__(
        self,
        workshop: Workshop,
        pair: Pair,
        capture: Capture,
        veneer: Veneer,
        prompts: Sequence[Prompt],
        out: Path,
        extraction: ExtractConfig,
        settings: ProgramSettings,
        longest_exchange: int,
        progress: Progress | None = None,
    ):
        self.workshop, self.pair, self.capture = workshop, pair, capture
        self.veneer, self.prompts, self.out = veneer, prompts, out
        self.extraction, self.settings = extraction, settings
        self.longest_exchange, self.progress = longest_exchange, progress
        self.split = split_of(capture, extraction.seed, extraction.tasks)
        self.tried: dict[str, int] = {}
        self.left_out: list[dict[str, Any]] = []

    def head(self) -> list[Program]:
        """Low-rank heads near the front on the select part."""
        coding = HeadCoding(self.capture, self.split, self.extraction)
        candidates = [c for r in self.settings.ranks for c in self._heads(coding, r)]
        self.tried["head"] = len(candidates)
        kept = front_of(candidates, self.settings.keep)
        return self._checked(self._written("head", kept))

    def controls(self) -> list[Program]:
        """The shuffled control at the smallest rank's and the largest rank's coding, and a constant
        per row."""
        coding = HeadCoding(self.capture, self.split, self.extraction, shuffled=True)
        ranks = sorted({min(self.settings.ranks), max(self.settings.ranks)})
        shuffled = [c for r in ranks for c in self._heads(coding, r, shuffled=True)]
        self.tried["shuffled"] = len(shuffled)
        programs = self._written("shuffled", front_of(shuffled, 2))
        config = replace(self.extraction, output="bias")
        bias = extract_to(self.capture, config, self.out / "veneer-bias", log=self._log())
        if bias.bias is not None:
            rows = bias.changed_rows()
            numbers = encoder.HeadNumbers.of_bias(
                bias.vocabulary, bias.width, bias.bias, rows, BIAS_STEP
            )
            if len(numbers.rows):
                self.tried["bias"] = 1
                programs.append(self._head("bias", "r0", numbers.payload(), {"step": BIAS_STEP}))
        return self._checked(programs)

    def text(self) -> list[Program]:
        """URIAL's instructions, with and without its examples, and answers of the aligned model."""
        expected: dict[str, str] = {}
        programs = []
        for label, prompt, place in self._prompts():
            length = len(self.pair.base.tokenizer(prompt, verbose=False)["input_ids"])
            longest = self.pair.base.longest
            if longest is not None and length + self.longest_exchange > longest:
                self._leave_out("text", label, "too_long", tokens=length)
                continue
            programs.append(self._text_program(label, prompt, place))
            expected[programs[-1].file] = prompt

        def right(program: Program) -> bool:
            path = self.workshop.folder(program) / files.RESULTS["text"]
            return path.read_bytes() == expected[program.file].encode()

        kept = self._checked(programs, right)
        for program in programs:  # this build's tables may differ between two processes
            if program.file not in {k.file for k in kept}:
                prompt, place = expected[program.file], program.facts["place"]
                again = self._text_program(program.label, prompt, place, portable=True)
                kept += self._checked([again], right)
        return kept

    def _text_program(
        self, label: str, prompt: str, place: str, *, portable: bool = False
    ) -> Program:
        base = self.pair.base
        with as_decoders_do():
            payload, coded, ideal = encoder.text_payload(
                base.model, base.tokenizer, prompt, portable=portable
            )
        self._try("text")
        facts = {"place": place, "coder": "model" if coded else "lzma"}
        more = {"published_bits": int(np.ceil(ideal)), "facts": facts}
        return self.workshop.write("text", label, "text", payload, **more)

    def lora(self) -> list[Program]:
        """Adapters trained on the train part's answers, at each rank and step."""
        examples = self._examples(max(self.settings.data_examples))
        programs = []
        for rank in self.settings.lora_ranks:
            rate, factors = self._trained("lora", examples, rank)
            parameters = sum(t.numel() for pair in factors for t in pair)
            for step in self.settings.lora_steps:
                payload = encoder.lora_payload(factors, step)
                self._try("lora")
                facts = {"rank": rank, "step": step, "examples": len(examples), "rate": rate}
                more = {"published_bits": FLOAT_BITS * parameters, "facts": facts}
                label = f"r{rank}-{len(payload)}B"
                programs.append(self.workshop.write("lora", label, "lora", payload, **more))
        return self._checked(programs)

    def data(self) -> list[Program]:
        """Prompts and answers that the decoder trains on."""
        s, programs = self.settings, []
        rank = min(s.lora_ranks)
        for count in sorted({min(n, len(self.split.train)) for n in s.data_examples}):
            examples = self._examples(count)
            rate, _ = self._trained("data", examples, rank)
            with as_decoders_do():
                payload, ideal = encoder.data_payload(
                    self.pair.base.model, examples, (rank, *self._training(rate))
                )
            self._try("data")
            facts = {"examples": count, "rank": rank, "rate": rate, "published": "static"}
            more = {"published_bits": int(np.ceil(ideal)), "facts": facts}
            programs.append(self.workshop.write("data", f"n{count}", "data", payload, **more))
        return self._checked(programs)

    def _heads(self, coding: HeadCoding, rank: int, **changes: Any) -> Iterator[HeadCandidate]:
        shuffled = changes.get("shuffled", False)
        folder = self.out / (f"control-rank-{rank}" if shuffled else f"veneer-rank-{rank}")
        config = replace(self.extraction, rank=rank, **changes)
        start = None if shuffled else self.veneer
        veneer = extract_to(self.capture, config, folder, log=self._log(), start=start)
        if self.progress:
            self.progress(0, 0, f"code {'the shuffled control' if shuffled else 'heads'}")
        return coding.candidates(veneer, self.settings.steps, self.settings.prices)

    def _written(self, view: str, candidates: Sequence[HeadCandidate]) -> list[Program]:
        programs = []
        for c in candidates:
            facts = {"rank": c.rank, "step": c.step, "price": c.price, "select_kl": c.select_kl}
            programs.append(self._head(view, f"r{c.rank}", c.payload, facts))
        return programs

    def _head(self, view: str, label: str, payload: bytes, facts: dict[str, Any]) -> Program:
        published = FLOAT_BITS * self.capture.head.rows * self.capture.head.width
        more = {"published_bits": published, "facts": facts}
        return self.workshop.write(view, f"{label}-{len(payload)}B", "head", payload, **more)

    def _checked(
        self, programs: Sequence[Program], right: Callable[[Program], bool] | None = None
    ) -> list[Program]:
        """The programs whose decoded file is what was encoded; the others are left out by name.

        right: whether a program was decoded to what was encoded. Without it, head and LoRA files
        are decoded in this process as well, and data programs in a second fresh process.
        """
        kept = []
        for program in self.workshop.decoded(programs):
            if (right or self._agrees)(program):
                kept.append(program)
            else:
                self.workshop.drop(program)
                self._leave_out(program.view, program.label, "decodes_to_something_else")
        return kept

    def _agrees(self, program: Program) -> bool:
        if program.kind == "data":
            return self.workshop.again(program)
        decoder: Any = {"head": head_decoder, "lora": lora_decoder}[program.kind]
        payload = (self.workshop.programs / program.file).read_bytes()[9:-4]
        with ScratchFolder("veneer-decode") as scratch:
            decoder.decode(payload, self.pair.base.model, None, scratch)
            return files.digest(program.kind, scratch) == program.sha256

    def _prompts(self) -> Iterator[tuple[str, str, str]]:
        """Label, text and place of each text program."""
        for name in self.settings.texts:
            yield name, in_context_format(name).instructions, FENCED
        form = self.pair.base_format
        if not isinstance(form, TextFormat):
            return
        most = len(self.split.train)
        for count in sorted({min(n, most) for n in self.settings.text_examples}):
            yield f"examples-{count}", self._examples_text(form, count), BEFORE

    def _examples_text(self, form: TextFormat, count: int) -> str:
        numbers = chosen(self.capture, self.split.train, LoraConfig(count, seed=self.seed))
        answers = {r["number"]: r["token_ids"] for r in self.capture.responses()}
        decode = self.pair.base.tokenizer.decode
        texts = [
            form.text(self.prompts[n]) + decode(answers[n], skip_special_tokens=True)
            for n in numbers
        ]
        return "".join(f"{text.rstrip()}\n\n" for text in texts)

    def _examples(self, count: int) -> list[Example]:
        count = min(count, len(self.split.train))
        numbers = chosen(self.capture, self.split.train, LoraConfig(count, seed=self.seed))
        return examples_of(self.pair, self.capture, numbers)

    def _trained(
        self, view: str, examples: Sequence[Example], rank: int
    ) -> tuple[float, list[tuple[Tensor, Tensor]]]:
        """The rate that is best on the select part, and its factors in the order of the layers."""
        select = examples_of(self.pair, self.capture, self.split.select)
        best: tuple[float, float, list[tuple[Tensor, Tensor]]] | None = None
        for rate in self.settings.rates:
            if self.progress:
                self.progress(0, 0, f"train {view}")
            with as_decoders_do():
                twin = sharing(self.pair.base.model)
                numbers = self._training(rate)
                factors = data_decoder.train(twin, examples, rank, *numbers)
            self._try(f"{view} training")
            lm = with_factors(self.pair.base, factors)
            with torch.no_grad():
                loss = float(answer_loss(lm, select))
            if best is None or loss < best[0]:
                best = (loss, rate, list(factors.values()))
        assert best is not None
        return best[1], best[2]

    def _training(self, rate: float) -> tuple[int, int, int, int]:
        """Rate in units of the data decoder, epochs, batch, seed."""
        s = self.settings
        return round(rate * data_decoder.RATE), s.epochs, s.batch, self.seed

    def _try(self, view: str) -> None:
        self.tried[view] = self.tried.get(view, 0) + 1

    def _leave_out(self, view: str, label: str, reason: str, **facts: Any) -> None:
        self.left_out.append({"view": view, "label": label, "reason": reason, **facts})

    @property
    def seed(self) -> int:
        return self.extraction.seed

    def _log(self) -> Any:
        return solver_progress(self.progress)
