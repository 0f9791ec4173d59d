#!/usr/bin/env bash
# What depends on V8 (how it compiles the kernels, and what comes out of it) on each release line of Node, taken from npm.
# `npm run proof:versions [-- 24 26]`
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || set -- 22 24 26
cd "$root"
npm run -s build:kernels
for version in "$@"; do
  folder="$root/.peers/node$version"
  npm install --silent --force --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --prefix "$folder" \
    "node-linux-$(node -p process.arch)@$version"
  node="$folder/node_modules/node-linux-$(node -p process.arch)/bin/node"
  if ! "$node" --import tsx node_modules/uvu/bin.js test '/(kernels.*|family|formats|fuse|polarize|products)\.test\.ts$' \
    >"$folder/log" 2>&1; then
    cat "$folder/log"
    echo "versions: FAILED on Node $("$node" --version)"
    exit 1
  fi
  echo "Node $("$node" --version): $(sed -n 's/^ *Passed: *\([0-9]*\).*/\1/p' "$folder/log" | tail -1) passed"
done
echo "versions: the kernels and the method hold on Node $*"
