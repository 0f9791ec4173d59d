import { gaussian, uniform } from "../../runtime/base/random.ts";
import { defectOrders, skf6205 } from "./geometry.ts";

/** What is wrong with the machine; the position in this list is the class. */
export const conditions = [
  "healthy",
  "outer race",
  "inner race",
  "ball",
  "cage",
  "unbalance",
  "misalignment",
  "looseness",
] as const;
export type Condition = (typeof conditions)[number];

/** What an accelerometer on the bearing housing and a tachometer on the shaft say. */
export interface Recording {
  /** Acceleration in units of the sensor's own noise. */
  readonly signal: Float32Array;
  readonly shaftHz: number;
}

export const SAMPLE_HZ = 12_000;
export const SAMPLES = 4096;

/** A four-pole motor on 50 or 60 Hz, 1440 to 1790 rpm. */
const SHAFT_HZ = [24, 29.8] as const;
/** The speed swings by this share, about once per recording. */
const SPEED_RIPPLE = 0.01;
/** Balls slip by 1 to 2 per cent: Randall and Antoni 2011, section 2.1. */
const SLIP = 0.015;
/** The housing's resonance that impacts excite, and its damping. Choice of ours: typical of small motors. */
const RESONANCE_HZ = [2500, 4200] as const;
const DAMPING = [0.02, 0.06] as const;
/** How hard a defect strikes, in units of the sensor's noise. The weakest drown in it, so no model is perfect. */
const IMPACT = [4, 16] as const;
/** Vibration of the rotor at the shaft's frequency: what every machine has, and what a rotor fault adds. */
const ROTOR_RESIDUAL = 0.5;
const ROTOR_FAULT = [0.8, 5] as const;

const orders = defectOrders(skf6205);

/** One machine, drawn at random: how it turns, rings and how bad its fault is. */
interface Machine {
  readonly next: () => number;
  readonly normal: () => number;
  readonly shaftHz: number;
  readonly ripplePhase: number;
}

/** 0.34 s of vibration of a machine in this condition. The same for the same seed. */
export function vibration(condition: Condition, seed: number): Recording {
  const next = uniform(seed);
  const machine = {
    next,
    normal: gaussian(seed ^ 0x5bd1e995),
    shaftHz: between(SHAFT_HZ, next()),
    ripplePhase: 2 * Math.PI * next(),
  };
  const signal = ring(strikes(condition, machine), between(RESONANCE_HZ, next()), between(DAMPING, next()));
  addRotor(signal, condition, machine);
  for (let i = 0; i < SAMPLES; i++) signal[i] += machine.normal();
  return { signal, shaftHz: machine.shaftHz * (1 + 0.003 * machine.normal()) };
}

/** Forces on the housing: impacts of a defect, rubbing of a cage, and a few blows from outside in any condition. */
function strikes(condition: Condition, machine: Machine): Float32Array {
  const force = new Float32Array(SAMPLES);
  const severity = logBetween(IMPACT, machine.next());
  const outside = Math.floor(4 * machine.next());
  for (let i = 0; i < outside; i++) force[Math.floor(SAMPLES * machine.next())] += 8 * machine.next();
  bearingFaults[condition]?.(force, machine, severity);
  return force;
}

const bearingFaults: Partial<Record<Condition, (force: Float32Array, machine: Machine, severity: number) => void>> = {
  "outer race": (force, machine, severity) =>
    impacts(force, machine, orders.bpfo, severity * loadAt(0.8 * machine.next()), 0),
  "inner race": (force, machine, severity) => impacts(force, machine, orders.bpfi, severity, 1),
  ball: (force, machine, severity) => impacts(force, machine, 2 * orders.bsf, severity, orders.ftf),
  cage: rub,
};

/**
 * A blow at every passage of the defect (P. D. McFadden, J. D. Smith, J. Sound and Vibration 96 (1984) 69), as strong
 * as the load where the defect is then: it travels through the load zone at `carrier` times the shaft's speed.
 */
function impacts(force: Float32Array, machine: Machine, order: number, severity: number, carrier: number): void {
  const start = 2 * Math.PI * machine.next();
  let revolutions = machine.next() / order;
  for (let at = 0; at < SAMPLES - 1; ) {
    const load = carrier > 0 ? loadAt(start + 2 * Math.PI * carrier * revolutions) : 1;
    const sample = Math.floor(at);
    force[sample] += severity * load * (sample + 1 - at);
    force[sample + 1] += severity * load * (at - sample);
    const step = (1 + SLIP * machine.normal()) / order;
    revolutions += step;
    at += (Math.max(step, 0.1 / order) * SAMPLE_HZ) / speed(machine, at);
  }
}

/** A worn cage rubs once per turn of its own. */
function rub(force: Float32Array, machine: Machine, severity: number): void {
  const start = 2 * Math.PI * machine.next();
  for (let i = 0; i < SAMPLES; i++) {
    const angle = start + (2 * Math.PI * orders.ftf * machine.shaftHz * i) / SAMPLE_HZ;
    force[i] += 0.12 * severity * loadAt(angle) * machine.normal();
  }
}

/** Stribeck: q(angle) / q(0) = (1 - (1 - cos angle) / (2 epsilon))^(3/2), here with epsilon 0.5 (no clearance). */
function loadAt(angle: number): number {
  const share = Math.cos(angle);
  return share > 0 ? share ** 1.5 : 0;
}

/** The housing answers each force with a decaying sine, h(t) = exp(-zeta w t) sin(w t): a filter with two poles. */
function ring(force: Float32Array, resonanceHz: number, damping: number): Float32Array {
  const w = (2 * Math.PI * resonanceHz) / SAMPLE_HZ;
  const decay = Math.exp(-damping * w);
  const a1 = 2 * decay * Math.cos(w);
  const a2 = -decay * decay;
  const gain = decay * Math.sin(w);
  const answer = new Float32Array(force.length);
  for (let i = 2; i < force.length; i++) answer[i] = gain * force[i - 1] + a1 * answer[i - 1] + a2 * answer[i - 2];
  return answer;
}

/** Strength of each harmonic of the shaft, from 1/2 (loose parts bounce every second turn) upwards. */
const rotorFaults: Partial<Record<Condition, readonly (readonly [order: number, share: number])[]>> = {
  unbalance: [[1, 1]],
  misalignment: [
    [1, 0.6],
    [2, 1],
    [3, 0.3],
  ],
  looseness: [
    [0.5, 0.5],
    [1, 0.8],
    [1.5, 0.4],
    [2, 0.5],
    [3, 0.4],
    [4, 0.3],
  ],
};

function addRotor(signal: Float32Array, condition: Condition, machine: Machine): void {
  const strength = logBetween(ROTOR_FAULT, machine.next());
  const harmonics = [
    [1, ROTOR_RESIDUAL * machine.next()],
    [2, 0.6 * ROTOR_RESIDUAL * machine.next()],
    ...(rotorFaults[condition] ?? []).map(([order, share]) => [order, strength * share * (0.7 + 0.6 * machine.next())]),
  ];
  for (const [order, amplitude] of harmonics) {
    addSine(signal, (2 * Math.PI * order * machine.shaftHz) / SAMPLE_HZ, 2 * Math.PI * machine.next(), amplitude);
  }
}

/** sin(a + w) = 2 cos(w) sin(a) - sin(a - w): one multiplication per sample instead of a sine. */
function addSine(signal: Float32Array, w: number, phase: number, amplitude: number): void {
  const twoCos = 2 * Math.cos(w);
  let before = amplitude * Math.sin(phase - w);
  let now = amplitude * Math.sin(phase);
  for (let i = 0; i < signal.length; i++) {
    signal[i] += now;
    const after = twoCos * now - before;
    before = now;
    now = after;
  }
}

function speed({ shaftHz, ripplePhase }: Machine, sample: number): number {
  return shaftHz * (1 + SPEED_RIPPLE * Math.sin(ripplePhase + (2 * Math.PI * sample) / SAMPLES));
}

function between([low, high]: readonly [number, number], share: number): number {
  return low + (high - low) * share;
}

function logBetween([low, high]: readonly [number, number], share: number): number {
  return low * (high / low) ** share;
}
