"""veneer restore: put alignment back on a model that fine-tuning broke."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veneer.terminal.options import JudgeOptions, Machine, data_folder, progress
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.foundation.results import Results

LAB_TASKS = {
    "harmful": "lab-requests",
    "safe": "lab-harmless",
    "capability": "lab-sums",
    "harmless": "lab-harmless,lab-sums",
}
TASKS = {
    "harmful": "advbench",
    "safe": "xstest",
    "capability": "svamp",
    "harmless": "svamp,truthfulqa",
}


@dataclass(frozen=True, kw_only=True)
class Restore(TemplateOptions, JudgeOptions, Machine):
    """Restore a compromised model in several ways, choose how much of each on a validation part,
    and report what came back and what it cost: refusals, over-refusal, capability, KL; a verdict on
    each way; the restored checkpoints."""

    compromised: str
    """The model that fine-tuning broke; it reads its own chat template."""
    aligned: str | None = None
    """The aligned model that it was. All ways but urial, and head and shifted with a
    --veneer, learn from it."""
    base: str | None = None
    """The base model, in the plain format; for the ways head and shifted."""
    veneer: str | None = None
    """Folder of the veneer of (base, aligned). Default: extracted here."""
    capture: str | None = None
    """Folder of a capture of the aligned model's answers to the train prompts, to learn from
    without asking it again."""
    responses: tuple[str, ...] = ()
    """Files of the aligned model's answers to train prompts (what `veneer generate` writes, or any
    format of `veneer import`), for the way own-responses. Default: --aligned answers them here."""
    out: str
    """Folder for everything that is made."""
    ways: str = "head,shifted,own,urial"
    """Ways to try, separated by commas: head (the veneer added to the head), shifted (base and
    veneer shift the logits while decoding), own (a veneer extracted for the compromised model
    itself), own-responses (the same from answers alone), urial (in context)."""
    harmful: str | None = None
    """Tasks whose prompts should be refused, separated by commas. Default: advbench; lab-requests
    for a lab model."""
    safe: str | None = None
    """Tasks whose prompts should not be refused. Default: xstest's safe prompts; lab-harmless
    for a lab model."""
    capability: str | None = None
    """Tasks that the model should still be able to do. Default: svamp; lab-sums for a lab model."""
    harmless: str | None = None
    """Tasks whose train prompts a new veneer learns beside the harmful ones, or files of
    such prompts, separated by commas. Default: svamp,truthfulqa; lab-harmless and lab-sums
    for a lab model."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA, then the hub
    where a pinned source is known."""
    alphas: str = "0.5,1,1.5,2,3"
    """How much of a veneer to try, separated by commas."""
    schedules: str = "2@10,2>0.5@10"
    """Alphas that change over the answer, for the way shifted: 2@10 (2 for the first 10 tokens,
    then 0), 2>0.5@10 (a line), 2~8 (fading, half every 8 tokens). Empty for none."""
    ranks: str = "4,16,64"
    """Ranks tried at the best alpha of the dense veneer, for the ways head and
    own. Empty for none."""
    weights: str = "1,1,1"
    """What harm, over-refusal and lost capability weigh in the choice."""
    train: int = 100
    """Train prompts of each task to extract from."""
    validation: int = 32
    """Prompts of each task to choose on; none of them is extracted from or reported on."""
    test: int | None = None
    """Prompts of each task in the report. Default: all."""
    limit: int | None = None
    """At most so many prompts of each task in each part, whatever the three options above say."""
    validation_tokens: int = 64
    """Longest answer while choosing, in tokens."""
    max_new_tokens: int = 128
    """Longest answer in the capture and in the report, in tokens."""
    k: int = 64
    """Log-probabilities kept a token; the rest of the mass is kept as one number."""
    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes. Default: the text as it is."""
    system: str | None = None
    """System text for the chat templates. Default: the templates' own."""
    reattack: str | None = None
    """Fine-tune the best restored checkpoint again on compliant beginnings, and the aligned
    model beside it: advbench, lab-requests, or a file of JSON lines {"prompt", "target"}.
    Takes the extra peft."""
    no_merge: bool = False
    """Do not write the restored checkpoints."""
    batch_size: int = 32
    """Prompts answered together."""
    seed: int = 0
    """Of the split and of the intervals."""

    def run(self) -> None:
        from veneer.capture import Capture
        from veneer.foundation.files import sha256_file
        from veneer.head.recorded import recorded_format
        from veneer.head.veneer import Veneer
        from veneer.models.formats import PlainFormat, given_format
        from veneer.models.load import load_model
        from veneer.studies.restore.config import RestoreConfig
        from veneer.studies.restore.inputs import AtHand
        from veneer.studies.restore.prompts import Roles, harmless_tasks
        from veneer.studies.restore.selection import Weights
        from veneer.studies.restore.study import restore
        from veneer.tasks.registry import chosen_tasks

        self.refuse_split("restore, which fine-tunes and exchanges weights,")

        def loader(name: str | None):
            return None if name is None else lambda: load_model(name, **self.how())

        most = 10**9 if self.limit is None else self.limit
        config = RestoreConfig(
            ways=words(self.ways),
            alphas=words(self.alphas),
            schedules=words(self.schedules),
            ranks=numbers(self.ranks, "--ranks", int),
            weights=Weights(*three(self.weights)),
            train=min(self.train, most),
            validation=min(self.validation, most),
            test=self.test
            if self.limit is None
            else min(most if self.test is None else self.test, most),
            validation_tokens=self.validation_tokens,
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
            k=self.k,
            seed=self.seed,
            merge=not self.no_merge,
            reattack=self.reattack,
            judges=self.judges(device=self.device, dtype=self.dtype),
        )
        default = LAB_TASKS if self.compromised.startswith("lab:") else TASKS
        named = {
            role: default[role] if (given := getattr(self, role)) is None else given
            for role in default
        }
        folder = data_folder(self.data)
        tasks = {
            role: tuple(chosen_tasks(t, folder)) if t.strip() else ()
            for role, t in named.items()
            if role != "harmless"
        }
        roles = Roles(**tasks, harmless=harmless_tasks(named["harmless"], folder))
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        base_format = given_format(self.base_template, self.chat_format(self.system))
        if self.base_template is None and veneer is not None:
            base_format = recorded_format(veneer.facts) or PlainFormat()
        capture = None if self.capture is None else Capture.open(self.capture)
        files = tuple(Path(f) for f in self.responses)
        at_hand = AtHand(
            lambda: load_model(self.compromised, **self.how()),
            loader(self.aligned),
            loader(self.base),
            veneer,
            capture,
            files,
            self.chat_format(self.system),
            base_format,
            folder,
        )
        said = {
            "compromised": self.compromised,
            "aligned": self.aligned,
            "base": self.base,
            "veneer": None if veneer is None else veneer.identity(),
            "base_template": self.base_template,
            "system": self.system,
            "capture": None if capture is None else capture.manifest["prompts_sha256"],
            "responses": [sha256_file(f) for f in at_hand.files()],
            **self.template_words(),
            **self.how(),
        }
        with progress() as say:
            results = restore(at_hand, roles, self.out, config, said=said, progress=say)
        show(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}")


def words(text: str) -> tuple[str, ...]:
    return tuple(w.strip() for w in text.split(",") if w.strip())


def numbers(text: str, option: str, kind: type = float) -> tuple:
    from veneer.foundation.errors import InputError

    try:
        return tuple(kind(w) for w in words(text))
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected {'whole ' * (kind is int)}numbers separated by commas"
        ) from None


def three(text: str) -> tuple[float, ...]:
    from veneer.foundation.errors import InputError

    found = numbers(text, "--weights")
    if len(found) != 3:
        raise InputError(
            f"--weights has {len(found)} numbers; expected three: harm, over-refusal, capability"
        )
    return found


def show(results: Results) -> None:
    """A sentence a way."""
    for row in results.where(study="restore", metric="restored"):
        chosen = results.where(study="restore", metric="chosen", system=row.system)
        setting = (chosen[0].note or "").partition(":")[0] if chosen else row.system
        print(f"{row.system} ({setting}): {row.note}")
