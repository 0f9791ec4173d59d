#!/bin/sh
# Compiles the kernels: plain has all and runs everywhere, the others need relaxed SIMD and replace some (family.ts).
set -eu
cd "$(dirname "$0")"
compile() {
  asc "$1.ts" -o "../$2.wasm" -O3 --enable "$3" --use "FAMILY=$4" --runtime stub --importMemory --noAssert --disableWarning 112
}
compile kernels plain simd 0
compile narrow dot2 simd,relaxed-simd 1
compile narrow dot4 simd,relaxed-simd 2
