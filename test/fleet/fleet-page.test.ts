import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { disk } from "../../runtime/store/disk.ts";
import { Guard } from "../../tools/fleet/page/guard.ts";
import type { RolloutRow, Row } from "../../tools/fleet/page/rows.ts";
import { type FleetPage, openFleetPage } from "../../tools/fleet/page/serve.ts";
import { Broker } from "../support/broker.ts";
import { SimulatedFleet } from "../support/simulated-fleet.ts";
import { rejection, until } from "../support/until.ts";

const test = suite("fleet page");
const COUNT = 12;
const TOKEN = "a token that nobody guesses";
const work = await mkdtemp(join(tmpdir(), "polaredge-page-"));
const folder = join(work, "operator");
const tokenFile = join(work, "token");
let broker: Broker;
let fleet: SimulatedFleet;
/** On this machine, and may act; with a token, and may only look. */
let page: FleetPage;
let locked: FleetPage;

const open = (change: object, url = broker.url): Promise<FleetPage> =>
  openFleetPage({ broker: { url }, folder }, { host: "127.0.0.1", port: 0, ...change });

test.before(async () => {
  broker = await Broker.start("nobody");
  await disk.makeFolder(folder);
  await writeFile(tokenFile, `${TOKEN}\n`);
  fleet = await SimulatedFleet.open(broker.url, 4, disk, folder);
  await fleet.join(COUNT, (await fleet.release("1.0.0")).target, 1000);
  await fleet.release("1.1.0", "bad");
  page = await open({ allowActions: true });
  locked = await open({ tokenFile });
});
test.after(async () => {
  await Promise.all([page.close(), locked.close()]);
  await fleet.end();
  await broker.stop();
  await rm(work, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** As `fetch`, which does not let anybody name another host. */
function ask(
  { url }: FleetPage,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
  method = body === undefined ? "GET" : "POST",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(new URL("/", url), { path, headers, method }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

const act = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(page, "/actions", { origin: new URL(page.url).origin, ...headers }, JSON.stringify(body));

/** Server-sent events as they come. */
class Listener {
  readonly messages: { readonly event: string; readonly data: unknown }[] = [];
  readonly #asking: ReturnType<typeof request>;
  #text = "";

  constructor({ url }: FleetPage, query: string) {
    this.#asking = request(new URL(`/events?${query}`, url), (response) => {
      response.on("data", (chunk) => this.#take(String(chunk)));
      response.on("error", () => undefined);
    });
    this.#asking.on("error", () => undefined);
    this.#asking.end();
  }

  async first(event: string): Promise<never> {
    await until(event, () => this.messages.some((message) => message.event === event));
    return this.messages.find((message) => message.event === event)?.data as never;
  }

  get newest(): unknown {
    return this.messages.at(-1)?.data;
  }

  close(): void {
    this.#asking.destroy();
  }

  #take(chunk: string): void {
    const parts = (this.#text + chunk).split("\n\n");
    this.#text = parts.pop() ?? "";
    for (const part of parts) {
      const [, event, data] = /^event: (.+)\ndata: (.+)$/.exec(part) ?? [];
      if (event !== undefined && data !== undefined) this.messages.push({ event, data: JSON.parse(data) });
    }
  }
}

test("the policy lets nothing run but the page's own files", async () => {
  const { status, headers, text } = await ask(page, "/");
  assert.is(status, 200);
  const policy = String(headers["content-security-policy"]);
  assert.match(policy, /^default-src 'none'; script-src 'self' 'sha256-/);
  assert.not.match(policy, /unsafe|http|\*/);
  const inline = [...text.matchAll(/<script type="importmap">(.*?)<\/script>/gs)].map(([, script = ""]) => script);
  assert.is(inline.length, 1);
  assert.ok(policy.includes(createHash("sha256").update(inline[0]).digest("base64")));
  assert.not.match(text, / on\w+=| style=|<script>/);
  for (const path of ["/nothing", "/events", "/audit"]) {
    assert.is((await ask(page, path)).headers["content-security-policy"], policy, path);
  }
});

test("everything that it loads is served from here, and nothing else is", async () => {
  const { text } = await ask(page, "/");
  const { imports } = JSON.parse(/importmap">(.*?)</s.exec(text)?.[1] ?? "") as { imports: Record<string, string> };
  const loaded = [...text.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map(([, path = ""]) => path);
  for (const path of [...loaded, ...Object.values(imports), "/site/device.js"]) {
    const { status, headers } = await ask(page, path);
    assert.is(status, 200, path);
    assert.is((await ask(page, path, { "if-none-match": String(headers.etag) })).status, 304, path);
  }
  for (const path of [
    "/site/../rows.ts",
    "/site/%2e%2e/rows.ts",
    "/site/tsconfig.json",
    "//etc/passwd",
    "/package.json",
  ]) {
    assert.is((await ask(page, path)).status, 404, path);
  }
  assert.is((await ask(page, "/", {}, undefined, "DELETE")).status, 405);
});

test("without a token it answers to this machine's own names only", async () => {
  const { port } = new URL(page.url);
  for (const host of ["localhost", "127.0.0.1", "[::1]"])
    assert.is((await ask(page, "/", { host: `${host}:${port}` })).status, 200);
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"]) {
    assert.is((await ask(page, "/", { host })).status, 403, host);
    assert.is((await ask(page, "/events?of=fleet", { host })).status, 403, host);
  }
});

test("with a token nothing is seen before it was told", async () => {
  const { status, text } = await ask(locked, "/");
  assert.is(status, 401);
  assert.match(text, /<form[^>]*action="\/sign-in"/);
  for (const path of ["/events?of=fleet", "/audit", "/site/main.js"])
    assert.is((await ask(locked, path)).status, 401, path);
  const origin = new URL(locked.url).origin;
  const signIn = (token: string, from = origin) =>
    ask(locked, "/sign-in", { origin: from }, `token=${encodeURIComponent(token)}`);
  assert.is((await signIn("a guess")).status, 401);
  assert.is((await signIn(TOKEN, "http://evil.example")).status, 403);
  const { headers, status: redirected } = await signIn(TOKEN);
  assert.is(redirected, 303);
  const [cookie = ""] = headers["set-cookie"] ?? [];
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  assert.not.match(cookie, new RegExp(TOKEN));
  assert.is((await ask(locked, "/audit", { cookie: `x=1; ${cookie.split(";")[0]}` })).status, 200);
  assert.is((await ask(locked, "/audit", { authorization: `Bearer ${TOKEN}` })).status, 200);
  assert.is((await ask(locked, "/audit", { authorization: "Bearer wrong" })).status, 401);
});

test("another address than this machine's needs a token, and a short one is refused", async () => {
  const elsewhere = await open({ host: "0.0.0.0" });
  assert.ok((elsewhere.token ?? "").length >= 32);
  await elsewhere.close();
  await writeFile(join(work, "short"), "1234");
  assert.ok(isFailure(await rejection(open({ tokenFile: join(work, "short") })), "config/invalid"));
  assert.is(new Guard(undefined).signIn(""), undefined);
});

test("a view begins with all that the broker remembers, and hears what changes", async () => {
  const listener = new Listener(page, "of=fleet");
  const snapshot: { devices: Row[]; actions: boolean } = await listener.first("snapshot");
  assert.equal([snapshot.devices.length, snapshot.actions], [COUNT, true]);
  const row = snapshot.devices.find(({ id }) => id === "sim-3");
  assert.equal([row?.online, row?.release, row?.profile, row?.goal], [true, "kws-1.0.0", "simulated", undefined]);
  assert.ok(row?.status === "ok" || row?.status === "degraded");
  const { devices }: { devices: Row[] } = await listener.first("changes");
  assert.ok(devices.every(({ id }) => id.startsWith("sim-")));
  listener.close();
});

test("a device's view has its health and readings, and an unknown one is none", async () => {
  const listener = new Listener(page, "of=device&id=sim-5");
  const first: { row: Row; readings: unknown[] } = await listener.first("device");
  assert.is(first.row.id, "sim-5");
  await until("readings", () => (listener.newest as typeof first).readings.length >= 2);
  listener.close();
  const nobody = new Listener(page, "of=device&id=nobody");
  assert.is(await nobody.first("device"), null);
  nobody.close();
  assert.is((await ask(page, "/events?of=everything")).status, 400);
});

test("a rollout's view tells how near it is to being stopped", async () => {
  const release = fleet.repository.releases.find(({ target }) => target.includes("1.1.0")) ?? assert.unreachable();
  await fleet.plan("bad", "1.1.0", release as never, { waves: [25, 100], abort: { pct: 20, min: 2, action: "pause" } });
  await fleet.engine.drive("bad");
  const listener = new Listener(page, "of=rollout&id=bad");
  await until("the stop", () => (listener.newest as RolloutRow | undefined)?.status === "paused");
  const rollout = listener.newest as RolloutRow;
  assert.equal([rollout.status, rollout.total, rollout.release], ["paused", COUNT, "kws-1.1.0"]);
  assert.ok(rollout.bad >= rollout.limit && rollout.limit === 2, `${rollout.bad} of ${rollout.limit}`);
  assert.equal(
    rollout.waves.map(({ devices }) => devices),
    [3, 12],
  );
  listener.close();
});

test("a page that may only look does nothing", async () => {
  const headers = { origin: new URL(locked.url).origin, authorization: `Bearer ${TOKEN}` };
  const body = JSON.stringify({ on: "rollout", id: "bad", action: "cancel" });
  const { status, text } = await ask(locked, "/actions", headers, body);
  assert.is(status, 403);
  assert.match(text, /--allow-actions/);
  assert.is(fleet.view.rollouts.get("bad")?.status, "paused");
});

test("actions come from the page itself, name what there is, and are small", async () => {
  const body = { on: "rollout", id: "bad", action: "cancel" };
  assert.is((await act(body, { origin: "http://evil.example" })).status, 403);
  assert.is((await ask(page, "/actions", {}, JSON.stringify(body))).status, 403);
  assert.is((await act({ ...body, action: "explode" })).status, 400);
  assert.is((await ask(page, "/actions", { origin: new URL(page.url).origin }, "{")).status, 400);
  assert.is((await act({ ...body, id: "nothing" })).status, 404);
  assert.is((await act({ on: "device", id: "nobody", action: "rollback" })).status, 404);
  assert.is((await act({ ...body, id: "x".repeat(5000) })).status, 413);
  assert.is(fleet.view.rollouts.get("bad")?.status, "paused");
});

test("what is done from the page is signed, carried out and in the audit log", async () => {
  assert.is((await act({ on: "device", id: "sim-2", action: "rollback" })).status, 200);
  await until("the order", () => fleet.devices[2]?.state.seen?.jobId.startsWith("rollback-") === true);
  assert.is((await act({ on: "rollout", id: "bad", action: "cancel" })).status, 200);
  await until("the end", () => fleet.view.rollouts.get("bad")?.status === "canceled");
  assert.is((await act({ on: "rollout", id: "bad", action: "resume" })).status, 400);
  const { entries } = JSON.parse((await ask(page, "/audit")).text) as { entries: { action: string }[] };
  assert.equal(
    entries.slice(0, 2).map(({ action }) => action),
    ["canceled", "rollback"],
  );
});

test("a device that waits for consent gets it from the page", async () => {
  const release = fleet.repository.releases.find(({ target }) => target.includes("1.1.0")) ?? assert.unreachable();
  const device = fleet.devices[3] ?? assert.unreachable();
  await fleet.engine.order("sim-3", "asks", { action: "install", release, activate: { consent: true } });
  await until("the question", () => device.state.phase.at === "WAITING");
  assert.is((await act({ on: "device", id: "sim-3", action: "approve" })).status, 200);
  await until("that it goes on", () => device.state.seen?.jobId === "asks" && device.state.phase.at === "IDLE");
});

test("a log that was changed is shown as such", async () => {
  const path = join(folder, "audit.jsonl");
  const text = new TextDecoder().decode(await disk.read(path));
  await writeFile(path, text.replace('"rollback"', '"rollbock"'));
  assert.match((await ask(page, "/audit")).text, /"fault":"[^"]*line \d+ was changed/);
  await writeFile(path, text);
});

test("so many may watch, and no more", async () => {
  const listeners = Array.from({ length: 140 }, () => new Listener(page, "of=fleet"));
  await until("as many as may", () => listeners.filter(({ newest }) => newest !== undefined).length === 128);
  assert.is((await ask(page, "/events?of=fleet")).status, 503);
  for (const listener of listeners) listener.close();
  const again = async (): Promise<number> => {
    const listener = new Listener(page, "of=fleet");
    await new Promise((resolve) => setTimeout(resolve, 20));
    listener.close();
    return listener.messages.length;
  };
  let heard = 0;
  await until("room", () => {
    void again().then((count) => {
      heard += count;
    });
    return heard > 0;
  });
});

test("it opens while the broker is away, says so, and goes on when it comes", async () => {
  const other = await Broker.start("nobody");
  const { url } = other;
  const port = await other.vanish();
  const early = await open({}, url);
  const listener = new Listener(early, "of=fleet");
  const { broker: first }: { broker: { connected: boolean } } = await listener.first("snapshot");
  assert.is(first.connected, false);
  const newest = () => (listener.newest as { broker: { connected: boolean; why?: string } }).broker;
  await until("the reason", () => /ECONNREFUSED/.test(newest().why ?? ""));
  await other.listen(port);
  await until("the broker", () => newest().connected);
  await other.vanish();
  await until("its loss", () => !newest().connected);
  listener.close();
  await early.close();
  await other.stop();
});

test.run();
