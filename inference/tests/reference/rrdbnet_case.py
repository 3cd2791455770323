"""Writes the cases that `upscaling/tests.rs` repeats: small networks of RRDBNet's kind with random weights, and what PyTorch
makes of a picture with them.

    python rrdbnet_case.py ../fixtures/rrdbnet
"""

import pathlib
import sys

import torch
import torch.nn.functional as functional
from safetensors.torch import save_file

FEATURES, GROWTH, BLOCKS = 8, 4, 2


def leaky(state):
    return functional.leaky_relu(state, 0.2)


def network(unshuffle):
    """Weights under the published names."""
    shapes = {"conv_first": (3 * unshuffle**2, FEATURES), "conv_last": (FEATURES, 3)}
    shapes |= {name: (FEATURES, FEATURES) for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr")}
    for block in range(BLOCKS):
        for dense in (1, 2, 3):
            for number in range(5):
                outputs = GROWTH if number < 4 else FEATURES
                shapes[f"body.{block}.rdb{dense}.conv{number + 1}"] = (FEATURES + number * GROWTH, outputs)
    return {name: torch.nn.Conv2d(inputs, outputs, 3, padding=1) for name, (inputs, outputs) in shapes.items()}


def dense_block(layers, name, state):
    seen = [state]
    for number in range(1, 5):
        seen.append(leaky(layers[f"{name}.conv{number}"](torch.cat(seen, 1))))
    return layers[f"{name}.conv5"](torch.cat(seen, 1)) * 0.2 + state


def forward(layers, picture, unshuffle):
    first = layers["conv_first"](functional.pixel_unshuffle(picture, unshuffle))
    trunk = first
    for block in range(BLOCKS):
        state = trunk
        for dense in (1, 2, 3):
            state = dense_block(layers, f"body.{block}.rdb{dense}", state)
        trunk = state * 0.2 + trunk
    state = first + layers["conv_body"](trunk)
    for name in ("conv_up1", "conv_up2"):
        state = leaky(layers[name](functional.interpolate(state, scale_factor=2, mode="nearest")))
    return layers["conv_last"](leaky(layers["conv_hr"](state)))


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(9)
    for name, unshuffle, prefix in (("x4", 1, "params_ema."), ("x2", 2, "")):
        layers = network(unshuffle)
        picture = torch.rand(1, 3, 12, 18)
        with torch.no_grad():
            output = forward(layers, picture, unshuffle)
        weights = {f"{prefix}{key}.{part}": tensor.detach() for key, layer in layers.items() for part, tensor in layer.named_parameters()}
        save_file(weights, out / f"{name}.safetensors")
        save_file({"input": picture, "output": output.contiguous()}, out / f"{name}.expected.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
