"""llama.cpp's server in a process of its own, in float32 throughout and on the CPU.

Within the tests' process its end may wait for a thread of its own for ever; a process can be
killed.

    python llama_server.py FILE CONTEXT     prints the server's address, and serves
"""

from __future__ import annotations

import subprocess
import sys
import time
import weakref
from pathlib import Path
from types import ModuleType

import pytest


class LlamaServer:
    """Serves a GGUF file until it is forgotten. context: tokens of prompt and answer."""

    def __init__(self, file: Path, context: int = 512):
        pytest.importorskip("xllamacpp", reason="needs llama.cpp as a wheel: pip install xllamacpp")
        process = subprocess.Popen(
            [sys.executable, __file__, file, str(context)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.close = weakref.finalize(self, _end, process)
        assert process.stdout is not None
        # llama.cpp may print lines of its own first
        self.listening_address = next((x.strip() for x in process.stdout if "://" in x), None)
        if self.listening_address is None:
            raise RuntimeError(f"llama.cpp does not serve {file}")


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _serve(x: ModuleType, file: str, context: int) -> None:
    words = x.CommonParams()
    words.model.path = file
    words.n_ctx, words.n_parallel, words.n_gpu_layers = context, 1, 0
    # two threads that spin for each other take minutes on busy cores
    words.cpuparams.n_threads, words.cpuparams_batch.n_threads, words.verbosity = 1, 1, 0
    words.warmup = words.fit_params = False
    words.cache_type_k = words.cache_type_v = x.ggml_type.GGML_TYPE_F32  # float16 otherwise
    words.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = x.Server(words)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    import xllamacpp

    _serve(xllamacpp, sys.argv[1], int(sys.argv[2]))
