/*
 * What a board provides that can replace its own firmware: two slots in flash, mapped into memory, and one byte that
 * outlives a reset and is written as a whole or not at all; as delivered it is 0, and slot 0 holds an image or else
 * what was built in runs. A board that cannot says 0 bytes (boards/no-slots.c). Whoever starts the firmware (a boot loader) calls images_boot and runs
 * the slot that images_active then says.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room in each slot. */
uint32_t hal_slot_bytes(void);
const uint8_t *hal_slot(unsigned slot);
bool hal_slot_erase(unsigned slot);
bool hal_slot_write(unsigned slot, uint32_t offset, const uint8_t *bytes, size_t length);
uint8_t hal_marks(void);
void hal_set_marks(uint8_t marks);
/* What images have to be made for. */
const char *hal_board(void);
