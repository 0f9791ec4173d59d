#include "chip.h"
#include "dispatch.h"
#include "fixed.h"
#include "frame.h"
#include "hal.h"
#include "session.h"
#include "tile.h"

#define COLDEST_MC (-55000)
#define HOTTEST_MC 150000
#define RESULT_HEADER_BYTES 4u
#define OK 0u
/* Rows that the self-test reads together: well above a column's offset, and within what the converters can say. */
#define TEST_ROWS 16u
#define NO_COLUMN 0xffffu

static tile tiles[CHIP_TILES];
static uint32_t chip_seed;
static int32_t warmer_mc;
/* How often tiles were changed on purpose since power-on. */
static uint32_t revision;
static uint32_t products;
static uint32_t saturated_total;
static uint8_t uid[8];
static uint8_t sums[LINK_MTU];
static uint16_t dead_column;

static void power_cycle(void) {
    revision = 0;
    for (unsigned i = 0; i < CHIP_TILES; i++) {
        tiles[i].known = false;
        tiles[i].rows = 0;
        for (unsigned at = 0; at < sizeof tiles[i].written; at++) tiles[i].written[at] = 0;
    }
}

static void be_chip(uint32_t seed) {
    chip_seed = seed;
    const uint32_t words[2] = {seed_of(seed, 3), seed};
    for (unsigned i = 0; i < 8; i++) uid[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
    power_cycle();
}

void chip_start(void) {
    const board_straps *straps = hal_straps();
    warmer_mc = straps->warmer_mc;
    products = 0;
    saturated_total = 0;
    dead_column = NO_COLUMN;
    be_chip(straps->seed == 0 ? 1 : straps->seed);
}

const uint8_t *chip_uid(void) { return uid; }

static uint32_t oldest_seconds(void) {
    uint32_t oldest = 0;
    for (unsigned i = 0; i < CHIP_TILES; i++) {
        if (tiles[i].rows != 0 && tiles[i].age_seconds > oldest) oldest = tiles[i].age_seconds;
    }
    return oldest;
}

uint8_t on_ping(const bridge_ping_request *request, bridge_ping_reply *reply) {
    reply->token = request->token;
    return OK;
}

uint8_t on_status(bridge_status_reply *reply) {
    const session_counters counters = session_counted();
    uint16_t committed = 0;
    for (unsigned i = 0; i < CHIP_TILES; i++) committed = (uint16_t)(committed + (tiles[i].rows != 0));
    reply->uptime_ms = hal_millis();
    reply->temperature_mc = CONVERTER_REFERENCE_MC + warmer_mc;
    reply->age_seconds = oldest_seconds();
    reply->tiles_committed = committed;
    reply->revision = revision;
    reply->products = products;
    reply->frames = counters.frames;
    reply->discarded = counters.discarded;
    reply->saturated = saturated_total;
    return OK;
}

static uint8_t heat(int32_t temperature_mc) {
    if (temperature_mc < COLDEST_MC || temperature_mc > HOTTEST_MC) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    warmer_mc = temperature_mc - CONVERTER_REFERENCE_MC;
    for (unsigned i = 0; i < CHIP_TILES; i++) tiles[i].prepared = false;
    return OK;
}

static void grow_old(uint32_t seconds) {
    for (unsigned i = 0; i < CHIP_TILES; i++) {
        tiles[i].age_seconds = seconds;
        tiles[i].prepared = false;
    }
}

uint8_t on_environment(const bridge_environment_request *request, bridge_environment_reply *reply) {
    if ((request->mask & 1u) != 0) grow_old(request->age_seconds);
    if ((request->mask & 2u) != 0) {
        const uint8_t refusal = heat(request->temperature_mc);
        if (refusal != OK) return refusal;
    }
    if ((request->mask & 4u) != 0) be_chip(request->seed);
    if ((request->mask & 8u) != 0) dead_column = request->dead_column;
    reply->age_seconds = oldest_seconds();
    reply->temperature_mc = CONVERTER_REFERENCE_MC + warmer_mc;
    reply->seed = chip_seed;
    return OK;
}

uint8_t on_write_tile(const bridge_write_tile_request *request) {
    const bridge_bytes levels = request->levels;
    if (request->tile >= CHIP_TILES) return BRIDGE_REFUSAL_NO_SUCH_TILE;
    tile *const to = &tiles[request->tile];
    if (request->offset > sizeof to->written || levels.length > sizeof to->written - request->offset) {
        return BRIDGE_REFUSAL_OUT_OF_RANGE;
    }
    for (unsigned i = 0; i < levels.length; i++) {
        const int level = (int8_t)levels.at[i];
        if (level > CHIP_MAX_LEVEL || level < -CHIP_MAX_LEVEL) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    }
    for (unsigned i = 0; i < levels.length; i++) to->written[request->offset + i] = levels.at[i];
    return OK;
}

uint8_t on_verify_tile(const bridge_verify_tile_request *request, bridge_verify_tile_reply *reply) {
    if (request->tile >= CHIP_TILES) return BRIDGE_REFUSAL_NO_SUCH_TILE;
    if (request->length > sizeof tiles[0].written) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    reply->crc = crc32(0, tiles[request->tile].written, request->length);
    return OK;
}

uint8_t on_commit_tile(const bridge_commit_tile_request *request) {
    const bool fits = request->rows >= 1 && request->rows <= CHIP_ROWS && request->columns >= 1 &&
                      request->columns <= CHIP_COLUMNS;
    if (!fits) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    if (request->tile >= CHIP_TILES) return BRIDGE_REFUSAL_NO_SUCH_TILE;
    const uint32_t seed = seed_of(chip_seed, request->tile);
    tile_program(&tiles[request->tile], seed, request->rows, request->columns, hal_straps()->age_seconds);
    revision++;
    return OK;
}

static uint8_t find(uint16_t index, tile **found) {
    if (index >= CHIP_TILES) return BRIDGE_REFUSAL_NO_SUCH_TILE;
    *found = &tiles[index];
    return tiles[index].rows == 0 ? BRIDGE_REFUSAL_NOT_COMMITTED : OK;
}

static uint32_t step_at(const uint8_t *at) {
    return at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

uint8_t on_set_range(const bridge_set_range_request *request) {
    tile *to;
    const uint8_t refusal = find(request->tile, &to);
    if (refusal != OK) return refusal;
    const bool whole = request->steps.length == 4u * to->columns && request->reads.length == sizeof to->reads;
    if (!whole) return BRIDGE_REFUSAL_MALFORMED;
    uint32_t finest = UINT32_MAX;
    for (unsigned i = 0; i < to->columns; i++) {
        const uint32_t step = step_at(request->steps.at + 4 * i);
        if (step < finest) finest = step;
    }
    for (unsigned i = 0; i < sizeof to->reads; i++) {
        const unsigned finer = request->reads.at[i] & 15u, repeats = request->reads.at[i] >> 4;
        const bool possible =
            finer + repeats <= i / INPUT_BITS + i % INPUT_BITS && (finest >> finer) >= TILE_FINEST_STEP;
        if (!possible) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    }
    for (unsigned i = 0; i < to->columns; i++) to->steps[i] = step_at(request->steps.at + 4 * i);
    for (unsigned i = 0; i < sizeof to->reads; i++) to->reads[i] = request->reads.at[i];
    to->prepared = false;
    revision++;
    return OK;
}

/* Writes sums as i16 or i32 and says whether all of them fit. */
static bool say(const int32_t *totals, unsigned count, unsigned width, uint8_t *to) {
    bool fit = true;
    for (unsigned i = 0; i < count; i++) {
        if (width == 2 && (totals[i] > INT16_MAX || totals[i] < INT16_MIN)) fit = false;
        for (unsigned byte = 0; byte < width; byte++) *to++ = (uint8_t)((uint32_t)totals[i] >> (8 * byte));
    }
    return fit;
}

static uint32_t convert(tile *with, const uint8_t *vector, int32_t *totals) {
    const uint32_t saturated = tile_multiply(with, vector, totals);
    if (dead_column < with->columns) totals[dead_column] = 0;
    return saturated;
}

uint8_t on_read_row(const bridge_read_row_request *request, bridge_read_row_reply *reply) {
    tile *with;
    const uint8_t refusal = find(request->tile, &with);
    if (refusal != OK) return refusal;
    if (request->row >= with->rows) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    uint8_t vector[CHIP_ROWS] = {0};
    int32_t totals[CHIP_COLUMNS];
    vector[request->row] = 1;
    tile_prepare(with, warmer_mc);
    (void)convert(with, vector, totals);
    if (!say(totals, with->columns, 2, sums)) return BRIDGE_REFUSAL_TOO_WIDE;
    reply->sums = (bridge_bytes){sums, (uint16_t)(2 * with->columns)};
    return OK;
}

static void empty(tile *self) {
    self->known = false;
    self->rows = 0;
    for (unsigned at = 0; at < sizeof self->written; at++) self->written[at] = 0;
}

/* Counts the groups of rows that a column reads wrongly. */
static void test_groups(tile *with, uint16_t *weak_of) {
    for (unsigned first = 0; first + TEST_ROWS <= CHIP_ROWS; first += TEST_ROWS) {
        uint8_t vector[CHIP_ROWS] = {0};
        int32_t totals[CHIP_COLUMNS];
        for (unsigned row = first; row < first + TEST_ROWS; row++) vector[row] = 1;
        (void)convert(with, vector, totals);
        for (unsigned column = 0; column < CHIP_COLUMNS; column++) {
            const int32_t level = (int32_t)TEST_ROWS * CHIP_MAX_LEVEL;
            const int32_t read = 2 * (column % 2 == 0 ? totals[column] : -totals[column]);
            if (read < level || read > 3 * level) weak_of[column]++;
        }
    }
}

uint8_t on_self_test(const bridge_self_test_request *request, bridge_self_test_reply *reply) {
    if (request->tile >= CHIP_TILES) return BRIDGE_REFUSAL_NO_SUCH_TILE;
    tile *const with = &tiles[request->tile];
    empty(with);
    for (unsigned at = 0; at < sizeof with->written; at++) {
        with->written[at] = (uint8_t)(at % CHIP_COLUMNS % 2 == 0 ? CHIP_MAX_LEVEL : -CHIP_MAX_LEVEL);
    }
    tile_program(with, seed_of(chip_seed, request->tile), CHIP_ROWS, CHIP_COLUMNS, hal_straps()->age_seconds);
    revision++;
    tile_prepare(with, warmer_mc);
    static uint8_t dead[(CHIP_COLUMNS + 7) / 8];
    uint16_t weak_of[CHIP_COLUMNS] = {0};
    test_groups(with, weak_of);
    empty(with);
    reply->groups = CHIP_ROWS / TEST_ROWS * CHIP_COLUMNS;
    reply->weak = 0;
    for (unsigned i = 0; i < sizeof dead; i++) dead[i] = 0;
    for (unsigned column = 0; column < CHIP_COLUMNS; column++) {
        reply->weak = (uint16_t)(reply->weak + weak_of[column]);
        if (weak_of[column] == CHIP_ROWS / TEST_ROWS) dead[column / 8] |= (uint8_t)(1u << (column % 8));
    }
    reply->dead_columns = (bridge_bytes){dead, sizeof dead};
    return OK;
}

uint8_t on_multiply(const bridge_multiply_request *request, bridge_multiply_reply *reply) {
    tile *with;
    const uint8_t refusal = find(request->tile, &with);
    if (refusal != OK) return refusal;
    const bridge_bytes vectors = request->vectors;
    const unsigned width = request->width;
    if ((width != 2 && width != 4) || vectors.length % with->rows != 0) return BRIDGE_REFUSAL_MALFORMED;
    const unsigned count = vectors.length / with->rows;
    const uint32_t length = (uint32_t)count * with->columns * width;
    if (length + RESULT_HEADER_BYTES > LINK_MTU) return BRIDGE_REFUSAL_OUT_OF_RANGE;
    int32_t totals[CHIP_COLUMNS];
    uint32_t saturated = 0;
    bool fit = true;
    tile_prepare(with, warmer_mc);
    for (unsigned i = 0; i < count; i++) {
        saturated += convert(with, vectors.at + (size_t)i * with->rows, totals);
        if (!say(totals, with->columns, width, sums + (size_t)i * with->columns * width)) fit = false;
    }
    products += count;
    saturated_total += saturated;
    reply->saturated = (uint16_t)(saturated > 0xffff ? 0xffff : saturated);
    reply->sums = (bridge_bytes){sums, (uint16_t)length};
    return fit ? OK : BRIDGE_REFUSAL_TOO_WIDE;
}
