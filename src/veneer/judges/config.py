"""What the user says of judges, on the command line or in Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veneer.endpoint.config import EndpointConfig
from veneer.foundation.errors import InputError


@dataclass(frozen=True)
class JudgeConfig:
    """url, model: an OpenAI-compatible endpoint and the model it should use. local: a model that
    judges here instead (hub id, folder, GGUF file). key_env: environment variable that holds the
    endpoint's key (never the key itself). toxicity: a text-classification model (hub id or folder)
    in place of the built-in one. concurrency: requests at once. cache: folder of verdicts that are
    kept between runs, keyed by judge, prompt and answer. timeout: seconds for one reply; retries:
    further attempts of a request that failed in passing. price_in, price_out: of a million tokens
    read and written, for the cost. device, dtype, batch_size: of a local judge. Raises InputError
    for half an endpoint, or for two judge models."""

    url: str | None = None
    model: str | None = None
    local: str | None = None
    key_env: str = "OPENAI_API_KEY"
    toxicity: str | None = None
    concurrency: int = 8
    cache: Path | None = None
    timeout: float = 120.0
    retries: int = 5
    price_in: float | None = None
    price_out: float | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 8

    def __post_init__(self) -> None:
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
            EndpointConfig(self.url, self.model)

    def facts(self) -> dict[str, Any]:
        """What decides a verdict, for run.json: no key, no folder, no speed."""
        return {k: v for k, v in asdict(self).items() if k in ("url", "model", "local", "toxicity")}
