"""What the package's metadata takes from where it is published: run by hatchling at every build.

VENEER_REPOSITORY is the address of the repository, such as https://github.com/OWNER/veneer; the
release workflow sets it. The README's links and pictures, which lead to files of the repository,
then lead to that address, since PyPI shows the README alone; and the project's links are written.
Without it the README stays as it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # the functions below are tested without hatchling
    MetadataHookInterface = object

# ](target) or ![](target): not an address, and not a place on the page
RELATIVE = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?![a-z]+:|#)(?P<target>[^)\s]+)\)")


def absolute(readme: str, repository: str, version: str) -> str:
    """The README with every relative link as an address of the repository at the tag of `version`:
    pages as pages, pictures as files."""

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match["image"] else "blob"
        return f"{match['image']}{match['text']}({repository}/{kind}/v{version}/{match['target']})"

    return RELATIVE.sub(link, readme).replace("<this repository>", repository)


def urls(repository: str, version: str) -> dict[str, str]:
    """The project's links on PyPI."""
    return {
        "Repository": repository,
        "Documentation": f"{repository}/blob/v{version}/docs/index.md",
        "Changelog": f"{repository}/blob/v{version}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


class PackageMetadata(MetadataHookInterface):
    """hatchling's hook: fills the fields that pyproject.toml calls dynamic."""

    def update(self, metadata: dict) -> None:
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = os.environ.get("VENEER_REPOSITORY", "").rstrip("/")
        if repository:
            readme = absolute(readme, repository, metadata["version"])
            metadata["urls"] = urls(repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
