"""What this machine does at best, for the floors that the other scripts compare with."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def product_speed(inner: int = 576) -> float:
    """Multiply-adds a second of a large float32 product."""
    a, b = torch.randn(2048, inner), torch.randn(inner, 8192)
    return 2048 * inner * 8192 / seconds(lambda: a @ b, 20)


def exp_speed() -> float:
    """Exponentials a second, in place, over 16 million float32."""
    a = torch.zeros(2048, 8192)
    return a.numel() / seconds(lambda: a.exp_())


def seconds(work: Callable[[], object], times: int = 5) -> float:
    work()
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times
