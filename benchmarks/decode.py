"""Decoding: a merged checkpoint against its base, and a shifted system against its
two models apart; or Veneer's decoding against transformers' `generate`.

    python benchmarks/decode.py [--base B] [--large L] [--small S] [--veneer V] [--runs 24]
        [--tokens 16] [--batch 8] [--out FILE]
    python benchmarks/decode.py --only generate --batch 16 --tokens 128 --runs 3 [--half]
    python benchmarks/decode.py --only llama.cpp --batch 16 --tokens 128 --runs 3 [--half]

Models by name; default: base of the real pair (VENEER_PAIR) in all three places. The veneer must
belong to --base and to --small; without one, a random one with --rows rows is made, which costs the
same. In every run each side decodes a batch of the same random prompts for exactly --tokens steps,
greedily, with the same loop; the shifted system and its two models alone are fed the same tokens.
Runs are paired: both sides take their steps in turn, in an order that alternates, so that a busy
machine slows both alike. What is timed is the steps behind the first one, in which the prompts are
read. Ratios are geometric means over the pairs with a 95 % interval (t on the logarithms), of
seconds on the wall clock and of CPU seconds of this process, which other processes disturb less.
generate: base decodes the same prompts with `decode_steps` and with transformers' `generate` in a
batch, both greedy and without an end token, and their tokens must be equal; `generate` waits
between its steps, so that both take them in turn. llama.cpp: the same against llama.cpp (needs
`pip install xllamacpp gguf`) with weights and cache in float32 and a sequence for each row; its
server takes its steps by itself, so whole batches are timed, prompts included, ours and its in
turn; the line says how many rows have the same tokens. Neither is part of a run without --only.
--half: round the weights to bfloat16 first, as a checkpoint on a hub stores them; both sides
compute in float32.

Goals: merged within 5 % of 1; shifted at most 1.10 of its two models apart, intervals within 5 %.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from veneer.head.merge import merge
from veneer.head.veneer import Veneer
from veneer.models.decode import Row, Sampling, decode_steps, decode_with
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.stepper import ModelStepper, ShiftedStepper, Stepper
from veneer.systems.shifted import ShiftedSystem

Make = Callable[[], Stepper]
WARM_UP = 1  # pairs


class Fed(ModelStepper):
    """A model that decodes as ever, but goes on with the tokens (B, T) that it is given."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[Sequence[int]], tokens: torch.Tensor):
        super().__init__(lm, prompts)
        self._tokens, self._step = tokens.to(lm.device), 0

    def feed(self, chosen: torch.Tensor) -> None:
        super().feed(self._tokens[:, self._step])
        self._step += 1


class FedShifted(ShiftedStepper):
    """The same for the shifted system."""

    _step = 0
    tokens: torch.Tensor

    def feed(self, chosen: torch.Tensor) -> None:
        super().feed(self.tokens[:, self._step])
        self._step += 1


def clocks() -> np.ndarray:
    """Seconds on the wall, CPU seconds."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def paired(
    one: Sequence[Make], other: Sequence[Make], how: Sampling, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """(runs, 2) seconds of each side, a side's parts summed."""
    found = np.zeros((WARM_UP + runs, 2, 2))
    for run in found:
        sides = [(run[side], make()) for side, parts in enumerate((one, other)) for make in parts]
        loops = [(t, decode_steps(s, [Row(how)] * len(s.prompts), stop_ids=())) for t, s in sides]
        for step in range(how.max_new_tokens):
            for taken, loop in loops if step % 2 else loops[::-1]:
                before = clocks()
                next(loop)
                if step:
                    taken += clocks() - before
    return found[WARM_UP:, 0], found[WARM_UP:, 1]


class Waiting:
    """A streamer that lets `generate` go on by one step each time it is asked to."""

    def __init__(self) -> None:
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)

    def put(self, value: torch.Tensor) -> None:
        self._done.release()
        self._go.acquire()

    def end(self) -> None:
        self._done.release()

    def step(self) -> None:
        self._go.release()
        self._done.acquire()


class Generated:
    """transformers' `generate` in a thread of its own, a step at a time."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[Sequence[int]], tokens: int):
        self._lm, self._prompts, self._tokens = lm, prompts, tokens
        self._waiting = Waiting()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ids: list[list[int]] = []

    def start(self) -> None:
        """Up to the first step, which reads the prompts."""
        self._thread.start()
        self._waiting._done.acquire()

    def step(self) -> None:
        self._waiting.step()

    def end(self) -> None:
        self._waiting._go.release()
        self._thread.join()

    @torch.inference_mode()
    def _run(self) -> None:
        width = max(map(len, self._prompts))
        gaps = [width - len(p) for p in self._prompts]
        pairs = list(zip(gaps, self._prompts, strict=True))
        ids = torch.tensor([[self._lm.pad_id] * g + list(p) for g, p in pairs])
        mask = torch.tensor([[0] * g + [1] * len(p) for g, p in pairs])
        out = self._lm.model.generate(
            input_ids=ids.to(self._lm.device),
            attention_mask=mask.to(self._lm.device),
            max_new_tokens=self._tokens,
            min_new_tokens=self._tokens,
            do_sample=False,
            pad_token_id=self._lm.pad_id,
            eos_token_id=None,
            streamer=self._waiting,
        )
        self.ids = out[:, width:].tolist()


def against_generate(lm: LanguageModel, given: argparse.Namespace) -> list[dict]:
    """Seconds of transformers' steps over those of Veneer's."""
    prompts = random_prompts(lm, given.batch, given.prompt)
    how = Sampling(given.tokens)
    found = np.zeros((given.runs, 2, 2))
    for run in found:
        stepper = ModelStepper(lm, prompts)
        ours = decode_steps(stepper, [Row(how)] * len(prompts), stop_ids=())
        theirs = Generated(lm, prompts, given.tokens)
        theirs.start()
        chosen = []
        for step in range(given.tokens):
            for side in (0, 1) if step % 2 else (1, 0):
                before = clocks()
                if side:
                    chosen.append([t.id for t in next(ours)])
                else:
                    theirs.step()
                if step:
                    run[side] += clocks() - before
        theirs.end()
        if theirs.ids != [list(row) for row in zip(*chosen, strict=True)]:
            sys.exit("Veneer and transformers chose different tokens; the ratio would mean nothing")
        print(json.dumps((run / (given.tokens - 1)).round(4).tolist()), flush=True)
    what = f"transformers' generate / ours, batch {given.batch}, {given.tokens} tokens"
    return rows_of(what, found[:, 0], found[:, 1], "at least 1.5", given)


def half_rounded(lm: LanguageModel) -> LanguageModel:
    """The same model with the weights that a bfloat16 checkpoint of it has, in float32."""
    with torch.no_grad():
        for p in lm.model.parameters():
            p.copy_(p.bfloat16())
    return LanguageModel(lm.name, lm.model, lm.tokenizer)


class LlamaCpp:
    """llama.cpp in this process, with a sequence for each row of a batch."""

    def __init__(self, lm: LanguageModel, folder: Path, given: argparse.Namespace):
        import xllamacpp

        from veneer.models.checkpoint.gguf import write_gguf

        lm.model.save_pretrained(folder / "model")
        lm.tokenizer.save_pretrained(folder / "model")
        words, threads = xllamacpp.CommonParams(), torch.get_num_threads()
        words.model.path = str(write_gguf(folder / "model", folder / "model.gguf"))
        words.n_ctx = given.batch * (given.prompt + given.tokens + 8)
        words.n_parallel, words.n_gpu_layers, words.verbosity = given.batch, 0, 0
        words.n_threads_http = given.batch + 2
        words.cpuparams.n_threads = words.cpuparams_batch.n_threads = threads
        words.warmup = words.fit_params = False
        words.cache_type_k = words.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        self._server, self._tokens = xllamacpp.Server(words), given.tokens

    def decode(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        asked = {
            "n_predict": self._tokens,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
            "return_tokens": True,
        }

        def answer(prompt: Sequence[int]) -> list[int]:
            body = json.dumps({**asked, "prompt": list(prompt)}).encode()
            address = f"{self._server.listening_address}/completion"
            request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as reply:
                return list(json.load(reply)["tokens"])

        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(answer, prompts))


def against_llama_cpp(lm: LanguageModel, given: argparse.Namespace) -> list[dict]:
    """Seconds of llama.cpp's batches over those of Veneer's."""
    prompts = random_prompts(lm, given.batch, given.prompt)
    how = Sampling(given.tokens, min_new_tokens=given.tokens)  # llama.cpp bars end tokens too
    found = np.zeros((WARM_UP + given.runs, 2, 2))
    with tempfile.TemporaryDirectory() as folder:
        theirs = LlamaCpp(lm, Path(folder), given)
        for run in found:
            before = clocks()
            other = theirs.decode(prompts)
            between = clocks()
            stepper = ModelStepper(lm, prompts)
            own = [d.token_ids for d in decode_with(stepper, how, stop_ids=lm.stop_ids)]
            run[:] = between - before, clocks() - between
            equal = sum(list(a) == list(b) for a, b in zip(own, other, strict=True))
            print(json.dumps((run / given.tokens).round(4).tolist()), equal, "rows equal")
    what = f"llama.cpp / ours, batch {given.batch}, {given.tokens} tokens"
    return rows_of(what, found[WARM_UP:, 0], found[WARM_UP:, 1], "at least 1", given)


def ratio(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Geometric mean of paired ratios with its 95 % t interval."""
    logs = np.log(one / other)
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    mean = float(logs.mean())
    return {
        "ratio": math.exp(mean),
        "low": math.exp(mean - half),
        "high": math.exp(mean + half),
        "runs": len(logs),
    }


def rows_of(
    what: str, one: np.ndarray, other: np.ndarray, goal: str, given: argparse.Namespace
) -> list[dict]:
    """A row a clock, as benchmarks/performance.py reads them."""
    out = []
    for clock, name in enumerate(("wall clock", "CPU seconds")):
        steps = [
            round(1e3 * float(np.median(x[:, clock])) / (given.tokens - 1), 2) for x in (one, other)
        ]
        out.append(
            {
                "what": f"{what}, {name}",
                **ratio(one[:, clock], other[:, clock]),
                "goal": goal,
                "ms_a_step": steps,
            }
        )
    return out


def random_prompts(lm: LanguageModel, batch: int, length: int) -> list[list[int]]:
    """Rows of different lengths, up to `length` tokens."""
    draw = torch.Generator().manual_seed(0)
    top = len(lm.tokenizer.get_vocab())
    return [torch.randint(0, top, (length - i % 4,), generator=draw).tolist() for i in range(batch)]


def some_veneer(lm: LanguageModel, rows: int) -> Veneer:
    draw = torch.Generator().manual_seed(0)
    count, width = lm.head.weight.shape
    chosen = torch.randperm(count, generator=draw)[: min(rows, count)].sort().values
    return Veneer(
        lm.head.hash(), count, 1e-3 * torch.randn(len(chosen), width, generator=draw), chosen
    )


def merged_against_base(
    base: LanguageModel, name: str, veneer: Veneer, given: argparse.Namespace
) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        merged = load_model(str(merge(veneer, load_model(name), Path(folder) / "merged")))
    prompts = random_prompts(base, given.batch, given.prompt)
    one, other = paired(
        [lambda: ModelStepper(merged, prompts)],
        [lambda: ModelStepper(base, prompts)],
        Sampling(given.tokens),
        given.runs,
    )
    return rows_of("merged checkpoint / base", one, other, "0.95 to 1.05", given)


def shifted_against_parts(
    large: LanguageModel, small: LanguageModel, veneer: Veneer, given: argparse.Namespace
) -> list[dict]:
    system = ShiftedSystem.of_models(large, small, veneer)
    prompts = random_prompts(large, given.batch, given.prompt)
    own = system.shift.to_small.tolist()
    small_prompts = [[own[i] for i in p] for p in prompts]
    how = Sampling(given.tokens)
    answers = decode_with(system.stepper_of_ids(prompts, small_prompts), how, stop_ids=())
    tokens = torch.tensor([d.token_ids for d in answers], device=large.device)

    def together() -> Stepper:
        stepper = FedShifted(large, small, prompts, small_prompts, system.shift, system.alpha.at)
        stepper.tokens = tokens
        return stepper

    parts: list[Make] = [
        lambda: Fed(large, prompts, tokens),
        lambda: Fed(small, small_prompts, system.shift.small_ids(tokens)),
    ]
    one, other = paired([together], parts, how, given.runs)
    return rows_of(
        f"shifted ({len(system.shift.rows):,} rows of dW) / large + small",
        one,
        other,
        "at most 1.10",
        given,
    )


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = str(Path(os.environ["VENEER_PAIR"]) / "base") if os.environ.get("VENEER_PAIR") else None
    parser.add_argument("--base", default=own, help="model that is merged")
    parser.add_argument("--large", default=own)
    parser.add_argument("--small", default=own)
    parser.add_argument("--veneer", type=Path, help="folder of a veneer of --base")
    parser.add_argument(
        "--small-veneer",
        type=Path,
        help="folder of a veneer of --small; default: --veneer, where it fits",
    )
    parser.add_argument("--rows", type=int, default=10_000, help="of a random veneer")
    parser.add_argument("--runs", type=int, default=24, help="pairs")
    parser.add_argument(
        "--tokens", type=int, default=17, help="steps a run, the first one with the prompts"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=16, help="tokens of the longest prompt")
    parser.add_argument("--only", choices=("merged", "shifted", "generate", "llama.cpp"))
    parser.add_argument(
        "--half", action="store_true", help="with the weights of a bfloat16 checkpoint"
    )
    parser.add_argument("--out", type=Path, help="figures as JSON")
    given = parser.parse_args()
    if not (given.base and given.large and given.small):
        sys.exit(
            "set VENEER_PAIR to the folder that pairs/smollm2/make.py wrote, or give --base, "
            "--large and --small"
        )
    models = {name: load_model(name) for name in {given.base, given.large, given.small}}
    if given.half:
        models = {name: half_rounded(lm) for name, lm in models.items()}
    base, large, small = (models[n] for n in (given.base, given.large, given.small))
    veneer = Veneer.load(given.veneer) if given.veneer else some_veneer(base, given.rows)
    if given.small_veneer:
        small_veneer = Veneer.load(given.small_veneer)
    else:
        small_veneer = veneer if small is base else some_veneer(small, given.rows)
    found = []
    if given.only == "generate":
        found += against_generate(base, given)
    if given.only == "llama.cpp":
        found += against_llama_cpp(base, given)
    if given.only in (None, "merged"):
        found += merged_against_base(base, given.base, veneer, given)
    if given.only in (None, "shifted"):
        found += shifted_against_parts(large, small, small_veneer, given)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    setting = {
        **{k: Path(getattr(given, k)).name for k in ("base", "large", "small")},
        "batch": given.batch,
        "steps": given.tokens,
        "prompt": given.prompt,
        "threads": torch.get_num_threads(),
        "dtype": str(base.head.weight.dtype),
        "rounded to bfloat16": given.half,
        "device": device,
    }
    print(json.dumps(setting))
    for r in found:
        one, other = r["ms_a_step"]
        print(
            f"{r['what']:56} {r['ratio']:.3f} ({r['low']:.3f} to {r['high']:.3f}), {r['runs']} "
            f"pairs, {one} and {other} ms a step; goal {r['goal']}"
        )
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps({"setting": setting, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
