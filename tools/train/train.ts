import "@tensorflow/tfjs-backend-wasm";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { entry } from "../../runtime/base/entry.ts";
import { shuffled } from "../../runtime/base/random.ts";
import { registerGradients } from "../../runtime/kernels/float/gradients.ts";
import { argmax } from "../../runtime/tensor/tensor.ts";
import { BANDS, ORDERS } from "../bearing/features.ts";
import { conditions } from "../bearing/machine.ts";
import { type Release, releaseFile, releases } from "../bearing/releases.ts";
import { bearingSamples, type Samples } from "../bearing/samples.ts";
import { exportOnnx } from "./export.ts";
import { forward, layersOf, type Network, network } from "./network.ts";

const BATCH = 64;
const LEARNING_RATE = 2e-3;
/** Share of the old moving average that is kept per batch. */
const MOMENTUM = 0.95;
const TEST_SAMPLES = 4000;
const TEST_SEED = 1_000_003;
const POINTS = BANDS * ORDERS;

async function train(release: Release): Promise<Network> {
  const data = bearingSamples(release.samples, release.seed);
  const net = network(layersOf(release.width), release.seed);
  const optimizer = tf.train.adam(LEARNING_RATE);
  const steps = Math.floor(release.samples / BATCH);
  for (let epoch = 0; epoch < release.epochs; epoch++) {
    const order = shuffled(release.samples, release.seed + epoch);
    let loss = 0;
    for (let step = 0; step < steps; step++) {
      setRate(optimizer, (epoch * steps + step) / (release.epochs * steps));
      loss += learn(net, optimizer, data, order.slice(step * BATCH, (step + 1) * BATCH));
    }
    console.log(`${release.version} epoch ${epoch + 1}/${release.epochs} loss ${(loss / steps).toFixed(4)}`);
  }
  optimizer.dispose();
  return net;
}

/** Half a cosine from the learning rate to nothing. */
function setRate(optimizer: tf.AdamOptimizer, progress: number): void {
  (optimizer as unknown as { learningRate: number }).learningRate =
    LEARNING_RATE * (0.5 + 0.5 * Math.cos(Math.PI * progress));
}

/** One step on these samples; the mean cross entropy before it. */
function learn(net: Network, optimizer: tf.Optimizer, data: Samples, picked: readonly number[]): number {
  return tf.tidy(() => {
    const inputs = batch(data.inputs.data, picked);
    const target = tf.oneHot(
      tf.tensor1d(
        Array.from(picked, (i) => data.labels[i]),
        "int32",
      ),
      conditions.length,
    );
    const trained = [...net.variables.values()].filter((variable) => variable.trainable);
    const observed: [string, tf.Tensor][] = [];
    const observe = (layer: string, mean: tf.Tensor, variance: tf.Tensor): void => {
      observed.push([`${layer}.mean`, tf.keep(mean)], [`${layer}.variance`, tf.keep(variance)]);
    };
    const loss = optimizer.minimize(
      () => {
        const likelihood = tf.mul(target, tf.logSoftmax(forward(net, inputs, observe)));
        return tf.mul<tf.Scalar>(tf.sum(likelihood, [0, 1]), -1 / picked.length);
      },
      true,
      trained,
    );
    for (const [name, value] of observed) {
      const moving = entry(net.variables, name);
      moving.assign(tf.add(tf.mul(moving, MOMENTUM), tf.mul(value, 1 - MOMENTUM)));
      value.dispose();
    }
    return loss ? loss.dataSync()[0] : Number.NaN;
  });
}

/** [positions, batch, 1] of the samples picked. */
function batch(inputs: Float32Array, picked: readonly number[]): tf.Tensor3D {
  const data = new Float32Array(POINTS * picked.length);
  picked.forEach((sample, column) => {
    for (let p = 0; p < POINTS; p++) data[p * picked.length + column] = inputs[sample * POINTS + p];
  });
  return tf.tensor3d(data, [POINTS, picked.length, 1]);
}

/** Share of right answers, per cent. */
function accuracyPct(net: Network, samples: Samples): number {
  let right = 0;
  for (let start = 0; start < samples.labels.length; start += BATCH) {
    const picked = Array.from(samples.labels.subarray(start, start + BATCH), (_, i) => start + i);
    const logits = tf.tidy(() => forward(net, batch(samples.inputs.data, picked)).dataSync()) as Float32Array;
    picked.forEach((sample, i) => {
      if (argmax(logits, i * conditions.length, conditions.length) === samples.labels[sample]) right++;
    });
  }
  return (100 * right) / samples.labels.length;
}

async function main(versions: readonly string[]): Promise<void> {
  registerGradients(tf);
  await tf.setBackend("wasm");
  const test = bearingSamples(TEST_SAMPLES, TEST_SEED);
  for (const release of releases.filter(({ version }) => versions.length === 0 || versions.includes(version))) {
    const start = performance.now();
    const net = await train(release);
    const bytes = await exportOnnx(net, release.version);
    const path = fileURLToPath(releaseFile(release.version));
    writeFileSync(path, bytes);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    console.log(
      `${path}: ${bytes.length} bytes, accuracy ${accuracyPct(net, test).toFixed(2)} %, ${seconds} s, sha256 ${sha256}`,
    );
  }
}

await main(process.argv.slice(2));
