"""Run by the Python of an environment with transformers 4: for each folder, the tokens of a text,
rotary settings and logits as JSON."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__, logging

logging.set_verbosity_error()
request = json.load(sys.stdin)
ids, out = torch.tensor([request["ids"]]), {"version": __version__, "models": {}}
for folder in request["folders"]:
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, dtype=torch.float32
        )
        tok = AutoTokenizer.from_pretrained(folder)
        turn = [{"role": "user", "content": request["text"]}]
        with torch.inference_mode():
            logits = model(ids, use_cache=False).logits[0]
        out["models"][folder] = {
            "logits": logits.tolist(),
            "tokens": tok(request["text"])["input_ids"],
            "chat": tok.apply_chat_template(turn, tokenize=False, add_generation_prompt=True),
            "odd": [str(key) for keys in info.values() for key in keys],
            "rope_theta": getattr(model.config, "rope_theta", None),
            "eos": model.generation_config.eos_token_id,
        }
    except Exception as error:
        out["models"][folder] = {"error": f"{type(error).__name__}: {error}"}
json.dump(out, sys.stdout)
