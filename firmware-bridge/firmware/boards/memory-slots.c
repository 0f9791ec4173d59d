#include "memory-slots.h"
#include "slots.h"

static uint8_t *slot_at(unsigned slot) { return memory_slots() + slot * memory_slot_bytes; }

uint32_t hal_slot_bytes(void) { return memory_slots() == NULL ? 0 : memory_slot_bytes; }
const uint8_t *hal_slot(unsigned slot) { return slot_at(slot); }
uint8_t hal_marks(void) { return memory_slots() == NULL ? 0 : *slot_at(2); }
void hal_set_marks(uint8_t marks) { *slot_at(2) = marks; }

bool hal_slot_erase(unsigned slot) {
    for (uint32_t i = 0; i < memory_slot_bytes; i++) slot_at(slot)[i] = 0xff;
    return true;
}

bool hal_slot_write(unsigned slot, uint32_t offset, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) slot_at(slot)[offset + i] = bytes[i];
    return true;
}
