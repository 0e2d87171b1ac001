"""Token ids under a model's own probabilities: one step after another in one fixed batch, since
the encoder and the decoder must compute the very same tables."""

import numpy as np
import torch

SHARES = 1 << 32


def lengths(coder, count, wanted=()):
    return [coder.integer("length", wanted[i] if wanted else 0) for i in range(count)]


@torch.inference_mode()
def tokens(model, coder, sizes, wanted=None):
    """Rows of token ids with `sizes` tokens each. Returns them and the ideal bits, without and
    with the first token of each row."""
    rows: list = [[] for _ in sizes]
    ideal = [0.0, 0.0]
    last, past = [int(model.config.bos_token_id or 0)] * len(sizes), None
    for step in range(max(sizes, default=0)):
        result = model(torch.tensor(last)[:, None], past_key_values=past, use_cache=True)
        past = result.past_key_values
        shares = result.logits[:, -1].double().softmax(-1).numpy()
        last = [0] * len(sizes)
        for i, size in enumerate(sizes):
            if step < size:
                table = np.zeros(len(shares[i]) + 1, np.int64)
                table[1:] = np.cumsum((shares[i] * SHARES).astype(np.int64) + 1)
                last[i] = coder.pick(table, wanted[i][step] if wanted else 0)
                rows[i].append(last[i])
                bits = -np.log2(max(shares[i][last[i]], 1e-300))
                ideal[0] += bits * (step > 0)
                ideal[1] += bits
    return rows, ideal
