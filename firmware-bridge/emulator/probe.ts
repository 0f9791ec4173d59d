import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Failure } from "../../runtime/base/failure.ts";
import type { BoardMemory } from "./bench.ts";

/** Of the stub at the other end, which answers at once. */
const PATIENCE_MS = 5000;

/**
 * A running board's memory through a debug probe: the core stands still while a word is read or written. GDB's remote
 * serial protocol (GDB manual, appendix E), packets `m`, `M` and `D`, to a stub that listens at the socket `path`.
 * Fails with `bridge/open`, `bridge/timeout`, or `bridge/bad-reply` where there is no memory.
 */
export function probeMemory(path: string): BoardMemory {
  return {
    async read(address) {
      return Buffer.from(await probed(path, `m${address.toString(16)},4`), "hex").readUint32LE();
    },
    async write(address, words) {
      const bytes = Buffer.from(Uint32Array.from(words).buffer);
      await probed(path, `M${address.toString(16)},${bytes.length.toString(16)}:${bytes.toString("hex")}`);
    },
  };
}

/** A visit: the core stops when the probe connects, and goes on when it detaches. */
async function probed(path: string, packet: string): Promise<string> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (cause) {
    throw new Failure("bridge/open", `no debug probe at ${path}`, { path }, cause);
  }
  try {
    const answer = await asked(socket, packet);
    await asked(socket, "D");
    if (answer.startsWith("E")) throw new Failure("bridge/bad-reply", `the debug probe refuses ${packet}: ${answer}`);
    return answer;
  } finally {
    socket.destroy();
  }
}

/** One packet there, one back: `$data#sum`, each acknowledged with a plus. That the core has stopped is told between. */
function asked(socket: Socket, packet: string): Promise<string> {
  const sum = Buffer.from(packet).reduce((total, byte) => (total + byte) & 0xff, 0);
  socket.write(`+$${packet}#${sum.toString(16).padStart(2, "0")}`);
  return new Promise((resolve, reject) => {
    let got = "";
    const late = setTimeout(() => {
      reject(new Failure("bridge/timeout", `the debug probe does not answer ${packet}`));
    }, PATIENCE_MS);
    const take = (part: Buffer): void => {
      got += part;
      const [, answer] = /\$(OK|E\d\d|[\da-f]+)#/.exec(got) ?? [];
      if (answer === undefined) return;
      clearTimeout(late);
      socket.off("data", take);
      resolve(answer);
    };
    socket.on("data", take);
  });
}
