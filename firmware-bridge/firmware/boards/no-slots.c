/* A board that cannot write its flash while it runs: HELLO does not offer management, and requests are refused. */
#include "boot.h"
#include "slots.h"

void boot(void) {}

uint32_t hal_slot_bytes(void) { return 0; }

const uint8_t *hal_slot(unsigned slot) {
    (void)slot;
    return NULL;
}

bool hal_slot_erase(unsigned slot) {
    (void)slot;
    return false;
}

bool hal_slot_write(unsigned slot, uint32_t offset, const uint8_t *bytes, size_t length) {
    (void)slot;
    (void)offset;
    (void)bytes;
    (void)length;
    return false;
}

uint8_t hal_marks(void) { return 0; }
void hal_set_marks(uint8_t marks) { (void)marks; }
const char *hal_board(void) { return ""; }
