"""veneer merge: a plain Hugging Face checkpoint with the veneer in its head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from veneer.foundation.dry_run import DryRun, Plan, noted_models
from veneer.foundation.settings import Option, refuse_unused
from veneer.terminal.options import Machine
from veneer.terminal.output import LongOptions

if TYPE_CHECKING:
    from veneer.head.veneer import Veneer


@dataclass(frozen=True, kw_only=True)
class MergeCommand:
    """Write base with the head W + alpha dW: a checkpoint that any engine loads and that needs no
    Veneer; or, for a low-rank veneer, a PEFT adapter of the head alone."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer merge run/veneer --base lab:base --out merged",
        "veneer merge veneer-rank-4 --base lab:base --lora --out adapter",
    )

    veneer: Annotated[str, Option(positional=True, metavar="VENEER")]
    """Folder that `veneer extract` wrote, or its address on the hub (hf://OWNER/NAME)."""
    base: str
    """The base model that the veneer was extracted from."""
    out: str
    """Folder for the checkpoint; new or empty."""
    alpha: float = 1.0
    """How much of the veneer to add; 1 is all of it."""
    gguf: str | None = None
    """Also write this GGUF file (Llama family)."""
    lora: bool = False
    """Write a PEFT LoRA of the head instead of a checkpoint; for a veneer that was extracted with
    --rank."""
    base_template: str | None = None
    """The template that the checkpoint's chat template renders, where the veneer was fitted behind
    several: text with {prompt}, or a name (alpaca, question, answer, qa, user, plain). Default: the
    one that the veneer recorded."""
    max_shard_size: str = "4GB"
    """Largest size of one safetensors file, such as 500MB or 4GB."""
    push_to_hub: Annotated[str | None, Option(metavar="REPO")] = None
    """Then publish the folder in this repository of the Hugging Face hub, such as user/model, as
    `veneer push` does; it is created if it does not exist."""
    public: bool = False
    """Create that repository as a public one; otherwise it is private."""
    machine: Machine = field(default_factory=Machine)
    output: LongOptions = field(default_factory=LongOptions)

    def run(self) -> None:
        from veneer.hub import Address
        from veneer.hub.upload import check_token
        from veneer.publish import push

        address = None
        if self.lora:
            refuse_unused(self, "with --lora", "max_shard_size")
        if self.push_to_hub is None:
            refuse_unused(self, "without --push-to-hub", "public")
        else:
            address = Address.parse(f"hf://{self.push_to_hub.removeprefix('hf://')}")
            check_token()
        self.machine.refuse_unread(self.base)
        if self.output.dry_run:
            raise DryRun(self._plan())
        self._write()
        if address is not None:
            print(f"hub: {push(self.out, address, public=self.public).address.page}")

    def _plan(self) -> Plan:
        """What would be written. Raises InputError where the veneer does not fit base, as far as
        its size tells, and for a folder or file in use."""
        from pathlib import Path

        from veneer.foundation.files import look_at_folder
        from veneer.head.merge import already_merged
        from veneer.head.veneer import Veneer
        from veneer.models.gguf.ensure import need_new
        from veneer.models.load import load_model

        look_at_folder(Path(self.out))
        veneer = Veneer.load(self.veneer)
        done = already_merged(self.out, self._record(veneer))
        if self.gguf and not done:
            need_new(Path(self.gguf))
        base = load_model(self.base, plain=not self.lora, **self.machine.how())
        veneer.check_fits(base)
        files = (
            ("adapter_config.json", "adapter_model.safetensors")
            if self.lora
            else ("*.safetensors", "config.json", "tokenizer files")
        )
        return Plan(
            command="merge",
            out=self.out,
            state="finished" if done else "new",
            models=noted_models(),
            writes=(*files, "run.json", *([self.gguf] if self.gguf else [])),
            unchecked=("weights",),
        )

    def _record(self, veneer: Veneer) -> dict[str, Any]:
        """What run.json will hold. Raises InputError for options that exclude each other."""
        from veneer.foundation.errors import InputError
        from veneer.head.low_rank import check_exportable, lora_record
        from veneer.head.merge import merge_format, merge_record

        if not self.lora:
            merge_format(veneer, self.base_template)
            return merge_record(veneer, self.base, self.alpha, self.base_template)
        if self.gguf:
            raise InputError(
                "--gguf writes a merged checkpoint, not an adapter; leave out --lora or --gguf"
            )
        if self.base_template is not None:
            raise InputError("an adapter has no chat template; leave out --lora or --base-template")
        check_exportable(veneer)
        return lora_record(veneer, self.base, self.alpha)

    def _write(self) -> None:
        """Write the folder, and the GGUF file."""
        from pathlib import Path

        from veneer.head.low_rank import save_lora
        from veneer.head.merge import already_merged
        from veneer.head.veneer import Veneer
        from veneer.models.load import load_model

        veneer = Veneer.load(self.veneer)
        record = self._record(veneer)
        if self.lora:
            if already_merged(self.out, record):
                print(f"adapter: {self.out} (existing)")
                return
            base = load_model(self.base, **self.machine.how())
            print(f"adapter: {save_lora(veneer, base, self.out, alpha=self.alpha)}")
            return
        if already_merged(self.out, record):
            print(f"checkpoint: {self.out} (existing)")
        else:
            self._write_checkpoint(veneer)
        if self.gguf:
            from veneer.models.gguf.ensure import ensure_gguf

            existed = ensure_gguf(Path(self.out), Path(self.gguf))
            print(f"gguf: {self.gguf}{' (existing)' if existed else ''}")

    def _write_checkpoint(self, veneer: Veneer) -> None:
        """Write the folder alone."""
        from pathlib import Path

        from veneer.head.merge import merge, results_of
        from veneer.models.gguf.ensure import need_new
        from veneer.models.load import load_model

        if self.gguf:
            need_new(Path(self.gguf))
        base = load_model(self.base, plain=True, **self.machine.how())
        out = merge(
            veneer,
            base,
            self.out,
            alpha=self.alpha,
            max_shard_size=self.max_shard_size,
            template=self.base_template,
            results=results_of(self.veneer),
        )
        print(f"checkpoint: {out}")
