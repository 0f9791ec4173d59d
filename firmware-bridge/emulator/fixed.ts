import { uniform } from "../../runtime/base/random.ts";

/**
 * Arithmetic of the modelled chip, all in integers, so that the firmware's C (firmware/fixed.c) gives the same numbers
 * bit by bit. Q16 stands for 65536ths. Products stay below 2^53, where JavaScript's numbers are exact.
 */
export const ONE = 65536;

/** A real number in Q16. */
export function q16(value: number): number {
  return Math.round(value * ONE);
}

/** 65536 times the part of one that is divided off, rounded down. */
export function scaled(value: number, factorQ16: number): number {
  return Math.floor((value * factorQ16) / ONE);
}

/**
 * Normal numbers in Q16: the sum of twelve 16-bit uniform ones less its mean has a sigma of 65536 (1 part in 2^33 less)
 * and ends at six sigmas.
 */
export function normals(seed: number): () => number {
  const next = uniform(seed);
  return () => {
    let sum = -6 * 65535;
    for (let i = 0; i < 6; i++) {
      const word = next() * 2 ** 32;
      sum += Math.floor(word / ONE) + (word % ONE);
    }
    return sum;
  };
}

/** Binary logarithm of a whole number from 1 on, in Q16, to about 1e-4: one bit of it by each squaring. */
export function log2(value: number): number {
  const whole = 31 - Math.clz32(value);
  let mantissa = whole > 15 ? value >>> (whole - 15) : value << (15 - whole);
  let result = whole;
  for (let bit = 0; bit < 16; bit++) {
    mantissa = Math.floor((mantissa * mantissa) / 32768);
    result *= 2;
    if (mantissa >= ONE) {
      mantissa = Math.floor(mantissa / 2);
      result++;
    }
  }
  return result;
}

/** Of 2^-x on [0, 1]: a cubic through both ends, largest error 1e-4. */
const CUBIC = [45330, 15159, -2597] as const;

/** 2^-x of an x in Q16 from 0 on, in Q16. */
export function exp2Negative(x: number): number {
  const whole = Math.floor(x / ONE);
  const part = x % ONE;
  const [linear, quadratic, cubic] = CUBIC;
  const inner = quadratic + scaled(part, cubic);
  const value = ONE - scaled(part, linear - scaled(part, inner));
  return whole > 16 ? 0 : value >>> whole;
}

/** Rounded down. */
export function squareRoot(value: number): number {
  return Math.floor(Math.sqrt(value));
}
