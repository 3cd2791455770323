#!/usr/bin/env python3
"""Loads LoRA files, and what Atelier writes of them in each layout, into the reference implementation, and compares what
they change in the weights, and the pictures that are drawn with them.

    pip install torch diffusers transformers peft safetensors
    python inference/tests/reference/lora_layouts.py --draw MODEL LORA
    cargo run --release -p atelier-inference --example lora_layouts -- OUT LORA...
    python inference/tests/reference/lora_layouts.py MODEL OUT LORA...

MODEL is a FLUX.2 or SDXL folder in diffusers' layout that the LoRAs belong to; OUT and LORA... are as given to the example.
With --draw, the reference writes a LoRA with drawn numbers for every part of MODEL that takes one.

The difference of a module is the largest |ours - theirs|, divided by the largest |theirs|: bf16 keeps eight bits of each of the
two factors. That of a picture is the norm of ours - theirs, divided by that of what the LoRA changes in it. Exit status 0 when
every module is adapted by both, no module's difference exceeds 3/256, and no picture's 1/20. Of files with kohya's names the reference
leaves out FLUX.2's modulations, as the conversion says: those, and no others, may be missing there, and their pictures are not compared.
"""
import json
import sys
from pathlib import Path

import diffusers
import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict

TOLERANCE = 3 / 256
TOLERANCE_OF_PICTURES = 1 / 20
PARTS = ("transformer", "unet", "text_encoder", "text_encoder_2")
PROJECTIONS = {
    "transformer": ["to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj", "linear_in", "linear_out"],
    "unet": ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1"],
    "text_encoder": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    "text_encoder_2": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
}
# What the reference does not read in a layout.
LEFT_OUT = {"KOHYA": "modulation"}


def load(model):
    """The reference's pipeline of a folder, in f32."""
    kind = json.loads((Path(model) / "model_index.json").read_text())["_class_name"]
    pipeline = getattr(diffusers, kind).from_pretrained(model, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def adapted_parts(pipeline):
    """The parts that a LoRA of the family adapts: of FLUX.2 the transformer alone."""
    parts = {part: getattr(pipeline, part, None) for part in PARTS}
    if parts["transformer"] is not None:
        return {"transformer": parts["transformer"]}
    return {part: module for part, module in parts.items() if module is not None}


def draw(model, file):
    """Writes a LoRA with drawn numbers."""
    torch.manual_seed(0)
    pipeline = load(model)
    layers = {}
    for part, module in adapted_parts(pipeline).items():
        module.add_adapter(LoraConfig(r=4, lora_alpha=2, target_modules=PROJECTIONS[part]))
        for name, parameter in module.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        layers[f"{part}_lora_layers"] = get_peft_model_state_dict(module)
        layers[f"{part}_lora_adapter_metadata"] = module.peft_config["default"].to_dict()
    pipeline.save_lora_weights(str(Path(file).parent), weight_name=Path(file).name, **layers)


def changes(pipeline):
    """Every adapted module's change of its weight, as the reference applies it."""
    found = {}
    for part, module in adapted_parts(pipeline).items():
        for path, layer in module.named_modules():
            if isinstance(layer, BaseTunerLayer) and layer.lora_A:
                (name,) = layer.lora_A
                a, b = layer.lora_A[name].weight.float(), layer.lora_B[name].weight.float()
                found[f"{part}.{path}"] = layer.scaling[name] * (b.flatten(1) @ a.flatten(1))
    return {path: change for path, change in found.items() if change.abs().max() > 0}


def picture(pipeline):
    """What two steps draw."""
    generator = torch.Generator().manual_seed(0)
    more = {}
    if "Klein" in type(pipeline).__name__:
        # Small models have fewer layers than the published one, of which 9, 18 and 27 are taken.
        depth = pipeline.text_encoder.config.num_hidden_layers
        more["text_encoder_out_layers"] = (depth // 4, depth // 2, 3 * depth // 4)
    drawn = pipeline(
        prompt="a red circle", height=64, width=64, num_inference_steps=2, generator=generator, output_type="np", **more)
    return torch.from_numpy(drawn.images[0])


def effect(model, file):
    """What a LoRA changes: every module's weight, and a picture."""
    pipeline = load(model)
    pipeline.load_lora_weights(str(Path(file).parent), weight_name=Path(file).name)
    return changes(pipeline), picture(pipeline)


def main():
    model, out, loras = sys.argv[1], sys.argv[2], sys.argv[3:]
    without = picture(load(model))
    failed = False
    for number, lora in enumerate(loras):
        theirs, their_picture = effect(model, lora)
        for file in sorted(Path(out).glob(f"{number}.*.safetensors")):
            layout = file.name.split(".")[1]
            ours, our_picture = effect(model, file)
            read = {path for path in theirs if layout not in LEFT_OUT or LEFT_OUT[layout] not in path}
            of_module = max(float((ours[path] - change).abs().max() / change.abs().max()) for path, change in theirs.items() if path in ours)
            of_picture = float((our_picture - their_picture).norm() / (their_picture - without).norm())
            is_same_picture = of_picture <= TOLERANCE_OF_PICTURES or len(read) < len(theirs)
            ok = read == ours.keys() and of_module <= TOLERANCE and is_same_picture
            failed |= not ok
            print(f"{'ok  ' if ok else 'FAIL'} {lora} as {layout}: {len(ours)} of {len(theirs)} modules, largest difference {of_module:.5f}, of the picture {of_picture:.5f}")
        failed |= not list(Path(out).glob(f"{number}.*.safetensors"))
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1] == "--draw":
        draw(*sys.argv[2:])
    else:
        main()
