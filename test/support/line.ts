import type { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import type { Connect, Transport } from "../../firmware-bridge/transport/transport.ts";

/** How to connect to a device in this process, again and again, and its end of the line that was opened last. */
export function lineTo(device: EmulatedDevice, faults: LineFaults): { connect: Connect; line(): Transport } {
  let far: Transport;
  return {
    async connect() {
      const [host, end] = pair(faults);
      far = end;
      void serve(device, end);
      return host;
    },
    line: () => far,
  };
}
