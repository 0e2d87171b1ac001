"""What the script `veneer` runs; also python -m veneer, and so torchrun -m veneer."""

import sys


def run() -> None:
    """Import the commands and run one. Ctrl-C while modules are imported gives no traceback."""
    try:
        from veneer.cli import entry
    except KeyboardInterrupt:
        print("veneer: interrupted", file=sys.stderr)
        sys.exit(130)
    entry()


if __name__ == "__main__":
    run()
