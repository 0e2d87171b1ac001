"""Embeddings over HTTP: order, pieces, repeated texts, and servers that answer something else."""

import base64
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faulty_server import Call, serving
from veneer.embed import load_embedder
from veneer.embed.endpoint_model import EndpointModel, cut
from veneer.endpoint import EndpointConfig
from veneer.foundation.errors import InputError, VeneerError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")


def counts(call: Call) -> None:
    """Two numbers a text: its letters a and b. The rows come in reverse."""
    rows = [
        {"index": i, "embedding": [t.count("a"), t.count("b")]}
        for i, t in enumerate(call.body["input"])
    ]
    call.json({"data": rows[::-1], "model": "counts-1", "usage": {"prompt_tokens": 3}})


def model(server) -> EndpointModel:
    return EndpointModel(
        EndpointConfig(
            server.url, "counts", first_wait=0.01, longest_wait=0.02, retries=2, timeout=5
        )
    )


def test_rows_in_order_pieces_by_length_and_equal_texts_once():
    with serving(counts) as server:
        embedder = model(server)
        long = "a" * 1500 + "b" * 750 + "b" * 750
        vectors = embedder.embed(
            ["aaabbbb", "", "b", "aaabbbb", long, *["b" * i for i in range(2, 20)]]
        )
        sent = [t for call in server.calls for t in call["input"]]
    np.testing.assert_allclose(
        vectors[:5], [[0.6, 0.8], [0, 0], [0, 1], [0.6, 0.8], [0.5**0.5, 0.5**0.5]], atol=1e-6
    )
    assert sorted(len(t) for t in sent)[-2:] == [1500, 1500] and sent.count("aaabbbb") == 1
    assert len(server.calls) == 2 and embedder.id.startswith("counts@127.0.0.1")


def test_a_transient_failure_is_retried():
    with serving(lambda call: counts(call) if call.times > 1 else call.error(503)) as server:
        np.testing.assert_allclose(model(server).embed(["a"]), [[1, 0]])


@pytest.mark.parametrize(
    "data",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": None}]},
        {"choices": []},
    ],
)
def test_what_is_no_embedding_is_an_error(data):
    with (
        serving(lambda call: call.json(data)) as server,
        pytest.raises(VeneerError, match="endpoint"),
    ):
        model(server).embed(["a"])


def test_nothing_to_embed_asks_nothing_and_a_name_without_model_is_refused():
    with serving(counts) as server:
        assert model(server).embed(["", " "]).shape == (2, 0) and not server.calls
        assert load_embedder(f"endpoint:{server.url}#counts").embed(["b"]).tolist() == [[0, 1]]
    with pytest.raises(InputError, match="URL#MODEL"):
        load_embedder("endpoint:http://localhost:1/v1")


@given(st.text(max_size=80), st.integers(1, 20))
def test_pieces_hold_the_whole_text(text, longest):
    pieces = cut(text, longest)
    assert all(len(p) <= longest for p in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_base64_and_rows_without_an_index_are_read():
    """Servers that send base64 whatever was asked for, and ones that leave the index out."""
    row = base64.b64encode(np.array([3, 4], "<f4").tobytes()).decode()
    for data in ([{"index": 0, "embedding": row}], [{"embedding": [3, 4]}]):
        with serving(lambda call, data=data: call.json({"data": data})) as server:
            np.testing.assert_allclose(model(server).embed(["a"]), [[0.6, 0.8]])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (None, "null"),
        ([None, 1.0], "finite numbers"),
        ([0.0, 0.0], "zeros"),
        ([[1.0], [2.0]], "for each token"),
        ("?!", "form"),
        ([], "no list"),
        ([math.nan, 1.0], "finite numbers"),
    ],
)
def test_what_is_no_vector_is_named_and_asked_for_twice_at_most(row, says):
    """ggml-org/llama.cpp#13854 (null), manimohans/obsidian-local-llm-helper#10 (zeros),
    ollama/ollama#9639 (NaN)."""
    with serving(lambda call: call.json({"data": [{"index": 0, "embedding": row}]})) as server:
        with pytest.raises(VeneerError, match=says):
            model(server).embed(["a"])
        assert len(server.calls) == 2


def test_an_error_in_place_of_embeddings_is_reported():
    error = {"error": "failed to encode response: json: unsupported value: NaN"}
    for status in (200, 500):
        with (
            serving(lambda call, status=status: call.json(error, status)) as server,
            pytest.raises(VeneerError, match="unsupported value: NaN"),
        ):
            model(server).embed(["a"])
