import type { QemuDevice } from "../../firmware-bridge/emulator/qemu.ts";
import { resetDevice, testImage, uploadImage } from "../../firmware-bridge/management/client.ts";
import { parseImage, versionText } from "../../firmware-bridge/management/image.ts";
import { updateFirmware } from "../../firmware-bridge/management/update.ts";
import type { OpenAccelerator } from "../../firmware-bridge/open.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { boardOf, updateFor } from "../../tools/accelerator/firmware.ts";
import { patternLayer } from "./pattern-layer.ts";

const VECTORS = 100;
/** A stack, an entry, and there a branch to itself: nothing but the reset button ends it. */
const hanging = Uint8Array.of(0, 0, 0x40, 0x20, 0x09, 0, 0x10, 0, 0xfe, 0xe7, 0, 0);

/**
 * Replaces the firmware of a board with slots. An update is kept over resets and multiplies as the one before; one that
 * nobody confirms, and one that hangs, are taken back. The latter also shows that a slot's own program runs, as
 * HELLO's version is only its label.
 */
export async function firmwareTrial(
  board: QemuDevice,
  link: OpenAccelerator,
  check: (what: string, good: boolean) => void,
): Promise<void> {
  const { session } = link;
  const { rows, columns } = link.profile.array;
  const unit = await link.place([patternLayer(rows, columns, 50)]);
  const inputs = Uint8Array.from({ length: rows * VECTORS }, (_, i) => (i * 131) & 0xff);
  const imageOf = (version: string, program?: Uint8Array) => updateFor(boardOf(link.profile), version, program);
  const runs = (version: string): boolean => versionText(session.device.firmware) === version;
  const afterReset = async (): Promise<Float32Array> => {
    const back = nextEvent(link);
    board.reset();
    await back;
    await link.recover();
    return unit.multiply("layer", inputs, VECTORS);
  };
  const expected = await afterReset();
  const checkAfterReset = async (what: string): Promise<void> => {
    const products = await afterReset();
    const right = products.every((value, i) => value === expected[i]);
    check(`${what}: 1.1.0 runs after a reset, tiles are programmed anew, products are right`, runs("1.1.0") && right);
  };

  const began = performance.now();
  const { from, to, bytes } = await updateFirmware(session, imageOf("1.1.0"));
  const seconds = (performance.now() - began) / 1000;
  check(`firmware ${from} -> ${to}, ${bytes} bytes in ${seconds.toFixed(1)} s: HELLO says so`, runs("1.1.0"));
  await checkAfterReset("update");

  const tried = imageOf("1.2.0");
  await uploadImage(session, tried);
  await testImage(session, parseImage(tried).hash);
  await resetDevice(session);
  check("firmware 1.2.0 is tried", runs("1.2.0"));
  await checkAfterReset("firmware that nobody confirms");

  const end = session.listen((event) => event === "lost" && board.reset());
  const outcome = await updateFirmware(session, imageOf("1.3.0", hanging)).catch((error: unknown) => error);
  end();
  check("firmware that hangs is reported as taken back", isFailure(outcome, "firmware/reverted"));
  await checkAfterReset("firmware that hangs");
}

/** Until the device has restarted, or is lost. */
function nextEvent({ session }: OpenAccelerator): Promise<void> {
  return new Promise((resolve) => {
    const end = session.listen(() => {
      end();
      resolve();
    });
  });
}
