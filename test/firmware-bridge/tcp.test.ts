import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { openAccelerator } from "../../firmware-bridge/open.ts";
import { openTcp } from "../../firmware-bridge/transport/tcp.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { rejection, until } from "../support/until.ts";

const test = suite("tcp");
const profile = await loadAcceleratorProfile("ideal");

/** A device behind a TCP port, as ser2net serves one. */
async function served(): Promise<{ server: Server; port: number; cut(): void }> {
  const device = new EmulatedDevice(profile);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      for (const answer of device.receive(bytes)) socket.write(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return { server, port: (server.address() as AddressInfo).port, cut };
}

test("an accelerator over TCP, lost and opened again", async () => {
  const { server, port, cut } = await served();
  const { session, close } = await openAccelerator(`tcp://127.0.0.1:${port}`, profile);
  assert.equal(await session.request("ping", { token: 7 }), { token: 7 });
  cut();
  await until("the loss is seen", () => !session.connected);
  await session.reconnect();
  assert.equal(await session.request("ping", { token: 8 }), { token: 8 });
  await close();
  server.close();
});

test("nobody there, and an address that is none", async () => {
  const { server, port } = await served();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(isFailure(await rejection(openTcp("127.0.0.1", port)), "bridge/open"));
  assert.ok(isFailure(await rejection(openAccelerator("tcp://nowhere", profile)), "input/malformed"));
});

test.run();
