"""A held-out part by hand: three prompts of two tasks, seven tokens."""

import numpy as np

from veneer.measures.held_out import HeldOut


def held_out(**changed) -> HeldOut:
    words = {
        "prompt": np.array([4, 4, 4, 7, 7, 9, 9]),
        "position": np.array([1, 2, 3, 1, 2, 1, 2]),
        "kl_base": np.array([3.0, 1.0, 0.5, 2.0, 0.5, 4.0, 1.0]),
        "kl_veneer": np.array([1.0, 0.5, 0.0, 0.5, 0.0, 0.75, 0.25]),
        "aligned_top": np.array([1, 2, 3, 4, 5, 6, 7]),
        "base_top": np.array([1, 9, 9, 9, 9, 6, 9]),
        "base_second": np.array([8, 2, 8, 8, 8, 8, 8]),
        "base_third": np.array([0, 0, 3, 0, 0, 0, 0]),
        "veneer_top": np.array([1, 2, 9, 4, 9, 6, 9]),
    }
    return HeldOut(**{**words, **changed}, task={4: "a", 7: "a", 9: "b"})
