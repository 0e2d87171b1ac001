"""What a large pair needs in disk, memory, time and traffic: the arithmetic of
docs/scale.md as code.

python benchmarks/scale_arithmetic.py [--layers 80 --width 8192 --vocabulary 128256
--tokens 10e6 ...]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

HISTORY = 12  # (s, y) pairs that head/lbfgs.py keeps


@dataclass(frozen=True)
class Scale:
    """A pair, a capture and the machines; the defaults are a 70B pair of Llama 3's
    shape and 8 H200."""

    parameters: float = 70.6e9  # of each model
    layers: int = 80
    width: int = 8192
    vocabulary: int = 128_256
    kv_width: int = 1024  # heads that keep keys x their width
    tokens: float = 10e6  # response tokens
    prompt_tokens: float = 60.0  # of each prompt
    response_tokens: float = 128.0  # of each response
    k: int = 64
    hidden_bytes: int = 2  # of a stored hidden state's entry: 2 bfloat16, 4 float32
    weight_bytes: int = 2
    batch: int = 32
    shard_batches: int = 2
    rows: int = 40_000  # that change
    rank: int = 64
    evaluations: int = 60
    workers: int = 8
    gpus_per_model: int = 2
    flops: float = 400e12  # bf16 products that a GPU reaches, per second
    flops32: float = 50e12  # float32 products
    bandwidth: float = 4.8e12  # of a GPU's memory, bytes per second
    network: float = 25e9  # bytes per second of a machine

    def token_bytes(self) -> int:
        """Of a token in a shard (columns of capture/shards.py): prompt, position, token; hidden;
        ids and logs of both models, base's logs of the aligned top k; three scalars."""
        return 3 * 4 + self.width * self.hidden_bytes + self.k * (8 + 8 + 4) + 3 * 4

    def disk(self) -> float:
        return self.tokens * self.token_bytes() + self.vocabulary * self.width * self.weight_bytes

    def shard(self) -> float:
        return self.shard_batches * self.batch * self.response_tokens * self.token_bytes()

    def prompts(self) -> float:
        return self.tokens / self.response_tokens

    def read_tokens(self) -> float:
        """Tokens that each model goes over."""
        return self.tokens + self.prompts() * self.prompt_tokens

    def forward_flops(self) -> float:
        """Of one model: two per parameter and token. Base reads all in one pass; the aligned model
        reads prompts and decodes the rest."""
        return 2 * self.parameters * self.read_tokens()

    def decode_step(self) -> float:
        """Seconds of one decoding step of a batch: the weights and the keys and
        values are read once."""
        length = self.prompt_tokens + self.response_tokens / 2
        cache = 2 * self.layers * self.kv_width * self.weight_bytes * length * self.batch
        return (self.parameters * self.weight_bytes + cache) / (
            self.bandwidth * self.gpus_per_model
        )

    def decode_seconds(self) -> float:
        """Of one replica of the aligned model, at the memory's speed."""
        return self.tokens / self.batch * self.decode_step()

    def prefill_seconds(self) -> float:
        """Of one replica of base, at the products' speed."""
        return self.forward_flops() / (self.flops * self.gpus_per_model)

    def train(self) -> float:
        return 0.8 * self.tokens

    def evaluation_flops(self) -> float:
        return 4 * self.train() * self.rows * self.width

    def evaluation_seconds(self) -> float:
        return self.evaluation_flops() / (self.flops32 * self.workers)

    def dense(self) -> float:
        """Bytes of one (R, d) in float32: dW, a gradient, a broadcast."""
        return 4 * self.rows * self.width

    def search_memory(self) -> float:
        """Of the process that searches: the history; W, G, x, gradient, direction, trial, change
        and the best x; covariance; head."""
        return (
            (2 * HISTORY + 8) * self.dense() + 8 * self.width**2 + 4 * self.vocabulary * self.width
        )

    def rank_history(self) -> float:
        """Of the search over A and B alone; it starts from a dense solution unless one is given."""
        return 2 * HISTORY * 4 * (self.rows + self.width) * self.rank

    def worker_memory(self) -> float:
        """Beside the tokens that it keeps: W, G, dW and its gradient, and base's head."""
        return 4 * self.dense() + 4 * self.vocabulary * self.width

    def traffic(self) -> float:
        """Bytes that each process sends and receives in an evaluation under torchrun: dW comes,
        the gradient goes."""
        return 2 * self.dense()

    def ray_traffic(self) -> float:
        """Bytes that the searching process of --engine ray receives in an evaluation."""
        return self.workers * self.dense()


def lines(s: Scale) -> list[tuple[str, str, str]]:
    giga, hour = 1e9, 3600
    whole = s.evaluations * (s.evaluation_seconds() + s.traffic() / s.network)
    return [
        ("capture, a token", f"{s.token_bytes():,} bytes", "24 + d x bytes + 20 k"),
        ("capture", f"{s.disk() / giga:,.0f} GB", "tokens x that + head"),
        ("a shard", f"{s.shard() / giga:,.2f} GB", "batches x prompts x response tokens"),
        (
            "weights of a model",
            f"{s.parameters * s.weight_bytes / giga:,.0f} GB",
            "parameters x bytes",
        ),
        (
            "products of a model",
            f"{s.forward_flops():.2e} FLOP",
            "2 x parameters x (prompt + response tokens)",
        ),
        (
            "aligned decodes, a replica",
            f"{s.decode_seconds() / hour:,.1f} h",
            "tokens / batch x (weights + cache) / bandwidth",
        ),
        ("base reads, a replica", f"{s.prefill_seconds() / hour:,.1f} h", "products / speed"),
        (
            "an evaluation",
            f"{s.evaluation_flops():.2e} FLOP, {s.evaluation_seconds():,.0f} s",
            "4 N R d, over all workers",
        ),
        ("extraction", f"{whole / hour:,.1f} h", f"{s.evaluations} evaluations and their traffic"),
        ("dW", f"{s.dense() / giga:,.2f} GB", "4 R d"),
        ("memory of the search", f"{s.search_memory() / giga:,.0f} GB", "32 x dW + 8 d^2 + 4 V d"),
        (f"history at rank {s.rank}", f"{s.rank_history() / giga:,.2f} GB", "96 (R + d) r"),
        (
            "memory of a worker",
            f"{s.worker_memory() / giga:,.0f} GB",
            "4 x dW + 4 V d, and the tokens it keeps",
        ),
        ("traffic, torchrun", f"{s.traffic() / giga:,.2f} GB an evaluation", "8 R d"),
        (
            "traffic, Ray",
            f"{s.ray_traffic() / giga:,.1f} GB an evaluation",
            "4 R d x workers, into one process",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Scale):
        kind = int if isinstance(field.default, int) else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    scale = Scale(**vars(parser.parse_args()))
    print("| what | how much | how |\n|---|---|---|")
    for what, much, how in lines(scale):
        print(f"| {what} | {much} | {how} |")


if __name__ == "__main__":
    main()
