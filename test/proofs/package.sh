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

# The program of the library's page: its types against the package's, then its answers.
sed -n '/^```ts$/,/^```$/p' node_modules/polaredge/runtime/LIBRARY.md | sed '/^```/d' >library.mts
cp node_modules/polaredge/tools/bearing/bearing-1.0.0.onnx model.onnx
cat >samples.mjs <<'END'
import { writeFileSync } from "node:fs";
import { encodeNpy } from "polaredge";
import { bearingSamples } from "./node_modules/polaredge/dist/tools/bearing/samples.js";
writeFileSync("x.npy", encodeNpy(bearingSamples(40, 4).inputs));
END
node samples.mjs
ln -s "$root/node_modules/@types" node_modules/@types
"$root/node_modules/.bin/tsc" --strict --module nodenext --target es2023 --types node library.mts
node library.mjs | tee library.txt
[ "$(grep -c -- '->' library.txt)" = 3 ] && grep -q '^input/shape' library.txt
echo "package: $(du -h "$tarball" | cut -f1) packed, $(du -sh node_modules | cut -f1) installed with dependencies; help, profiles, inspect and library work"
