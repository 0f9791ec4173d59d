#include "fixed.h"

int32_t fixed_scaled(int32_t value, int32_t factor) {
    const int64_t product = (int64_t)value * factor;
    return (int32_t)((product - (product & (FIXED_ONE - 1))) / FIXED_ONE);
}

int64_t fixed_divide(int64_t dividend, int64_t divisor) {
    const int64_t quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

int32_t fixed_log2(uint32_t value) {
    uint32_t whole = 0;
    while (whole < 31 && (value >> (whole + 1)) != 0) whole++;
    uint32_t mantissa = whole > 15 ? value >> (whole - 15) : value << (15 - whole);
    uint32_t result = whole;
    for (unsigned bit = 0; bit < 16; bit++) {
        mantissa = (mantissa * mantissa) >> 15;
        result *= 2;
        if (mantissa >= FIXED_ONE) {
            mantissa >>= 1;
            result++;
        }
    }
    return (int32_t)result;
}

int32_t fixed_exp2_negative(int32_t x) {
    const uint32_t whole = (uint32_t)x >> 16;
    const int32_t part = x & (FIXED_ONE - 1);
    const int32_t inner = 15159 + fixed_scaled(part, -2597);
    const int32_t value = FIXED_ONE - fixed_scaled(part, 45330 - fixed_scaled(part, inner));
    return whole > 16 ? 0 : value >> whole;
}

uint32_t fixed_square_root(uint32_t value) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
        const uint32_t trial = root | bit;
        if (trial * trial <= value) root = trial;
    }
    return root;
}

static uint32_t mixed(uint32_t hash, uint32_t part) {
    hash = (hash ^ part) * 0x85ebca6bu + 0x9e3779b9u;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    return hash ^ (hash >> 16);
}

uint32_t seed_of(uint32_t a, uint32_t b) { return mixed(mixed(0, a), b); }

uint32_t random_word(random_stream *stream) {
    stream->state += 0x6d2b79f5u;
    uint32_t t = (stream->state ^ (stream->state >> 15)) * (1u | stream->state);
    t = (t + (t ^ (t >> 7)) * (61u | t)) ^ t;
    return t ^ (t >> 14);
}

int32_t random_normal(random_stream *stream) {
    int32_t sum = -6 * 65535;
    for (unsigned i = 0; i < 6; i++) {
        const uint32_t word = random_word(stream);
        sum += (int32_t)(word >> 16) + (int32_t)(word & 0xffffu);
    }
    return sum;
}
