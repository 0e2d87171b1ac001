"""veneer transfer: a large base with a small base's veneer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veneer.terminal.options import JudgeOptions, Machine, data_folder, progress
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.head.veneer import Veneer
    from veneer.models.formats import Format
    from veneer.studies.transfer.config import TransferConfig
    from veneer.studies.transfer.models import TransferModels

ROLES = {
    "large": "large",
    "large_aligned": "large_aligned",
    "base": "small",
    "aligned": "small_aligned",
}


@dataclass(frozen=True, kw_only=True)
class Transfer(TemplateOptions, JudgeOptions, Machine):
    """Align a large base with the veneer of a small one: its logits are shifted by alpha dW h_s
    while it decodes. Measures the large base, the shifted systems, the shift baked into the large
    model's own head, the large model's own veneer and its aligned version on each task, how far
    each is from the large aligned model, and what each costs. Run again, it goes on where it
    was."""

    large: str
    """The large base model."""
    base: str
    """The small base model, which the veneer belongs to; it must share the large
    one's tokenizer."""
    out: str
    """Folder for everything that is made."""
    veneer: str | None = None
    """Folder of the small base's veneer. Default: extracted from --aligned."""
    aligned: str | None = None
    """The small aligned model: to extract the veneer from, or with --veneer as a reference."""
    large_aligned: str | None = None
    """The large aligned model, where there is one: distances, portions and --own are
    measured against it."""
    alphas: str = "0.5,1,1.5,1@10,1.5>0.5@10"
    """How much of the shift is added, separated by commas; each is a system. A number, or a
    schedule over the answer's positions: 1@10 (1 for the first 10, then 0), 1.5>0.5@10 (a line from
    1.5 to 0.5 at the tenth, constant after), 1.5~8 (half of it every 8 tokens). Quote > in a
    shell."""
    bake: bool = False
    """Distil the shift into the large model's own head, and measure that too. Of the alphas the one
    is baked that is nearest to the large aligned model on the select part of the train prompts;
    without that model, the one with the best headlines there."""
    own: bool = False
    """Extract the large model's own veneer and measure it too; needs --large-aligned."""
    systems: str | None = None
    """Systems to measure on the tasks, separated by commas: base, shifted-ALPHA (shifted: all),
    baked, veneer, aligned, small-base, small-veneer, small-aligned. Default: all that there are."""
    timing: int = 5
    """Rounds of the timing, each one batch a system; 0 leaves it out."""
    tasks: str | None = None
    """Tasks, separated by commas. Default: every task that the data folder has, that needs no judge
    model and is answered in words."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    where a pinned source is known."""
    base_template: str | None = None
    """Text around each prompt for the small base, with {prompt} where it goes. Default: what the
    veneer recorded, or else the text as it is."""
    large_template: str | None = None
    """The same for the large base. Default: the small base's."""
    system: str | None = None
    """System text for the aligned models' chat templates. Default: the templates' own."""
    aligned_plain: bool = False
    """The aligned models read plain text like the bases, for ones that have no chat template."""
    train: int = 200
    """Train prompts of each task, for captures and for the choice of alpha."""
    test: int | None = None
    """Test prompts of each task. Default: all."""
    limit: int | None = None
    """At most so many train and so many test prompts of each task, whatever
    --train and --test say."""
    max_new_tokens: int = 128
    """Longest answer, in tokens, in captures and measuring."""
    published: bool = False
    """Use the papers' limits on answers (512 new tokens) instead of --max-new-tokens."""
    k: int = 64
    """Log-probabilities kept a token in captures; the rest of the mass is kept as one number."""
    rank: int | None = None
    """Rank of the veneers that are extracted. Default: dense."""
    samples: int = 1
    """Answers a prompt; more than one needs --temperature."""
    temperature: float = 0.0
    """Of sampling in measuring; 0 is greedy."""
    batch_size: int = 32
    """Prompts answered together."""
    seed: int = 0
    """Of the split, of sampling and of the intervals."""

    def run(self) -> None:
        from veneer.foundation.errors import InputError
        from veneer.head.veneer import Veneer
        from veneer.studies.transfer.show import show
        from veneer.studies.transfer.study import transfer
        from veneer.tasks.registry import chosen_tasks

        for first, second in (("large", "large_aligned"), ("base", "aligned")):
            if getattr(self, first) == getattr(self, second):
                raise InputError(
                    f"{getattr(self, first)!r} is given as --{first} and as "
                    f"--{second.replace('_', '-')}; expected two models that differ"
                )
        config = self._config()
        tasks = chosen_tasks(self.tasks, data_folder(self.data))
        if self.tasks is None:
            tasks = [t for t in tasks if t.kind == "generate"]
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        words = ("base_template", "large_template", "system", "aligned_plain")
        said = {role: getattr(self, option) for option, role in ROLES.items()} | {
            name: getattr(self, name) for name in words
        }
        said |= {**self.template_words(), **self.how()}
        with progress() as say:
            results = transfer(
                lambda: self._load(veneer),
                tasks,
                self.out,
                config,
                veneer=veneer,
                said=said,
                progress=say,
                at_hand=[
                    role for option, role in ROLES.items() if getattr(self, option) is not None
                ],
            )
        show(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}")

    def _config(self) -> TransferConfig:
        from veneer.head.config import ExtractConfig
        from veneer.measures.config import StudyConfig
        from veneer.studies.transfer.config import TransferConfig
        from veneer.systems.alpha import Alpha

        study = StudyConfig(
            train_prompts=self.train if self.limit is None else min(self.train, self.limit),
            test_prompts=self.test
            if self.limit is None
            else min(self.test or self.limit, self.limit),
            max_new_tokens=self.max_new_tokens,
            published=self.published,
            batch_size=self.batch_size,
            samples=self.samples,
            temperature=self.temperature,
            k=self.k,
            seed=self.seed,
            extraction=ExtractConfig(rank=self.rank),
            judges=self.judges(device=self.device, dtype=self.dtype),
        )
        alphas = tuple(Alpha.parse(a) for a in self.alphas.split(",") if a.strip())
        systems = (
            None
            if self.systems is None
            else tuple(s.strip() for s in self.systems.split(",") if s.strip())
        )
        return TransferConfig(
            alphas, bake=self.bake, own=self.own, systems=systems, rounds=self.timing, study=study
        )

    def _load(self, veneer: Veneer | None) -> TransferModels:
        from veneer.head.recorded import recorded_format
        from veneer.models.formats import given_format
        from veneer.models.load import load_model
        from veneer.studies.transfer.models import TransferModels

        recorded: Format | None = None if veneer is None else recorded_format(veneer.facts)
        chat = self.chat_format(self.system)
        small = (
            recorded
            if recorded is not None and self.base_template is None
            else given_format(self.base_template, chat)
        )
        large = small if self.large_template is None else given_format(self.large_template, chat)
        loaded = {
            role: load_model(name, **self.how())
            for n, role in ROLES.items()
            if (name := getattr(self, n)) is not None
        }
        if self.aligned_plain:
            self.refuse_template_options("--aligned-plain")
        aligned = small if self.aligned_plain else chat
        return TransferModels(
            **loaded, veneer=veneer, large_format=large, small_format=small, aligned_format=aligned
        )
