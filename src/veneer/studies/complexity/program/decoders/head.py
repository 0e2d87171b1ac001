"""Decode a change of the LM head: integers times powers of two, so equal on every machine."""

import hashlib
import json

import numpy as np
import torch
from safetensors.torch import save_file

if __package__:
    from veneer.studies.complexity.program.decoders.coder import Coder, main
else:
    from coder import Coder, main  # type: ignore[import-not-found,no-redef]


def numbers(coder, rows, A, B, shifts, exponents, bias):
    """The numbers of a program in their order: decoded, or those given encoded in place.

    rows: ids (R,). dW_ij = 2^(exponents_0 + exponents_(1+j)) sum_k 2^shifts_k A_ik B_kj. bias: (R,)
    times 2^exponents_0, or of length 0.
    """
    last = -1
    for i in range(len(rows)):
        rows[i] = last = last + 1 + coder.integer("row", rows[i] - last - 1)
    for name, values in (("shift", shifts), ("exponent", exponents), ("bias", bias), ("b", B.T)):
        flat = values.reshape(-1)
        for i in range(len(flat)):
            flat[i] = coder.integer(name, flat[i])
        values[...] = flat.reshape(values.shape)
    for k in range(A.shape[1]):
        for i in range(len(rows)):
            A[i, k] = coder.integer(("a", k), A[i, k])


def sizes(coder, wanted=(0, 0, 0, 0, 0)):
    """Vocabulary, width, rank, number of rows, whether there is a bias."""
    return [coder.integer("size", n) for n in wanted]


def change(A, B, shifts, exponents):
    """dW (R, d) in float32: an exact sum, and one rounding per element."""
    exact = (A << shifts) @ B
    return np.ldexp(exact.astype(np.float64), exponents[0] + exponents[1:]).astype(np.float32)


def decode(payload, base, tokenizer, out):
    coder = Coder(payload)
    vocabulary, width, rank, count, biased = sizes(coder)
    weight = base.get_output_embeddings().weight[:vocabulary].detach().float().contiguous()
    if weight.shape != (vocabulary, width):
        raise ValueError("belongs to a head of another shape")
    if not (0 <= rank <= width and 0 <= count <= vocabulary):
        raise ValueError("names a rank or rows that the head does not have")
    rows, A = np.zeros(count, np.int64), np.zeros((count, rank), np.int64)
    B, shifts = np.zeros((rank, width), np.int64), np.zeros(rank, np.int64)
    exponents = np.zeros(1 + width * (rank > 0), np.int64)
    bias = np.zeros(count * biased, np.int64)
    numbers(coder, rows, A, B, shifts, exponents, bias)
    tensors = {"rows": torch.from_numpy(rows)}
    if biased:
        exact = np.ldexp(bias.astype(np.float64), exponents[0]).astype(np.float32)
        tensors |= {"A": torch.zeros(count, 0), "B": torch.zeros(0, width)}
        tensors["bias"] = torch.from_numpy(exact)
    else:
        tensors["dW"] = torch.from_numpy(change(A, B, shifts, exponents))
    save_file(tensors, out / "veneer.safetensors")
    facts = {
        "kind": "veneer",
        "schema": 2 if biased else 1,
        "unembedding": hashlib.sha256(weight.numpy().tobytes()).hexdigest(),
        "vocabulary": vocabulary,
        "width": width,
        "rank": 0 if biased else None,
        "rows": count,
        "sha256": hashlib.sha256((out / "veneer.safetensors").read_bytes()).hexdigest(),
    }
    (out / "veneer.json").write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main("head", decode)
