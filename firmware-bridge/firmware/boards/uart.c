/* A UART and the system timer: an interrupt fills a ring, and the core sleeps while it is empty. */
#include "hal.h"
#include "profile.h"
#include "board.h"
#include "line.h"

/* The credits that HELLO grants, and one. */
#define RING_BYTES (LINK_BUFFER_BYTES + 1)
#define NVIC_ENABLE 0xE000E100u

static uint8_t ring[RING_BYTES];
static volatile uint32_t ring_head;
static volatile uint32_t ring_tail;
static volatile uint32_t milliseconds;

void received(uint8_t byte) {
    const uint32_t next = ring_head + 1 == RING_BYTES ? 0 : ring_head + 1;
    if (next == ring_tail) return;
    ring[ring_head] = byte;
    ring_head = next;
}

void line_tick(void) {
    static uint32_t ticks;
    board_tick();
    if (++ticks < board_tick_hz / 1000) return;
    ticks = 0;
    milliseconds++;
}

void line_isr(void) { board_uart_isr(); }

static void lock(void) { __asm volatile("cpsid i" ::: "memory"); }
static void unlock(void) { __asm volatile("cpsie i" ::: "memory"); }

void line_start(void) {
    REGISTER(SYSTICK_RELOAD) = board_clock_hz / board_tick_hz - 1;
    REGISTER(SYSTICK_VALUE) = 0;
    REGISTER(SYSTICK_CONTROL) = 7;
    board_start_uart();
    REGISTER(NVIC_ENABLE + 4 * (board_uart_irq / 32)) = 1u << (board_uart_irq % 32);
    unlock();
}

void line_drain(void) {
    const uint32_t began = milliseconds;
    while (milliseconds - began < 5) __asm volatile("wfi");
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
