"""python -m veneer, and so torchrun -m veneer."""

from veneer.cli import entry

entry()
