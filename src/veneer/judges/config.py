"""The settings of judges, on the command line and in Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from veneer.endpoint.config import EndpointConfig
from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option, check_least, refuse_unused

# settings of requests to an endpoint
ENDPOINT = ("key_env", "concurrency", "timeout", "retries", "price_in", "price_out")


@dataclass(frozen=True)
class JudgeConfig:
    """Who judges answers: a model behind an endpoint, a model that runs here, or neither."""

    url: Annotated[str | None, Option(name="judge-url", metavar="URL")] = None
    """OpenAI-compatible endpoint of a judge model, such as http://localhost:8000/v1."""
    model: Annotated[str | None, Option(name="judge-model", metavar="NAME")] = None
    """Name of the judge model at that endpoint."""
    local: Annotated[str | None, Option(name="judge-local", metavar="MODEL")] = None
    """A judge model that runs here instead: hub id, folder or .gguf file."""
    key_env: Annotated[str, Option(name="judge-key-env", metavar="NAME")] = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; the key itself is never written."""
    concurrency: Annotated[int, Option(name="judge-concurrency")] = 8
    """Number of simultaneous requests to the judge."""
    timeout: Annotated[float, Option(name="judge-timeout", metavar="SECONDS")] = 120.0
    """Seconds to wait for one whole reply of the judge."""
    retries: Annotated[int, Option(name="judge-retries")] = 5
    """Retries after a transient failure (429, 500, 503, time-outs, lost connections)."""
    price_in: Annotated[float | None, Option(name="judge-price-in")] = None
    """Price of a million tokens that the judge reads, to show what the verdicts cost."""
    price_out: Annotated[float | None, Option(name="judge-price-out")] = None
    """Price of a million tokens that the judge writes."""
    cache: Annotated[Path | None, Option(name="judge-cache", metavar="FOLDER")] = None
    """Folder that keeps verdicts between runs, by judge, prompt and answer. Default: inside
    --out."""
    toxicity: Annotated[str | None, Option(name="toxicity-model", metavar="MODEL")] = None
    """Text-classification model that judges toxicity (hub id or folder), such as
    tomh/toxigen_roberta; "stand-in" is the built-in one, which takes much that is harmless for
    hate. Needed where toxicity is judged."""
    device: Annotated[str, Option(hidden=True)] = "auto"
    """Device of a local judge."""
    dtype: Annotated[str, Option(hidden=True)] = "auto"
    """Number type of a local judge's weights."""
    batch_size: Annotated[int, Option(hidden=True)] = 8
    """Answers that a local judge reads together."""

    def __post_init__(self) -> None:
        """Raises InputError for half an endpoint, for two judge models, and for numbers out of
        range."""
        if self.local is not None and (self.url is not None or self.model is not None):
            raise InputError(
                "two judge models are given, --judge-local and --judge-url or --judge-model; "
                "give one of them"
            )
        if (self.url is None) != (self.model is None):
            given, missing = (
                ("--judge-model", "--judge-url")
                if self.url is None
                else ("--judge-url", "--judge-model")
            )
            raise InputError(
                f"{given} is given without {missing}; give both, or --judge-local MODEL"
            )
        if self.url is not None and self.model is not None:
            # refuses an address that holds a password or a key: it is written into run.json
            EndpointConfig(
                self.url,
                self.model,
                timeout=self.timeout,
                retries=self.retries,
                concurrency=self.concurrency,
                price_in=self.price_in,
                price_out=self.price_out,
            )
        check_least(self, 1, "batch_size")
        if self.cache is not None and Path(self.cache).is_file():
            raise InputError(
                f"--judge-cache {self.cache} is a file; expected a folder, or a new one"
            )

    @property
    def names_model(self) -> bool:
        """Whether a judge model is named, behind an endpoint or here."""
        return self.url is not None or self.local is not None

    def refuse_unread(
        self, *, asks: bool, keeps: bool | None = None, toxicity: bool = False
    ) -> None:
        """Raise SettingError for a setting that nothing reads. asks: whether a judge model is
        asked. keeps: whether its replies are kept; by default where one is asked and named.
        toxicity: whether toxicity is judged."""
        if not asks:
            where = "without a judge that asks a model"
            refuse_unused(self, where, "url", "model", "local")
        if not (asks and self.names_model if keeps is None else keeps):
            refuse_unused(self, "without a judge model whose replies are kept", "cache")
        if self.url is None:
            refuse_unused(self, "without --judge-url", *ENDPOINT)
        if not toxicity:
            refuse_unused(self, "without a judge of toxicity", "toxicity")

    def facts(self) -> dict[str, Any]:
        """Return the settings that decide a verdict, for run.json: without key, folders and
        speed."""
        return {k: v for k, v in asdict(self).items() if k in ("url", "model", "local", "toxicity")}
