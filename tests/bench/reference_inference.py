#!/usr/bin/env python3
"""Does what `atelier bench inference` does with the reference implementation: the same folder, the same size and steps, in the
same run, alternating.

    pip install torch diffusers transformers safetensors peft
    python tests/bench/reference_inference.py target/release/atelier FOLDER --size 64x64 --steps 4 [--rounds 5] [--device cpu] [--dtype f32]
    python tests/bench/reference_inference.py target/release/atelier FOLDER --size 64x64 --steps 4 --train [--batch 1]
    python tests/bench/reference_inference.py target/release/atelier klein-4b --size 1024x1024 --steps 4 --device cuda --dtype bf16 --compile

Where the folder is one of `klein-4b`, `sdxl` and `sdxl-turbo`, both draw weights of the published sizes. `--compile` compiles the
reference's blocks and its decoder with `torch.compile`.

Prints one line of JSON: the medians of both in milliseconds, and the reference's over ours (above 1 we are faster). With
`--train` of steps of a LoRA training, with `peft`'s pairs of rank 16 beside the same layers and PyTorch's AdamW; otherwise of
generating.
"""
import argparse
import io
import json
import statistics
import subprocess
import time

import torch
from diffusers import DiffusionPipeline


# What `atelier bench inference --train` trains.
RANK = 16

DECODER = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "down_block_types": ("DownEncoderBlock2D",) * 4,
           "up_block_types": ("UpDecoderBlock2D",) * 4}


def drawn_klein():
    """FLUX.2 [klein] 4B in its published size."""
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
    from transformers import Qwen3Config, Qwen3ForCausalLM

    text = Qwen3Config(vocab_size=151936, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
                       num_key_value_heads=8, head_dim=128, rms_norm_eps=1e-6, rope_theta=1e6)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), is_distilled=True, tokenizer=None,
        vae=AutoencoderKLFlux2(latent_channels=32, sample_size=1024, **DECODER), text_encoder=Qwen3ForCausalLM(text),
        transformer=Flux2Transformer2DModel(in_channels=128, num_layers=5, num_single_layers=20, num_attention_heads=24,
                                            joint_attention_dim=7680, guidance_embeds=False),
    )


def drawn_sdxl(turbo):
    """SDXL, or SDXL-Turbo, in its published size."""
    from diffusers import (AutoencoderKL, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline,
                           UNet2DConditionModel)
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    text = lambda hidden, layers, heads, act: CLIPTextConfig(
        hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers, num_attention_heads=heads, hidden_act=act,
        projection_dim=hidden)
    times = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    return StableDiffusionXLPipeline(
        scheduler=EulerAncestralDiscreteScheduler(timestep_spacing="trailing", **times) if turbo
        else EulerDiscreteScheduler(timestep_spacing="leading", **times),
        vae=AutoencoderKL(latent_channels=4, scaling_factor=0.13025, **DECODER), tokenizer=None, tokenizer_2=None,
        text_encoder=CLIPTextModel(text(768, 12, 12, "quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(text(1280, 32, 20, "gelu")),
        unet=UNet2DConditionModel(
            sample_size=64 if turbo else 128, block_out_channels=(320, 640, 1280), attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048, transformer_layers_per_block=(1, 2, 10), addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816, use_linear_projection=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")),
    )


DRAWN = {"klein-4b": drawn_klein, "sdxl": lambda: drawn_sdxl(False), "sdxl-turbo": lambda: drawn_sdxl(True)}


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
        if self.pipeline.tokenizer is None:
            ids = (torch.arange(self.length, device=self.pipeline.device) % 200)[None]
            states = self.pipeline.text_encoder.model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
            return torch.cat([states[place] for place in self.states], dim=-1)
        return self.pipeline.encode_prompt(prompt="a", max_sequence_length=self.length, text_encoder_out_layers=self.states)[0]

    def denoise(self, embeds, steps, after_step, output="latent"):
        return self.pipeline(
            prompt_embeds=embeds, negative_prompt_embeds=None if self.distilled else embeds, width=self.width, height=self.height,
            num_inference_steps=steps, guidance_scale=3.5, output_type=output, callback_on_step_end=after_step,
        ).images


    @property
    def network(self):
        return self.pipeline.transformer

    def is_trained(self, layer):
        outer = ("x_embedder", "context_embedder", "proj_out", "modulation")
        return layer.startswith(("transformer_blocks.", "single_transformer_blocks.")) or any(part in layer for part in outer)

    def learnt(self, batch):
        """A drawn picture's latents and a text, as a training caches them."""
        packed, ids = self.pipeline.prepare_latents(
            batch, self.network.config.in_channels // 4, self.height, self.width, torch.float32, self.pipeline.device, None,
        )
        embeds, text_ids = self.pipeline.encode_prompt(None, prompt_embeds=self.text())
        return packed, ids, embeds.expand(batch, -1, -1), text_ids.expand(batch, -1, -1)

    def loss(self, learnt):
        """Rectified flow, at times as Stable Diffusion 3 draws them."""
        picture, ids, embeds, text_ids = learnt
        noise = torch.randn_like(picture)
        time = torch.sigmoid(0.4 + torch.randn(len(picture), device=picture.device))
        share = time[:, None, None]
        guidance = torch.full_like(time, 3.5) if self.network.config.guidance_embeds else None
        predicted = self.network(
            hidden_states=((1 - share) * picture + share * noise).to(embeds.dtype), encoder_hidden_states=embeds, timestep=time,
            guidance=guidance, img_ids=ids, txt_ids=text_ids, return_dict=False,
        )[0]
        return (predicted.float() - (noise - picture)).square().mean()


class Sdxl:
    """SDXL: token ids → context → steps → picture."""

    def __init__(self, pipeline, width, height):
        self.pipeline, self.width, self.height = pipeline, width, height
        self.distilled = "Ancestral" in type(pipeline.scheduler).__name__

    def text(self):
        if self.pipeline.tokenizer is None:
            ids = (torch.arange(77, device=self.pipeline.device) % 200)[None]
            encoders = (self.pipeline.text_encoder, self.pipeline.text_encoder_2)
            first, second = (encoder(ids, output_hidden_states=True) for encoder in encoders)
            return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), None, second.text_embeds, None
        return self.pipeline.encode_prompt(prompt="a", do_classifier_free_guidance=False)

    def denoise(self, encoded, steps, after_step, output="latent"):
        embeds, _, pooled, _ = encoded
        negative = {} if self.distilled else dict(negative_prompt_embeds=embeds, negative_pooled_prompt_embeds=pooled)
        return self.pipeline(
            prompt_embeds=embeds, pooled_prompt_embeds=pooled, **negative, width=self.width, height=self.height,
            num_inference_steps=steps, guidance_scale=0.0 if self.distilled else 5.0, output_type=output,
            callback_on_step_end=after_step,
        ).images

    @property
    def network(self):
        return self.pipeline.unet

    def is_trained(self, layer):
        return "attentions." in layer

    def learnt(self, batch):
        """A drawn picture's latents and a text, as a training caches them."""
        edges = (self.height // self.pipeline.vae_scale_factor, self.width // self.pipeline.vae_scale_factor)
        latents = torch.randn(batch, self.network.config.in_channels, *edges, device=self.pipeline.device)
        embeds, _, pooled, _ = self.text()
        sizes = torch.tensor([[self.height, self.width, 0, 0, self.height, self.width]] * batch, device=self.pipeline.device)
        return latents, embeds.expand(batch, -1, -1), pooled.expand(batch, -1), sizes

    def loss(self, learnt):
        """Prediction of noise, or of velocity, at times that are each as likely as any other."""
        picture, embeds, pooled, sizes = learnt
        config = self.pipeline.scheduler.config
        # The same schedule as `DDPMScheduler`'s, which every SDXL was trained with.
        betas = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, config.num_train_timesteps).square()
        signal = torch.cumprod(1 - betas, 0).to(picture.device)
        noise = torch.randn_like(picture)
        times = torch.randint(0, config.num_train_timesteps, (len(picture),), device=picture.device)
        kept, added = signal[times].sqrt()[:, None, None, None], (1 - signal[times]).sqrt()[:, None, None, None]
        predicted = self.network(
            (kept * picture + added * noise).to(embeds.dtype), times, encoder_hidden_states=embeds,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}, return_dict=False,
        )[0]
        wanted = kept * noise - added * picture if config.prediction_type == "v_prediction" else noise
        return (predicted.float() - wanted).square().mean()


class Training:
    """A LoRA training as ours: a frozen network, pairs in f32, gradients no longer than 1 all together, AdamW."""

    def __init__(self, subject, batch):
        from peft import LoraConfig

        self.subject, network = subject, subject.network
        network.requires_grad_(False)
        linear = [name for name, layer in network.named_modules() if isinstance(layer, torch.nn.Linear)]
        layers = [name for name in linear if subject.is_trained(name)]
        network.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=layers))
        self.trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter in self.trained:
            parameter.data = parameter.data.float()
        self.parameters = sum(parameter.numel() for parameter in self.trained)
        self.optimiser = torch.optim.AdamW(self.trained, lr=1e-4, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01)
        with torch.no_grad():
            self.learnt = subject.learnt(batch)

    def step(self, device):
        """Milliseconds of a step, and of its parts."""
        moments = [time.perf_counter()]

        def lap():
            finish(device)
            moments.append(time.perf_counter())

        loss = self.subject.loss(self.learnt)
        lap()
        loss.backward()
        lap()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        lap()
        forward, backward, optimiser = (1000 * (later - earlier) for earlier, later in zip(moments, moments[1:]))
        return {"train_step": forward + backward + optimiser, "train_forward": forward, "train_backward": backward,
                "train_optimiser": optimiser}


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
        # Once more as a whole, without waiting after each step: token ids to the bytes of a file.
        begun_whole = time.perf_counter()
        subject.denoise(subject.text(), steps, None, "pil")[0].save(io.BytesIO(), "png", compress_level=1)
        total = 1000 * (time.perf_counter() - begun_whole)
    return {"text": 1000 * (text - begun), "step": laps, "total": total}


def ours(arguments):
    model = ["--arch" if arguments.folder in DRAWN else "--folder", arguments.folder]
    command = [
        arguments.binary, "bench", "inference", *model, "--size", arguments.size,
        "--steps", str(arguments.steps), "--repeats", "3", "--device", arguments.device, "--dtype", arguments.dtype, "--json",
    ]
    if arguments.train:
        command += ["--train", "--batch", str(arguments.batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def generating(subject, arguments):
    """Measures both by turns: milliseconds of each stage, theirs and ours."""
    once(subject, arguments.steps, arguments.device)
    theirs, own = ({"text": [], "step": [], "total": []} for _ in range(2))
    for _ in range(arguments.rounds):
        measured = once(subject, arguments.steps, arguments.device)
        theirs["text"].append(measured["text"])
        # The first step of the reference also draws noise and sets its scheduler up.
        theirs["step"].extend(measured["step"][1:] or measured["step"])
        theirs["total"].append(measured["total"])
        stages = ours(arguments)["stages"]
        for stage in own:
            own[stage].append(stages[stage]["median_ms"])
    return theirs, own


def learning(subject, arguments):
    """The same of a training's steps."""
    training = Training(subject, arguments.batch)
    stages = training.step(arguments.device)
    theirs, own = {stage: [] for stage in stages}, {stage: [] for stage in stages}
    for _ in range(arguments.rounds):
        for _ in range(arguments.steps):
            for stage, milliseconds in training.step(arguments.device).items():
                theirs[stage].append(milliseconds)
        report = ours(arguments)
        if report["training"]["trained_parameters"] != training.parameters:
            raise SystemExit(
                f"Atelier trains {report['training']['trained_parameters']} numbers and the reference {training.parameters}: "
                "make `is_trained` here name the layers that are trained there."
            )
        for stage in stages:
            own[stage].append(report["stages"][stage]["median_ms"])
    return theirs, own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("folder")
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    width, height = map(int, arguments.size.split("x"))
    dtype = torch.float32 if arguments.dtype == "f32" else torch.bfloat16
    if arguments.folder in DRAWN:
        torch.set_default_dtype(dtype)
        with torch.device(arguments.device):
            pipeline = DRAWN[arguments.folder]()
        torch.set_default_dtype(torch.float32)
    else:
        pipeline = DiffusionPipeline.from_pretrained(arguments.folder, torch_dtype=dtype)
    pipeline.to(arguments.device)
    pipeline.set_progress_bar_config(disable=True)
    kind = Sdxl if type(pipeline).__name__.startswith("StableDiffusionXL") else Flux2
    subject = kind(pipeline, width, height)
    if arguments.compile:
        if kind is Sdxl:
            subject.network.to(memory_format=torch.channels_last)
        subject.network.compile_repeated_blocks(fullgraph=True) if kind is Flux2 else subject.network.compile()
        pipeline.vae.decode = torch.compile(pipeline.vae.decode)
    theirs, own = (learning if arguments.train else generating)(subject, arguments)
    medians = lambda times: {stage: round(statistics.median(values), 3) for stage, values in times.items()}
    theirs, own = medians(theirs), medians(own)
    ratio = {stage: round(theirs[stage] / own[stage], 3) for stage in own}
    work = {"train": arguments.train, **({"batch": arguments.batch} if arguments.train else {})}
    print(json.dumps({"folder": arguments.folder, "size": arguments.size, **work, "device": arguments.device,
                      "dtype": arguments.dtype, "torch": torch.__version__, "reference_ms": theirs, "atelier_ms": own,
                      "reference_over_atelier": ratio}))


if __name__ == "__main__":
    main()
