"""Writes the case that `scoring/tests.rs` repeats: a small CLIP with random weights, pictures, prompts, and what
transformers makes of them.

    python clip_case.py ../../../tests/fixtures/parity/sdxl/model/tokenizer ../fixtures/clip
"""

import json
import pathlib
import shutil
import sys

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizerFast

PROMPTS = ["a watercolor painting of a red fox", "", "Füchse im Schnee, 雪の狐", "fox " * 120]
SIZES = [(50, 37), (30, 30), (33, 81)]


def picture(width, height, seed):
    """Soft colours with some noise, so that scaling and cropping show."""
    random = numpy.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 4, 3), dtype=numpy.uint8))
    large = numpy.asarray(small.resize((width, height), Image.BICUBIC), dtype=numpy.int16)
    noisy = large + random.integers(-12, 13, large.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8))


def unit(vectors):
    return vectors / vectors.norm(dim=-1, keepdim=True)


def embedding(output):
    """Newer versions of transformers give an object here, older ones the tensor."""
    return output if torch.is_tensor(output) else output.pooler_output


def main(tokenizer_folder, out):
    torch.manual_seed(5)
    out.mkdir(parents=True, exist_ok=True)
    for file in pathlib.Path(tokenizer_folder).iterdir():
        shutil.copy(file, out / file.name)
    tokenizer = CLIPTokenizerFast.from_pretrained(out)
    config = CLIPConfig(
        projection_dim=16,
        text_config=dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                         max_position_embeddings=tokenizer.model_max_length, eos_token_id=tokenizer.eos_token_id,
                         bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id),
        vision_config=dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, image_size=30, patch_size=6),
    )
    model = CLIPModel(config).eval()
    # Weights as drawn are so small that every picture would look the same.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    model.save_pretrained(out)
    # Scaled by Pillow, as CLIP's training pictures were; torchvision's scaling differs by a tone here and there.
    processor = CLIPImageProcessorPil(size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30})
    processor.save_pretrained(out)

    expected = {}
    with torch.no_grad():
        for number, prompt in enumerate(PROMPTS):
            tokens = tokenizer([prompt], padding="max_length", truncation=True, return_tensors="pt")
            expected[f"text.{number}"] = unit(embedding(model.get_text_features(**tokens)))
        for number, (width, height) in enumerate(SIZES):
            shown = picture(width, height, number)
            shown.save(out / f"picture-{number}.png")
            pixels = processor(shown, return_tensors="pt")["pixel_values"]
            expected[f"picture.{number}"] = unit(embedding(model.get_image_features(pixel_values=pixels)))
        head = {}
        state = expected["picture.0"]
        for number, (inputs, outputs) in enumerate([(16, 12), (12, 8), (8, 1)]):
            layer = torch.nn.Linear(inputs, outputs)
            head[f"layers.{2 * number}.weight"], head[f"layers.{2 * number}.bias"] = layer.weight, layer.bias
            state = layer(state)
        expected["aesthetic"] = state.reshape(1)
        expected["cosine"] = (expected["text.0"] * expected["picture.0"]).sum().reshape(1)
    save_file({name: tensor.detach().contiguous() for name, tensor in head.items()}, out / "aesthetic.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, out / "expected.safetensors")
    (out / "prompts.json").write_text(json.dumps(PROMPTS, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
