/* Frames: 0x00, COBS(header, payload, CRC-32 of both), 0x00. See firmware-bridge/protocol/frame.ts. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "profile.h"
#include "protocol.h"

#define FRAME_BODY_MAX (BRIDGE_FRAME_HEADER_BYTES + LINK_MTU + BRIDGE_FRAME_CRC_BYTES)
/* COBS adds a byte to each 254 and one more. */
#define FRAME_BLOCK_MAX (FRAME_BODY_MAX + FRAME_BODY_MAX / 254 + 1)

typedef struct {
    uint8_t kind;
    uint8_t command;
    uint8_t sequence;
    uint8_t ack;
    uint16_t length;
    const uint8_t *payload;
} frame;

/* Cuts a stream of bytes into frames, holds at most one block and counts what it discards. */
typedef struct {
    uint8_t block[FRAME_BLOCK_MAX];
    size_t length; /* FRAME_BLOCK_MAX + 1 once the block is too long */
    uint32_t frames;
    uint32_t discarded;
} deframer;

/* Takes a byte. True: `out` is a whole frame; its payload is good until the next byte. */
bool deframer_push(deframer *self, uint8_t byte, frame *out);

/* Sends a frame through hal_write. */
void frame_send(const frame *out);

/* CRC-32/ISO-HDLC of `length` bytes after those that gave `crc`; 0 to begin with. */
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length);
