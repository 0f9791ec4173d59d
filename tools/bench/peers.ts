import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { asset } from "../../runtime/base/assets.ts";
import { Failure } from "../../runtime/base/failure.ts";

/** The runtimes that polaredge is compared with; half a gigabyte, so never part of an installation. */
const PEERS = ["onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0", "@litertjs/core@2.5.3"] as const;

const folder = fileURLToPath(asset(".peers/"));
const requirePeer = createRequire(join(folder, "package.json"));

/** @throws Failure bench/peers when npm does */
export function installPeers(): void {
  mkdirSync(folder, { recursive: true });
  const options = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  const { status } = spawnSync("npm", ["install", ...options, ...PEERS], { stdio: "inherit" });
  if (status !== 0) throw new Failure("input/missing", `npm could not install ${PEERS.join(", ")} into ${folder}`);
  letLiteRtTakeInt8();
}

/** @throws Failure input/missing */
export function assertPeers(): void {
  if (existsSync(join(folder, "node_modules", "onnxruntime-node"))) return;
  throw new Failure("input/missing", "the peers are not installed; run `polaredge bench --install-peers` first");
}

export async function loadPeer<T>(name: string): Promise<T> {
  return import(pathToFileURL(requirePeer.resolve(name)).href);
}

const LITERT = join(folder, "node_modules", "@litertjs", "core");

/** LiteRT.js 2.5 runs int8 models, but its list of tensor types lacks them. */
function letLiteRtTakeInt8(): void {
  const file = join(LITERT, "dist", "index.js");
  const list = "var DATATYPES = Object.freeze([";
  const int8 = '{ dtype: "int8", typedArrayConstructor: Int8Array, elementType: ElementType.INT8 },';
  const source = readFileSync(file, "utf8");
  if (!source.includes(list + int8)) writeFileSync(file, source.replace(list, list + int8));
}

/** What is used of @litertjs/core. */
interface LiteRt {
  loadLiteRt(folder: string): Promise<unknown>;
  loadAndCompile(
    file: Uint8Array,
    options: object,
  ): Promise<{
    getInputDetails(): readonly { readonly dtype: string; readonly shape: Int32Array }[];
    run(input: unknown): Promise<{ toTypedArray(): unknown; delete(): void }[]>;
  }>;
  readonly Tensor: new (data: Float32Array | Int8Array, shape: readonly number[]) => unknown;
}

/** LiteRT.js is made for browsers: it loads a script by importScripts, the script loads its code by require. */
export async function loadLiteRt(): Promise<LiteRt> {
  const file = join(LITERT, "dist", "index.js");
  const wasm = join(LITERT, "wasm");
  Object.assign(globalThis, {
    self: globalThis,
    require: createRequire(file),
    __filename: join(wasm, "litert.js"),
    __dirname: wasm,
    // biome-ignore lint/security/noGlobalEval: what importScripts does
    importScripts: (path: string) => globalThis.eval(readFileSync(path, "utf8")),
  });
  const liteRt: LiteRt = await import(pathToFileURL(file).href);
  await quietly(() => liteRt.loadLiteRt(`${wasm}/`));
  return liteRt;
}

/** Without the warnings that there is no GPU. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { warn, error } = console;
  console.warn = console.error = () => undefined;
  try {
    return await work();
  } finally {
    Object.assign(console, { warn, error });
  }
}
