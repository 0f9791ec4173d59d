import { createRequire } from "node:module";
import { dirname } from "node:path";
import type * as Tfjs from "@tensorflow/tfjs-core";

export type Tf = typeof Tfjs;
export type Tensor = Tfjs.Tensor;
export type Tensor1D = Tfjs.Tensor1D;
export type Tensor2D = Tfjs.Tensor2D;
export type Tensor3D = Tfjs.Tensor3D;
export type Tensor4D = Tfjs.Tensor4D;

let backend: Promise<Tf> | undefined;

/** tfjs on its WebAssembly backend, one thread, f32: loaded at the first use. */
export function loadTfjs(): Promise<Tf> {
  backend ??= startTfjs();
  return backend;
}

async function startTfjs(): Promise<Tf> {
  const tf = await import("@tensorflow/tfjs-core");
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  const folder = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  wasm.setWasmPaths(`${folder}/`);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  const started = await keepingProcessListeners(() => tf.setBackend("wasm"));
  if (!started) throw new Error(`tfjs can't start its WebAssembly backend from ${folder}`);
  return tf;
}

/** Emscripten's start-up code adds listeners that throw every uncaught error again, with its own source as the place. */
async function keepingProcessListeners<T>(start: () => Promise<T>): Promise<T> {
  const events = ["uncaughtException", "unhandledRejection"];
  const before = events.map((event) => process.rawListeners(event));
  const result = await start();
  events.forEach((event, i) => {
    for (const listener of process.rawListeners(event)) {
      if (!before[i].includes(listener)) process.removeListener(event, listener as () => void);
    }
  });
  return result;
}
