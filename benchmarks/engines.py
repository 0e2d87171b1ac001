"""Veneer's decoding against transformers' `generate`, or against llama.cpp.

    python benchmarks/engines.py generate|llama.cpp [--model M] [--half] [--batch 16]
        [--tokens 128] [--runs 3] [--device cpu] [--static] [--out FILE]

--model: by default base of the real pair (VENEER_PAIR). Both sides decode the same random prompts
greedily and without an end token. generate: it waits between its steps, so that both sides take
their steps in turn, and their tokens must be equal. llama.cpp (needs `pip install xllamacpp gguf`):
with weights and cache in float32 and one sequence for each row; its server takes its steps by
itself, so whole batches are timed, prompts included, in turn; each run says how many rows have the
same tokens. --half: the weights are rounded to bfloat16 first, as a checkpoint on a hub stores
them; all sides compute in float32. --device cuda with generate: both sides compute there, in the
checkpoint's own format; --static lets `generate` fill a static cache, which transformers then
compiles into CUDA graphs. Ratios as in decode.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from decode import WARM_UP, clocks, random_prompts, rows_of, show
from veneer.models.decode import Row, Sampling, decode_steps, decode_with
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.stepper import ModelStepper

KEPT = ("model", "half", "batch", "tokens", "prompt", "device", "static")


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

    def __init__(
        self, lm: LanguageModel, prompts: Sequence[Sequence[int]], tokens: int, static: bool
    ):
        self._lm, self._prompts, self._tokens = lm, prompts, tokens
        self._cache = {"cache_implementation": "static"} if static else {}
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
            **self._cache,
        )
        self.ids = out[:, width:].tolist()


def against_generate(lm: LanguageModel, given: argparse.Namespace) -> list[dict]:
    """Seconds of transformers' steps over those of Veneer's."""
    prompts = random_prompts(lm, given.batch, given.prompt)
    how = Sampling(given.tokens)
    seconds = np.zeros((given.runs, 2, 2))
    for run in seconds:
        stepper = ModelStepper(lm, prompts)
        ours = decode_steps(stepper, [Row(how)] * len(prompts), stop_ids=())
        theirs = Generated(lm, prompts, given.tokens, given.static)
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
    return rows_of(what, seconds[:, 0], seconds[:, 1], "at least 1.5", given)


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

        from veneer.models.gguf.write import write_gguf

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
        options = {
            "n_predict": self._tokens,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
            "return_tokens": True,
        }

        def answer(prompt: Sequence[int]) -> list[int]:
            body = json.dumps({**options, "prompt": list(prompt)}).encode()
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
    seconds = np.zeros((WARM_UP + given.runs, 2, 2))
    with tempfile.TemporaryDirectory() as folder:
        theirs = LlamaCpp(lm, Path(folder), given)
        for run in seconds:
            before = clocks()
            other = theirs.decode(prompts)
            between = clocks()
            stepper = ModelStepper(lm, prompts)
            own = [d.token_ids for d in decode_with(stepper, how, stop_ids=lm.stop_ids)]
            run[:] = between - before, clocks() - between
            equal = sum(list(a) == list(b) for a, b in zip(own, other, strict=True))
            print(json.dumps((run / given.tokens).round(4).tolist()), equal, "rows equal")
    what = f"llama.cpp / ours, batch {given.batch}, {given.tokens} tokens"
    return rows_of(what, seconds[WARM_UP:, 0], seconds[WARM_UP:, 1], "at least 1", given)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = str(Path(os.environ["VENEER_PAIR"]) / "base") if os.environ.get("VENEER_PAIR") else None
    parser.add_argument("engine", choices=("generate", "llama.cpp"))
    parser.add_argument("--model", default=own)
    parser.add_argument(
        "--half", action="store_true", help="with the weights of a bfloat16 checkpoint"
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=16, help="tokens of the longest prompt")
    parser.add_argument("--runs", type=int, default=3, help="pairs")
    parser.add_argument("--device", default="cpu", help="of generate")
    parser.add_argument(
        "--static", action="store_true", help="a static cache for generate (CUDA graphs on a GPU)"
    )
    parser.add_argument("--out", type=Path, help="figures as JSON")
    given = parser.parse_args()
    if given.engine == "llama.cpp" and (given.device != "cpu" or given.static):
        sys.exit("--device and --static are for generate; llama.cpp is compared on the CPU")
    if not given.model:
        sys.exit("set VENEER_PAIR to the folder that pairs/smollm2/make.py wrote, or give --model")
    lm = load_model(given.model, device=given.device)
    if given.half:
        lm = half_rounded(lm)
    against = against_generate if given.engine == "generate" else against_llama_cpp
    setting = {
        **{k: getattr(given, k) for k in KEPT},
        "threads": torch.get_num_threads(),
        "dtype": str(lm.head.weight.dtype),
    }
    show(setting, against(lm, given), given.out)


if __name__ == "__main__":
    main()
