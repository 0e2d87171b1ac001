"""One server for most tests: base, a veneer that changes it, two shifted systems, and
aligned, all embedded."""

from __future__ import annotations

import pytest

openai = pytest.importorskip(
    "openai", reason="needs the package openai: pip install 'veneer[openai]'"
)
pytest.importorskip("starlette", reason="needs starlette: pip install 'veneer[serve]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'veneer[serve]'")

from veneer.head.veneer import Veneer  # noqa: E402
from veneer.models.formats import ChatFormat  # noqa: E402
from veneer.models.load import load_model  # noqa: E402
from veneer.serve.served import Served  # noqa: E402
from veneer.systems.shifted import ShiftedSystem  # noqa: E402
from veneer.systems.system import System  # noqa: E402
from veneer_server import Running, serving  # noqa: E402


@pytest.fixture(scope="session")
def systems() -> list[Served]:
    base, aligned, large = (load_model(f"lab:{name}") for name in ("base", "aligned", "large-base"))
    difference = (aligned.head.weight - base.head.weight).detach()
    veneer = Veneer(
        base.head.hash(), base.head.rows, difference, facts={"stop_ids": list(aligned.stop_ids)}
    )
    return [
        Served(System.of_model(base)),
        Served(System.of_model(base, veneer), more={"veneer": veneer.identity(), "alpha": 1.0}),
        Served(ShiftedSystem.of_models(large, base, veneer)),
        Served(ShiftedSystem.of_models(large, base, veneer, alpha="1.5@4")),
        Served(System("aligned", aligned, ChatFormat(), aligned.stop_ids)),
    ]


@pytest.fixture(scope="session")
def server(systems):
    with serving(systems) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)
