"""veneer push: a finished folder to the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from veneer.foundation.settings import Option
from veneer.terminal.output import MessageOptions


@dataclass(frozen=True, kw_only=True)
class PushCommand:
    """Publish the folder of a veneer, a capture, a merged checkpoint or a study on the Hugging Face
    hub, as one commit with a model card. Where a veneer, a capture or a model is named, its address
    hf://OWNER/NAME then serves."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer push run/veneer hf://me/my-veneer",
        "veneer push run hf://datasets/me/my-study@first --public --license apache-2.0",
        "veneer merge hf://me/my-veneer --base BASE --out merged",
    )

    folder: Annotated[str, Option(positional=True, metavar="FOLDER")]
    """A finished folder that Veneer wrote."""
    to: Annotated[str, Option(positional=True, metavar="ADDRESS")]
    """hf://OWNER/NAME[@REVISION][/FOLDER], or hf://datasets/OWNER/NAME... for a data set's
    repository; created if it does not exist."""
    public: bool = False
    """Create the repository as a public one; otherwise it is private. A repository that exists
    stays as it is."""
    force: bool = False
    """Replace what is at that address, if it is something else."""
    license: str | None = None
    """The licence that the card states, such as apache-2.0; otherwise the card says that it is
    not stated."""
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        import sys

        from veneer.publish import push

        done = push(
            self.folder, self.to, public=self.public, force=self.force, licence=self.license
        )
        if done.own_paths:
            print(
                f"veneer: its records name {len(done.own_paths)} paths of this machine, such as "
                f"{done.own_paths[0]}; they are published too",
                file=sys.stderr,
            )
        if done.kept_card:
            print("card: kept, because a person wrote it")
        print(f"{done.kind}: {done.address}{'' if done.new else ' (existing)'}")
        print(f"page: {done.address.page}")
