import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import type { Health } from "../../runtime/health/health.ts";
import { Meter } from "../../runtime/health/meter.ts";
import type { Servable, ServedModel } from "../../runtime/serve/servable.ts";
import { openServer } from "../../runtime/serve/server.ts";
import { well } from "../support/health.ts";
import { inferRequest, LoadConnection } from "../support/http-load.ts";
import { besiege } from "../support/malformed.ts";
import { until } from "../support/until.ts";

const test = suite("serve");

const folder = mkdtempSync(join(tmpdir(), "polaredge-serve-"));
const socket = join(folder, "polaredge.sock");
const sums: ServedModel = {
  name: "sums",
  version: "1.0.0",
  input: { name: "x", shape: [1, 2, 3] },
  output: { name: "y", shape: [1, 2] },
};
let health: Health | undefined;
let served: ServedModel | undefined = sums;
let slowMs = 0;
let gate: Promise<void> | undefined;

/** Answers the sum and the greatest of its input. */
const servable: Servable = {
  meter: new Meter(),
  health: () => health,
  model: () => served,
  async infer(input) {
    await gate;
    for (const end = performance.now() + slowMs; performance.now() < end; );
    return Float32Array.of(
      input.reduce((a, b) => a + b, 0),
      input.reduce((a, b) => Math.max(a, b)),
    );
  },
};
const server = await openServer({ socket, port: 0 }, servable);

interface Said {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly json: Record<string, unknown>;
}

function ask(
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, method, path, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        const bytes = Buffer.concat(parts);
        const isJson = response.headers["content-type"] === "application/json" && bytes.length > 0;
        const json = isJson ? JSON.parse(bytes.toString()) : {};
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes, json });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const input = (extra: object = {}) => ({
  name: "x",
  shape: [1, 2, 3],
  datatype: "FP32",
  data: [1, 2, 3, 4, 5, 6],
  ...extra,
});
const infer = (body: object): Promise<Said> => ask("POST", "/v2/models/sums/infer", JSON.stringify(body));

test("health and metadata are as the protocol says", async () => {
  assert.is((await ask("GET", "/v2/health/live")).status, 200);
  assert.is((await ask("GET", "/v2/health/ready")).status, 200);
  assert.is((await ask("GET", "/v2/models/sums/ready")).status, 200);
  assert.equal((await ask("GET", "/v2")).json.extensions, ["binary_tensor_data"]);
  assert.equal((await ask("GET", "/v2/models/sums/versions/1.0.0")).json, {
    name: "sums",
    versions: ["1.0.0"],
    platform: "polaredge",
    inputs: [{ name: "x", datatype: "FP32", shape: [-1, 2, 3] }],
    outputs: [{ name: "y", datatype: "FP32", shape: [-1, 2] }],
  });
});

test("one sample in JSON is answered in JSON", async () => {
  const { status, json } = await infer({ id: "a1", inputs: [input()] });
  assert.is(status, 200);
  assert.equal(json, {
    model_name: "sums",
    model_version: "1.0.0",
    id: "a1",
    outputs: [{ name: "y", datatype: "FP32", shape: [1, 2], data: [21, 6] }],
  });
});

test("several samples, nested, are answered in one", async () => {
  const data = [
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    [
      [0, 0, 0],
      [0, 0, 9],
    ],
  ];
  const { json } = await infer({ inputs: [input({ shape: [2, 2, 3], data })] });
  assert.equal((json.outputs as { data: number[] }[])[0].data, [21, 6, 9, 9]);
});

test("bytes in, bytes out, with the binary tensor extension", async () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 250);
  const header = JSON.stringify({
    inputs: [{ name: "x", shape: [1, 2, 3], datatype: "UINT8", parameters: { binary_data_size: 6 } }],
    outputs: [{ name: "y", parameters: { binary_data: true } }],
  });
  const body = Buffer.concat([Buffer.from(header), bytes]);
  const {
    status,
    headers,
    body: answer,
  } = await ask("POST", "/v2/models/sums/infer", body, {
    "inference-header-content-length": String(header.length),
  });
  assert.is(status, 200);
  const length = Number(headers["inference-header-content-length"]);
  assert.equal(JSON.parse(answer.toString("utf8", 0, length)).outputs[0].parameters, { binary_data_size: 8 });
  assert.equal([answer.readFloatLE(length), answer.readFloatLE(length + 4)], [265, 250]);
});

const bad: [what: string, body: string | object, says: RegExp][] = [
  ["no JSON", "{inputs", /no JSON/],
  ["no inputs", {}, /inputs/],
  ["two inputs", { inputs: [input(), input()] }, /inputs/],
  ["another shape", { inputs: [input({ shape: [1, 6, 1] })] }, /expected \[n, 2, 3\], got \[1, 6, 1\]/],
  ["too few numbers", { inputs: [input({ data: [1, 2] })] }, /expected 6 numbers, got 2/],
  ["words for numbers", { inputs: [input({ data: ["1", 2, 3, 4, 5, 6] })] }, /expected 6 numbers/],
  ["an unknown type", { inputs: [input({ datatype: "BYTES" })] }, /BYTES: expected one of FP32/],
  ["a type that is a property of all objects", { inputs: [input({ datatype: "toString" })] }, /toString/],
  ["a number beyond f32", { inputs: [input({ data: [1e39, 2, 3, 4, 5, 6] })] }, /not finite/],
  ["neither data nor bytes", { inputs: [input({ data: undefined })] }, /neither/],
  [
    "bytes that do not come",
    { inputs: [input({ data: undefined, parameters: { binary_data_size: 24 } })] },
    /24 bytes .* 0 follow/,
  ],
  ["a huge shape", { inputs: [input({ shape: [1e9, 2, 3] })] }, /expected 6000000000 numbers/],
];

for (const [what, body, says] of bad) {
  test(`a request with ${what} gets a 400 that says so`, async () => {
    const { status, json } = await ask(
      "POST",
      "/v2/models/sums/infer",
      typeof body === "string" ? body : JSON.stringify(body),
    );
    assert.is(status, 400);
    assert.match(String(json.error), says);
  });
}

for (const [method, path, status] of [
  ["GET", "/", 404],
  ["GET", "/v2/models/other", 404],
  ["GET", "/v2/models/sums/versions/2.0.0", 404],
  ["GET", "/v2/models/sums/secrets", 404],
  ["POST", "/v2/models/other/infer", 404],
  ["POST", "/v2/models/sums/train", 404],
] as const) {
  test(`${method} ${path}: ${status}`, async () => assert.is((await ask(method, path)).status, status));
}

test("a page in a browser is refused", async () => {
  const { status } = await ask("GET", "/v2/models/sums", undefined, { origin: "http://evil.example" });
  assert.is(status, 403);
});

test("an endless body is refused, not kept", async () => {
  const { status } = await ask("POST", "/v2/models/sums/infer", new Uint8Array(17 * 1024 * 1024)).catch(() => ({
    status: 413,
  }));
  assert.is(status, 413);
});

test("bodies that come in are bounded together, and what was held for those who hang up is free again", async () => {
  const head = `POST /v2/models/sums/infer HTTP/1.1\r\nHost: d\r\nContent-Length: ${16 * 2 ** 20}\r\n\r\n`;
  const part = Buffer.concat([Buffer.from(head), new Uint8Array(15 * 2 ** 20)]);
  const connections = [1, 2, 3].map(() => new LoadConnection(socket));
  const first = await Promise.race(connections.map((connection) => connection.ask(part)));
  assert.is(first?.status, 503);
  for (const connection of connections) connection.close();
  const deadline = performance.now() + 5000;
  let status = 0;
  while (status !== 200 && performance.now() < deadline) ({ status } = await infer({ inputs: [input()] }));
  assert.is(status, 200);
});

test("too many at once are told so, and the others are answered", async () => {
  let open = (): void => undefined;
  gate = new Promise((resolve) => {
    open = resolve;
  });
  let answered = 0;
  const asked = Array.from({ length: 70 }, () => infer({ inputs: [input()] }).finally(() => answered++));
  await until("six refusals", () => answered === 6);
  open();
  gate = undefined;
  const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
  assert.equal([...new Set(statuses)], [200, 503]);
  assert.is(statuses.filter((status) => status === 200).length, 64);
});

test("who is refused may ask again on the same connection, and is told when", async () => {
  const connection = new LoadConnection(socket);
  const bytes = inferRequest("sums", sums.input, new Float32Array(6));
  const wrong = Buffer.from(bytes.toString("latin1").replace("[1,2,3]", "[1,9,9]"), "latin1");
  const statuses = [wrong, bytes].map(async (request) => (await connection.ask(request))?.status);
  assert.equal(await Promise.all(statuses), [400, 200]);
  connection.close();
  served = undefined;
  assert.is((await infer({ inputs: [input()] })).headers["retry-after"], "1");
  served = sums;
});

test("another method is told which one is right", async () => {
  const put = await ask("PUT", "/v2/models/sums", "{}");
  assert.equal([put.status, put.headers.allow], [405, "GET"]);
  const get = await ask("GET", "/v2/models/sums/infer");
  assert.equal([get.status, get.headers.allow], [405, "POST"]);
});

test("every kind of malformed request gets a 4xx, whatever it is", async () => {
  assert.equal((await besiege(socket, 300, () => 0)).missed, []);
});

test("a port of 127.0.0.1 answers to local names only: another one is a page that wants in", async () => {
  const status = (host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ port: server.port, path: "/v2", headers: { host }, agent: false }, (response) =>
        resolve(response.resume().statusCode ?? 0),
      );
      sent.on("error", reject).end();
    });
  assert.is(await status(`127.0.0.1:${server.port}`), 200);
  assert.is(await status("localhost"), 200);
  assert.is(await status("evil.example"), 403);
});

test("a request with many samples lets the rest of the process have its turns", async () => {
  const count = 400;
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  slowMs = 0.2;
  const { status } = await infer({ inputs: [input({ shape: [count, 2, 3], data: Array(6 * count).fill(1) })] });
  slowMs = 0;
  clearInterval(timer);
  assert.is(status, 200);
  assert.ok(turns >= 8, `${turns} turns`);
});

test("metrics are what Prometheus reads, with latencies of inferences and requests", async () => {
  health = { ...well, reasons: ["drifting"], agreement_pct: 87.5 };
  const { status, headers, body } = await ask("GET", "/metrics");
  assert.is(status, 200);
  assert.match(headers["content-type"] ?? "", /version=0\.0\.4/);
  const text = body.toString();
  assert.match(text, /^polaredge_model_info\{name="sums",version="1\.0\.0",unit="digital"\} 1$/m);
  assert.match(text, /^polaredge_request_seconds\{quantile="0\.99"\} \d/m);
  assert.match(text, /^polaredge_unhealthy_reason\{reason="drifting"\} 1$/m);
  assert.match(text, /^polaredge_agreement_ratio 0\.875$/m);
  assert.not.match(text, /polaredge_link_up/, "what is not known is left out");
  const sample = /^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? (NaN|-?\d+(\.\d+)?(e[+-]\d+)?)$/;
  for (const line of text.trim().split("\n"))
    assert.match(line, line.startsWith("#") ? /^# (HELP|TYPE) [a-z_]+ / : sample);
  const { error, status: exit, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text });
  if (error) process.stdout.write("skipped: promtool is not here (Debian: prometheus)\n");
  else assert.is(exit, 0, String(stderr));
});

test("a device without a model is alive but not ready", async () => {
  served = undefined;
  assert.is((await ask("GET", "/v2/health/live")).status, 200);
  assert.is((await ask("GET", "/v2/health/ready")).status, 503);
  assert.is((await infer({ inputs: [input()] })).status, 503);
  served = sums;
});

test("the socket is for its owner and group only, and a file in its place is left alone", async () => {
  assert.is(statSync(socket).mode & 0o777, 0o660);
  const precious = join(folder, "precious");
  writeFileSync(precious, "mine");
  const error = await openServer({ socket: precious }, servable).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "serve/unavailable") && error instanceof Failure);
  assert.is(statSync(precious).size, 4);
});

test.after(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test.run();
