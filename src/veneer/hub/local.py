"""Files of the hub on this machine: fetched once into the hub's own cache (HF_HOME), checked
against their commit, and read from there without a network."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.hub.address import Address, is_hub
from veneer.hub.failure import in_a_sentence

# what is never fetched: formats that run code when they are read, and other frameworks' weights
LEFT = (
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib"),
    *("*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.tflite", "*.mlmodel"),
)


def local_place(place: str | Path, *, revision: str | None = None) -> Path:
    """The folder or file of this machine that holds `place`: a path as it is; an address
    hf://OWNER/NAME[@REVISION][/FOLDER] as its snapshot in the hub's cache.

    An interrupted download resumes. With HF_HUB_OFFLINE=1, or where the hub cannot be reached, a
    complete snapshot in the cache is used. revision: for an address without one.
    Raises InputError where the address leads nowhere, or the hub refuses or cannot be reached.
    """
    if not is_hub(place):
        return Path(place)
    from huggingface_hub import snapshot_download

    address = Address.parse(place)
    if None not in (revision, address.revision) and revision != address.revision:
        raise InputError(
            f"{place} names the revision {address.revision!r}, and --revision {revision!r}; give "
            "one of the two"
        )
    inside = address.inside
    wanted = [inside, f"{inside}/*"] if inside else None
    with in_a_sentence(address, "read"):
        snapshot = snapshot_download(
            address.repository,
            repo_type=address.kind,
            revision=address.revision or revision,
            allow_patterns=wanted,
            ignore_patterns=list(LEFT),
            max_workers=4,
        )
    path = Path(snapshot) / inside if inside else Path(snapshot)
    if not path.exists():
        raise InputError(
            f"{address.repository} has no {inside!r} at this revision; expected a folder or a file "
            f"that is on {address.page}"
        )
    return path
