import type { MessagePort } from "node:worker_threads";
import { Failure, type FailureCode, isFailure, messageOf } from "../base/failure.ts";
import type { Accelerator, MatmulUnit, UnitLayer } from "../plan/unit.ts";

/** An error as it crosses threads: a class does not survive structured cloning. */
export interface PlainError {
  readonly message: string;
  readonly code?: FailureCode;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export function toPlain(error: unknown): PlainError {
  if (!isFailure(error)) return { message: messageOf(error) };
  return { message: error.message, code: error.code, detail: JSON.parse(JSON.stringify(error.detail)) };
}

export function fromPlain({ code, message, detail }: PlainError): Error {
  return code ? new Failure(code, message, { ...detail }) : new Error(message);
}

interface Calls {
  place: (layers: readonly UnitLayer[]) => Promise<Placed>;
  held: () => Promise<Placed | undefined>;
  multiply: (layer: string, inputs: Uint8Array, count: number) => Promise<Float32Array>;
  nominal: (layer: string) => Promise<Float32Array>;
  /** Returns the strengths. */
  trim: () => Promise<readonly number[] | undefined>;
  renewed: () => Promise<Placed | undefined>;
}

interface Placed {
  readonly name: string;
  readonly uid: string;
  readonly layers: readonly string[];
  readonly tilesUsed: number | undefined;
  readonly strengths: readonly number[] | undefined;
}

interface Request {
  readonly id: number;
  readonly call: keyof Calls;
  readonly args: readonly unknown[];
}

type Response = { readonly id: number } & ({ readonly value: unknown } | { readonly error: PlainError });

/** The serial line stays in the main thread; this answers a worker that calibrates on it. Ends with the port. */
export function serveAccelerator(port: MessagePort, accelerator: Accelerator): void {
  const calls = callsOf(accelerator);
  port.on("message", ({ id, call, args }: Request) => {
    const run = calls[call] as (...args: readonly unknown[]) => Promise<unknown>;
    run(...args).then(
      (value) => port.postMessage({ id, value }),
      (error: unknown) => port.postMessage({ id, error: toPlain(error) }),
    );
  });
}

function callsOf(accelerator: Accelerator): Calls {
  let unit: MatmulUnit | undefined;
  const placed = (): MatmulUnit => {
    if (!unit) throw new Failure("bridge/refused", "no layer was placed yet");
    return unit;
  };
  return {
    place: async (layers) => {
      unit = await accelerator.place(layers);
      return described(unit);
    },
    held: async () => {
      unit = await accelerator.held?.();
      return unit && described(unit);
    },
    multiply: async (layer, inputs, count) => placed().multiply(layer, inputs, count),
    nominal: async (layer) => placed().nominal(layer),
    trim: async () => {
      await placed().trim?.();
      return placed().strengths;
    },
    renewed: async () => {
      unit = await accelerator.renewed?.();
      return unit && described(unit);
    },
  };
}

function described({ name, uid, layers, tilesUsed, strengths }: MatmulUnit): Placed {
  return { name, uid, layers: [...layers], tilesUsed, strengths };
}

/** The other end: an accelerator like any other. */
export function remoteAccelerator(port: MessagePort): Required<Accelerator> {
  const ask = requester(port);
  const unitOf = ({ strengths: fresh, ...placed }: Placed): MatmulUnit => {
    let strengths = fresh;
    return {
      ...placed,
      layers: new Set(placed.layers),
      get strengths() {
        return strengths;
      },
      multiply: async (layer, inputs, count) => (await ask("multiply", layer, inputs, count)) as Float32Array,
      nominal: async (layer) => (await ask("nominal", layer)) as Float32Array,
      trim: async () => {
        strengths = (await ask("trim")) as readonly number[] | undefined;
      },
    };
  };
  return {
    place: async (layers) => unitOf((await ask("place", layers)) as Placed),
    async held() {
      const placed = (await ask("held")) as Placed | undefined;
      return placed && unitOf(placed);
    },
    async renewed() {
      const placed = (await ask("renewed")) as Placed | undefined;
      return placed && unitOf(placed);
    },
  };
}

function requester(port: MessagePort): (call: keyof Calls, ...args: readonly unknown[]) => Promise<unknown> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let last = 0;
  port.on("message", (response: Response) => {
    const caller = waiting.get(response.id);
    waiting.delete(response.id);
    if ("error" in response) caller?.reject(fromPlain(response.error));
    else caller?.resolve(response.value);
  });
  return (call, ...args) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      port.postMessage({ id, call, args });
    });
}
