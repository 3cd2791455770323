#!/usr/bin/env bash
# Runs a program that was built with `--features cuda` on a card that is not there: see README.md.
#
#     inference/tests/emulated_card/run.sh PROGRAM [ARGUMENT…]
#
# Libraries and compiled kernels are kept in $EMULATED_CARD, a folder of its own in the temporary one without it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export EMULATED_CARD=${EMULATED_CARD:-${TMPDIR:-/tmp}/emulated-card}
mkdir -p "$EMULATED_CARD/lib" "$EMULATED_CARD/kernels" "$EMULATED_CARD/cache"

# CUDA's headers, for the types of half precision.
if [ ! -e "$EMULATED_CARD/include" ]; then
    if [ -n "${CUDA_PATH:-}" ] && [ -e "$CUDA_PATH/include/cuda_bf16.h" ]; then
        ln -s "$CUDA_PATH/include" "$EMULATED_CARD/include"
    else
        python3 -m pip install --quiet --no-deps --target "$EMULATED_CARD/python" \
            'nvidia-cuda-runtime==13.*' 'nvidia-cuda-crt==13.*' 'nvidia-cuda-cccl==13.*'
        ln -s "$EMULATED_CARD/python/nvidia/cu13/include" "$EMULATED_CARD/include"
    fi
fi

library() {
    local to="$EMULATED_CARD/lib/lib$1.so" from="$here/$2"
    local newest
    newest=$(ls -t "$from" "$here"/*.h | head -n 1)
    if [ "$to" -nt "$newest" ]; then return; fi
    g++ -std=c++17 -O3 -march=native -Wall -Wextra -shared -fPIC "-Wl,-soname,lib$1.so" "$from" -o "$to.new" "${@:3}"
    mv "$to.new" "$to"
    # What was compiled for another emulation is compiled again.
    rm -rf "$EMULATED_CARD/cache" "$EMULATED_CARD/kernels"
    mkdir -p "$EMULATED_CARD/cache" "$EMULATED_CARD/kernels"
}
library cuda driver.cpp -ldl
library nvrtc compiler.cpp
library cublasLt products.cpp "-L$EMULATED_CARD/lib" -lcuda
library cudnn convolutions.cpp "-L$EMULATED_CARD/lib" -lcuda

export EMULATED_CARD_SOURCES=$here CUDA_PATH=$EMULATED_CARD
export LD_LIBRARY_PATH=$EMULATED_CARD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# cubecl keeps kernels that were compiled in the workspace that it is called in, or else in the user's cache: a real card must not
# find those of this one, nor this one those of a real card.
export XDG_CACHE_HOME=$EMULATED_CARD/cache
arguments=()
for argument in "$@"; do
    if [ -e "$argument" ]; then argument=$(realpath "$argument"); fi
    arguments+=("$argument")
done
cd "$EMULATED_CARD"
exec "${arguments[@]}"
