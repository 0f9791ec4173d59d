#!/usr/bin/env bash
# The packed tarball works elsewhere: packs, installs into an empty folder, runs the command from there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cd "$root"
npm run -s build
tarball=$(npm pack --silent --pack-destination "$folder")
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts "./$tarball"
npx polaredge --help | grep -q 'Usage: polaredge'
npx polaredge profile list | grep -q raspberry-pi-4
npx polaredge inspect node_modules/polaredge/tools/bearing/bearing-1.0.0.onnx | tail -1
printf 'import { openModel } from "polaredge";\nif (typeof openModel !== "function") process.exit(1);\n' >library.mjs
node library.mjs
echo "package: $(du -h "$tarball" | cut -f1) packed, $(du -sh node_modules | cut -f1) installed with dependencies; help, profiles, inspect and library work"
