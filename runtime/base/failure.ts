/**
 * Every way this product can fail on purpose. The code is the contract: the command line, the log and the
 * jobs that report over MQTT all use it. The message is for people: where, what was expected, what was found.
 */
export type FailureCode =
  | "bytes/truncated"
  | "bytes/left-over"
  | "input/malformed"
  | "input/shape"
  | "input/missing"
  | "config/invalid"
  | "import/malformed"
  | "import/unknown-format"
  | "import/unsupported-operator"
  | "import/unsupported-type"
  | "import/unsupported-version"
  | "import/unsupported-attribute"
  | "import/dynamic-shape"
  | "import/unsupported-shape"
  | "model/malformed"
  | "model/version"
  | "profile/invalid"
  | "profile/unknown"
  | "plan/does-not-fit"
  | "plan/unsupported"
  | "calibration/too-few-samples"
  | "calibration/diverged"
  | "calibration/aborted"
  | "bridge/open"
  | "bridge/timeout"
  | "bridge/disconnected"
  | "bridge/bad-reply"
  | "bridge/refused"
  | "bridge/protocol-version"
  | "bridge/no-room"
  | "bridge/wrong-device"
  | "firmware/unsupported"
  | "firmware/damaged"
  | "firmware/wrong-board"
  | "firmware/refused"
  | "firmware/reverted"
  | "store/digest-mismatch"
  | "store/no-space"
  | "store/corrupt"
  | "download/failed"
  | "download/digest-mismatch"
  | "download/too-large"
  | "job/invalid"
  | "job/expired"
  | "job/wrong-profile"
  | "job/self-test"
  | "job/trial"
  | "job/canceled"
  | "job/stale"
  | "job/wrong-device"
  | "job/timed-out"
  | "job/impossible"
  | "job/wrong-runtime"
  | "trust/unsigned"
  | "trust/signature"
  | "trust/malformed"
  | "trust/weak-key"
  | "trust/expired"
  | "trust/rollback"
  | "trust/below-floor"
  | "trust/fast-forward"
  | "trust/mismatch"
  | "trust/arbitrary"
  | "trust/unknown-release"
  | "trust/unreachable"
  | "trust/too-large"
  | "trust/lost"
  | "agent/not-serving"
  | "serve/malformed"
  | "serve/cross-origin"
  | "serve/not-found"
  | "serve/wrong-method"
  | "serve/too-large"
  | "serve/busy"
  | "serve/unavailable"
  | "fleet/unreachable"
  | "fleet/payload-too-large";

export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(code: FailureCode, message: string, detail: Record<string, unknown> = {}, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** By name, since the library holds this class twice: in its bundle, and beside it in what is loaded when it is called. */
export function isFailure(error: unknown, code?: FailureCode): error is Failure {
  return error instanceof Error && error.name === "Failure" && (code === undefined || (error as Failure).code === code);
}

/** The sentence that a person reads; `unexpected` errors keep their own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For states that the types already rule out. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
