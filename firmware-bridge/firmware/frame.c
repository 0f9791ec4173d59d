#include "frame.h"
#include "hal.h"

/* Of each half byte: 64 bytes of table instead of 1024, at two steps a byte. */
static const uint32_t nibbles[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
    0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ nibbles[crc & 15u];
        crc = (crc >> 4) ^ nibbles[crc & 15u];
    }
    return ~crc;
}

/* In place: the content is never longer than the block. Returns its length, or -1. */
static int32_t cobs_decode(uint8_t *block, size_t length) {
    size_t to = 0;
    for (size_t at = 0; at < length;) {
        const size_t run = block[at];
        if (run == 0 || at + run > length) return -1;
        for (size_t i = at + 1; i < at + run; i++) block[to++] = block[i];
        at += run;
        if (run < 0xff && at < length) block[to++] = 0;
    }
    return (int32_t)to;
}

static uint32_t sealed(const uint8_t *at) {
    return at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static bool parse(uint8_t *block, size_t blockLength, frame *out) {
    const int32_t length = cobs_decode(block, blockLength);
    if (length < BRIDGE_FRAME_HEADER_BYTES + BRIDGE_FRAME_CRC_BYTES) return false;
    const size_t end = (size_t)length - BRIDGE_FRAME_CRC_BYTES;
    if (sealed(block + end) != crc32(0, block, end)) return false;
    out->kind = block[0];
    out->command = block[1];
    out->sequence = block[2];
    out->ack = block[3];
    out->length = (uint16_t)(block[4] | (block[5] << 8));
    out->payload = block + BRIDGE_FRAME_HEADER_BYTES;
    const bool known = out->kind >= BRIDGE_KIND_REQUEST && out->kind <= BRIDGE_KIND_REFUSAL;
    return known && out->length == end - BRIDGE_FRAME_HEADER_BYTES;
}

bool deframer_push(deframer *self, uint8_t byte, frame *out) {
    if (byte != 0) {
        if (self->length < FRAME_BLOCK_MAX) self->block[self->length++] = byte;
        else self->length = FRAME_BLOCK_MAX + 1;
        return false;
    }
    const size_t length = self->length;
    self->length = 0;
    if (length == 0) return false;
    if (length <= FRAME_BLOCK_MAX && parse(self->block, length, out)) {
        self->frames++;
        return true;
    }
    self->discarded++;
    return false;
}

/* Runs of at most 254 bytes that are not zero, each after its length plus one. */
static void send_stuffed(const uint8_t *body, size_t length) {
    for (size_t at = 0;;) {
        size_t run = 0;
        while (at + run < length && run < 254 && body[at + run] != 0) run++;
        const uint8_t code = (uint8_t)(run + 1);
        hal_write(&code, 1);
        hal_write(body + at, run);
        at += run;
        if (run == 254) continue;
        if (at == length) return;
        at++;
    }
}

void frame_send(const frame *out) {
    static uint8_t body[FRAME_BODY_MAX];
    static const uint8_t zero = 0;
    const uint8_t header[BRIDGE_FRAME_HEADER_BYTES] = {
        out->kind, out->command, out->sequence, out->ack, (uint8_t)out->length, (uint8_t)(out->length >> 8),
    };
    size_t length = 0;
    for (size_t i = 0; i < sizeof header; i++) body[length++] = header[i];
    for (size_t i = 0; i < out->length; i++) body[length++] = out->payload[i];
    const uint32_t crc = crc32(0, body, length);
    for (unsigned shift = 0; shift < 32; shift += 8) body[length++] = (uint8_t)(crc >> shift);
    hal_write(&zero, 1);
    send_stuffed(body, length);
    hal_write(&zero, 1);
}
