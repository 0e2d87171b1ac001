"""Decode prompts and answers, coded by base, and train an adapter of base on the answers: one
thread and deterministic algorithms, so equal on one build of PyTorch and one processor type."""

import torch

if __package__:
    from veneer.studies.complexity.program.decoders.adapter import linears, save
    from veneer.studies.complexity.program.decoders.coder import Coder, main
    from veneer.studies.complexity.program.decoders.tokens import lengths, tokens
else:
    from adapter import linears, save  # type: ignore[import-not-found,no-redef]
    from coder import Coder, main  # type: ignore[import-not-found,no-redef]
    from tokens import lengths, tokens  # type: ignore[import-not-found,no-redef]

RATE = 1 << 20  # learning rates are whole numbers of this unit


def settings(coder, wanted=(0, 0, 0, 0, 0, 0)):
    """Number of examples, rank, rate, epochs, batch, seed."""
    return [coder.integer("setting", n) for n in wanted]


def train(model, examples, rank, rate, epochs, batch, seed):
    """examples: (ids of prompt, ids of answer). Name -> (A, B) of every layer."""
    draw, factors = torch.Generator().manual_seed(seed), {}
    for p in model.parameters():
        p.requires_grad_(False)
    hooks = []
    for name, m in linears(model).items():
        A = torch.randn(rank, m.in_features, generator=draw) / m.in_features**0.5
        A, B = A.requires_grad_(), torch.zeros(m.out_features, rank, requires_grad=True)
        factors[name] = (A, B)
        hooks.append(m.register_forward_hook(lambda _, x, y, A=A, B=B: y + x[0] @ A.T @ B.T))
    learned = [t for pair in factors.values() for t in pair]
    steps, step = epochs * -(-len(examples) // batch), 0
    adam = torch.optim.AdamW(learned, lr=rate / RATE, weight_decay=0.0)
    for _ in range(epochs):
        order = torch.randperm(len(examples), generator=draw).tolist()
        for at in range(0, len(order), batch):
            drawn = [examples[i] for i in order[at : at + batch]]
            width = max(len(p + a) for p, a in drawn)
            ids = torch.tensor([p + a + [0] * (width - len(p + a)) for p, a in drawn])
            goal = ids.clone()
            for row, (p, a) in zip(goal, drawn, strict=True):
                row[: len(p)] = -100
                row[len(p + a) :] = -100
            logits = model(ids).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), goal[:, 1:].flatten())
            adam.param_groups[0]["lr"] = (
                rate / RATE * min((step + 1) / steps * 10, 1 - step / steps)
            )
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            adam.step()
            step += 1
    for hook in hooks:
        hook.remove()
    return factors


def decode(payload, base, tokenizer, out):
    coder = Coder(payload)
    count, rank, *rest = settings(coder)
    if not (0 < count < 1 << 20 and 0 < rank < 1 << 16):
        raise ValueError("names no examples or no rank")
    before, after = lengths(coder, count), lengths(coder, count)
    rows, _ = tokens(base, coder, [b + a for b, a in zip(before, after, strict=True)])
    examples = [(r[:b], r[b:]) for r, b in zip(rows, before, strict=True)]
    save(out, base, train(base, examples, rank, *rest), rank)
    for p in base.parameters():
        p.requires_grad_(True)


if __name__ == "__main__":
    main("data", decode)
