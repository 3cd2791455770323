"""Writes the cases that `sdxl/start_tests.rs` repeats: pictures that begin as a picture, whole and in part, as diffusers draws
them with the small SDXL model of the parity cases.

    python sdxl_start_case.py ../../../tests/fixtures/parity/sdxl/model ../fixtures/sdxl-start
"""

import json
import pathlib
import sys
from unittest import mock

import numpy
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from safetensors.torch import save_file

WIDTH, HEIGHT = 64, 96
MODULE = "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_"
CASES = {
    "whole": dict(strength=0.6, steps=5, guidance=4.0),
    "part": dict(strength=0.7, steps=4, guidance=3.0, mask=True),
    "part-anew": dict(strength=1.0, steps=3, guidance=1.0, mask=True),
}


def picture(seed):
    small = numpy.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=numpy.uint8)
    return Image.fromarray(small).resize((WIDTH, HEIGHT), Image.BICUBIC)


def mask():
    """White in a part whose edges lie between latents."""
    values = numpy.zeros((HEIGHT, WIDTH), dtype=numpy.uint8)
    values[21:83, 13:50] = 255
    return Image.fromarray(values)


def main(model, out):
    out.mkdir(parents=True, exist_ok=True)
    picture(3).save(out / "picture.png")
    mask().convert("RGB").save(out / "mask.png")
    for name, case in CASES.items():
        kind, pipeline_class = ("inpaint", StableDiffusionXLInpaintPipeline) if "mask" in case else ("img2img", StableDiffusionXLImg2ImgPipeline)
        pipeline = pipeline_class.from_pretrained(model)
        pipeline.set_progress_bar_config(disable=True)
        channels, factor = pipeline.unet.config.in_channels, pipeline.vae_scale_factor
        noise = torch.randn((1, channels, HEIGHT // factor, WIDTH // factor), generator=torch.Generator().manual_seed(11))
        extra = dict(mask_image=mask(), height=HEIGHT, width=WIDTH) if "mask" in case else {}
        # The noise is given, and of the encoder's distribution its middle is taken.
        with (
            mock.patch(MODULE + kind + ".randn_tensor", lambda *_, **__: noise),
            mock.patch.object(DiagonalGaussianDistribution, "sample", lambda self, *_, **__: self.mode()),
        ):
            latents = pipeline(
                prompt="a red fox in the snow", negative_prompt="city at night", image=picture(3), strength=case["strength"],
                num_inference_steps=case["steps"], guidance_scale=case["guidance"], output_type="latent", **extra,
            ).images
        save_file({"noise": noise, "latents": latents.contiguous()}, out / f"{name}.safetensors")
    (out / "cases.json").write_text(json.dumps(CASES))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
