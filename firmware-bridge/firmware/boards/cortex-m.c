/* Start-up, reset and memory of all Cortex-M boards. What they are connected with: uart.c or semihosting.c. */
#include "hal.h"
#include "session.h"
#include "boot.h"
#include "line.h"

#define AIRCR 0xE000ED0Cu
#define AIRCR_RESET 0x05FA0004u
#define LINES line_isr, line_isr, line_isr, line_isr
#define IRQS 24
/* Of `retained`, if it is what an earlier run left. */
#define RETAINED 0x6e70702du

extern uint32_t _stack_end, _data_start, _data_end, _data_load, _bss_start, _bss_end;
int main(void);
void start(void);

/*
 * Not cleared at start-up, and where a loader and a debug probe find it: at the beginning of the RAM. A memory without
 * straps begins with zeros.
 */
__attribute__((section(".straps"), used)) static struct { board_straps straps; volatile board_bench bench; } outside;
static board_bench taken;
__attribute__((section(".retained"))) static struct { uint32_t mark; uint32_t boots; } retained;

void hal_start(void) {
    retained.boots = retained.mark == RETAINED ? retained.boots + 1 : 0;
    retained.mark = RETAINED;
    line_start();
}

uint32_t hal_boot_id(void) { return outside.straps.noise + retained.boots; }
uint8_t hal_reset_reason(void) { return retained.boots > 0 ? RESET_COMMAND : RESET_POWER_ON; }
const board_straps *hal_straps(void) { return &outside.straps; }

const board_bench *hal_bench(void) {
    if (outside.bench.mark != BENCH_MARK) return NULL;
    taken = outside.bench;
    outside.bench.mark = 0;
    return &taken;
}

static void reset_now(void) {
    REGISTER(AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}

void hal_reset(void) {
    line_drain();
    reset_now();
}

void start(void) {
    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end; to++) *to = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end; to++) *to = 0;
    boot();
    (void)main();
    reset_now();
}

/* gcc makes calls of these out of loops and initializers, whatever -ffreestanding says. */
void *memset(void *to, int value, size_t length) {
    uint8_t *at = to;
    while (length-- > 0) {
        *at++ = (uint8_t)value;
        __asm volatile("" ::: "memory");
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    uint8_t *at = to;
    const uint8_t *source = from;
    while (length-- > 0) {
        *at++ = *source++;
        __asm volatile("" ::: "memory");
    }
    return to;
}

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector handlers[15];
    vector irqs[IRQS];
} vectors = {
    &_stack_end,
    {start, reset_now, reset_now, reset_now, reset_now, reset_now, 0, 0, 0, 0, reset_now, 0, 0, reset_now, line_tick},
    /* One interrupt is enabled, whichever number the board's UART has; it is among the first ones. */
    {LINES, LINES, LINES, LINES, LINES, LINES},
};
