"""Decode an adapter: integers times powers of two."""

import numpy as np
import torch

if __package__:
    from veneer.studies.complexity.program.decoders.adapter import linears, save
    from veneer.studies.complexity.program.decoders.coder import Coder, main
else:
    from adapter import linears, save  # type: ignore[import-not-found,no-redef]
    from coder import Coder, main  # type: ignore[import-not-found,no-redef]


def matrix(coder, name, values, exponent=0):
    """An integer matrix times 2^exponent in float32: decoded, or the given one encoded."""
    exponent, flat = coder.integer(("exponent", name), exponent), values.reshape(-1)
    for i in range(len(flat)):
        flat[i] = coder.integer(name, flat[i])
    exact = np.ldexp(flat.reshape(values.shape).astype(np.float64), exponent)
    return torch.from_numpy(exact.astype(np.float32))


def decode(payload, base, tokenizer, out):
    coder, factors = Coder(payload), {}
    rank = coder.integer("rank")
    if not 0 < rank < 1 << 16:
        raise ValueError("names no rank")
    for name, layer in linears(base).items():
        A = np.zeros((rank, layer.in_features), np.int64)
        B = np.zeros((layer.out_features, rank), np.int64)
        factors[name] = (matrix(coder, "A", A), matrix(coder, "B", B))
    save(out, base, factors, rank)


if __name__ == "__main__":
    main("lora", decode)
