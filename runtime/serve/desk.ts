import type { IncomingMessage, ServerResponse } from "node:http";
import { Failure, type FailureCode, isFailure, messageOf } from "../base/failure.ts";
import { Meter } from "../health/meter.ts";
import { InferCodec } from "./inference.ts";
import { Intake } from "./intake.ts";
import { metricsText } from "./metrics.ts";
import type { Servable, ServedModel } from "./servable.ts";

/** Requests under way; more would only wait longer. */
const MAX_PENDING = 64;
/** After so long the rest of the process has its turn, however many samples one request brings. */
const TURN_MS = 5;

const statuses: Partial<Record<FailureCode, number>> = {
  "serve/malformed": 400,
  "input/shape": 400,
  "serve/cross-origin": 403,
  "serve/not-found": 404,
  "serve/wrong-method": 405,
  "serve/too-large": 413,
  "serve/busy": 503,
  "agent/not-serving": 503,
};

/** What a browser may call this machine; behind any other name stands a page that wants in (DNS rebinding). */
const LOCAL_HOST = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

type Answer = Readonly<Record<string, unknown>> | undefined;

/** Where requests are answered. */
export class Desk {
  /** Answers given, by status. */
  readonly answered: Map<number, number> = new Map();
  /** Of infer requests that were answered with 200, from their first byte to the last one of the answer. */
  readonly meter: Meter = new Meter();
  readonly #servable: Servable;
  readonly #intake = new Intake();
  #codec: InferCodec | undefined;
  #pending = 0;

  constructor(servable: Servable) {
    this.#servable = servable;
  }

  /** Never throws: what goes wrong is an answer too. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { headers, socket, method, url = "/" } = request;
      const foreign = socket.remoteAddress !== undefined && !LOCAL_HOST.test(headers.host ?? "");
      if (headers.origin !== undefined || foreign) throw crossOrigin();
      const [path = ""] = url.split("?", 1);
      if (method === "POST") await this.#infer(path, request, response);
      else if (method !== "GET" && method !== "HEAD") throw wrongMethod(path, "GET");
      else if (path === "/metrics") this.#metrics(response);
      else this.#send(response, 200, this.#tell(path));
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  /** Health and metadata. */
  #tell(path: string): Answer {
    const model = this.#servable.model();
    switch (path) {
      case "/v2":
      case "/v2/":
        return { name: "polaredge", version: "2", extensions: ["binary_tensor_data"] };
      case "/v2/health/live":
        return undefined;
      case "/v2/health/ready":
        if (!model) throw notServing();
        return undefined;
    }
    const { served, rest } = this.#modelAt(path);
    if (rest === "ready") return undefined;
    if (rest === "") return metadataOf(served);
    throw rest === "infer" ? wrongMethod(path, "POST") : notFound(path);
  }

  #metrics(response: ServerResponse): void {
    const model = this.#servable.model();
    const text = metricsText({
      model,
      health: this.#servable.health(),
      inferences: this.#servable.meter,
      requests: this.meter,
      answered: this.answered,
    });
    this.#count(200);
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
  }

  async #infer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { served, rest } = this.#modelAt(path);
    if (rest !== "infer") throw notFound(path);
    const length = headerLengthOf(request);
    if (this.#pending >= MAX_PENDING) throw busy();
    const began = performance.now();
    this.#pending++;
    try {
      await this.#intake.take(request, async (bytes) => {
        const codec = this.#codecOf(served);
        const asked = codec.read(bytes, length);
        const { body, headerLength } = codec.write(asked, await this.#ask(asked.samples));
        this.#count(200);
        const type = headerLength === undefined ? "application/json" : "application/octet-stream";
        const headers = headerLength === undefined ? {} : { "inference-header-content-length": headerLength };
        response.writeHead(200, { "content-type": type, "content-length": body.length, ...headers }).end(body);
      });
      this.meter.count(performance.now() - began, true);
    } finally {
      this.#pending--;
    }
  }

  async #ask(samples: readonly Float32Array[]): Promise<Float32Array[]> {
    const answers: Float32Array[] = [];
    let turn = performance.now();
    for (const sample of samples) {
      answers.push(await this.#servable.infer(sample));
      if (answers.length === samples.length || performance.now() - turn < TURN_MS) continue;
      await new Promise(setImmediate);
      turn = performance.now();
    }
    return answers;
  }

  #codecOf(model: ServedModel): InferCodec {
    if (this.#codec?.model !== model) this.#codec = new InferCodec(model);
    return this.#codec;
  }

  /** /v2/models/NAME[/versions/VERSION][/REST] */
  #modelAt(path: string): { served: ServedModel; rest: string } {
    const [, protocol, models, name, ...more] = path.split("/");
    if (protocol !== "v2" || models !== "models") throw notFound(path);
    const [version, rest] = more[0] === "versions" ? [more[1], more.slice(2)] : [undefined, more];
    const served = this.#servable.model();
    if (!served) throw notServing();
    if (served.name !== name || (version !== undefined && served.version !== version)) {
      throw new Failure("serve/not-found", `${path}: this device serves ${served.name} ${served.version}`);
    }
    return { served, rest: rest.join("/") };
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const status = (isFailure(error) && statuses[error.code]) || 500;
    const headers: Record<string, string> = {};
    // What is left of a refused body is not read.
    if (!request.complete) headers.connection = "close";
    if (status === 503) headers["retry-after"] = "1";
    if (isFailure(error, "serve/wrong-method")) headers.allow = String(error.detail.allow);
    this.#send(response, status, { error: messageOf(error) }, headers);
  }

  #send(response: ServerResponse, status: number, answer: Answer, headers: Record<string, string> = {}): void {
    this.#count(status);
    if (response.headersSent || response.destroyed) return;
    const body = answer === undefined ? "" : JSON.stringify(answer);
    const own = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    response.writeHead(status, { ...own, ...headers }).end(body);
  }

  #count(status: number): void {
    this.answered.set(status, (this.answered.get(status) ?? 0) + 1);
  }
}

function metadataOf({ name, version, input, output }: ServedModel): Answer {
  const port = ({ name, shape }: ServedModel["input"]): Answer => ({
    name,
    datatype: "FP32",
    shape: [-1, ...shape.slice(1)],
  });
  return { name, versions: [version], platform: "polaredge", inputs: [port(input)], outputs: [port(output)] };
}

function headerLengthOf({ headers }: IncomingMessage): number | undefined {
  const text = headers["inference-header-content-length"];
  if (text === undefined || /^\d{1,9}$/.test(String(text))) return text === undefined ? undefined : Number(text);
  throw new Failure("serve/malformed", `inference-header-content-length: expected a number of bytes, got ${text}`);
}

const busy = (): Failure =>
  new Failure("serve/busy", `${MAX_PENDING} requests are under way; ask again after a second`);

const notServing = (): Failure => new Failure("agent/not-serving", "no model is installed yet");

/** Browsers say where a page comes from; no page has any business here. */
const crossOrigin = (): Failure => new Failure("serve/cross-origin", "web pages may not ask this device");

const notFound = (path: string): Failure =>
  new Failure("serve/not-found", `${path}: not a path of the Open Inference Protocol v2`);

const wrongMethod = (path: string, allow: string): Failure =>
  new Failure("serve/wrong-method", `${path}: expected ${allow}`, { allow });
