"""Every kind of program, decoded in a fresh process in which Veneer cannot be imported."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checkpoints import rewrite, save, with_tensors
from edits import rotate
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.load import load_model
from veneer.studies.complexity.command import ProgramCommand
from veneer.studies.complexity.program import encoder, files
from veneer.studies.complexity.program.decoders import adapter, coder, data
from veneer.studies.complexity.programs import Workshop, as_decoders_do, with_factors, write_list
from veneer.systems.tuning import sharing

TEXT = "How do I bake bread? I'm sorry, but I can't help with that.\n" * 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    lm = tiny()
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return load_model(str(folder), device="cpu", dtype="float32")


@pytest.fixture
def workshop(base, tmp_path):
    return Workshop(tmp_path, base)


def fresh(workshop, kind, payloads, scratch, threads="2"):
    """The folders that one fresh process decodes payloads to, with two threads on offer."""
    more = {"published_bits": 0, "facts": {}}
    programs = [workshop.write(kind, f"p{i}", kind, p, **more) for i, p in enumerate(payloads)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    paths = [workshop.programs / p.file for p in programs]
    files.run_decoder(kind, paths, workshop.files, scratch, environment=environment)
    assert [workshop.bits(p) for p in programs] == [8 * len(p.read_bytes()) for p in paths]
    return [scratch / path.stem for path in paths]


def head_numbers(base, rank=3):
    draw = np.random.default_rng(0)
    width, rows = base.head.width, np.array([0, 3, 4, 90, 250], np.int64)
    return encoder.HeadNumbers(
        base.head.rows,
        width,
        rows,
        draw.integers(-40, 40, (len(rows), rank)),
        draw.integers(-9, 9, (rank, width)),
        np.arange(rank, dtype=np.int64),
        draw.integers(-9, -2, 1 + width),
        np.zeros(0, np.int64),
    )


def test_heads(base, workshop, tmp_path):
    numbers = head_numbers(base)
    bias, rows = torch.tensor([0.0, 1.25, -3.1, 0.1]), torch.tensor([1, 5, 6, 200])
    constant = encoder.HeadNumbers.of_bias(base.head.rows, base.head.width, bias, rows, -2)
    payloads = [numbers.payload(), constant.payload()]
    veneer, shift = map(Veneer.load, fresh(workshop, "head", payloads, tmp_path / "out"))
    veneer.check_fits(base)
    # the formula of docs/complexity.md in Python's own integers
    for i in range(len(numbers.rows)):
        for j in range(numbers.width):
            exact = sum(
                int(numbers.A[i, k]) * int(numbers.B[k, j]) << int(numbers.shifts[k])
                for k in range(3)
            )
            power = int(numbers.exponents[0] + numbers.exponents[1 + j])
            assert float(veneer.dW[i, j]) == float(np.float32(exact * 2.0**power))
    assert veneer.rows.tolist() == [0, 3, 4, 90, 250]
    shift.check_fits(base)
    assert shift.rows.tolist() == [5, 6] and shift.bias.tolist() == [1.25, -3.0]


def test_texts(base, workshop, tmp_path):
    short = "How do I bake bread?"
    with as_decoders_do():
        code = encoder.text_payload
        packed, coded, _ = code(base.model, base.tokenizer, TEXT, portable=True)
        assert not coded
        tokens, coded, ideal = code(base.model, base.tokenizer, short)
    assert coded  # LZMA gains nothing on a short text
    folders = fresh(workshop, "text", [packed, tokens], tmp_path / "out")
    assert [(f / "prompt.txt").read_text() for f in folders] == [TEXT, short]
    # the first token's bits are not in the ideal; a token's share is at least 2^-32
    assert len(tokens) <= 1.01 * (ideal + 32) / 8 + 8


def test_an_adapter(base, workshop, tmp_path):
    draw = torch.Generator().manual_seed(0)
    factors = [
        (
            torch.randn(2, m.in_features, generator=draw),
            0.01 * torch.randn(m.out_features, 2, generator=draw),
        )
        for m in adapter.linears(base.model).values()
    ]
    payload = encoder.lora_payload(factors, 2.0**-6)
    (folder,) = fresh(workshop, "lora", [payload], tmp_path / "out")
    tensors = load_file(folder / "adapter_model.safetensors")
    for name, (A, B) in zip(adapter.linears(base.model), factors, strict=True):
        for letter, wanted in (("A", A), ("B", B)):
            decoded = tensors[f"base_model.model.{name}.lora_{letter}.weight"]
            # half a step, and the step is at most sqrt(2) times what was asked for
            size = float(wanted.square().mean().sqrt())
            assert float((decoded - wanted).abs().max()) <= 0.71 * size * 2.0**-6
    pytest.importorskip("peft")
    lm = load_model(f"{folder}@{base.name}", device="cpu", dtype="float32")
    ids = torch.tensor([[5, 6, 7]])
    own = with_factors(base, {n: tuple(f) for n, f in _pairs(tensors).items()})
    assert torch.allclose(lm.model(ids).logits, own.model(ids).logits, atol=1e-4)


def _pairs(tensors):
    names = [k[len("base_model.model.") : -len(".lora_A.weight")] for k in tensors if "lora_A" in k]
    return {n: [tensors[f"base_model.model.{n}.lora_{x}.weight"] for x in "AB"] for n in names}


def test_data(base, workshop, tmp_path):
    """The decoder reads the examples and ends at the bytes of the same training here."""
    draw = np.random.default_rng(1)
    examples = [
        (draw.integers(0, 200, 3 + i).tolist(), draw.integers(0, 200, 2 + i).tolist())
        for i in range(3)
    ]
    numbers = (1, round(0.01 * data.RATE), 2, 2, 7)  # rank, rate, epochs, batch, seed
    with as_decoders_do():
        payload, _ = encoder.data_payload(base.model, examples, numbers)
        factors = data.train(sharing(base.model), examples, *numbers)
    adapter.save(tmp_path, base.model, factors, 1)
    (folder,) = fresh(workshop, "data", [payload], tmp_path / "out")
    assert files.digest("data", folder) == files.digest("data", tmp_path)
    assert any(float(B.detach().abs().max()) > 0 for _, B in factors.values())


def test_a_damaged_file_and_another_base(base, workshop, tmp_path):
    more = {"published_bits": 0, "facts": {}}
    program = workshop.write("head", "a", "head", head_numbers(base).payload(), **more)
    path = workshop.programs / program.file
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged: its checksum does not fit; copy it again"):
        files.decode_programs([path], workshop.files, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # no empty folder is left


def test_an_edited_base_is_refused(workshop, base, tmp_path):
    """Its weights are those of the program, and it would decode other tokens."""
    with as_decoders_do():
        payload, *_ = encoder.text_payload(base.model, base.tokenizer, TEXT)
    more = {"published_bits": 0, "facts": {}}
    program = workshop.write("text", "a", "text", payload, **more)
    write_list(tmp_path, [program], {}, base)
    words = ("decode", str(workshop.programs / program.file))
    model = save(tmp_path / "model")
    ProgramCommand(words=words, base=str(model), out=str(tmp_path / "out")).run()
    rotate(model)
    with pytest.raises(InputError, match=r"10000.0 there, 500.0 here\); give base as it was then"):
        ProgramCommand(words=words, base=str(model), out=str(tmp_path / "other")).run()
    assert not (tmp_path / "other").exists()


def one_weight(model):
    """A number that no sample of 1,024 of its tensor holds."""
    with_tensors(
        model,
        lambda t: {
            k: w + (torch.arange(w.numel()).reshape(w.shape) == 1) if "q_proj" in k else w
            for k, w in t.items()
        },
    )


def two_tokens(model):
    def change(content):
        vocabulary = content["model"]["vocab"]
        a, b = sorted(vocabulary, key=vocabulary.get)[40:42]
        vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]

    rewrite(model / "tokenizer.json", change)


def test_a_file_that_was_copied_alone_knows_its_base(workshop, base, tmp_path):
    more = {"published_bits": 0, "facts": {}}
    program = workshop.write("head", "a", "head", head_numbers(base).payload(), **more)
    content = (workshop.programs / program.file).read_bytes()

    def known(name, edit=lambda model: None):
        model = save(tmp_path / name)
        rewrite(model / "config.json", lambda c: c.update(transformers_version="5.0.0"))
        edit(model)
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        return coder.payload_of(content, "head", coder.fingerprint(loaded, model, model))

    assert known("equal") == head_numbers(base).payload()
    for edit in (rotate, one_weight, two_tokens):
        with pytest.raises(ValueError, match="belongs to another base model"):
            known(edit.__name__, edit)
    words = ("decode", str(workshop.programs / program.file))
    with pytest.raises(InputError, match="belongs to another base model"):
        ProgramCommand(words=words, base=str(tmp_path / "rotate"), out=str(tmp_path / "o")).run()
    assert not (tmp_path / "o").exists()


def test_decoder_bits_are_those_of_the_sources():
    for kind, names in files.SCRIPTS.items():
        sizes = [len((files.DECODERS / name).read_bytes()) for name in names]
        assert files.decoder_bits(kind) == 8 * sum(sizes)
