import { asset } from "../../runtime/base/assets.ts";

/** A model that ships with the product, and the recipe that makes it again: `npm run train [version]`. */
export interface Release {
  readonly version: string;
  /** Channels of the two widest stages (tools/train/network.ts). */
  readonly width: readonly [number, number];
  readonly samples: number;
  readonly epochs: number;
  readonly seed: number;
  /** Of the float model on 4000 samples of seed 1000003. */
  readonly accuracyPct: number;
  readonly sha256: string;
}

export const releases: readonly Release[] = [
  {
    version: "1.0.0",
    width: [48, 64],
    samples: 6_000,
    epochs: 8,
    seed: 1,
    accuracyPct: 94.3,
    sha256: "a47ddd5aae885f00e59f05091df8049562b4fc227f23cb1b34473130bb54e630",
  },
  {
    version: "1.1.0",
    width: [64, 64],
    samples: 16_000,
    epochs: 10,
    seed: 2,
    accuracyPct: 97.03,
    sha256: "167fd88386e5a862bf3d66c296db927b4913675bf390615b9bad25f6d42af144",
  },
];

export function releaseFile(version: string): URL {
  return asset(`tools/bearing/bearing-${version}.onnx`);
}
