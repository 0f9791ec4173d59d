/* Fields on the wire: little-endian, one after the other, nothing between them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol.h"

/* `bad` once a field was asked for that is not there, or written that has no room. */
typedef struct { const uint8_t *at; size_t left; bool bad; } bridge_reader;
typedef struct { uint8_t *at; size_t left; bool bad; } bridge_writer;

static inline const uint8_t *bridge_take(bridge_reader *from, size_t length) {
    static const uint8_t nothing[4] = {0};
    if (from->bad || from->left < length) {
        from->bad = true;
        return nothing;
    }
    const uint8_t *at = from->at;
    from->at += length;
    from->left -= length;
    return at;
}

static inline uint8_t bridge_read_u8(bridge_reader *from) { return bridge_take(from, 1)[0]; }

static inline uint16_t bridge_read_u16(bridge_reader *from) {
    const uint8_t *at = bridge_take(from, 2);
    return (uint16_t)(at[0] | (at[1] << 8));
}

static inline uint32_t bridge_read_u32(bridge_reader *from) {
    const uint8_t *at = bridge_take(from, 4);
    return at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static inline int32_t bridge_read_i32(bridge_reader *from) { return (int32_t)bridge_read_u32(from); }

static inline bridge_bytes bridge_read_bytes(bridge_reader *from) {
    bridge_bytes bytes;
    bytes.length = bridge_read_u16(from);
    bytes.at = bridge_take(from, bytes.length);
    return bytes;
}

/* Exactly these fields: a byte missing or left over is a fault, never a guess. */
static inline bool bridge_read_end(const bridge_reader *from) { return !from->bad && from->left == 0; }

static inline void bridge_write_u8(bridge_writer *to, uint8_t value) {
    if (to->left < 1) {
        to->bad = true;
        return;
    }
    *to->at++ = value;
    to->left--;
}

static inline void bridge_write_u16(bridge_writer *to, uint16_t value) {
    bridge_write_u8(to, (uint8_t)value);
    bridge_write_u8(to, (uint8_t)(value >> 8));
}

static inline void bridge_write_u32(bridge_writer *to, uint32_t value) {
    bridge_write_u16(to, (uint16_t)value);
    bridge_write_u16(to, (uint16_t)(value >> 16));
}

static inline void bridge_write_i32(bridge_writer *to, int32_t value) { bridge_write_u32(to, (uint32_t)value); }

static inline void bridge_write_bytes(bridge_writer *to, bridge_bytes value) {
    bridge_write_u16(to, value.length);
    for (uint16_t i = 0; i < value.length; i++) bridge_write_u8(to, value.at[i]);
}
