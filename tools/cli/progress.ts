import { Presets, SingleBar } from "cli-progress";

/** A bar on standard error while it is a terminal; nothing otherwise, so that pipes and logs stay clean. */
export interface ProgressBar {
  show(what: string, done: number, of: number): void;
  end(): void;
}

const silent: ProgressBar = { show() {}, end() {} };

export function progressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return silent;
  const format = "  {what} {bar} {percentage}%";
  const bar = new SingleBar(
    { format, stream, hideCursor: true, clearOnComplete: true, barsize: 30 },
    Presets.shades_classic,
  );
  let started = false;
  return {
    show(what, done, of) {
      const payload = { what: what.padEnd(12) };
      if (!started) bar.start(of, done, payload);
      started = true;
      bar.setTotal(of);
      bar.update(done, payload);
    },
    end() {
      if (started) bar.stop();
      started = false;
    },
  };
}
