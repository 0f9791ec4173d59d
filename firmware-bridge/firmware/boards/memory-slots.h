/* Slots that lie in memory: what a board adds to memory-slots.c. */
#pragma once
#include <stdint.h>

extern const uint32_t memory_slot_bytes;
/* Both slots and then the byte of marks; NULL: there are none. */
uint8_t *memory_slots(void);
