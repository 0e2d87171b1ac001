"""The settings of a recovery study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.settings import Option, check_least
from veneer.studies.recovery.variants import Variant, parse_variants

MEASURES = ("lexical", "embedding", "bertscore", "judge")


@dataclass(frozen=True, kw_only=True)
class RecoverySettings:
    """Which in-context prompts are tried, how answers are sampled, and how they are compared."""

    variants: Annotated[tuple[str, ...], Option(commas=True)] = (
        "urial",
        "random-3",
        "knn-prompt-3",
    )
    """In-context prompts: urial, urial-teacher, random-K, knn-prompt-K, knn-response-K, summary,
    summary-cot. K is the number of examples. knn-response and summary are oracles: they have seen
    the test answer, and are marked. Stored answers do without."""
    own_summaries: bool = False
    """The aligned model writes the summaries of the summary variants itself. Default: the judge
    model does."""
    published: bool = False
    """In-context prompts byte for byte as the paper's, which join two lines of the instructions."""
    samples: int = 5
    """Answers per prompt; the aligned model's first is the reference, its others are the
    ceiling."""
    temperature: float = 0.5
    """Sampling temperature."""
    max_new_tokens: int = 256
    """Longest answer, in tokens. Examples are dropped from a prompt that would not fit the context
    with it."""
    batch_size: int = 16
    """Number of prompts answered together."""
    measures: Annotated[tuple[str, ...], Option(commas=True)] = ("lexical", "embedding")
    """Similarities: lexical, embedding, bertscore, judge."""
    embedder: Annotated[str | None, Option(metavar="MODEL")] = None
    """Embedding model, also for the nearest prompts: a sentence-transformers folder or hub id, or
    model2vec:NAME. Default: minilm."""
    cut: bool = False
    """Read long texts only as far as the embedding model does in one pass (minilm: 256 tokens), as
    sentence-transformers and most papers do. Default: whole, in pieces whose vectors are
    averaged."""
    encoder: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder of the encoder for bertscore."""
    encoder_layer: Annotated[int | None, Option(metavar="N")] = None
    """Layer of the encoder, from 1. Default: bert-score's choice for the encoders that it knows (17
    for roberta-large, by the folder's name), otherwise the last."""
    margin: float = 0.1
    """Margin of the equivalence test, as a share of the distance from base to ceiling."""
    absolute_margin: float | None = None
    """Margin in the measure's unit. Default: --margin decides."""
    seed: int = 0
    """Seed for sampling, random examples and the intervals."""

    def __post_init__(self) -> None:
        """Raises InputError for a value outside its range, or an unknown name."""
        check_least(self, 1, "samples", "max_new_tokens", "batch_size", "encoder_layer")
        check_least(self, 0, "seed")
        if self.temperature < 0 or (self.samples > 1 and self.temperature == 0):
            raise InputError(
                f"found {self.samples} samples at temperature {self.temperature}; expected a "
                "temperature above 0, or one sample at 0"
            )
        self._check_margins()
        unknown = [m for m in self.measures if m not in MEASURES]
        if unknown or not self.measures:
            raise InputError(
                f"there is no measure {unknown[0] if unknown else ''!r}; expected some of "
                f"{', '.join(MEASURES)}"
            )
        if "bertscore" in self.measures and self.encoder is None:
            raise InputError(
                "BERTScore needs an encoder; give its folder with --encoder, or leave bertscore "
                "out of --measures"
            )
        for option in ("encoder", "encoder_layer"):
            if getattr(self, option) is not None and "bertscore" not in self.measures:
                name = option.replace("_", "-")
                raise InputError(
                    f"--{name} is given without BERTScore; add bertscore to --measures, or leave "
                    f"--{name} out"
                )
        if self.cut and not self.needs_embedder:
            raise InputError(
                "--cut is given and nothing is embedded; add embedding to --measures, or leave "
                "--cut out"
            )
        parse_variants(self.variants)

    def _check_margins(self) -> None:
        if not 0 < self.margin < 1:
            raise SettingError(
                "margin",
                f"is {self.margin}; expected a share of the distance from base to ceiling between "
                "0 and 1",
            )
        if self.absolute_margin is not None and not self.absolute_margin > 0:
            raise SettingError(
                "absolute_margin",
                f"is {self.absolute_margin}; expected a number above 0, in the measure's unit",
            )

    @property
    def prompts(self) -> list[Variant]:
        """The variants, parsed."""
        return parse_variants(self.variants)

    @property
    def needs_embedder(self) -> bool:
        return "embedding" in self.measures or any(v.nearest_by for v in self.prompts)

    @property
    def needs_judge(self) -> bool:
        """Whether a judge model has anything to do."""
        return "judge" in self.measures or self.needs_summaries

    @property
    def needs_summaries(self) -> bool:
        """Whether a judge model must write summaries."""
        return any(v.summaries for v in self.prompts) and not self.own_summaries

    def to_json(self) -> dict[str, Any]:
        """The settings as run.json holds them; without options of later
        versions that are not given, as older folders have them."""
        settings = {**asdict(self), "variants": [v.name for v in self.prompts]}
        if self.encoder_layer is None:
            del settings["encoder_layer"]
        if not self.cut:
            del settings["cut"]
        return settings
