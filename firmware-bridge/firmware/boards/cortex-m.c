/* Start-up, clock, sleep and the receive ring of all Cortex-M boards. */
#include <stdbool.h>
#include "hal.h"
#include "profile.h"
#include "session.h"
#include "board.h"

/* The credits that HELLO grants, and one. */
#define RING_BYTES (LINK_BUFFER_BYTES + 1)
#define SYSTICK_CONTROL 0xE000E010u
#define SYSTICK_RELOAD 0xE000E014u
#define SYSTICK_VALUE 0xE000E018u
#define NVIC_ENABLE 0xE000E100u
#define AIRCR 0xE000ED0Cu
#define AIRCR_RESET 0x05FA0004u
#define UARTS board_uart_isr, board_uart_isr, board_uart_isr, board_uart_isr
#define IRQS 24
/* Of `retained`, if it is what an earlier run left. */
#define RETAINED 0x6e70702du

extern uint32_t _stack_end, _data_start, _data_end, _data_load, _bss_start, _bss_end;
int main(void);
void start(void);

static uint8_t ring[RING_BYTES];
static volatile uint32_t ring_head;
static volatile uint32_t ring_tail;
static volatile uint32_t milliseconds;

/*
 * Not cleared at start-up, and where a loader and a debug probe find it: at the beginning of the RAM. A memory without
 * straps begins with zeros.
 */
__attribute__((section(".straps"), used)) static struct { board_straps straps; volatile board_bench bench; } outside;
static board_bench taken;
__attribute__((section(".retained"))) static struct { uint32_t mark; uint32_t boots; } retained;

void received(uint8_t byte) {
    const uint32_t next = ring_head + 1 == RING_BYTES ? 0 : ring_head + 1;
    if (next == ring_tail) return;
    ring[ring_head] = byte;
    ring_head = next;
}

static void tick(void) {
    static uint32_t ticks;
    board_tick();
    if (++ticks < board_tick_hz / 1000) return;
    ticks = 0;
    milliseconds++;
}

static void lock(void) { __asm volatile("cpsid i" ::: "memory"); }
static void unlock(void) { __asm volatile("cpsie i" ::: "memory"); }

void hal_start(void) {
    retained.boots = retained.mark == RETAINED ? retained.boots + 1 : 0;
    retained.mark = RETAINED;
    REGISTER(SYSTICK_RELOAD) = board_clock_hz / board_tick_hz - 1;
    REGISTER(SYSTICK_VALUE) = 0;
    REGISTER(SYSTICK_CONTROL) = 7;
    board_start_uart();
    REGISTER(NVIC_ENABLE + 4 * (board_uart_irq / 32)) = 1u << (board_uart_irq % 32);
    unlock();
}

int hal_read(void) {
    if (ring_head == ring_tail) return -1;
    const uint8_t byte = ring[ring_tail];
    ring_tail = ring_tail + 1 == RING_BYTES ? 0 : ring_tail + 1;
    return byte;
}

void hal_write(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) board_put(bytes[i]);
}

/* Interrupts are held back around the test, so that no wake-up is lost between it and the sleep. */
void hal_idle(void) {
    lock();
    if (ring_head == ring_tail) __asm volatile("wfi" ::: "memory");
    unlock();
}

uint32_t hal_millis(void) { return milliseconds; }
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
    const uint32_t began = milliseconds;
    while (milliseconds - began < 5) __asm volatile("wfi");
    reset_now();
}

void start(void) {
    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end; to++) *to = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end; to++) *to = 0;
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
    {start, reset_now, reset_now, reset_now, reset_now, reset_now, 0, 0, 0, 0, reset_now, 0, 0, reset_now, tick},
    /* One interrupt is enabled, whichever number the board's UART has; it is among the first ones. */
    {UARTS, UARTS, UARTS, UARTS, UARTS, UARTS},
};
