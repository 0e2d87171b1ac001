"""The config of a GGUF file's model: transformers makes it and leaves out part of what the file
says (rotary scaling, soft caps, windows, biases, sizes), so that part is read here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError

# Numbers that the library leaves out for some architectures: name in the file -> names in configs.
EPSILONS = ("rms_norm_eps", "norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
NUMBERS = {
    "context_length": ("max_position_embeddings",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "attention.sliding_window": ("sliding_window",),
    "attention.key_length": ("global_head_dim", "head_dim"),
    "attention.key_length_swa": ("head_dim",),
    "attention.layer_norm_rms_epsilon": EPSILONS,
    "attention.layer_norm_epsilon": EPSILONS,
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
}
# Layers of the models whose attention llama.cpp scales by another size than that of a head.
OTHER_SCALE = (("gemma2", 46), ("gemma3", 62))
ENDS = ("eos", "eot", "eom")  # tokens that end a response in llama.cpp
SCALING = "rope.scaling."
YARN = {
    "factor": "factor",
    "original_context_length": "original_max_position_embeddings",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}
FREQUENCIES = "rope_freqs.weight"
OF_LLAMA = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}  # of every Llama from 3.1 on
CLOSE = 1e-4  # relative; the file holds float32
OTHERWISE = "give the model as a folder of safetensors"


class GGUFFile:
    """The facts and the tensors of a GGUF file. Raises InputError for one part of several."""

    def __init__(self, path: Path):
        import gguf

        self.path = path
        reader = gguf.GGUFReader(path)
        self._fields = reader.fields
        self.tensors = {t.name: t for t in reader.tensors}
        self.kind = str(self.fact("general.architecture"))
        if (parts := self.fact("split.count") or 1) > 1:
            raise InputError(
                f"{path} is one of {parts} parts of a GGUF file; join them with llama.cpp "
                "(llama-gguf-split --merge FIRST_PART OUT), and give the whole file"
            )

    def get(self, key: str) -> Any:
        """A fact of the model's architecture, or None."""
        return self.fact(f"{self.kind}.{key}")

    def fact(self, key: str) -> Any:
        field = self._fields.get(key)
        return None if field is None else field.contents()


def whole_config(file: GGUFFile, config: Any) -> Any:
    """`config`, which transformers made of the file, with what the library leaves out. Raises
    InputError for a rotary scaling that no config expresses."""
    config = copy.deepcopy(config)
    for key, names in NUMBERS.items():
        value, name = file.get(key), next((n for n in names if hasattr(config, n)), None)
        if isinstance(value, int | float) and value and name is not None:
            setattr(config, name, value)
    config.pad_token_id = file.fact("tokenizer.ggml.padding_token_id")
    if hasattr(config, "query_pre_attn_scalar"):
        config.query_pre_attn_scalar = (
            config.hidden_size // config.num_attention_heads
            if (file.kind, config.num_hidden_layers) in OTHER_SCALE
            else config.head_dim
        )
    ends = [file.fact(f"tokenizer.ggml.{name}_token_id") for name in ENDS]
    if ends := [int(i) for i in ends if i is not None]:
        config.eos_token_id = list(dict.fromkeys(ends))
    if file.kind == "llama":
        config.attention_bias = "blk.0.attn_q.bias" in file.tensors
        config.mlp_bias = "blk.0.ffn_down.bias" in file.tensors
    if getattr(config, "rope_parameters", None):
        _complete_rope(file, config)
    return config


def _complete_rope(file: GGUFFile, config: Any) -> None:
    """Write the file's rotary parameters into the config; where layers of several kinds have their
    own, into those of full attention."""
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    if (theta := file.get("rope.freq_base")) is not None:
        rope["rope_theta"] = theta
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if (turned := file.get("rope.dimension_count")) and "partial_rotary_factor" in rope:
        rope["partial_rotary_factor"] = turned / head
    kind = file.get(f"{SCALING}type")
    if kind == "linear":
        rope |= {"rope_type": "linear", "factor": file.get(f"{SCALING}factor")}
    elif kind == "yarn":
        given = {name: file.get(SCALING + key) for key, name in YARN.items()}
        rope |= {"rope_type": "yarn", **{k: v for k, v in given.items() if v is not None}}
    elif kind not in (None, "none") or any(t.startswith("rope_factors") for t in file.tensors):
        raise InputError(
            f"{file.path} scales its rotary positions in a way ({kind or 'rope_factors'}) that "
            f"transformers does not read from a GGUF file; {OTHERWISE}"
        )
    if FREQUENCIES in file.tensors:
        rope |= _llama3(file, rope, head)


def llama3_factors(rope: dict[str, Any], head: int) -> np.ndarray[Any, Any]:
    """What llama.cpp divides each rotary frequency by, (head / 2,), for the rope type "llama3".

    Short waves stay, long ones are stretched by `factor`, those between are blended.
    """
    # in the old context
    turns = rope["original_max_position_embeddings"] * _frequencies(rope, head)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clip(0, 1)  # 1: a short wave
    return np.asarray(1 / ((1 - kept) / rope["factor"] + kept), np.float32)


def _frequencies(rope: dict[str, Any], head: int) -> np.ndarray[Any, Any]:
    """Turns per token of each pair of a head's numbers, without scaling."""
    exponent = np.arange(0, head, 2, dtype=np.float64) / head
    return np.asarray(rope["rope_theta"] ** -exponent / (2 * np.pi))


def _llama3(file: GGUFFile, rope: dict[str, Any], head: int) -> dict[str, Any]:
    """The parameters of the rope type "llama3" that give the file's factors. The waves between
    short and long fix the old context. Raises InputError where no parameters give the factors."""
    factors = np.asarray(file.tensors[FREQUENCIES].data, np.float64).ravel()
    if np.allclose(factors, 1):
        return {}
    longest = factors.max()
    kept = (1 / factors - 1 / longest) / (1 - 1 / longest)
    between = (kept > CLOSE) & (kept < 1 - CLOSE)
    if len(factors) == head // 2 and between.any():
        low, high = OF_LLAMA["low_freq_factor"], OF_LLAMA["high_freq_factor"]
        turns = kept[between] * (high - low) + low
        made = {
            "rope_type": "llama3",
            "factor": round(float(longest), 3),
            **OF_LLAMA,
            "original_max_position_embeddings": round(
                float(np.median(turns / _frequencies(rope, head)[between]))
            ),
        }
        if np.allclose(llama3_factors({**rope, **made}, head), factors, rtol=CLOSE):
            return made
    raise InputError(
        f"{file.path} scales its rotary positions by factors of its own ({FREQUENCIES}) that no "
        f"config of transformers expresses; {OTHERWISE}"
    )


def check_biases_read(file: GGUFFile, model: Any) -> None:
    """Raise InputError where the file holds biases of layers that have none in `model`: the library
    leaves them out. Biases of experts are not checked; the library fuses them."""
    import gguf

    kinds = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
    biases = {name for name in file.tensors if name.endswith(".bias") and "exp" not in name}
    if not biases or file.kind not in kinds:
        return
    names = gguf.get_tensor_name_map(kinds[file.kind], model.config.num_hidden_layers)
    read = {names.get_name(key, (".bias",)) for key in model.state_dict() if key.endswith(".bias")}
    if lost := sorted(biases - read):
        raise InputError(
            f"{file.path} holds {len(lost)} biases that transformers does not read from a GGUF "
            f"file, e.g. {lost[0]}; {OTHERWISE}"
        )
