import type { Transport } from "./transport.ts";

/** Bytes on a line, there and back. */
export interface Traffic {
  bytes: number;
}

/** The same line; what passes is added to `traffic`. */
export function metered(transport: Transport, traffic: Traffic): Transport {
  const count = (bytes: Uint8Array): Uint8Array => {
    traffic.bytes += bytes.length;
    return bytes;
  };
  return {
    name: transport.name,
    listen: ({ data, closed }) => transport.listen({ data: (bytes) => data(count(bytes)), closed }),
    write: (bytes) => transport.write(count(bytes)),
    close: () => transport.close(),
  };
}
