"""Halving a batch where memory runs out."""

from __future__ import annotations

import pytest
import torch

from veneer.foundation.errors import VeneerError
from veneer.foundation.memory import halving, is_out_of_memory, memory_size


def limited(most: int):
    def run(items):
        if len(items) > most:
            raise torch.OutOfMemoryError("out of memory")
        return list(items)

    return run


@pytest.mark.parametrize(
    ("most", "parts"),
    [
        (7, [[0, 1, 2, 3, 4, 5, 6]]),
        (4, [[0, 1, 2], [3, 4, 5, 6]]),
        (2, [[0], [1, 2], [3, 4], [5, 6]]),
    ],
)
def test_parts_come_in_order(most, parts):
    assert halving(limited(most), range(7), message="no memory") == parts


def test_a_single_item_without_memory_is_a_sentence():
    with pytest.raises(VeneerError, match="no memory"):
        halving(limited(0), [1, 2], message="no memory")


def test_other_errors_pass_through():
    def run(items):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        halving(run, [1, 2], message="no memory")
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(RuntimeError("CUDA out of memory"))


def test_the_size_of_the_memory_is_that_of_the_machine_or_of_a_smaller_limit(tmp_path):
    machine = memory_size(tmp_path)
    assert machine is None or machine > 2**28
    limit = tmp_path / "fs/cgroup/memory.max"
    limit.parent.mkdir(parents=True)
    limit.write_text("max\n")
    assert memory_size(tmp_path) == machine
    limit.write_text("1048576\n")
    assert memory_size(tmp_path) == 1048576
    limit.unlink()
    older = tmp_path / "fs/cgroup/memory/memory.limit_in_bytes"
    older.parent.mkdir()
    older.write_text("9223372036854771712\n")  # what stands for no limit there
    assert memory_size(tmp_path) == machine
    older.write_text("2097152\n")
    assert memory_size(tmp_path) == 2097152
