/*
 * Firmware images in two slots: one is confirmed, the other one may be tried. Images are MCUboot's (its
 * docs/design.md): a header, the program, protected and other TLVs. A vendor's TLV names the board.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "sha256.h"

typedef struct {
    uint8_t major;
    uint8_t minor;
    uint16_t revision;
    uint8_t hash[SHA256_BYTES];
    const uint8_t *program;
    uint32_t program_length;
    const uint8_t *board;
    uint16_t board_length;
} image;

/* Reads the image in `length` bytes. False where there is none, or its digest is another. */
bool image_read(const uint8_t *at, uint32_t length, image *out);
bool image_is_for_board(const image *of);

/* For a boot loader: begins a trial that is due, or ends one that nobody confirmed. */
void images_boot(void);
/* The slot that runs. */
unsigned images_active(void);
bool images_confirmed(void);
/* The other slot will be tried at the next start. */
bool images_pending(void);
/* What is running, as major, minor (a byte each) and revision; 1 where there is no image. */
uint32_t images_firmware(void);

void images_test(void);
void images_confirm(void);
