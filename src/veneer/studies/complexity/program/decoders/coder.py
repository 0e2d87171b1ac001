"""Program files and the range decoder: integers only, so equal on every machine."""

import argparse
import hashlib
import json
import sys
import zlib
from bisect import bisect
from pathlib import Path

MAGIC = b"VNP2"
KINDS = {"head": 1, "text": 2, "data": 3, "lora": 4}
TOP, LEAST, LARGEST_COUNT = 1 << 64, 1 << 56, 1 << 16


class Coder:
    """Decodes integers. An encoder overrides `pick` and gives the wanted values."""

    def __init__(self, data=b""):
        self.data, self.at, self.range = data, 8, TOP
        self.code = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        self.counts = {}

    def pick(self, table, wanted=0):
        """A symbol s of a cumulative table: table[s] to table[s + 1] of table[-1]."""
        unit = self.range // int(table[-1])
        s = min(bisect(table, self.code // unit), len(table) - 1) - 1
        low, high = int(table[s]), int(table[s + 1])
        self.code -= unit * low
        self.range = unit * (high - low)
        while self.range < LEAST:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.code, self.range, self.at = self.code << 8 | byte, self.range << 8, self.at + 1
        return s

    def bit(self, context, wanted=0):
        counts = self.counts.setdefault(context, [1, 1])
        bit = self.pick((0, counts[0], sum(counts)), int(wanted))
        counts[bit] += 2
        if sum(counts) > LARGEST_COUNT:
            counts[:] = [c + 1 >> 1 for c in counts]
        return bit

    def integer(self, context, wanted=0):
        """Zero, sign, length in bits and the bits: the upper ones adaptive."""
        wanted, size, value = int(wanted), abs(int(wanted)), 1
        if not self.bit((context, 0), size > 0):
            return 0
        negative, length = self.bit((context, -1), wanted < 0), 1
        while self.bit((context, length), size.bit_length() > length):
            length += 1
            if length > 64:
                raise ValueError("a number of more than 64 bits")
        for i in range(length - 1):
            low = size >> (length - 2 - i) & 1
            adaptive = i < 3
            bit = self.bit((context, length, value), low) if adaptive else self.pick((0, 1, 2), low)
            value = 2 * value + bit
        return -value if negative else value


SILENT = "architectures", "dtype", "torch_dtype", "transformers_version"


def fingerprint(model, folder, tokenizer):
    """4 bytes of all that decides a decoding: base's weights, its config.json, and the text that
    its tokens stand for."""
    from transformers import AutoTokenizer

    fields = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    kept = {k: v for k, v in fields.items() if k not in SILENT and k[0] != "_"}
    words = AutoTokenizer.from_pretrained(tokenizer)
    text = words.decode(sorted(words.get_vocab().values()), clean_up_tokenization_spaces=False)
    digest = hashlib.sha256(json.dumps([kept, text], sort_keys=True).encode())
    for key, value in sorted(model.state_dict().items()):
        digest.update(f"{key}{tuple(value.shape)}".encode())
        digest.update(value.detach().float().cpu().reshape(-1).numpy())
    return digest.digest()[:4]


def payload_of(data, kind, base):
    """The payload of a program file, checked. base: the model's fingerprint."""
    if data[:4] != MAGIC or len(data) < 13:
        raise ValueError("is no program file of version 2")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        raise ValueError("is damaged: its checksum does not fit")
    if data[4] != KINDS[kind]:
        raise ValueError(f"is not of the kind {kind}")
    if data[5:9] != base:
        raise ValueError("belongs to another base model")
    return data[9:-4]


def main(kind, decode):
    import torch
    from transformers import AutoModelForCausalLM

    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    for name in ("--base", "--tokenizer", "--out"):
        parser.add_argument(name, required=name != "--tokenizer")
    words = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    base = AutoModelForCausalLM.from_pretrained(words.base, dtype=torch.float32).eval()
    tokenizer = words.tokenizer or words.base
    known = fingerprint(base, words.base, tokenizer)
    for file in map(Path, words.files):
        try:
            payload = payload_of(file.read_bytes(), kind, known)
            out = Path(words.out) / file.stem
            out.mkdir(parents=True, exist_ok=True)
            decode(payload, base, tokenizer, out)
        except (ValueError, IndexError, OSError) as error:
            print(f"{file} {error}", file=sys.stderr)
            sys.exit(2)
