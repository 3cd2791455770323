"""Writes FLUX.2's small transformer as a checkpoint in one file whose weights take eight bits, in the spellings that are shared,
and what diffusers draws with the same weights once PyTorch has widened them.

    python fp8_case.py ../../../tests/fixtures/parity/klein ../fixtures/single-file/klein.safetensors ../fixtures/fp8
"""

import json
import pathlib
import sys
import tempfile

import torch
from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel
from safetensors.torch import load_file, save_file


def narrowed(weight, dtype, dim=None):
    """Numbers of eight bits, and what they are multiplied by: one factor, or one a row."""
    largest = weight.abs().amax() if dim is None else weight.abs().amax(dim=dim, keepdim=True)
    factor = (largest / torch.finfo(dtype).max).float()
    return (weight / factor).to(dtype), factor


def kind_of(layer):
    if layer.startswith("single_blocks") or layer.endswith("adaLN_modulation.1"):
        return "rows"
    if not layer.startswith("double_blocks"):
        return None
    return "older" if "txt_attn" in layer else "plain" if "txt_mlp" in layer else "one"


def main(case, bf16, out):
    out.mkdir(parents=True, exist_ok=True)
    stored, widened, layers = {}, {}, {}
    for name, tensor in load_file(bf16).items():
        layer, parameter = name.rsplit(".", 1)
        kind = kind_of(layer) if parameter == "weight" and tensor.dim() == 2 else None
        tensor = tensor.float()
        if kind is None:
            stored[name], widened[name] = tensor.bfloat16(), tensor
        elif kind == "plain":
            stored[name] = tensor.to(torch.float8_e5m2)
            widened[name] = stored[name].float()
        else:
            stored[name], factor = narrowed(tensor, torch.float8_e4m3fn, 1 if kind == "rows" else None)
            widened[name] = stored[name].float() * factor
            older = kind == "older"
            stored[f"{layer}.{'scale_weight' if older else 'weight_scale'}"] = factor
            stored[f"{layer}.{'scale_input' if older else 'input_scale'}"] = torch.tensor(0.01)
            if kind == "one":
                mark = json.dumps({"format": "float8_e4m3fn"}).encode()
                stored[f"{layer}.comfy_quant"] = torch.tensor(list(mark), dtype=torch.uint8)
            layers[layer] = {"format": "float8_e4m3fn"}
    description = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, out / "klein.safetensors", metadata=description)

    given = json.loads((case / "case.json").read_text())
    pipe = Flux2KleinPipeline.from_pretrained(case / "model")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "widened.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in widened.items()}, file)
        pipe.transformer = Flux2Transformer2DModel.from_single_file(str(file), config=str(case / "model"), subfolder="transformer")
    pipe.set_progress_bar_config(disable=True)
    expected = {"prompt_embeds": load_file(case / "expected.safetensors")["prompt_embeds"]}

    def keep(_, step, __, state):
        expected[f"latents.{step}"] = state["latents"].detach().clone().float().contiguous()
        return state

    with torch.no_grad():
        expected["image"] = pipe(
            prompt=given["prompt"], height=given["height"], width=given["width"], num_inference_steps=given["steps"],
            guidance_scale=given["guidance_scale"], max_sequence_length=given["max_sequence_length"],
            text_encoder_out_layers=tuple(given["text_encoder_out_layers"]), output_type="pt", callback_on_step_end=keep,
            latents=load_file(case / "inputs.safetensors")["latents"],
        ).images.float().contiguous()
    save_file(expected, out / "expected.safetensors")
    before = load_file(case / "expected.safetensors")["image"]
    print("largest difference of a number of the picture from the weights in f32:", (expected["image"] - before).abs().max().item())


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
