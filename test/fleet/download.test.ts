import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Clock } from "../../runtime/base/clock.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { uniform } from "../../runtime/base/random.ts";
import { download } from "../../runtime/fleet/files/download.ts";
import { Blobs, type Part } from "../../runtime/store/blobs.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { rejection } from "../support/until.ts";

const test = suite("download");
const next = uniform(1);
const file = Uint8Array.from({ length: 100_000 }, () => Math.floor(256 * next()));
const other = file.map((byte) => byte ^ 1);
const ref = { sha256: sha256(file), bytes: file.length };

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;
let answer: Answer;
let requests: IncomingMessage[] = [];
const server = createServer((request, response) => {
  requests.push(request);
  answer(request, response, requests.length);
});
let url = "";
test.before(
  () =>
    new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.onnx`;
        resolve();
      }),
    ),
);
test.before.each(() => {
  requests = [];
});
test.after(() => void server.close());

const pauses: number[] = [];
/** Pauses pass at once. */
const clock: Clock = {
  now: () => 0,
  uptimeMs: () => 0,
  sleep: async (ms) => void pauses.push(ms),
};

async function attempt(signal = new AbortController().signal, part?: Part): Promise<{ error: unknown; part: Part }> {
  const into = part ?? (await new Blobs(new MemoryDisk(), "/blobs").part(ref));
  const error = await rejection(download(url, into, { clock, signal, tries: 3, stallMs: 200 }));
  return { error, part: into };
}

const from = ({ headers }: IncomingMessage): number => Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);

/** A server that can resume, and whose line breaks after 40,000 bytes. */
const breaking: Answer = (request, response) => {
  const at = from(request);
  response.writeHead(at > 0 ? 206 : 200, {
    etag: '"v1"',
    "content-length": file.length - at,
    ...(at > 0 && { "content-range": `bytes ${at}-${file.length - 1}/${file.length}` }),
  });
  response.write(file.subarray(at, at + 40_000), () => {
    if (at + 40_000 >= file.length) response.end();
    else setImmediate(() => response.destroy());
  });
};

const good: readonly { readonly name: string; readonly answer: Answer; readonly requests: number }[] = [
  { name: "comes in one piece", answer: (_, response) => response.end(file), requests: 1 },
  { name: "is resumed where the line broke", answer: breaking, requests: 3 },
  {
    name: "comes from a server that ignores Range",
    answer: (_, response, count) => {
      if (count > 1) return response.end(file);
      return response.write(file.subarray(0, 30_000), () => setImmediate(() => response.destroy()));
    },
    requests: 2,
  },
  {
    name: "comes from a server that is busy at first",
    answer: (_, response, count) => response.writeHead(count < 3 ? 503 : 200).end(count < 3 ? "" : file),
    requests: 3,
  },
  {
    name: "is redirected",
    answer: (request, response) => {
      if (request.url === "/elsewhere") response.end(file);
      else response.writeHead(302, { location: "/elsewhere" }).end();
    },
    requests: 2,
  },
  {
    name: "stalls once",
    answer: (_, response, count) => {
      if (count > 1) response.end(file);
      else response.write(file.subarray(0, 10));
    },
    requests: 2,
  },
  {
    name: "answers a range that nobody asked for",
    answer: (request, response) => {
      if (!request.headers.range) return breaking(request, response, 0);
      if (requests.length > 2) return response.end(file);
      return response.writeHead(206, { "content-range": "bytes 7-99/100000" }).end(file.subarray(7));
    },
    requests: 3,
  },
];

for (const { name, answer: serve, requests: count } of good) {
  test(`a file that ${name} arrives whole`, async () => {
    answer = serve;
    const { error, part } = await attempt();
    assert.is(error, undefined, String(error));
    assert.is(part.length, file.length);
    if (!name.startsWith("answers")) assert.is(requests.length, count);
  });
}

test("a resumed download asks for the rest of the same version only", async () => {
  answer = breaking;
  await attempt();
  assert.equal(
    requests.map(({ headers }) => [headers.range, headers["if-range"]]),
    [
      [undefined, undefined],
      ["bytes=40000-", '"v1"'],
      ["bytes=80000-", '"v1"'],
    ],
  );
});

test("pieces of two versions, told by nobody, are thrown away and fetched anew", async () => {
  const part = await new Blobs(new MemoryDisk(), "/blobs").part(ref);
  await part.append(other.subarray(0, 50_000));
  answer = (request, response) => {
    const at = from(request);
    response.writeHead(at > 0 ? 206 : 200, at > 0 ? { "content-range": `bytes ${at}-99999/100000` } : {});
    response.end(file.subarray(at));
  };
  const { error } = await attempt(undefined, part);
  assert.is(error, undefined);
  assert.is(requests.length, 2);
});

const bad: readonly {
  readonly name: string;
  readonly answer: Answer;
  readonly code: string;
  readonly requests: number;
}[] = [
  {
    name: "is something else of the same size",
    answer: (_, response) => response.end(other),
    code: "download/digest-mismatch",
    requests: 1,
  },
  {
    name: "never ends",
    answer: (_, response) => {
      const more = (error?: unknown): void =>
        void (error || response.destroyed || response.write(new Uint8Array(65_536), more));
      more();
    },
    code: "download/too-large",
    requests: 1,
  },
  {
    name: "claims to be short and is not",
    answer: (_, response) => response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${"x".repeat(200_000)}`),
    code: "download/failed",
    requests: 3,
  },
  {
    name: "is not there",
    answer: (_, response) => response.writeHead(404).end(),
    code: "download/failed",
    requests: 1,
  },
  { name: "is always cut off", answer: (_, response) => response.destroy(), code: "download/failed", requests: 3 },
  {
    name: "is shorter than announced",
    answer: (_, response) => response.end("short"),
    code: "download/failed",
    requests: 3,
  },
  {
    name: "is garbage on the wire",
    answer: (_, response) => response.socket?.end("\u0000\u0001garbage\r\n\r\n"),
    code: "download/failed",
    requests: 3,
  },
  {
    name: "is redirected for ever",
    answer: (_, response) => response.writeHead(302, { location: "/again" }).end(),
    code: "download/failed",
    requests: 6,
  },
  {
    name: "is redirected to a file",
    answer: (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end(),
    code: "download/failed",
    requests: 1,
  },
  {
    name: "says nothing",
    answer: () => undefined,
    code: "download/failed",
    requests: 3,
  },
];

for (const { name, answer: serve, code, requests: count } of bad) {
  test(`a file that ${name} is refused with ${code}`, async () => {
    answer = serve;
    const { error } = await attempt();
    assert.ok(isFailure(error), String(error));
    assert.is(error.code, code);
    assert.is(requests.length, count);
  });
}

test("a download that is given up ends at once, and its pieces stay", async () => {
  const controller = new AbortController();
  answer = (_, response) => {
    response.write(file.subarray(0, 1000));
    setTimeout(() => controller.abort(new Failure("job/canceled", "a newer job came")), 20);
  };
  const { error, part } = await attempt(controller.signal);
  assert.ok(isFailure(error, "job/canceled"), String(error));
  assert.is(part.length, 1000);
});

test("pauses between attempts grow", async () => {
  pauses.length = 0;
  answer = (_, response) => response.writeHead(503).end();
  await attempt();
  assert.equal(pauses, [500, 1000]);
});

test.run();
