import { Deframer, encodeFrame, type Frame } from "../../firmware-bridge/protocol/frame.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";

/** What becomes of a frame on its way. */
export type Rewrite = (frame: Frame, towards: "device" | "host") => Frame;

/** The device's end of a line with somebody in between who changes frames and seals them again. */
export function interposed(line: Transport, rewrite: Rewrite): Transport {
  const [toDevice, toHost] = [new Deframer(), new Deframer()];
  return {
    name: line.name,
    listen: ({ data, closed }) =>
      line.listen({
        data(bytes) {
          for (const frame of toDevice.push(bytes)) data(encodeFrame(rewrite(frame, "device")));
        },
        closed,
      }),
    write(bytes) {
      for (const frame of toHost.push(bytes)) line.write(encodeFrame(rewrite(frame, "host")));
    },
    close: () => line.close(),
  };
}

/** The device's end of a line whose bytes are all changed on the way. */
export function distorted(line: Transport, change: (byte: number) => number): Transport {
  return {
    name: line.name,
    listen: ({ data, closed }) => line.listen({ data: (bytes) => data(bytes.map(change)), closed }),
    write: (bytes) => line.write(bytes.map(change)),
    close: () => line.close(),
  };
}

/** The device's end of a line on which answers take their time. */
export function delayed(line: Transport, ms: number): Transport {
  return {
    name: line.name,
    listen: (listener) => line.listen(listener),
    write: (bytes) => {
      const kept = Uint8Array.from(bytes);
      setTimeout(() => line.write(kept), ms);
    },
    close: () => line.close(),
  };
}
