#!/usr/bin/env python3
"""Loads LoRA files, and what Atelier writes of them in each layout, into the reference implementation, and compares what
they change in the transformer's weights.

    pip install torch diffusers transformers peft safetensors
    cargo run --release -p atelier-inference --example lora_layouts -- OUT LORA...
    python inference/tests/reference/lora_layouts.py MODEL OUT LORA...

MODEL is a FLUX.2 folder in diffusers' layout that the LoRAs belong to; OUT and LORA... are as given to the example. The
difference is the largest |ours - theirs| of a module, divided by the largest |theirs| of that module: bf16 keeps eight bits
of each of the two factors. Exit status 0 when every module is adapted by both and no difference exceeds 3/256. Of files with
kohya's names the reference leaves out the modulations, as the conversion says: those, and no others, may be missing there.
"""
import sys

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.loaders.lora_pipeline import Flux2LoraLoaderMixin
from peft.tuners.tuners_utils import BaseTunerLayer

LAYOUTS = ("BFL", "DIFFUSERS", "KOHYA")
TOLERANCE = 3 / 256
# What the reference does not read in a layout.
LEFT_OUT = {"KOHYA": "modulation"}


def deltas(model, file):
    """Every adapted module's change of its weight, as the reference applies it."""
    transformer = Flux2Transformer2DModel.from_pretrained(model, subfolder="transformer", torch_dtype=torch.float32)
    folder, name = file.rsplit("/", 1) if "/" in file else (".", file)
    state, metadata = Flux2LoraLoaderMixin.lora_state_dict(folder, weight_name=name, return_lora_metadata=True)
    Flux2LoraLoaderMixin.load_lora_into_transformer(state, transformer, adapter_name="one", metadata=metadata)
    changes = {}
    for path, module in transformer.named_modules():
        if isinstance(module, BaseTunerLayer) and "one" in module.lora_A:
            a, b = module.lora_A["one"].weight.float(), module.lora_B["one"].weight.float()
            changes[path] = module.scaling["one"] * (b @ a)
    return changes


def main():
    model, out, loras = sys.argv[1], sys.argv[2], sys.argv[3:]
    failed = False
    for number, lora in enumerate(loras):
        theirs = deltas(model, lora)
        for layout in LAYOUTS:
            ours = deltas(model, f"{out}/{number}.{layout}.safetensors")
            is_read = lambda module: layout not in LEFT_OUT or LEFT_OUT[layout] not in module
            same_modules = {k for k, v in theirs.items() if v.abs().max() > 0 and is_read(k)} == {k for k, v in ours.items() if v.abs().max() > 0}
            worst = max((float((ours[k] - v).abs().max() / v.abs().max()) for k, v in theirs.items() if k in ours and v.abs().max() > 0), default=0.0)
            ok = bool(theirs) and same_modules and worst <= TOLERANCE
            failed |= not ok
            print(f"{'ok  ' if ok else 'FAIL'} {lora} as {layout}: {len(ours)} modules, largest difference {worst:.5f}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
