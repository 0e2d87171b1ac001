"""A figure that a notebook shows by itself, whether pyplot is in use or not."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.figure import Figure

DOTS = 110  # an inch, on a screen


class NotebookFigure(Figure):
    """A matplotlib figure with a picture of its own for notebooks."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        with matplotlib.rc_context({"savefig.bbox": "tight"}):
            self.savefig(data, format="png", dpi=DOTS)
        return data.getvalue()
