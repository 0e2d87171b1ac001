"""A capture holds what the two models say: checked against one plain forward pass a prompt, and
against damage and interruption."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pairs import capture_files, chat_pair, plain_pair, prompts, small_capture
from tiny import ARCHITECTURES, tiny
from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture import job as capture_job
from veneer.capture import shelf as capture_shelf
from veneer.capture.distributions import kl_lumped, log_masses, top_k
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt


@pytest.mark.parametrize(
    "kind", [k for k in ARCHITECTURES if k not in ("gpt_neox", "mistral", "olmo2")]
)
def test_columns_equal_a_plain_forward_pass(kind, tmp_path):
    pair = chat_pair(kind)
    capture = small_capture(tmp_path / "c", pair, n=6)
    questions = prompts(6)
    columns = (
        "position",
        "token",
        "hidden",
        "aligned_ids",
        "aligned_logprobs",
        "aligned_tail",
        "base_ids",
        "base_at_aligned",
        "base_outside",
        "base_logz",
    )
    for row in capture.responses():
        (block,) = capture.blocks(columns, [row["number"]])
        prompt = questions[row["number"]]
        response = row["token_ids"]
        assert block["token"].tolist() == response
        assert block["position"].tolist() == list(range(1, len(response) + 1))
        for lm, form, ids, logprobs in (
            (pair.aligned, pair.aligned_format, block["aligned_ids"], block["aligned_logprobs"]),
            (pair.base, pair.base_format, block["aligned_ids"], block["base_at_aligned"]),
        ):
            start = form.encode(lm.tokenizer, prompt)
            with torch.inference_mode():
                own = lm.model(input_ids=torch.tensor([start + response])).logits[
                    0, len(start) - 1 : -1
                ]
            expected = own.log_softmax(-1).gather(1, ids.long())
            torch.testing.assert_close(logprobs, expected, rtol=1e-4, atol=2e-3)
        head = capture.head
        torch.testing.assert_close(
            head.logits(block["hidden"]).logsumexp(-1), block["base_logz"], rtol=1e-4, atol=1e-3
        )
        assert (block["aligned_ids"][:, 0] == block["token"]).all()  # greedy
        total = block["aligned_logprobs"].exp().sum(-1) + block["aligned_tail"].exp()
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def test_equal_prompts_share_no_more_than_the_prompt(tmp_path):
    """Two prompts with one text have one answer: the shared prefix once swallowed the
    answer's hidden states."""
    questions = [Prompt.from_text(f"p{i}", "How do I bake bread?") for i in range(4)]
    recorded = capture(
        chat_pair(),
        questions,
        tmp_path / "c",
        CaptureConfig(16, batch_size=4, noise_prompts=2, sampling=Sampling(10)),
    )
    hidden = [b["hidden"] for n in range(4) for b in recorded.blocks(("hidden",), [n])]
    assert all(torch.allclose(h, hidden[0], atol=1e-4) for h in hidden)


def test_the_tail_is_not_rounding():
    """A tail of 1e-12 is summed from its own logits: 1 minus the rest would be noise of 1e-7."""
    logits = torch.cat([torch.tensor([[30.0, 29.0]]), torch.zeros(1, 50)], dim=1)
    kept = top_k(logits, 2)
    exact = torch.log_softmax(logits.double(), -1)[0, 2:].logsumexp(0)
    assert float(kept.tail) == pytest.approx(float(exact), rel=1e-5)
    inside, outside = log_masses(logits, kept.ids)
    torch.testing.assert_close(inside, kept.logprobs)
    torch.testing.assert_close(outside, kept.tail)


def test_lumped_kl_is_a_lower_bound_and_exact_for_tails_of_one_shape():
    draw = torch.Generator().manual_seed(0)
    p, q = (
        torch.randn(20, 40, generator=draw, dtype=torch.float64).log_softmax(-1) for _ in range(2)
    )
    full = (p.exp() * (p - q)).sum(-1)
    kept = top_k(p, 8)
    lumped = kl_lumped(kept.logprobs, kept.tail, *log_masses(q, kept.ids))
    assert (lumped <= full + 1e-12).all() and (lumped >= -1e-12).all()
    everything = top_k(p, 40)
    torch.testing.assert_close(
        kl_lumped(everything.logprobs, everything.tail, *log_masses(q, everything.ids)), full
    )
    assert float(kl_lumped(kept.logprobs, kept.tail, *log_masses(p, kept.ids)).abs().max()) < 1e-12


def test_a_finished_folder_is_left_alone_and_other_settings_are_refused(tmp_path):
    recorded = small_capture(tmp_path / "c")
    before = {
        p: p.stat().st_mtime_ns
        for p in (tmp_path / "c").rglob("*")
        if p.is_file() and p.name != ".lock"
    }
    again = small_capture(tmp_path / "c")
    assert again.tokens == recorded.tokens
    assert before == {
        p: p.stat().st_mtime_ns
        for p in (tmp_path / "c").rglob("*")
        if p.is_file() and p.name != ".lock"
    }
    with pytest.raises(InputError, match="made with another config"):
        small_capture(tmp_path / "c", k=8)
    with pytest.raises(InputError, match="made with another"):
        capture(
            chat_pair(),
            prompts(5),
            tmp_path / "c",
            CaptureConfig(16, batch_size=4, shard_batches=1, sampling=Sampling(10)),
        )
    with pytest.raises(InputError, match="made with another base"):
        small_capture(tmp_path / "c", Pair(tiny("llama", seed=5), tiny("llama", seed=1)))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        small_capture(tmp_path / "d")


SLOW_CAPTURE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import torch; torch.set_num_threads(1)
from pairs import small_capture
from veneer.capture import shelf
real = shelf.write_shard
def slow(*args):
    real(*args)
    print("shard", args[1], flush=True)
    time.sleep(60)  # until it is killed
shelf.write_shard = slow
small_capture(__import__("pathlib").Path(sys.argv[2]))
"""


def test_kill_and_go_on_gives_the_same_bytes(tmp_path):
    """kill -9 after the first shards, then the same command: nothing but manifest and
    lock may differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = capture_files(small_capture(tmp_path / "whole").folder)
        command = [
            sys.executable,
            "-c",
            SLOW_CAPTURE,
            str(Path(__file__).parents[1]),
            str(tmp_path / "cut"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().startswith("shard 0")
        process.kill()
        process.wait()
        assert not (tmp_path / "cut" / "noise.json").exists()
        with pytest.raises(
            InputError, match=r"of 3 shards; run the same .veneer capture. command again"
        ):
            Capture.open(tmp_path / "cut")
        (tmp_path / "cut" / ".shard-00001.safetensors.x.part").write_bytes(b"half a shard")
        capture = small_capture(tmp_path / "cut")
        assert capture_files(capture.folder) == whole
    finally:
        torch.set_num_threads(threads)


def test_a_damaged_shard_is_named(tmp_path):
    folder = small_capture(tmp_path / "c").folder
    path = folder / "shard-00001.safetensors"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"shard-00001.safetensors is damaged"):
        Capture.open(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"shard-00001.safetensors is damaged \(sha256 no file"):
        Capture.open(folder)
    path.with_suffix(".json").unlink()
    assert Capture.open(folder, partial=True).shards == [0, 2]
    assert small_capture(folder).shards == [0, 1, 2]  # made again, only that one


def test_a_full_disk_leaves_a_usable_capture(tmp_path):
    """A real full disk: a tmpfs of 700 kB."""
    mount = tmp_path / "small"
    mount.mkdir()
    process = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(mount)], capture_output=True
    )
    if process.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with pytest.raises(VeneerError, match=r"disk that holds .* is full.*again to resume"):
            small_capture(mount / "c", n=120, k=128)
        partial = Capture.open(mount / "c", partial=True)
        assert 0 < len(partial.shards) < 30
        assert not list((mount / "c").glob(".*.part"))
        subprocess.run(["mount", "-o", "remount,size=20m", str(mount)], check=True)
        assert len(small_capture(mount / "c", n=120, k=128).shards) == 30
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_two_runs_in_one_folder(tmp_path):
    command = [
        sys.executable,
        "-c",
        SLOW_CAPTURE,
        str(Path(__file__).parents[1]),
        str(tmp_path / "c"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        with pytest.raises(InputError, match="another veneer command is working"):
            small_capture(tmp_path / "c")
    finally:
        process.kill()
        process.wait()


def test_memory_that_runs_out_halves_the_batch(tmp_path, monkeypatch):
    real, sizes = capture_job.capture_batch, []

    def greedy(base, numbers, *rest):
        sizes.append(len(numbers))
        if len(numbers) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(base, numbers, *rest)

    expected = capture_files(small_capture(tmp_path / "a").folder).keys()
    monkeypatch.setattr(capture_job, "capture_batch", greedy)
    capture = small_capture(tmp_path / "b")
    assert set(sizes) == {4, 2}
    assert capture_files(capture.folder).keys() == expected
    assert capture.prompt_numbers == list(range(12))


def test_vocabularies_by_string(tmp_path):
    """Padding rows are understood, a permuted vocabulary is mapped, real differences are
    refused with examples."""
    wide = Pair(
        tiny("llama", rows=420), tiny("llama", seed=1, rows=448), PlainFormat(), PlainFormat()
    )
    assert wide.vocabulary.size == 420 and wide.vocabulary.to_other is None
    base, aligned = tiny("llama"), tiny("llama")
    import copy

    other = copy.deepcopy(aligned.tokenizer)
    table = other.get_vocab()
    names = sorted(table, key=table.get)
    a, b = names[300], names[301]
    other.get_vocab = lambda: {**table, a: table[b], b: table[a]}
    aligned.tokenizer = other
    pair = Pair(base, aligned, PlainFormat(), PlainFormat())
    assert pair.vocabulary.ids_to_other([table[a], table[b], 5]) == [table[b], table[a], 5]
    assert pair.vocabulary.ids_from_other([table[b], 5]) == [table[a], 5]
    logits = torch.arange(float(aligned.head.rows))
    assert pair.vocabulary.from_other(logits)[table[a]] == table[b]
    other.get_vocab = lambda: {**{k: v for k, v in table.items() if k != a}, "ZZZ": table[a]}
    with pytest.raises(
        InputError, match=r"differ in 2 tokens, e.g. .*'ZZZ' \(id 300\) is missing from"
    ):
        Pair(base, aligned, PlainFormat(), PlainFormat())


def test_a_spare_row_that_became_a_chat_token_is_no_mismatch():
    base, aligned = tiny("llama"), tiny("llama", seed=1)
    import copy

    spare = len(base.tokenizer)
    other = copy.deepcopy(aligned.tokenizer)
    table = {**other.get_vocab(), "<|turn|>": spare}
    other.get_vocab = lambda: table
    aligned.tokenizer = other
    assert Pair(base, aligned, PlainFormat(), PlainFormat()).vocabulary.to_other is None


def test_noise_floor_is_tiny_and_a_model_that_disagrees_with_itself_is_refused(
    tmp_path, monkeypatch
):
    capture = small_capture(tmp_path / "c", plain_pair(change=0.5))
    assert abs(sum(r["kl"] for r in capture.noise)) < 1e-4
    assert all(r["top1"] == r["tokens"] for r in capture.noise)
    pair = chat_pair()
    real = capture_shelf.self_kl

    def other_weights(teacher, prompts, rows):
        with torch.no_grad():
            pair.aligned.model.get_output_embeddings().weight.mul_(1.5)
        return real(teacher, prompts, rows)

    monkeypatch.setattr(capture_shelf, "self_kl", other_weights)
    with pytest.raises(
        VeneerError, match="other log-probabilities while it generates than while it reads"
    ):
        small_capture(tmp_path / "d", pair)


def test_resident_memory_does_not_grow_with_prompts(tmp_path):
    """In a process of its own, ten times the prompts: the peak grows by less than a tenth."""
    code = """
import sys, resource
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pairs import small_capture
for n in (20, 200):
    out = Path(sys.argv[2]) / str(n)
    small_capture(out, n=n, hidden_dtype="float16", noise_prompts=1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split()[-2:])
    assert many < 1.1 * few, (few, many)


def test_prompts_that_cannot_be_captured_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="no prompts"):
        capture(chat_pair(), [], tmp_path / "a")
    with pytest.raises(InputError, match="have the id 'p0'"):
        capture(chat_pair(), prompts(2) + prompts(1), tmp_path / "b")
    long = [Prompt.from_text("long", "cat " * 4000)]
    with pytest.raises(InputError, match=r"prompt 'long' has \d+ tokens .* context holds 2048"):
        capture(chat_pair(), long, tmp_path / "c")
    assert not any((tmp_path / x).exists() for x in "abc")


def test_manifest_says_what_was_used(tmp_path):
    manifest = json.loads((small_capture(tmp_path / "c").folder / "manifest.json").read_text())
    assert manifest["base_format"] == {"kind": "plain", "template": "{prompt}"}
    assert manifest["aligned_format"] == {"kind": "chat", "system": None}
    assert manifest["config"]["k"] == 16 and len(manifest["plan"]) == 3
    assert len(manifest["base"]["unembedding"]) == 64
