const [major, minor] = process.versions.v8.split(".").map(Number);
/** V8 11.3 (Node 20) has relaxed SIMD behind a flag, later ones have it on. */
if (major < 12) setFlags(["experimental-wasm-relaxed-simd"]);

/**
 * V8's revectorizer makes one operation of 256 bits of two of 128 bits that stand side by side, as those of a panel's
 * columns do (assembly/product.ts): 1.2 to 1.6 times as fast on x64. It is an experiment in V8, so it is used only in
 * the versions that were tried (Node 24 and 26), only while the kernels are compiled, and what comes out is tried, too
 * (family.ts). That needs the second-tier compiler at once, without what it would learn from the first. V8 13.6 ends the
 * process when a function that is called takes vectors (assembly/storing.ts).
 */
const WIDENING = ["experimental-wasm-revectorize", "no-liftoff", "no-wasm-lazy-compilation", "no-wasm-inlining"];
const USUAL = ["no-experimental-wasm-revectorize", "liftoff", "wasm-lazy-compilation", "wasm-inlining"];
const widens = process.arch === "x64" && ["13.6", "14.6"].includes(`${major}.${minor}`);

/**
 * Flags belong to the whole process, so they change on the main thread only, and for as long as this takes.
 * @throws WebAssembly.CompileError
 */
export async function compileKernels(bytes: Uint8Array): Promise<WebAssembly.Module> {
  if (!widens || !process.getBuiltinModule("node:worker_threads").isMainThread) return WebAssembly.compile(bytes);
  try {
    setFlags(WIDENING);
    return new WebAssembly.Module(bytes);
  } finally {
    setFlags(USUAL);
  }
}

/** Node's own modules are loaded where they are needed only: each costs a start half a millisecond. */
function setFlags(flags: readonly string[]): void {
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  for (const flag of flags) setFlagsFromString(`--${flag}`);
}
