/** A stream of bytes to and from one device, open from the start. The session owns this interface. */
export interface Transport {
  /** For messages: the path or address. */
  readonly name: string;
  /** Called once; nothing that arrived earlier is lost. */
  listen(listener: TransportListener): void;
  /** Takes the bytes at once and sends them in order. After the end they are dropped. */
  write(bytes: Uint8Array): void;
  close(): Promise<void>;
}

export interface TransportListener {
  data(bytes: Uint8Array): void;
  /** The stream is over: unplugged, failed, or closed by either side. Called once. */
  closed(reason: string): void;
}

/** Opens a new transport to the same device. @throws Failure `bridge/open`. */
export type Connect = () => Promise<Transport>;
