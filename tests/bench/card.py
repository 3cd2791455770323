#!/usr/bin/env python3
"""Everything that is promised of a card, in one command: parity with the reference, and the speed that is aimed at.

    cargo build --release --features cuda
    python tests/bench/card.py target/release/atelier [--device cuda:0] [--out FOLDER] [--skip-reference] [--quick]

It takes some minutes the first time: kernels are compiled. It runs

- `atelier parity` in bf16 and in FP8 with every case of tests/fixtures/parity;
- `atelier bench inference` with drawn weights of the published sizes, in bf16 and, by turns with it, in FP8;
- tests/bench/reference_inference.py, where PyTorch, diffusers and peft are installed: the reference, compiled, by turns with Atelier.

It prints a table of what is aimed at (on one H200), and leaves every report in FOLDER. With `--quick` pictures are made once. Exit
status 0 when every case is equal and every aim is reached.
"""
import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KLEIN = ["--arch", "klein-4b", "--size", "1024x1024", "--steps", "4"]
SDXL = ["--arch", "sdxl", "--size", "1024x1024", "--steps", "30"]
TURBO = ["--arch", "sdxl-turbo", "--size", "512x512", "--steps", "4"]

total = lambda report: report["stages"]["total"]["median_ms"]
# What is measured, how, its figure, and what it is at most; or, where it is a rate, at least.
AIMS = [
    ("klein-4B, 1024 x 1024, 4 steps, ms", KLEIN, total, 240, "most"),
    ("SDXL, 1024 x 1024, 30 steps, ms", SDXL, total, 900, "most"),
    ("SDXL-Turbo, 512 x 512, 4 steps, ms", TURBO, total, 28, "most"),
    ("LoRA exchanged on klein-4B, ms", KLEIN + ["--lora", "1"], lambda report: report["lora_swap_ms"], 10, "most"),
    ("a step with a LoRA over one without, - 1", KLEIN + ["--lora", "1"], lambda report: report["lora_overhead"], 0.03, "most"),
    ("klein-4B LoRA of rank 16, 1024 x 1024, steps a second", KLEIN + ["--train"],
     lambda report: report["training"]["steps_per_second"], 5, "least"),
]
# The same in FP8, which nothing is aimed at with: whether it is worth it.
BESIDE = [("klein-4B in FP8, ms", KLEIN, total), ("SDXL in FP8, ms", SDXL, total), ("SDXL-Turbo in FP8, ms", TURBO, total)]
REFERENCE = [("klein-4b", ["--size", "1024x1024", "--steps", "4"]), ("sdxl", ["--size", "1024x1024", "--steps", "30"]),
             ("sdxl-turbo", ["--size", "512x512", "--steps", "4"]),
             ("klein-4b", ["--size", "1024x1024", "--steps", "2", "--train"])]


class Reports:
    """What programs report, kept in a folder; what was reported once is not asked for again."""

    def __init__(self, out):
        self.out, self.known = out, {}
        out.mkdir(parents=True, exist_ok=True)

    def ask(self, command):
        """The last line of JSON that a program prints, or why there is none."""
        key = " ".join(command)
        if key not in self.known:
            ended = subprocess.run(command, capture_output=True, text=True)
            lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
            self.known[key] = json.loads(lines[-1]) if lines else {"error": (ended.stderr or ended.stdout).strip()[-2000:]}
            (self.out / f"{len(self.known):02}.json").write_text(json.dumps({"command": command, "report": self.known[key]}, indent=1))
        return self.known[key]


def say(verdict, what, text):
    print(f"{verdict:8} {what:56} {text}", flush=True)


def parity(arguments, reports, dtype):
    """Whether every case is equal to the reference."""
    all_equal = True
    for case in sorted((REPOSITORY / "tests/fixtures/parity").iterdir()):
        report = reports.ask([arguments.binary, "parity", "--device", arguments.device, "--dtype", dtype, str(case)])
        all_equal &= bool(report.get("ok"))
        say("equal" if report.get("ok") else "NOT", f"parity in {dtype}: {case.name}", report.get("error", ""))
    return all_equal


def bench(arguments, reports, what, dtype):
    repeats = ["--repeats", "1" if arguments.quick else "5"]
    command = [arguments.binary, "bench", "inference", *what, *repeats, "--json", "--device", arguments.device, "--dtype", dtype]
    return reports.ask(command)


def aims(arguments, reports):
    """Whether all that is aimed at is reached."""
    all_reached = True
    for name, what, figure, aim, bound in AIMS:
        report = bench(arguments, reports, what, "bf16")
        if "error" in report:
            all_reached = False
            say("FAILED", name, report["error"])
            continue
        found = figure(report)
        is_reached = found <= aim if bound == "most" else found >= aim
        all_reached &= is_reached
        say("reached" if is_reached else "NOT", name, f"{found:.4g}, of {aim} at {bound}")
    for name, what, figure in BESIDE:
        report = bench(arguments, reports, what, "fp8")
        say("", name, report.get("error") or f"{figure(report):.4g}")
    return all_reached


def reference(arguments, reports):
    """Whether nothing is slower than the reference, where it is installed."""
    if arguments.skip_reference or any(importlib.util.find_spec(name) is None for name in ("torch", "diffusers", "peft")):
        say("", "the reference, compiled", "not compared: PyTorch, diffusers or peft is not installed, or it is skipped")
        return True
    all_faster = True
    script = str(REPOSITORY / "tests/bench/reference_inference.py")
    for model, what in REFERENCE:
        command = [sys.executable, script, arguments.binary, model, *what, "--device", arguments.device.split(":")[0], "--dtype", "bf16", "--compile"]
        report = reports.ask(command)
        ratios = report.get("reference_over_atelier", {})
        all_faster &= bool(ratios) and all(ratio >= 1.0 for ratio in ratios.values())
        say("", f"the reference's time over ours: {model} {' '.join(what)}", report.get("error") or json.dumps(ratios))
    return all_faster


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=Path, default=Path("card-reports"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--skip-reference", action="store_true")
    arguments = parser.parse_args()
    arguments.binary = str(Path(arguments.binary).resolve())
    reports = Reports(arguments.out)
    parts = [parity(arguments, reports, "bf16"), parity(arguments, reports, "fp8"), aims(arguments, reports), reference(arguments, reports)]
    sys.exit(not all(parts))


if __name__ == "__main__":
    main()
