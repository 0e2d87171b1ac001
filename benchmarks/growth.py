"""How time and memory grow with the number of prompts and with the vocabulary.

    python benchmarks/growth.py capture WORK [--prompts 48]
        N x 1, 2, 4, 8 prompts of the real pair (VENEER_PAIR, VENEER_DATA)
    python benchmarks/growth.py extract WORK [--tokens 20000]
        N x 1, 2, 4, 8 tokens of a synthetic capture, V = 49,152, d = 576
    python benchmarks/growth.py vocabulary WORK
        V = 2,048, 49,152, 151,936, 262,144: capture and extraction
    python benchmarks/growth.py page WORK --out FILE
        the figures as JSON, for benchmarks/performance.py, and the curve in docs/pictures

Every point is a process of its own, so that peak memory is its own; `seconds` is the work alone,
without imports and loading. Synthetic captures hold Gaussian hidden states with a falling spectrum
like the real pair's (eigenvalue 1 / rank), a planted dW on 2,000 rows, and 25 evaluations are made
whatever they gain: it is the cost of an evaluation that is measured, not how many are needed.
CACHE: bytes of tokens that an extraction keeps in memory between passes; behind that budget it
reads shards again.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

WIDTH, CHANGED, K = 576, 2000, 64
TIMES = (1, 2, 4, 8)
VOCABULARIES = (2_048, 49_152, 151_936, 262_144)
CACHE = 64 << 20
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "growth.svg"


def peak_mb() -> float:
    """Peak resident memory of this very process (Linux); ru_maxrss would also count what stood
    there before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        return (
            next(
                int(line.split()[1])
                for line in status.read_text().splitlines()
                if line.startswith("VmHWM")
            )
            / 1024
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def capture_point(work: Path, prompts: int) -> dict:
    from pair_prompts import load_pair, train_prompts
    from veneer.capture import CaptureConfig, capture

    pair = load_pair()
    some = train_prompts(prompts // 2)
    before, started = peak_mb(), time.perf_counter()
    # one that is there would only be opened
    shutil.rmtree(work / f"capture-{prompts}", ignore_errors=True)
    taken = capture(
        pair,
        some,
        work / f"capture-{prompts}",
        CaptureConfig(batch_size=16, shard_batches=1, noise_prompts=4),
    )
    return {
        "x": prompts,
        "tokens": taken.tokens,
        "seconds": time.perf_counter() - started,
        "before_mb": before,
    }


def synthetic(folder: Path, tokens: int, vocabulary: int) -> None:
    """Shards of 4,096 tokens, 32 a prompt, written as a capture writes them."""
    from safetensors.torch import save_file

    from veneer.capture.batch import base_columns
    from veneer.capture.distributions import top_k
    from veneer.capture.shards import write_shard
    from veneer.foundation.files import json_lines, write_json, write_text
    from veneer.models.head import Head

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make = torch.Generator().manual_seed(0)
    weight = torch.randn(vocabulary, WIDTH, generator=make) / math.sqrt(WIDTH)
    rows = torch.randperm(vocabulary, generator=make)[:CHANGED]
    spectrum = (torch.arange(1, WIDTH + 1).float() ** -0.5) * 8
    weight[rows] += 0.15
    planted = weight.clone()
    planted[rows] += torch.randn(len(rows), WIDTH, generator=make) / math.sqrt(WIDTH)
    save_file({"weight": weight}, folder / "head.safetensors")
    per, each = 32, 4096
    plan, number = [], 0
    for at in range(0, tokens, each):
        n = min(each, tokens - at)
        hidden = torch.randn(n, WIDTH, generator=make) * spectrum + 1
        parts: dict[str, list] = {}
        for cut in range(0, n, 256):
            h = hidden[cut : cut + 256]
            aligned = top_k(h @ planted.T, K)
            columns = base_columns(Head(weight), h, aligned.ids, K)
            for name, value in {
                "aligned_ids": aligned.ids,
                "aligned_logprobs": aligned.logprobs,
                "aligned_tail": aligned.tail,
                **columns,
            }.items():
                parts.setdefault(name, []).append(value)
        prompt = torch.arange(n) // per + number
        count = int(prompt[-1]) + 1 - number
        shard = {name: torch.cat(values) for name, values in parts.items()}
        shard |= {
            "hidden": hidden,
            "prompt": prompt.int(),
            "position": (torch.arange(n) % per + 1).int(),
        }
        shard["token"] = shard["aligned_ids"][:, 0].clone()
        write_shard(
            folder, len(plan), shard, [{"number": number + i, "text": ""} for i in range(count)]
        )
        plan.append([list(range(number, number + count))])
        number += count
    write_text(
        folder / "prompts.jsonl",
        json_lines([{"id": str(i), "task": "synthetic", "plain": ""} for i in range(number)]),
    )
    model = {"name": "synthetic", "tokenizer": "none"}
    write_json(folder / "noise.json", [{"tokens": 1, "kl": 0.0}])
    write_json(
        folder / "manifest.json",
        {
            "kind": "capture",
            "schema": 1,
            "plan": plan,
            "base": model,
            "aligned": model,
            "base_format": {},
            "aligned_format": {},
            "config": {},
            "stop_ids": [],
            "prompts_sha256": "none",
            "head": {"scale": 1.0, "softcap": None, "rows": vocabulary, "width": WIDTH},
        },
    )


def extract_point(folder: Path, x: int) -> dict:
    """Set-up and 25 evaluations, tokens behind the cache budget read from disk again."""
    from veneer.capture import Capture
    from veneer.head.lbfgs import minimise
    from veneer.head.objective import Objective
    from veneer.head.parametrisation import Dense
    from veneer.head.token_blocks import Tokens

    started = time.perf_counter()
    taken = Capture.open(folder)
    tokens = Tokens.of_capture(
        taken, taken.prompt_numbers, torch.float32, torch.device("cpu"), cache_bytes=CACHE
    )
    make = torch.Generator().manual_seed(0)
    torch.randn(taken.head.rows, WIDTH, generator=make)
    rows = torch.randperm(taken.head.rows, generator=make)[:CHANGED].sort().values
    problem = Objective(tokens, taken.head, rows)
    ready = time.perf_counter()
    dense = Dense.of(problem)
    ridge = 0.1 * float(problem.covariance.diagonal().mean()) / problem.n

    def function(x: torch.Tensor) -> tuple[float, torch.Tensor]:
        evaluation = problem.evaluate(dense.to_change(x), ridge)
        return evaluation.objective, dense.pull_back(x, evaluation.gradient)

    begin = dense.start(None, direct=False)
    state = minimise(
        function,
        begin,
        dense.scale(begin, ridge),
        max_evaluations=25,
        gradient_tolerance=0.0,
        noise=0.0,
    )
    done = time.perf_counter()
    return {
        "x": x,
        "tokens": problem.n,
        "seconds": done - started,
        "set_up": ready - started,
        "kl_before": problem.base_kl,
        "evaluations": state.evaluations,
        "an_evaluation": (done - ready) / state.evaluations,
        "objective": state.value,
    }


def capture_vocabulary_point(work: Path, vocabulary: int) -> dict:
    """32 answers of 32 tokens, two layers, random weights: the heads are what grows."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from pair_prompts import folder, train_prompts
    from veneer.capture import CaptureConfig, capture
    from veneer.models.decode import Sampling
    from veneer.models.language_model import LanguageModel
    from veneer.models.pair import Pair

    class Endless(Pair):
        @property
        def stop_ids(self) -> tuple[int, ...]:
            return ()

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder("VENEER_PAIR") / "base")
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=1536,
        num_hidden_layers=2,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=vocabulary,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    # a tokenizer that knows no more than the model has rows: single characters
    if vocabulary < len(tokenizer):
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        signs = {chr(i): i for i in range(vocabulary)}
        plain = Tokenizer(models.WordLevel(signs, unk_token="?"))
        plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain)
        tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    models_ = [
        LanguageModel(name, LlamaForCausalLM(config), tokenizer) for name in ("base", "aligned")
    ]
    pair = Endless(*models_)
    started = time.perf_counter()
    how = CaptureConfig(batch_size=16, noise_prompts=2, sampling=Sampling(32))
    shutil.rmtree(work / f"capture-v{vocabulary}", ignore_errors=True)
    taken = capture(pair, train_prompts(16), work / f"capture-v{vocabulary}", how)
    return {"x": vocabulary, "tokens": taken.tokens, "seconds": time.perf_counter() - started}


def point(args: list[str]) -> dict:
    out = subprocess.run(
        [sys.executable, __file__, "point", *args], capture_output=True, text=True, check=False
    )
    if out.returncode:
        sys.exit(out.stderr[-2000:])
    figures = json.loads(out.stdout.strip().splitlines()[-1])
    print(json.dumps(figures), flush=True)
    return figures


def slope(points: list[dict], what: str) -> float:
    """Exponent of a power law through the points: 1 is linear, 0 flat."""
    xs, ys = [math.log(p["x"]) for p in points], [math.log(p[what]) for p in points]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - mx) ** 2 for x in xs
    )


def curve(points_by_name: dict[str, list[dict]]) -> str:
    """Four panels: time and memory over N and over V, both axes logarithmic, each line from its own
    first point's value."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4))
    titles = {
        "capture": ("capture of the real pair", "prompts"),
        "extract": ("extraction", "tokens"),
        "vocabulary": ("vocabulary", "rows"),
    }
    for axis, name in zip(axes, titles, strict=True):
        lines = {name: points_by_name[name]} if name in points_by_name else {}
        if name == "vocabulary":
            lines = {
                k.removeprefix("vocabulary-"): v
                for k, v in points_by_name.items()
                if k.startswith("vocabulary-")
            }
        for label, points in lines.items():
            xs = [p["x"] for p in points]
            axis.plot(xs, [p["seconds"] for p in points], "o-", label=f"{label}: seconds")
            axis.plot(
                xs, [p["peak_mb"] / 100 for p in points], "s--", label=f"{label}: memory, 100 MB"
            )
        axis.set(xscale="log", yscale="log", title=titles[name][0], xlabel=titles[name][1])
        ticks = sorted({p["x"] for points in lines.values() for p in points})
        axis.set_xticks(
            ticks, [f"{x / 1000:.0f}k" if x >= 2000 else str(x) for x in ticks], fontsize=7
        )
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        if lines:
            axis.legend(fontsize=7)
    figure.tight_layout()
    import io

    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("capture", "extract", "vocabulary", "page", "point"))
    parser.add_argument("work", type=Path)
    parser.add_argument("more", nargs="*")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    work = given.work
    work.mkdir(parents=True, exist_ok=True)
    if given.what == "point":
        kind, x = given.more[0], int(given.more[1])
        if kind == "capture":
            figures = capture_point(work, x)
        elif kind == "synthetic":
            synthetic(work / f"synthetic-{x}-{given.more[2]}", x, int(given.more[2]))
            figures = {}
        elif kind == "extract":
            figures = extract_point(work / f"synthetic-{x}-{given.more[2]}", int(given.more[3]))
        else:
            figures = capture_vocabulary_point(work, x)
        print(json.dumps({**figures, "peak_mb": peak_mb(), "threads": torch.get_num_threads()}))
        return
    where = str(work)
    if given.what == "capture":
        figures = {"capture": [point([where, "capture", str(given.prompts * t)]) for t in TIMES]}
    elif given.what == "extract":
        figures = {"extract": []}
        for t in TIMES:
            n = str(given.tokens * t)
            point([where, "synthetic", n, "49152"])
            figures["extract"].append(point([where, "extract", n, "49152", n]))
    elif given.what == "vocabulary":
        figures = {"vocabulary-capture": [], "vocabulary-extraction": []}
        for v in VOCABULARIES:
            figures["vocabulary-capture"].append(point([where, "vocabulary", str(v)]))
            point([where, "synthetic", "4096", str(v)])
            figures["vocabulary-extraction"].append(
                point([where, "extract", "4096", str(v), str(v)])
            )
    else:
        figures = {}
        for path in sorted(work.glob("growth-*.json")):
            figures |= json.loads(path.read_text())
        facts = {
            name: {
                "points": points,
                "time_exponent": slope(points, "seconds"),
                "memory_exponent": slope(points, "peak_mb"),
            }
            for name, points in figures.items()
        }
        given.out.write_text(json.dumps(facts, indent=1) + "\n")
        PICTURE.write_text(curve(figures))
        return
    (work / f"growth-{given.what}.json").write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
