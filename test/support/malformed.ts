import { uniform } from "../../runtime/base/random.ts";
import { LoadConnection } from "./http-load.ts";

/** `random` in [0, 1) varies it. */
type Malformed = readonly [what: string, make: (random: () => number) => Uint8Array];

const INFER = "/v2/models/kws/infer";
const SIZE = 490 * 4;
const good = { name: "input", shape: [1, 49, 10, 1], datatype: "FP32", parameters: { binary_data_size: SIZE } };

const whole = (random: () => number, below: number): number => Math.floor(random() * below);
const noise = (random: () => number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, () => whole(random, 256)));
const pick = <T>(random: () => number, from: readonly T[]): T => from[whole(random, from.length)];

function http(method: string, path: string, headers: Readonly<Record<string, string>>, body?: Uint8Array): Buffer {
  const all = { host: "device", ...(body && { "content-length": String(body.length) }), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), body ?? Buffer.alloc(0)]);
}

/** With the binary tensor extension; `length` is what the header says of the JSON. */
function binary(json: string, tensor: Uint8Array, length: string = String(Buffer.byteLength(json))): Buffer {
  const body = Buffer.concat([Buffer.from(json), tensor]);
  return http("POST", INFER, { "inference-header-content-length": length }, body);
}

const asking = (input: object): string => JSON.stringify({ inputs: [{ ...good, ...input }] });
const plain = (body: unknown): Buffer => http("POST", INFER, {}, Buffer.from(JSON.stringify(body)));
const zeros = new Uint8Array(SIZE);

/** Requests that no server should take. */
const malformed: readonly Malformed[] = [
  ["noise for JSON", (random) => binary(noise(random, 1 + whole(random, 400)).toString("latin1"), zeros)],
  ["JSON cut short", (random) => binary(asking({}).slice(0, whole(random, asking({}).length - 1)), zeros)],
  ["a tensor of another size", (random) => binary(asking({}), noise(random, whole(random, SIZE)))],
  [
    "a size that is not the shape's",
    (random) => binary(asking({ parameters: { binary_data_size: whole(random, SIZE) } }), zeros),
  ],
  ["no number in the tensor", () => binary(asking({}), new Uint8Array(SIZE).fill(0xff))],
  ["another shape", (random) => binary(asking({ shape: [1, 49, 11 + whole(random, 1e6), 1] }), zeros)],
  ["a huge batch", (random) => binary(asking({ shape: [2 + whole(random, 2 ** 31), 49, 10, 1] }), zeros)],
  [
    "a shape of nothing",
    (random) => binary(asking({ shape: pick(random, [[], [0], [-1, 49, 10, 1], [0.5], "x"]) }), zeros),
  ],
  [
    "another type",
    (random) => binary(asking({ datatype: pick(random, ["BYTES", "FP16", "__proto__", "", 7]) }), zeros),
  ],
  ["a header length beyond the body", (random) => binary(asking({}), zeros, String(3000 + whole(random, 1e6)))],
  ["a header length that is none", (random) => binary(asking({}), zeros, pick(random, ["-1", "1e3", "0x10", "many"]))],
  ["words for numbers", (random) => plain({ inputs: [{ ...good, data: Array(490).fill(`${random()}`) }] })],
  ["too few numbers", (random) => plain({ inputs: [{ ...good, data: Array(whole(random, 490)).fill(0) }] })],
  ["deep nesting", (random) => http("POST", INFER, {}, Buffer.from("[".repeat(1000 + whole(random, 50_000))))],
  ["other JSON", (random) => plain(pick<unknown>(random, [null, 1, [], {}, "x", { inputs: 1 }, { inputs: [1, 2] }]))],
  [
    "a name that is too long",
    (random) => plain({ inputs: [{ ...good, name: "x".repeat(300 + whole(random, 5000)) }] }),
  ],
  ["an unknown model", (random) => http("POST", `/v2/models/m${whole(random, 1e6)}/infer`, {}, zeros)],
  [
    "a strange path",
    (random) =>
      http("GET", `/${pick(random, ["/", "/..", "%00", "v2//", "v2/models", "v2/models/kws/%2e%2e", "?"])}`, {}),
  ],
  ["another method", (random) => http(pick(random, ["PUT", "DELETE", "TRACE", "OPTIONS", "PATCH"]), INFER, {})],
  ["a proxy's method", () => http("CONNECT", "example:443", {})],
  ["a web page's origin", () => http("GET", "/v2", { origin: "http://evil.example" })],
  [
    "a body announced too large",
    (random) => http("POST", INFER, { "content-length": String(2 ** 25 + whole(random, 1e9)) }),
  ],
  ["a length that is none", (random) => http("POST", INFER, { "content-length": pick(random, ["-5", "1x", "1, 2"]) })],
  ["two lengths", () => http("POST", INFER, { "content-length": "5", "transfer-encoding": "chunked" })],
  ["chunks that are none", () => http("POST", INFER, { "transfer-encoding": "chunked" }, Buffer.from("zz\r\n"))],
  ["headers without end", (random) => http("GET", "/v2", { [`x-${whole(random, 1e6)}`]: "a".repeat(20_000) })],
  ["a header with a control character", () => http("GET", "/v2", { "x-bad": "a\u0000b" })],
  ["no host", () => Buffer.from("GET /v2 HTTP/1.1\r\n\r\n")],
  [
    "another protocol",
    (random) => Buffer.from(pick(random, ["SSH-2.0-x\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u0016\u0003\u0001\r\n"])),
  ],
  ["noise", (random) => Buffer.concat([Buffer.from([0]), noise(random, 1 + whole(random, 2000))])],
];

export interface Siege {
  /** What was not answered with a 4xx, and what it was answered with. */
  readonly missed: readonly string[];
  /** Of `rssMb`: its least value in the last quarter against that in the second one. */
  readonly growthMb: number;
}

/** So many malformed requests, each on its own connection, eight at a time. */
export async function besiege(socket: string, count: number, rssMb: () => number): Promise<Siege> {
  const random = uniform(7);
  const missed: string[] = [];
  const sizes: number[] = [];
  const attack = async (i: number): Promise<void> => {
    const [what, make] = malformed[i % malformed.length];
    const connection = new LoadConnection(socket);
    const answer = connection.ask(make(random));
    connection.finish();
    const status = (await answer)?.status ?? 0;
    connection.close();
    if (status < 400 || status > 499) missed.push(`${what}: ${status}`);
  };
  for (let done = 0; done < count; done += AT_ONCE) {
    const next = Math.min(AT_ONCE, count - done);
    await Promise.all(Array.from({ length: next }, (_, i) => attack(done + i)));
    sizes.push(rssMb());
  }
  const quarter = sizes.length / 4;
  const least = (i: number): number => Math.min(...sizes.slice(Math.floor(i * quarter), Math.ceil((i + 1) * quarter)));
  return { missed, growthMb: least(3) - least(1) };
}

const AT_ONCE = 8;
