import type { Transport } from "../transport/transport.ts";

/** Whole answers to the bytes that came. */
export interface Answering {
  receive(bytes: Uint8Array): Uint8Array[];
}

/** Lets a device answer on a line. Resolves with the reason when the line has ended. */
export function serve(device: Answering, line: Transport): Promise<string> {
  return new Promise((resolve) => {
    line.listen({
      data: (bytes) => {
        for (const answer of device.receive(bytes)) line.write(answer);
      },
      closed: resolve,
    });
  });
}
