"""A veneer in vLLM's batch: requests come, grow, change places and go, and each row gets the shift
that Veneer's own decoding gives it.

vLLM is not installed here. `Batch` and `Slots` make the calls that its documentation lists for the
V1 runner and for Model Runner V2, in that order, with real models and tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from checkpoints import save
from shifting import some_veneer
from tiny import tiny
from veneer.adapters.vllm_shift import VeneerShift
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt
from veneer.systems.shifted import ShiftedSystem

NEW = 7
TEXTS = ("the cat", "a red house by the sea", "one", "two three four five", "the end of it")


class Direction(Enum):
    UNIDIRECTIONAL = auto()
    SWAP = auto()


@dataclass
class Engine:
    """The part of vLLM's configuration that is read."""

    additional_config: dict[str, Any]
    model_config: Any
    speculative_config: Any = None
    scheduler_config: Any = field(default_factory=lambda: SimpleNamespace(async_scheduling=False))


@dataclass
class Ask:
    prompt: list[int]
    params: Any
    output: list[int] = field(default_factory=list)


@dataclass
class Two:
    large: LanguageModel
    system: ShiftedSystem
    engine: Engine
    veneer: Veneer

    def ask(self, text: str, alpha: object = None) -> Ask:
        ids = PlainFormat().encode(self.large.tokenizer, Prompt.from_text("x", text))
        return Ask(
            ids, SimpleNamespace(extra_args=None if alpha is None else {"veneer_alpha": alpha})
        )

    def logits(self, asks: list[Ask]) -> torch.Tensor:
        """The large model's own logits of each request's next token (B, V), each read alone."""
        rows = [torch.tensor([[*a.prompt, *a.output]]) for a in asks]
        with torch.inference_mode():
            states = [self.large.hidden(r, torch.ones_like(r), None)[:, -1] for r in rows]
            return torch.cat([self.large.head.logits(h) for h in states])

    def expected(self, text: str, alpha: object) -> list[int]:
        """Veneer's own shifted decoding."""
        system = ShiftedSystem.of_models(
            self.large, self.system.small, self.veneer, alpha=alpha, small_format=PlainFormat()
        )
        (answer,) = system.decode([Prompt.from_text("x", text)], Sampling(NEW), (), ["x"])
        return list(answer.token_ids)


@pytest.fixture
def two(tmp_path) -> Two:
    return two_of(tmp_path, tiny(seed=1), tiny(seed=2))


def two_of(tmp_path: Path, large: LanguageModel, small: LanguageModel) -> Two:
    veneer = some_veneer(small, "rank on rows", stop_ids=())
    save(tmp_path / "large", large), save(tmp_path / "small", small)
    veneer.save(tmp_path / "veneer")
    model = SimpleNamespace(
        model=str(tmp_path / "large"),
        tokenizer=str(tmp_path / "large"),
        hf_text_config=SimpleNamespace(**large.model.config.to_dict()),
        logits_processors=None,
        get_vocab_size=lambda: large.head.rows,
    )
    entry = {"small": str(tmp_path / "small"), "veneer": str(tmp_path / "veneer"), "alpha": 1.5}
    system = ShiftedSystem.of_models(large, small, veneer, small_format=PlainFormat())
    return Two(large, system, Engine({"veneer": entry}, model), veneer)


class Batch:
    """The V1 runner: a persistent batch whose gaps are filled and whose rows change places."""

    def __init__(self, two: Two):
        self.two, self.processor = two, VeneerShift(two.engine, torch.device("cpu"), False)
        self.rows: list[Ask] = []

    def step(self, new: list[Ask], swap: tuple[int, int] | None = None) -> None:
        removed = [i for i, a in enumerate(self.rows) if len(a.output) >= NEW]
        kept: dict[int, Ask] = {i: a for i, a in enumerate(self.rows) if i not in removed}
        added, gaps = [], sorted(removed)
        for ask in new:  # a gap is filled first; the request there needs no removal of its own
            place = gaps.pop(0) if gaps else len(self.rows) + len(added)
            kept[place] = ask
            added.append((place, ask.params, ask.prompt, ask.output))
        moved = []
        while kept and max(kept) >= len(kept):  # condense: the last row goes into the first gap
            gap, last = min(set(range(len(kept))) - set(kept)), max(kept)
            kept[gap] = kept.pop(last)
            moved.append((last, gap, Direction.UNIDIRECTIONAL))
        if swap is not None:
            one, other = swap
            kept[one], kept[other] = kept[other], kept[one]
            moved.append((one, other, Direction.SWAP))
        self.rows = [kept[i] for i in range(len(kept))]
        update = SimpleNamespace(
            batch_size=len(self.rows), removed=gaps[::-1], added=added, moved=moved
        )
        changed = bool(gaps or added or moved)
        self.processor.update_state(update if changed else None)
        if not self.rows:
            return
        chosen = self.processor.apply(self.two.logits(self.rows)).argmax(-1).tolist()
        for ask, token in zip(self.rows, chosen, strict=True):
            ask.output.append(token)


def test_the_v1_batch_decodes_as_veneer_does(two):
    alphas = [None, "2@3", 0, "1.5>0.2@5", "2~3"]
    asks = [two.ask(text, alpha) for text, alpha in zip(TEXTS, alphas, strict=True)]
    batch = Batch(two)
    batch.step(asks[:2])
    batch.step([], swap=(0, 1))
    batch.step(asks[2:4])
    batch.step([], swap=(1, 3))
    for _ in range(3):
        batch.step([])
    batch.step(asks[4:])  # two have ended: one gap is filled, the other closed by a move
    for _ in range(NEW):
        batch.step([])
    for ask, text, alpha in zip(asks, TEXTS, alphas, strict=True):
        expected = two.expected(text, 1.5 if alpha is None else alpha)
        assert ask.output[: len(expected)] == expected, text


def test_the_shift_of_a_row_is_the_formulas(two):
    """Against a large and a small model that read the text alone, without a cache, to 1e-4."""
    batch = Batch(two)
    asks = [two.ask(TEXTS[0]), two.ask(TEXTS[1], "2~3")]
    batch.step(asks)
    for t in range(2, 5):
        own = two.logits(asks)
        shifted = batch.processor.apply(own.clone())
        for row, (ask, alpha) in enumerate(zip(asks, (1.5, 2 * 2 ** (-(t - 1) / 3)), strict=True)):
            ids = torch.tensor([[*ask.prompt, *ask.output]])
            with torch.inference_mode():
                hidden = two.system.small.hidden(ids, torch.ones_like(ids), None)[0, -1]
            expected = own[row] + alpha * (two.veneer.dense() @ hidden)
            named = len(two.large.tokenizer)  # rows behind the tokenizer get no shift
            assert torch.allclose(shifted[row, :named], expected[:named], atol=1e-4)
            assert torch.equal(shifted[row, named:], own[row, named:])
        batch.step([])


@pytest.mark.parametrize(("of_large", "of_small"), [(8.0, 2.0), (1.0, 2.0), (8.0, 1.0)])
def test_scales_of_logits(of_large, of_small, tmp_path):
    """vLLM shows the logits behind the large model's scale: W h / 8 + alpha dW h_s / 2. The same as
    Veneer's own decoding, which adds the shift before the large model's scale."""
    large = tiny("granite", seed=1, logits_scaling=of_large)
    two = two_of(tmp_path, large, tiny("granite", seed=2, logits_scaling=of_small))
    asks = [two.ask(text) for text in TEXTS[:3]]
    batch = Batch(two)
    batch.step(asks)
    own = two.logits(asks)
    shifted, named = batch.processor.apply(own.clone()), len(two.large.tokenizer)
    for row, ask in enumerate(asks):
        ids = torch.tensor([[*ask.prompt, *ask.output]])
        with torch.inference_mode():
            hidden = two.system.small.hidden(ids, torch.ones_like(ids), None)[0, -1]
            raw = two.large.hidden(ids, torch.ones_like(ids), None)[0, -1]
            raw = two.large.model.get_output_embeddings().weight @ raw
        expected = raw / of_large + 1.5 * (two.veneer.dense() @ hidden) / of_small
        torch.testing.assert_close(shifted[row, :named], expected[:named], rtol=1e-4, atol=1e-4)
    for _ in range(NEW):
        batch.step([])
    for ask, text in zip(asks, TEXTS, strict=False):
        expected_ids = two.expected(text, 1.5)
        assert ask.output[: len(expected_ids)] == expected_ids, text


class Slots:
    """Model Runner V2: requests keep a slot, rows change places at every step, and a long prompt is
    read in parts."""

    def __init__(self, two: Two, size: int = 4):
        self.two = two
        self.ids = torch.zeros(size, 64, dtype=torch.int32)
        self.lengths = np.zeros(size, dtype=np.int32)
        states = SimpleNamespace(
            device=torch.device("cpu"),
            max_num_reqs=size,
            all_token_ids=SimpleNamespace(gpu=self.ids),
            prompt_len=SimpleNamespace(np=self.lengths),
        )
        self.processor = VeneerShift(two.engine, states)
        self.asks: dict[int, Ask] = {}
        self.wants: dict[int, bool] = {}

    def add(self, slot: int, ask: Ask) -> None:
        self.asks[slot], self.lengths[slot] = ask, len(ask.prompt)
        self.ids[slot] = 0
        self.ids[slot, : len(ask.prompt)] = torch.tensor(ask.prompt)
        self.wants[slot] = self.processor.add_request(slot, ask.params)

    def step(self, order: list[int], parts: tuple[int, ...] = ()) -> None:
        """parts: slots whose prompt is not read to its end yet; their rows are not sampled."""
        asks = [self.asks[s] for s in order]
        at = [
            len(a.prompt) + len(a.output) - 1 - (1 if s in parts else 0)
            for s, a in zip(order, asks, strict=True)
        ]
        ctx = SimpleNamespace(expanded_idx_mapping=torch.tensor(order), pos=torch.tensor(at))
        chosen = self.processor.apply(self.two.logits(asks), ctx).argmax(-1).tolist()
        for slot, ask, token in zip(order, asks, chosen, strict=True):
            if slot not in parts:
                self.ids[slot, len(ask.prompt) + len(ask.output)] = token
                ask.output.append(token)


def test_the_slots_of_model_runner_v2_decode_as_veneer_does(two):
    alphas = [None, "2@3", 0, "1.5>0.2@5", "2~3"]
    asks = [two.ask(text, alpha) for text, alpha in zip(TEXTS, alphas, strict=True)]
    slots = Slots(two)
    slots.add(2, asks[0])
    slots.step([2], parts=(2,))
    slots.step([2])
    slots.add(0, asks[1])
    slots.add(3, asks[2])
    slots.step([3, 0, 2])
    slots.step([0, 2, 3])
    slots.step([2, 3, 0])
    slots.add(2, asks[3])  # the slot's first request was preempted: another one takes it
    for order in ([0, 2, 3], [3, 2, 0], [2, 0, 3], [3, 0, 2]):
        slots.step(order)
    slots.add(1, asks[0])  # it comes back with what it had answered
    for n, token in enumerate(asks[0].output):
        slots.ids[1, len(asks[0].prompt) + n] = token
    slots.add(3, asks[4])
    for order in ([1, 3, 2], [3, 1, 2], [1, 2, 3]) * 3:
        slots.step(order)
    assert slots.wants == {2: True, 0: True, 3: True, 1: True}
    for ask, text, alpha in zip(asks, TEXTS, alphas, strict=True):
        expected = two.expected(text, 1.5 if alpha is None else alpha)[: len(ask.output)]
        assert len(expected) > 3 and ask.output[: len(expected)] == expected, text


def test_it_is_idle_without_configuration_and_once_in_an_engine(two):
    logits, plain = two.logits([two.ask(TEXTS[0])]), SimpleNamespace(extra_args=None)
    idle = VeneerShift(Engine({}, two.engine.model_config), torch.device("cpu"), False)
    idle.update_state(SimpleNamespace(removed=[], added=[(0, plain, [1], [])], moved=[]))
    assert torch.equal(idle.apply(logits.clone()), logits)
    states = SimpleNamespace(device=torch.device("cpu"))
    assert not VeneerShift(Engine({}, None), states).add_request(0, plain)
    first = Batch(two)
    second = Batch(two)  # named on the command line as well: the entry point has loaded it
    for batch in (first, second):
        batch.step([two.ask(TEXTS[0])])
    assert second.rows[0].output == [int(logits.argmax())]
    assert first.rows[0].output == two.expected(TEXTS[0], 1.5)[:1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"additional_config": {"veneer": {"small": "x"}}}, "with small and veneer"),
        ({"additional_config": {"veneer": {"small": "x", "veneer": "y", "alhpa": 1}}}, "alhpa"),
        ({"speculative_config": object()}, "speculative decoding"),
        ({"scheduler_config": SimpleNamespace(async_scheduling=True)}, "--no-async-scheduling"),
    ],
)
def test_what_an_engine_refuses(two, change, words):
    for name, value in change.items():
        setattr(two.engine, name, value)
    with pytest.raises(ValueError, match=words):
        Batch(two)


def test_models_that_cap_their_logits_and_alphas_that_are_none(two):
    for name in ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap"):
        config = SimpleNamespace(**{name: 30.0, "attn_logit_softcapping": 50.0})
        two.engine.model_config.hf_text_config = config
        with pytest.raises(ValueError, match=rf"caps its logits \({name} = 30\.0\), and"):
            Batch(two)
    with pytest.raises(ValueError, match="alpha is 'much'"):
        VeneerShift.validate_params(SimpleNamespace(extra_args={"veneer_alpha": "much"}))
    VeneerShift.validate_params(SimpleNamespace(extra_args=None))


def test_tokens_that_are_not_shown_are_no_tokens(two):
    batch = Batch(two)
    ask = two.ask(TEXTS[0])
    batch.step([ask])
    ask.output.append(-1)
    with pytest.raises(RuntimeError, match="--logits-processors"):
        batch.processor.apply(two.logits([two.ask(TEXTS[0])]))


def test_the_entry_point_names_the_class():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'veneer = "veneer.adapters.vllm_shift:VeneerShift"' in text
