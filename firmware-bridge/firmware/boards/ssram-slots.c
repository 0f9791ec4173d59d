/*
 * Slots in the MPS2's SSRAM, beside the program: a reset leaves it as it is, and QEMU then loads the program again but
 * nothing else. Without power it is empty, and what was built in runs; a real board has its flash's driver here.
 */
#include "boot.h"
#include "images.h"
#include "line.h"
#include "memory-slots.h"
#include "slots.h"

#define SLOT_BYTES 131072u
#define VTOR REGISTER(0xE000ED08u)

extern uint8_t _slots[2 * SLOT_BYTES + 1];
extern uint8_t _update_start[SLOT_BYTES];

const uint32_t memory_slot_bytes = SLOT_BYTES;
uint8_t *memory_slots(void) { return _slots; }
const char *hal_board(void) { return BOARD; }

/* As the core does after a reset: the first two words are the stack and the entry. */
static _Noreturn void enter(const uint8_t *vectors) {
    const uint32_t *words = (const uint32_t *)(const void *)vectors;
    VTOR = (uint32_t)(uintptr_t)vectors;
    __asm volatile("dsb\n\tisb\n\tmsr msp, %0\n\tbx %1" : : "r"(words[0]), "r"(words[1]) : "memory");
    __builtin_unreachable();
}

/* A reset starts what was built in, with its vectors at 0. The other programs run at one place, from either slot. */
void boot(void) {
    image due;
    if (VTOR != 0) return;
    images_boot();
    const unsigned slot = images_active();
    if (!image_read(hal_slot(slot), SLOT_BYTES, &due)) {
        /* So that nothing says that it runs. */
        (void)hal_slot_erase(slot);
        return;
    }
    for (uint32_t i = 0; i < due.program_length; i++) _update_start[i] = due.program[i];
    enter(_update_start);
}
