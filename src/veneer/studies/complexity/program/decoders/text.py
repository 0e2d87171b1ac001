"""Decode a prompt: raw LZMA, or tokens coded by base."""

import lzma

if __package__:
    from veneer.studies.complexity.program.decoders.coder import Coder, main
    from veneer.studies.complexity.program.decoders.tokens import lengths, tokens
else:
    from coder import Coder, main  # type: ignore[import-not-found,no-redef]
    from tokens import lengths, tokens  # type: ignore[import-not-found,no-redef]

FILTERS = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 4, "pb": 0}]


def decode(payload, base, tokenizer, out):
    if payload[0] == 0:
        try:
            text = lzma.decompress(payload[1:], lzma.FORMAT_RAW, filters=FILTERS).decode()
        except lzma.LZMAError as error:
            raise ValueError(f"cannot be unpacked: {error}") from None
    else:
        from transformers import AutoTokenizer

        coder = Coder(payload[1:])
        rows, _ = tokens(base, coder, lengths(coder, 1))
        words = AutoTokenizer.from_pretrained(tokenizer)
        text = words.decode(rows[0], clean_up_tokenization_spaces=False)
    (out / "prompt.txt").write_bytes(text.encode())


if __name__ == "__main__":
    main("text", decode)
