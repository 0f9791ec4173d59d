import { fourier, hann, powerOfFirst, powerOfSecond } from "./fft.ts";
import { type Recording, SAMPLE_HZ, SAMPLES } from "./machine.ts";

/**
 * What a device computes from a recording before the network: how deeply each frequency band is modulated, at which
 * multiple of the shaft's frequency (a spectral correlation map, J. Antoni, MSSP 21 (2007) 597). A ringing defect is a
 * row of dots at its order, in whichever band the housing resonates.
 */
export const BANDS = 16;
export const ORDERS = 32;
/** Orders 0 to 12 cover three harmonics of BPFO and two of BPFI. */
const ORDER_STEP = 0.375;

const FRAME = 2 * BANDS;
const HOP = FRAME / 2;
/** The last frame would reach past the end by half: it sees zeros there. */
const FRAMES = SAMPLES / HOP;
const FRAME_HZ = SAMPLE_HZ / HOP;

const frameWindow = hann(FRAME);
const trackWindow = hann(FRAMES);
const frameTransform = fourier(FRAME);
const trackTransform = fourier(FRAMES);

/** [BANDS, ORDERS], about 0 (steady) to 1 (fully modulated), logarithmic. */
export function modulationMap(recording: Recording): Float32Array {
  const tracks = envelopes(recording.signal);
  const binsPerOrder = (recording.shaftHz * FRAMES) / FRAME_HZ;
  const map = new Float32Array(BANDS * ORDERS);
  for (let band = 0; band < BANDS; band += 2) {
    map.set(depths(tracks[band], tracks[band + 1], binsPerOrder), band * ORDERS);
  }
  return map;
}

/** The amplitude of each band over time: a short-time transform with half-overlapping frames, two per transform. */
function envelopes(signal: Float32Array): Float64Array[] {
  const tracks = Array.from({ length: BANDS }, () => new Float64Array(FRAMES));
  const re = new Float64Array(FRAME);
  const im = new Float64Array(FRAME);
  for (let frame = 0; frame < FRAMES; frame += 2) {
    for (let i = 0; i < FRAME; i++) {
      re[i] = signal[frame * HOP + i] * frameWindow[i];
      im[i] = (signal[(frame + 1) * HOP + i] ?? 0) * frameWindow[i];
    }
    frameTransform(re, im);
    for (let band = 0; band < BANDS; band++) {
      tracks[band][frame] = Math.sqrt(powerOfFirst(re, im, band));
      tracks[band][frame + 1] = Math.sqrt(powerOfSecond(re, im, band));
    }
  }
  return tracks;
}

/** For two bands the strongest modulation in each interval of orders, relative to the band's mean amplitude. */
function depths(first: Float64Array, second: Float64Array, binsPerOrder: number): Float32Array {
  const re = windowed(first);
  const im = windowed(second);
  trackTransform(re, im);
  const peaks = new Float32Array(2 * ORDERS);
  for (let bin = 1; bin < FRAMES / 2; bin++) {
    const cell = Math.floor(bin / binsPerOrder / ORDER_STEP);
    if (cell >= ORDERS) break;
    peaks[cell] = Math.max(peaks[cell], powerOfFirst(re, im, bin));
    peaks[ORDERS + cell] = Math.max(peaks[ORDERS + cell], powerOfSecond(re, im, bin));
  }
  return peaks.map((power) => level(Math.sqrt(power) / (FRAMES / 4)));
}

/** The relative deviation from the mean, ready for the transform. */
function windowed(track: Float64Array): Float64Array {
  let sum = 0;
  for (const amplitude of track) sum += amplitude;
  const mean = sum / track.length;
  return track.map((amplitude, i) => (amplitude / mean - 1) * trackWindow[i]);
}

/** Modulation depths from 1 % to 100 % to 0 .. 1. */
function level(depth: number): number {
  return 1 + Math.log10(Math.max(depth, 0.01)) / 2;
}
