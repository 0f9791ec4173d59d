#!/bin/sh
# Compiles the kernels once per family (family.ts): plain runs everywhere, the others need relaxed SIMD.
set -eu
cd "$(dirname "$0")"
number=0
for family in plain dot2 dot4; do
  features=simd
  [ "$number" -eq 0 ] || features=simd,relaxed-simd
  asc kernels.ts -o "../$family.wasm" -O3 --enable "$features" --use "FAMILY=$number" \
    --runtime stub --importMemory --noAssert --disableWarning 112
  number=$((number + 1))
done
