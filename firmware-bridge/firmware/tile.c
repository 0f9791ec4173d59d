#include "tile.h"
#include "fixed.h"

#define NIBBLE_BITS 4u
#define NIBBLES (1u << NIBBLE_BITS)
#define ZERO_C_MK 273150
#define LONGEST_SHIFT 20
#define MULTIPLIERS_END 32768
#define CODE_MAX ((1 << (CHIP_ADC_BITS - 1)) - 1)
#define CODE_MIN (-CODE_MAX - 1)
#define CELL_NONE 128u
#define CELL_MOST 127
/* After a shift by a byte. */
#define ODD_BYTES 0x00ff00ffu

_Static_assert(CHIP_COLUMNS % 16 == 0, "planes are whole groups of four words");
_Static_assert(CHIP_ROWS * 255 < 65536, "sums of bytes fit in half a word");
_Static_assert(CHIP_ADC_BITS >= 2, "the firmware's array has converters");
_Static_assert(CELL_SIGMA < FIXED_ONE / 7, "no cell is ever empty, so cells tell what they were programmed to");

static uint8_t cell_of(const tile *self, unsigned row, unsigned lane) {
    return (uint8_t)(self->cells[row][lane / 4] >> (8 * (lane % 4)));
}

static void set_cell(tile *self, unsigned row, unsigned lane, uint8_t value) {
    const unsigned shift = 8 * (lane % 4);
    uint32_t *word = &self->cells[row][lane / 4];
    *word = (*word & ~(0xffu << shift)) | ((uint32_t)value << shift);
}

/* The target of a pair: the bit of the level's magnitude, on the side of its sign. 128 + target, until prepared. */
static uint8_t target_of(int8_t level, unsigned plane) {
    const int magnitude = level < 0 ? -level : level;
    if (((magnitude >> plane) & 1) == 0) return CELL_NONE;
    return level < 0 ? CELL_NONE - 1 : CELL_NONE + 1;
}

void tile_program(tile *self, uint32_t seed, uint16_t rows, uint16_t columns, uint32_t age_seconds) {
    if (!self->known) {
        self->known = true;
        self->seed = seed;
        for (unsigned i = 0; i < TILE_STREAMS; i++) self->noise[i] = seed_of(seed_of(seed, 2), 4 + i) | 1u;
        for (unsigned column = 0; column < CHIP_COLUMNS; column++) self->steps[column] = FIXED_ONE;
        for (unsigned i = 0; i < CHIP_PLANES * INPUT_BITS; i++) self->reads[i] = 0;
    }
    for (unsigned row = 0; row < CHIP_ROWS; row++) {
        for (unsigned word = 0; word < TILE_LANES / 4; word++) self->cells[row][word] = 0x80808080u;
    }
    for (unsigned row = 0; row < rows; row++) {
        for (unsigned column = 0; column < columns; column++) {
            const int8_t level = (int8_t)self->written[row * columns + column];
            for (unsigned plane = 0; plane < CHIP_PLANES; plane++) {
                set_cell(self, row, plane * CHIP_COLUMNS + column, target_of(level, plane));
            }
        }
    }
    self->rows = rows;
    self->columns = columns;
    self->age_seconds = age_seconds;
    self->prepared = false;
}

static int32_t at_least(int32_t value, int32_t least) { return value < least ? least : value; }

/* g = target * max(0, 1 + sigma N) * (t / t0)^-nu, nu = max(0, N(mean, sigma_nu)), for t > t0 */
static void prepare_cells(tile *self) {
    const uint32_t seed = seed_of(self->seed, 1);
    random_stream mismatch = {seed_of(seed, 1)};
    random_stream pace = {seed_of(seed, 2)};
    const uint32_t age = self->age_seconds == 0 ? 1 : self->age_seconds;
    const int32_t octaves = at_least(fixed_log2(age) - CELL_LOG_START, 0);
    for (unsigned row = 0; row < CHIP_ROWS; row++) {
        for (unsigned lane = 0; lane < TILE_LANES; lane++) {
            const int32_t fresh = at_least(FIXED_ONE + fixed_scaled(random_normal(&mismatch), CELL_SIGMA), 0);
            const int32_t drawn = CELL_EXPONENT_MEAN + fixed_scaled(random_normal(&pace), CELL_EXPONENT_SIGMA);
            const uint8_t cell = cell_of(self, row, lane);
            if (cell == CELL_NONE) continue;
            const int32_t kept = fixed_scaled(fresh, fixed_exp2_negative(fixed_scaled(octaves, at_least(drawn, 0))));
            const int32_t rounded = (kept + 512) / 1024;
            const int32_t conductance = rounded > CELL_MOST ? CELL_MOST : rounded;
            const int32_t signed_one = cell < CELL_NONE ? -conductance : conductance;
            set_cell(self, row, lane, (uint8_t)((int32_t)CELL_NONE + signed_one));
        }
    }
}

static int64_t multiplier_of(int32_t gain, uint32_t step, int shift) {
    return fixed_divide((int64_t)gain * (1 << (shift + 3)) + step, 2 * (int64_t)step);
}

static void prepare_gains(tile *self, uint32_t seed, int32_t warmer_mc) {
    random_stream normal = {seed_of(seed, 1)};
    const int32_t common = FIXED_ONE + (int32_t)fixed_divide((int64_t)CONVERTER_GAIN_PER_K * warmer_mc, 256000);
    int32_t *gains = self->addends; /* free until the offsets come */
    int shift = LONGEST_SHIFT;
    for (unsigned lane = 0; lane < TILE_LANES; lane++) {
        const int32_t own = FIXED_ONE + fixed_scaled(random_normal(&normal), CONVERTER_GAIN_SIGMA);
        gains[lane] = fixed_scaled(own, common);
        const unsigned column = lane % CHIP_COLUMNS;
        if (column >= self->columns) continue;
        while (shift > 0 && multiplier_of(gains[lane], self->steps[column], shift) >= MULTIPLIERS_END) shift--;
    }
    for (unsigned lane = 0; lane < TILE_LANES; lane++) {
        self->multipliers[lane] = (uint16_t)multiplier_of(gains[lane], self->steps[lane % CHIP_COLUMNS], shift);
    }
    self->shift = (uint8_t)shift;
}

static void prepare_offsets(tile *self, uint32_t seed, int32_t warmer_mc) {
    random_stream fixed = {seed_of(seed, 2)};
    random_stream moving = {seed_of(seed, 3)};
    for (unsigned lane = 0; lane < TILE_LANES; lane++) {
        const int32_t offset = fixed_scaled(fixed_scaled(random_normal(&fixed), CONVERTER_OFFSET_SIGMA), 256);
        const int32_t perK = fixed_scaled(random_normal(&moving), CONVERTER_OFFSET_SIGMA_PER_K);
        /* Half an LSB rounds to the nearest code. */
        self->addends[lane] = 128 + offset + (int32_t)fixed_divide((int64_t)perK * warmer_mc, 256000);
    }
}

void tile_prepare(tile *self, int32_t warmer_mc) {
    if (self->prepared) return;
    const uint32_t seed = seed_of(self->seed, 2);
    const int32_t reference = ZERO_C_MK + CONVERTER_REFERENCE_MC;
    prepare_cells(self);
    prepare_gains(self, seed, warmer_mc);
    prepare_offsets(self, seed, warmer_mc);
    const int64_t hotness = fixed_divide((int64_t)(reference + warmer_mc) * FIXED_ONE, reference);
    self->noise_scale = (int32_t)((CONVERTER_NOISE * (int64_t)fixed_square_root((uint32_t)(hotness * 4096))) >> 14);
    self->prepared = true;
}

/*
 * Column sums of all lanes for one bit of the inputs. Per word of four lanes: the sum of the words, whose bytes carry
 * into each other, and the sum of their odd bytes, which takes that apart again.
 */
typedef struct {
    uint32_t total[TILE_LANES / 4];
    uint32_t odd[TILE_LANES / 4];
    unsigned active; /* rows */
} plane_sums;

/* The rows of a vector in the Gray order of one half of their codes, those without a bit in it left out. */
typedef struct {
    const uint32_t *rows[CHIP_ROWS];
    /* Of each half of a code, by its place in the order. */
    unsigned ends[NIBBLES];
} sorted_rows;

static void sort_rows(const tile *self, const uint8_t *vector, unsigned from_bit, sorted_rows *sorted) {
    /* The inverse of i ^ (i >> 1). */
    static const uint8_t places[NIBBLES] = {0, 1, 3, 2, 7, 6, 4, 5, 15, 14, 12, 13, 8, 9, 11, 10};
    unsigned *const ends = sorted->ends;
    for (unsigned place = 0; place < NIBBLES; place++) ends[place] = 0;
    for (unsigned row = 0; row < self->rows; row++) ends[places[(vector[row] >> from_bit) & (NIBBLES - 1)]]++;
    for (unsigned place = 0, end = 0; place < NIBBLES; place++) {
        const unsigned count = place == 0 ? 0 : ends[place];
        ends[place] = end;
        end += count;
    }
    for (unsigned row = 0; row < self->rows; row++) {
        const unsigned place = places[(vector[row] >> from_bit) & (NIBBLES - 1)];
        if (place > 0) sorted->rows[ends[place]++] = self->cells[row];
    }
}

/* Which bit is another one at this place than at the place before. */
static unsigned changed_at(unsigned place) {
    unsigned bit = 0;
    while (bit < NIBBLE_BITS - 1 && ((place >> bit) & 1u) == 0) bit++;
    return bit;
}

/*
 * Sixteen lanes, four words. From place to place in the Gray order one bit changes, so one running sum serves all: the
 * sum of a bit is what was added while it was set, so what there was at each end of such a time less what there was at
 * its beginning. Every row is added once instead of once for each of its bits. Written out, because it is where the
 * time goes.
 */
static void add_words(const sorted_rows *sorted, unsigned word, plane_sums *planes) {
    uint32_t total0 = 0, total1 = 0, total2 = 0, total3 = 0;
    uint32_t odd0 = 0, odd1 = 0, odd2 = 0, odd3 = 0;
    const uint32_t *const *next = sorted->rows;
    for (unsigned place = 1;; place++) {
        uint32_t *const total = planes[changed_at(place)].total + word;
        uint32_t *const odd = planes[changed_at(place)].odd + word;
        total[0] = total0 - total[0];
        total[1] = total1 - total[1];
        total[2] = total2 - total[2];
        total[3] = total3 - total[3];
        odd[0] = odd0 - odd[0];
        odd[1] = odd1 - odd[1];
        odd[2] = odd2 - odd[2];
        odd[3] = odd3 - odd[3];
        if (place == NIBBLES) return;
        for (const uint32_t *const *const end = sorted->rows + sorted->ends[place]; next < end; next++) {
            const uint32_t *const cells = *next + word;
            const uint32_t first = cells[0], second = cells[1], third = cells[2], fourth = cells[3];
            total0 += first;
            odd0 += (first >> 8) & ODD_BYTES;
            total1 += second;
            odd1 += (second >> 8) & ODD_BYTES;
            total2 += third;
            odd2 += (third >> 8) & ODD_BYTES;
            total3 += fourth;
            odd3 += (fourth >> 8) & ODD_BYTES;
        }
    }
}

/* Adds up the rows for each of four bits of the vector's codes. */
static void add_rows(const tile *self, const uint8_t *vector, unsigned from_bit, plane_sums *planes) {
    sorted_rows sorted;
    sort_rows(self, vector, from_bit, &sorted);
    for (unsigned bit = 0; bit < NIBBLE_BITS; bit++) {
        planes[bit] = (plane_sums){.active = 0};
        for (unsigned row = 0; row < self->rows; row++) planes[bit].active += (vector[row] >> (from_bit + bit)) & 1u;
    }
    for (unsigned plane = 0; plane < CHIP_PLANES; plane++) {
        const unsigned first = plane * CHIP_COLUMNS;
        for (unsigned lane = first; lane < first + self->columns; lane += 16) add_words(&sorted, lane / 4, planes);
    }
}

/* The lanes' sums in 1/64 unit cells. */
static void unpack(const plane_sums *from, int32_t *sums) {
    const int32_t bias = (int32_t)(CELL_NONE * from->active);
    for (unsigned word = 0; word < TILE_LANES / 4; word++) {
        const uint32_t odd = from->odd[word];
        const uint32_t even = from->total[word] - (odd << 8);
        *sums++ = (int32_t)(even & 0xffffu) - bias;
        *sums++ = (int32_t)(odd & 0xffffu) - bias;
        *sums++ = (int32_t)(even >> 16) - bias;
        *sums++ = (int32_t)(odd >> 16) - bias;
    }
}

/* Adds code * 2^up of each lane of a plane to its column's total. Returns how many conversions saturated. */
static uint32_t convert(tile *self, const int32_t *sums, unsigned plane, unsigned finer, unsigned up, int32_t *totals) {
    const unsigned first = plane * CHIP_COLUMNS;
    const unsigned down = self->shift - finer;
    uint32_t saturated = 0;
    for (unsigned column = 0; column < self->columns; column++) {
        /* xorshift32 (Marsaglia 2003); four of its bytes make a number that is close enough to normal */
        uint32_t noise = self->noise[column % TILE_STREAMS];
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        self->noise[column % TILE_STREAMS] = noise;
        const uint32_t bytes = (noise & 255u) + ((noise >> 8) & 255u) + ((noise >> 16) & 255u) + (noise >> 24);
        const unsigned lane = first + column;
        const int32_t signal = ((sums[lane] * (int32_t)self->multipliers[lane]) >> down) + self->addends[lane];
        int32_t code = (signal + ((((int32_t)bytes - 510) * self->noise_scale) >> 12)) >> 8;
        if (code > CODE_MAX || code < CODE_MIN) {
            code = code > CODE_MAX ? CODE_MAX : CODE_MIN;
            saturated++;
        }
        totals[column] += code * (1 << up);
    }
    return saturated;
}

/* All reads of all planes for one input bit. */
static uint32_t read_planes(tile *self, const int32_t *sums, unsigned bit, int32_t *totals) {
    uint32_t saturated = 0;
    for (unsigned plane = 0; plane < CHIP_PLANES; plane++) {
        const unsigned plan = self->reads[plane * INPUT_BITS + bit];
        const unsigned finer = plan & 15u, repeats = plan >> 4;
        for (unsigned again = 1u << repeats; again > 0; again--) {
            saturated += convert(self, sums, plane, finer, bit + plane - finer - repeats, totals);
        }
    }
    return saturated;
}

/* Two's complement wraps at its width, and does the same whether after each addition or after the last one. */
static int32_t wrapped(int32_t total) {
    const unsigned spare = 32u - CHIP_ACCUMULATOR_BITS;
    return (int32_t)((uint32_t)total << spare) >> spare;
}

uint32_t tile_multiply(tile *self, const uint8_t *vector, int32_t *totals) {
    static plane_sums planes[NIBBLE_BITS];
    int32_t sums[TILE_LANES];
    uint32_t saturated = 0;
    for (unsigned column = 0; column < self->columns; column++) totals[column] = 0;
    for (unsigned from_bit = 0; from_bit < INPUT_BITS; from_bit += NIBBLE_BITS) {
        add_rows(self, vector, from_bit, planes);
        for (unsigned bit = 0; bit < NIBBLE_BITS; bit++) {
            if (CHIP_SKIPS_EMPTY_PLANES && planes[bit].active == 0) continue;
            unpack(&planes[bit], sums);
            saturated += read_planes(self, sums, from_bit + bit, totals);
        }
    }
    for (unsigned column = 0; column < self->columns; column++) totals[column] = wrapped(totals[column]);
    return saturated;
}
