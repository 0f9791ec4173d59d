/*
 * One tile of the modelled array: cells that hold levels, and converters that read the columns' sums bit plane by bit
 * plane. The same numbers as firmware-bridge/emulator/tile.ts, sram.ts and converter.ts; formulas and sources are there.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "profile.h"

#define TILE_LANES (CHIP_PLANES * CHIP_COLUMNS)
/* Finest step of a converter, Q16 unit cells. */
#define TILE_FINEST_STEP 64u
#define TILE_STREAMS 4u
#define INPUT_BITS 8u

typedef struct {
    /* Levels as written, row by row. */
    uint8_t written[CHIP_ROWS * CHIP_COLUMNS];
    /* 128 + the conductance of each pair in 1/64 unit cells, rows x planes x columns, four to a word. */
    uint32_t cells[CHIP_ROWS][TILE_LANES / 4];
    /* Q16 unit cells, by column. */
    uint32_t steps[CHIP_COLUMNS];
    /* How each plane is read for each input bit: the low half is `finer`, the high half the logarithm of the reads. */
    uint8_t reads[CHIP_PLANES * INPUT_BITS];
    /* 256 * code = floor(sum * multiplier / 2^(shift - finer)) + addend, by lane. */
    uint16_t multipliers[TILE_LANES];
    int32_t addends[TILE_LANES];
    uint8_t shift;
    int32_t noise_scale;
    /* One random stream for every fourth column. */
    uint32_t noise[TILE_STREAMS];
    uint32_t seed;
    uint32_t age_seconds;
    uint16_t rows; /* 0: not programmed */
    uint16_t columns;
    bool known;    /* programmed once since power-on */
    bool prepared; /* cells and converters are those of the environment */
} tile;

/* Programs rows x columns levels from `written`. `seed` counts at the first time only. */
void tile_program(tile *self, uint32_t seed, uint16_t rows, uint16_t columns, uint32_t age_seconds);

/* Fits cells and converters to the tile's age and to how much warmer than the reference it is, thousandths of a kelvin. */
void tile_prepare(tile *self, int32_t warmer_mc);

/* One vector of `rows` codes; the sums of its columns, in converter codes. Returns how many conversions saturated. */
uint32_t tile_multiply(tile *self, const uint8_t *vector, int32_t *totals);
