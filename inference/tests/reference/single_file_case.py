"""Writes checkpoints in one file, in the layouts that Stability and Black Forest Labs publish, from the small models of the
parity cases, and makes sure that diffusers reads them as what they are.

    python single_file_case.py ../../../tests/fixtures/parity ../fixtures/single-file
"""

import pathlib
import sys

import torch
from diffusers import AutoencoderKL, Flux2Transformer2DModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

RESIDUAL = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
            "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
OUTER = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
         "add_embedding.linear_2": "label_emb.0.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}


def residual(inner):
    module, parameter = inner.rsplit(".", 1)
    return f"{RESIDUAL[module]}.{parameter}"


def unet(state, layers, levels_with_attention):
    result = {}
    for name, tensor in state.items():
        module, parameter = name.rsplit(".", 1)
        parts = name.split(".")
        if module in OUTER:
            new = f"{OUTER[module]}.{parameter}"
        elif parts[0] == "mid_block":
            inner = ".".join(parts[3:])
            new = f"middle_block.1.{inner}" if parts[1] == "attentions" else f"middle_block.{2 * int(parts[2])}.{residual(inner)}"
        else:
            side, level, kind, number = parts[0], int(parts[1]), parts[2], int(parts[3])
            inner = ".".join(parts[4:])
            each = layers + 1
            if side == "down_blocks":
                place = 1 + level * each + (layers if kind == "downsamplers" else number)
                new = f"input_blocks.{place}." + {"resnets": lambda: "0." + residual(inner), "attentions": lambda: "1." + inner,
                                                  "downsamplers": lambda: "0.op." + parameter}[kind]()
            else:
                place = level * each + (layers if kind == "upsamplers" else number)
                behind = "2" if level in levels_with_attention else "1"
                new = f"output_blocks.{place}." + {"resnets": lambda: "0." + residual(inner), "attentions": lambda: "1." + inner,
                                                   "upsamplers": lambda: f"{behind}.conv." + parameter}[kind]()
        result[f"model.diffusion_model.{new}"] = tensor
    return result


def autoencoder(state, levels):
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    result = {}
    for name, tensor in state.items():
        parts = name.split(".")
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if "mid_block" in name and parts[2] == "attentions":
            module, parameter = ".".join(parts[4:]).rsplit(".", 1)
            new = f"{parts[0]}.mid.attn_1.{attention[module]}.{parameter}"
            if module != "group_norm" and parameter == "weight":
                tensor = tensor[:, :, None, None]
        elif "mid_block" in name:
            inner = ".".join(parts[4:]).replace("conv_shortcut", "nin_shortcut")
            new = f"{parts[0]}.mid.block_{int(parts[3]) + 1}.{inner}"
        elif len(parts) > 2 and parts[1] in ("down_blocks", "up_blocks"):
            direction, level = parts[1].split("_")[0], int(parts[2])
            level = level if direction == "down" else levels - 1 - level
            inner = ".".join(parts[5:]).replace("conv_shortcut", "nin_shortcut")
            kind = {"resnets": f"block.{parts[4]}", "downsamplers": "downsample", "upsamplers": "upsample"}[parts[3]]
            new = f"{parts[0]}.{direction}.{level}.{kind}.{inner}"
        result[f"first_stage_model.{new}"] = tensor.contiguous()
    return result


def second_text(state):
    start = "conditioner.embedders.1.model."
    layer_names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
    result, joined = {f"{start}logit_scale": torch.tensor(4.6)}, {}
    for name, tensor in state.items():
        name = name.removeprefix("text_model.")
        if name == "text_projection.weight":
            result[f"{start}text_projection"] = tensor.T.contiguous()
        elif name.startswith("embeddings.token"):
            result[f"{start}token_embedding.weight"] = tensor
        elif name.startswith("embeddings.position_embedding"):
            result[f"{start}positional_embedding"] = tensor
        elif name.startswith("final_layer_norm"):
            result[start + name.replace("final_layer_norm", "ln_final")] = tensor
        else:
            layer, inner = name.removeprefix("encoder.layers.").split(".", 1)
            module, parameter = inner.rsplit(".", 1)
            if module in layer_names:
                result[f"{start}transformer.resblocks.{layer}.{layer_names[module]}.{parameter}"] = tensor
            else:
                joined.setdefault((layer, parameter), {})[module.split(".")[1][0]] = tensor
    for (layer, parameter), parts in joined.items():
        result[f"{start}transformer.resblocks.{layer}.attn.in_proj_{parameter}"] = torch.cat([parts[letter] for letter in "qkv"])
    return result


def first_text(state):
    start = "conditioner.embedders.0.transformer.text_model."
    return {start + name.removeprefix("text_model."): tensor for name, tensor in state.items()}


def sdxl(model, out):
    config = UNet2DConditionModel.load_config(model / "unet")
    attention = {level for level, kind in enumerate(config["up_block_types"]) if kind.startswith("CrossAttn")}
    vae_config = AutoencoderKL.load_config(model / "vae")
    weights = lambda part: load_file(next((model / part).glob("*.safetensors")))
    state = {
        **unet(weights("unet"), config["layers_per_block"], attention),
        **autoencoder(weights("vae"), len(vae_config["block_out_channels"])),
        **first_text(weights("text_encoder")),
        **second_text(weights("text_encoder_2")),
        "denoiser.sigmas": torch.zeros(1000),
    }
    save_file({name: tensor.half().contiguous() for name, tensor in state.items()}, out / "sdxl.safetensors")
    for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL)):
        read = kind.from_single_file(str(out / "sdxl.safetensors"), config=str(model), subfolder=part).state_dict()
        for name, tensor in kind.from_pretrained(model / part).state_dict().items():
            assert torch.equal(read[name], tensor.half().float()), f"{part}: {name}"


def flux2(model, out):
    outer = {"x_embedder": "img_in", "context_embedder": "txt_in", "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
             "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer", "proj_out": "final_layer.linear",
             "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
             "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
             "single_stream_modulation.linear": "single_stream_modulation.lin"}
    double = {"attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj", "ff.linear_in": "img_mlp.0", "ff.linear_out": "img_mlp.2",
              "ff_context.linear_in": "txt_mlp.0", "ff_context.linear_out": "txt_mlp.2", "attn.norm_q": "img_attn.norm.query_norm",
              "attn.norm_k": "img_attn.norm.key_norm", "attn.norm_added_q": "txt_attn.norm.query_norm", "attn.norm_added_k": "txt_attn.norm.key_norm"}
    single = {"attn.to_qkv_mlp_proj": "linear1", "attn.to_out": "linear2", "attn.norm_q": "norm.query_norm", "attn.norm_k": "norm.key_norm"}
    joined = {"attn.to_q": ("img_attn.qkv", 0), "attn.to_k": ("img_attn.qkv", 1), "attn.to_v": ("img_attn.qkv", 2),
              "attn.add_q_proj": ("txt_attn.qkv", 0), "attn.add_k_proj": ("txt_attn.qkv", 1), "attn.add_v_proj": ("txt_attn.qkv", 2)}
    state, parts = {}, {}
    for name, tensor in Flux2Transformer2DModel.from_pretrained(model / "transformer").state_dict().items():
        module, parameter = name.rsplit(".", 1)
        if module == "norm_out.linear":
            state[f"final_layer.adaLN_modulation.1.{parameter}"] = torch.cat(list(reversed(tensor.chunk(2))))
        elif module in outer:
            state[f"{outer[module]}.{parameter}"] = tensor
        else:
            stack, number, inner = module.split(".", 2)
            if stack == "transformer_blocks" and inner in joined:
                parts.setdefault((number, joined[inner][0], parameter), {})[joined[inner][1]] = tensor
                continue
            table, start = (double, "double_blocks") if stack == "transformer_blocks" else (single, "single_blocks")
            parameter = "scale" if "norm" in inner else parameter
            state[f"{start}.{number}.{table[inner]}.{parameter}"] = tensor
    for (number, name, parameter), pieces in parts.items():
        state[f"double_blocks.{number}.{name}.{parameter}"] = torch.cat([pieces[place] for place in range(3)])
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in state.items()}, out / "klein.safetensors")
    read = Flux2Transformer2DModel.from_single_file(str(out / "klein.safetensors"), config=str(model), subfolder="transformer").state_dict()
    for name, tensor in Flux2Transformer2DModel.from_pretrained(model / "transformer").state_dict().items():
        assert torch.equal(read[name].float(), tensor.bfloat16().float()), name


def main(cases, out):
    out.mkdir(parents=True, exist_ok=True)
    sdxl(cases / "sdxl/model", out)
    flux2(cases / "klein/model", out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
