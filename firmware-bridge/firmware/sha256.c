#include "sha256.h"

#define BLOCK 64u
#define LENGTH_BYTES 8u

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static uint32_t rotated(uint32_t word, unsigned by) { return (word >> by) | (word << (32 - by)); }

static uint32_t big_endian(const uint8_t *at) {
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

/* 6.2.2; the message schedule keeps its last 16 words. */
static void compress(uint32_t state[8], const uint8_t block[BLOCK]) {
    uint32_t words[16];
    uint32_t s[8];
    for (unsigned i = 0; i < 16; i++) words[i] = big_endian(block + 4 * i);
    for (unsigned i = 0; i < 8; i++) s[i] = state[i];
    for (unsigned t = 0; t < 64; t++) {
        if (t >= 16) {
            const uint32_t early = words[(t + 1) % 16];
            const uint32_t late = words[(t + 14) % 16];
            words[t % 16] += (rotated(early, 7) ^ rotated(early, 18) ^ (early >> 3)) + words[(t + 9) % 16] +
                             (rotated(late, 17) ^ rotated(late, 19) ^ (late >> 10));
        }
        const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        const uint32_t first = s[7] + (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) + choice +
                               constants[t] + words[t % 16];
        const uint32_t second = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) + majority;
        for (unsigned i = 7; i > 0; i--) s[i] = s[i - 1];
        s[4] += first;
        s[0] = first + second;
    }
    for (unsigned i = 0; i < 8; i++) state[i] += s[i];
}

void sha256(const uint8_t *bytes, size_t length, uint8_t digest[SHA256_BYTES]) {
    /* 5.3.3 */
    uint32_t state[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                         0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    const size_t whole = length - length % BLOCK;
    for (size_t at = 0; at < whole; at += BLOCK) compress(state, bytes + at);
    uint8_t rest[2 * BLOCK] = {0};
    const size_t left = length - whole;
    for (size_t i = 0; i < left; i++) rest[i] = bytes[whole + i];
    rest[left] = 0x80;
    const size_t end = left + 1 + LENGTH_BYTES <= BLOCK ? BLOCK : 2 * BLOCK;
    const uint64_t bits = 8 * (uint64_t)length;
    for (unsigned i = 0; i < LENGTH_BYTES; i++) rest[end - 1 - i] = (uint8_t)(bits >> (8 * i));
    for (size_t at = 0; at < end; at += BLOCK) compress(state, rest + at);
    for (unsigned i = 0; i < SHA256_BYTES; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
