"""Capture and extraction on an accelerator, against its memory and matrix ceilings.

    python benchmarks/gpu.py [--size 8b] [--prompts 256] [--tokens 128] [--batch-size 64]
        [--device cuda] [--out FILE]

No checkpoint is needed: a Llama with random weights of the given size is made on the device, twice
(base and aligned), in bfloat16, and answers prompts of random ids with exactly --tokens tokens.
Sizes: tiny (a trial on a CPU), 1b, 3b, 8b, 14b.

- ceilings: bytes a second of a large copy, multiply-adds a second of large products in
  bfloat16 and float32;
- capture: response tokens a second; its floor is the larger of the time to read the aligned
  model's weights once a decoding step (base's once for its one pass) and the time of all
  multiply-adds, at those ceilings;
- extraction: an evaluation at 8,192 tokens with R changing rows, products in float32 (accumulation
  too), against 2 N R d multiply-adds;
- the fused kernel of gpu_kernel.py against plain PyTorch, and the share of an evaluation
  that it could save.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import gpu_kernel

SIZES = {  # hidden, layers, heads, key-value heads, intermediate, vocabulary
    "tiny": (128, 2, 4, 2, 256, 4096),
    "1b": (2048, 16, 32, 8, 8192, 128_256),
    "3b": (3072, 28, 24, 8, 8192, 128_256),
    "8b": (4096, 32, 32, 8, 14_336, 128_256),
    "14b": (5120, 48, 40, 8, 13_824, 151_936),
}


def clock(work: Callable[[], object], device: torch.device, times: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(times + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best


def ceilings(device: torch.device, small: bool) -> dict[str, float]:
    n = 1 << (24 if small else 30)
    source = torch.empty(n, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    limits = {"bytes_a_second": 2 * n / clock(lambda: target.copy_(source), device)}
    m = 512 if small else 8192
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(m, m, device=device, dtype=dtype) for _ in range(2))
        name = str(dtype).removeprefix("torch.")
        limits[f"multiply_adds_a_second_{name}"] = m**3 / clock(lambda a=a, b=b: a @ b, device)
    return limits


def model(size: str, device: torch.device, dtype: torch.dtype):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from veneer.models.language_model import LanguageModel

    hidden, layers, heads, kv, middle, vocabulary = SIZES[size]
    config = LlamaConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        intermediate_size=middle,
        vocab_size=vocabulary,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        dtype=dtype,
    )
    plain = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}, unk_token="w0"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain)
    with torch.device(device):
        torch.set_default_dtype(dtype)
        network = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    return LanguageModel(f"random-{size}", network, tokenizer)


def capture_figures(
    size: str, device: torch.device, given: argparse.Namespace, limits: dict[str, float]
) -> tuple[dict, object]:
    from veneer.capture import CaptureConfig, capture
    from veneer.models.decode import Sampling
    from veneer.models.formats import PlainFormat
    from veneer.models.pair import Pair
    from veneer.prompts.prompt import Prompt

    class Endless(Pair):
        @property
        def stop_ids(self) -> tuple[int, ...]:
            return ()

    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    torch.manual_seed(0)
    base, aligned = model(size, device, dtype), model(size, device, dtype)
    pair = Endless(base, aligned, PlainFormat(), PlainFormat())
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(SIZES[size][5], (given.prompts, 48), generator=draw).tolist()
    prompts = [
        Prompt(str(i), "random", " ".join(f"w{w}" for w in row)) for i, row in enumerate(words)
    ]
    sampling = Sampling(given.tokens)
    how = CaptureConfig(
        batch_size=given.batch_size, noise_prompts=1, hidden_dtype="bfloat16", sampling=sampling
    )
    with tempfile.TemporaryDirectory() as folder:
        capture(pair, prompts[: given.batch_size], Path(folder) / "warm", how)
        started = time.perf_counter()
        taken = capture(pair, prompts, Path(folder) / "capture", how)
        seconds = time.perf_counter() - started
        tokens = taken.tokens
    weights = sum(p.numel() for p in base.model.parameters())
    name = str(dtype).removeprefix("torch.")
    batches = -(-given.prompts // given.batch_size)
    memory = (
        weights
        * base.head.weight.element_size()
        * batches
        * (given.tokens + 2)
        / limits["bytes_a_second"]
    )
    matrix = (
        weights * (2 * tokens + 2 * 48 * given.prompts) / limits[f"multiply_adds_a_second_{name}"]
    )
    figures = {
        "size": size,
        "dtype": name,
        "parameters": weights,
        "prompts": given.prompts,
        "batch_size": given.batch_size,
        "tokens": tokens,
        "seconds": seconds,
        "tokens_a_second": tokens / seconds,
        "floor_seconds": max(memory, matrix),
        "share_of_floor": max(memory, matrix) / seconds,
    }
    if device.type == "cuda":
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return figures, base


def extraction_figures(
    width: int, rows: int, device: torch.device, tokens: int, limits: dict[str, float]
) -> dict:
    """One evaluation as head/objective.py makes it, and the fused kernel in its place."""
    hidden = torch.randn(tokens, width, device=device)
    weight = torch.randn(rows, width, device=device) / width**0.5
    log_fixed = torch.zeros(tokens, device=device)
    chunk = max(16, (1 << 24) // rows)
    buffer = torch.empty(chunk, rows, device=device)
    gradient = torch.zeros_like(weight)

    def evaluate(middle: Callable) -> None:
        for at in range(0, tokens, chunk):
            h = hidden[at : at + chunk]
            z = buffer[: len(h)]
            torch.mm(h, weight.t(), out=z)
            _, s = middle(z, log_fixed[at : at + chunk])
            gradient.addmm_(z.t(), h / (s * tokens)[:, None])

    z = torch.randn(min(chunk, tokens), rows, device=device)
    fixed = log_fixed[: len(z)]
    floor = 2 * tokens * rows * width / limits["multiply_adds_a_second_float32"]
    figures = {
        "tokens": tokens,
        "rows": rows,
        "width": width,
        "evaluation_seconds": clock(lambda: evaluate(gpu_kernel.plain), device),
        "floor_seconds": floor,
        "middle_seconds": clock(lambda: gpu_kernel.plain(z.clone(), fixed), device)
        * tokens
        / len(z),
    }
    if gpu_kernel.triton is not None and device.type == "cuda":
        a, b = z.clone(), z.clone()
        (top_a, sum_a), (top_b, sum_b) = gpu_kernel.plain(a, fixed), gpu_kernel.fused(b, fixed)
        torch.testing.assert_close((a, top_a, sum_a), (b, top_b, sum_b), rtol=1e-5, atol=1e-6)
        figures["fused_evaluation_seconds"] = clock(lambda: evaluate(gpu_kernel.fused), device)
        figures["fused_middle_seconds"] = (
            clock(lambda: gpu_kernel.fused(z.clone(), fixed), device) * tokens / len(z)
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="8b")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="figures as JSON")
    given = parser.parse_args()
    device = torch.device(given.device)
    limits = ceilings(device, given.size == "tiny")
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    figures = {"device": name, "torch": torch.__version__, "ceilings": limits}
    figures["capture"], _ = capture_figures(given.size, device, given, limits)
    rows = min(given.rows, SIZES[given.size][5])
    figures["extraction"] = extraction_figures(SIZES[given.size][0], rows, device, 8192, limits)
    text = json.dumps(figures, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
