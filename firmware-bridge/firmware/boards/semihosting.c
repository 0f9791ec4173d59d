/*
 * The console of Arm semihosting (github.com/ARM-software/abi-aa, semihosting.rst) for a line. QEMU's models of UARTs
 * take a turn of its main loop and a change between its threads for every byte; its console takes and gives whole
 * frames. For QEMU only: a board traps without a debugger.
 */
#include <stdbool.h>
#include "hal.h"
#include "line.h"

#define SYS_WRITEC 0x03u
#define SYS_WRITE0 0x04u
#define SYS_READC 0x07u
#define SYS_ELAPSED 0x30u
/* QEMU's tick is a nanosecond. */
#define TICKS_PER_MS 1000000u
/* Without its interrupt, by the core's clock of 25 MHz: a thousand times a second. */
#define SYSTICK_RUNS 5u
#define LOOK_EVERY_CYCLES 25000u
/* What is written up to the next zero, and the zero. */
#define RUN_BYTES 256u

static uint64_t began;
/* The first byte of what comes, once the core has slept for it. */
static int first = -1;
static char run[RUN_BYTES];
static size_t run_length;

static uint32_t call(uint32_t operation, const void *block) {
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = block;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/*
 * Sleeps until there is one. QEMU puts it into the byte below the stack, but the 7.2 of Debian answers with what lay
 * there before that: so it is taken from there. Nothing else writes there, as there are no interrupts.
 */
static uint8_t take(void) {
    register uint32_t r0 __asm("r0") = SYS_READC;
    register uint32_t r1 __asm("r1") = 0;
    __asm volatile("bkpt 0xab\n\tldrb %0, [sp, #-1]" : "+r"(r0) : "r"(r1) : "memory");
    return (uint8_t)r0;
}

static uint64_t elapsed(void) {
    uint64_t ticks = 0;
    (void)call(SYS_ELAPSED, &ticks);
    return ticks;
}

/* The timer interrupts nobody: where the console's FIFO was full, QEMU looks again when any timer is due. */
void line_start(void) {
    REGISTER(SYSTICK_RELOAD) = LOOK_EVERY_CYCLES - 1;
    REGISTER(SYSTICK_VALUE) = 0;
    REGISTER(SYSTICK_CONTROL) = SYSTICK_RUNS;
    began = elapsed();
}

void line_drain(void) {}
void line_tick(void) {}
void line_isr(void) {}

/* Each zero ends what there is to read: it may have ended a frame, and the next read would sleep. */
int hal_read(void) {
    static bool over = true;
    if (over) {
        over = false;
        return -1;
    }
    const int byte = first >= 0 ? first : take();
    first = -1;
    over = byte == 0;
    return byte;
}

void hal_idle(void) {
    if (first < 0) first = take();
}

static void flush(void) {
    run[run_length] = '\0';
    if (run_length > 0) (void)call(SYS_WRITE0, run);
    run_length = 0;
}

/* Frames hold no zeros, so strings that end with them are what the console takes in one piece. */
void hal_write(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) run[run_length++] = (char)bytes[i];
        if (bytes[i] == 0 || run_length == RUN_BYTES - 1) flush();
        if (bytes[i] == 0) (void)call(SYS_WRITEC, &bytes[i]);
    }
}

uint32_t hal_millis(void) { return (uint32_t)((elapsed() - began) / TICKS_PER_MS); }
