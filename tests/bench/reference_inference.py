#!/usr/bin/env python3
"""Does what `atelier bench inference` does with the reference implementation: the same folder, the same size and steps, in the
same run, alternating.

    pip install torch diffusers transformers safetensors
    python tests/bench/reference_inference.py target/release/atelier FOLDER --size 64x64 --steps 4 [--rounds 5] [--device cpu] [--dtype f32]

Prints one line of JSON: the medians of both in milliseconds, and the reference's over ours (above 1 we are faster).
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
from diffusers import DiffusionPipeline


def finish(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class Flux2:
    """FLUX.2: token ids → context → steps → picture."""

    def __init__(self, pipeline, width, height):
        self.pipeline, self.width, self.height = pipeline, width, height
        self.length = min(getattr(pipeline.tokenizer, "model_max_length", 512) or 512, 512)
        self.distilled = bool(pipeline.config.get("is_distilled"))
        config = pipeline.text_encoder.config
        layers = getattr(config, "text_config", config).num_hidden_layers
        # The published models' 9, 18, 27 of 36 and 10, 20, 30 of 40, in any depth.
        self.states = (layers // 4, layers // 2, 3 * layers // 4)

    def text(self):
        return self.pipeline.encode_prompt(prompt="a", max_sequence_length=self.length, text_encoder_out_layers=self.states)[0]

    def denoise(self, embeds, steps, after_step):
        return self.pipeline(
            prompt_embeds=embeds, negative_prompt_embeds=None if self.distilled else embeds, width=self.width, height=self.height,
            num_inference_steps=steps, guidance_scale=3.5, output_type="latent", callback_on_step_end=after_step,
        ).images


class Sdxl:
    """SDXL: token ids → context → steps → picture."""

    def __init__(self, pipeline, width, height):
        self.pipeline, self.width, self.height = pipeline, width, height
        self.distilled = "Ancestral" in type(pipeline.scheduler).__name__

    def text(self):
        return self.pipeline.encode_prompt(prompt="a", do_classifier_free_guidance=False)

    def denoise(self, encoded, steps, after_step):
        embeds, _, pooled, _ = encoded
        negative = {} if self.distilled else dict(negative_prompt_embeds=embeds, negative_pooled_prompt_embeds=pooled)
        return self.pipeline(
            prompt_embeds=embeds, pooled_prompt_embeds=pooled, **negative, width=self.width, height=self.height,
            num_inference_steps=steps, guidance_scale=0.0 if self.distilled else 5.0, output_type="latent",
            callback_on_step_end=after_step,
        ).images


def once(subject, steps, device):
    """Milliseconds of each step, and of all of them together."""
    moments = []

    def after_step(_pipeline, _step, _time, values):
        finish(device)
        moments.append(time.perf_counter())
        return values

    with torch.inference_mode():
        begun = time.perf_counter()
        encoded = subject.text()
        finish(device)
        text = time.perf_counter()
        subject.denoise(encoded, steps, after_step)
        finish(device)
    laps = [1000 * (later - earlier) for earlier, later in zip([text, *moments], moments)]
    return {"text": 1000 * (text - begun), "step": laps}


def ours(binary, arguments):
    command = [
        binary, "bench", "inference", "--folder", arguments.folder, "--size", arguments.size, "--steps", str(arguments.steps),
        "--repeats", "3", "--device", arguments.device, "--dtype", arguments.dtype, "--json",
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("folder")
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    width, height = map(int, arguments.size.split("x"))
    dtype = torch.float32 if arguments.dtype == "f32" else torch.bfloat16
    pipeline = DiffusionPipeline.from_pretrained(arguments.folder, torch_dtype=dtype).to(arguments.device)
    pipeline.set_progress_bar_config(disable=True)
    kind = Sdxl if type(pipeline).__name__.startswith("StableDiffusionXL") else Flux2
    subject = kind(pipeline, width, height)
    once(subject, arguments.steps, arguments.device)
    theirs, own = {"text": [], "step": []}, {"text": [], "step": []}
    for _ in range(arguments.rounds):
        measured = once(subject, arguments.steps, arguments.device)
        theirs["text"].append(measured["text"])
        # The first step of the reference also draws noise and sets its scheduler up.
        theirs["step"].extend(measured["step"][1:] or measured["step"])
        stages = ours(arguments.binary, arguments)["stages"]
        own["text"].append(stages["text"]["median_ms"])
        own["step"].append(stages["step"]["median_ms"])
    medians = lambda times: {stage: round(statistics.median(values), 3) for stage, values in times.items()}
    theirs, own = medians(theirs), medians(own)
    ratio = {stage: round(theirs[stage] / own[stage], 3) for stage in own}
    print(json.dumps({"folder": arguments.folder, "size": arguments.size, "device": arguments.device, "dtype": arguments.dtype,
                      "torch": torch.__version__, "reference_ms": theirs, "atelier_ms": own, "reference_over_atelier": ratio}))


if __name__ == "__main__":
    main()
