import type { Transport } from "../transport/transport.ts";
import type { EmulatedDevice } from "./device.ts";

/** Lets a device answer on a line. Resolves with the reason when the line has ended. */
export function serve(device: EmulatedDevice, line: Transport): Promise<string> {
  return new Promise((resolve) => {
    line.listen({
      data: (bytes) => {
        for (const answer of device.receive(bytes)) line.write(answer);
      },
      closed: resolve,
    });
  });
}
