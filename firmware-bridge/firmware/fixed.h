/* Arithmetic of the modelled chip: the same whole numbers as firmware-bridge/emulator/fixed.ts. Q16: 65536ths. */
#pragma once
#include <stdint.h>

#define FIXED_ONE 65536

/* value * factor / 65536, rounded down. */
int32_t fixed_scaled(int32_t value, int32_t factor);
/* Rounded down. The divisor is positive. */
int64_t fixed_divide(int64_t dividend, int64_t divisor);
/* Binary logarithm of a whole number from 1 on, Q16. */
int32_t fixed_log2(uint32_t value);
/* 2^-x of an x from 0 on, both Q16. */
int32_t fixed_exp2_negative(int32_t x);
uint32_t fixed_square_root(uint32_t value);

/* A seed of its own for each purpose, as seedOf(a, b) in emulator/physics.ts. */
uint32_t seed_of(uint32_t a, uint32_t b);

/* A stream of numbers: mulberry32, as runtime/base/random.ts. */
typedef struct { uint32_t state; } random_stream;
uint32_t random_word(random_stream *stream);
/* Normal, Q16: the sum of twelve 16-bit numbers less its mean. */
int32_t random_normal(random_stream *stream);
