/* Stellaris LM3S6965 evaluation board, as QEMU's -M lm3s6965evb: PL011 as UART0 (ARM DDI 0183). */
#include "board.h"
#include "line.h"

#define UART 0x4000C000u
#define UART_DATA REGISTER(UART)
#define UART_FLAGS REGISTER(UART + 0x18)
#define RX_EMPTY 0x10u
#define RX_FULL 0x40u
#define TX_EMPTY 0x80u
#define FIFO_BYTES 16u

const uint32_t board_clock_hz = 12000000;
const unsigned board_uart_irq = 5;
/*
 * The FIFO of 16 bytes is emptied by the clock, before it is full (174 us at 921,600 baud): QEMU's UART interrupts for
 * every byte, which costs it 20 us each, half of what a product of 128 x 64 takes there.
 */
const uint32_t board_tick_hz = 8000;

void board_start_uart(void) {
    REGISTER(0x400FE104u) |= 1u; /* RCGC1: UART0's clock */
    REGISTER(UART + 0x30) = 0;
    REGISTER(UART + 0x24) = 0; /* 12 MHz / 16 / 921600 = 0.814 = 52 / 64 */
    REGISTER(UART + 0x28) = 52;
    REGISTER(UART + 0x2C) = 0x70; /* 8N1 with FIFO */
    REGISTER(UART + 0x38) = 0;    /* no interrupts */
    REGISTER(UART + 0x30) = 0x301;
}

void board_uart_isr(void) {
    for (;;) {
        const uint32_t flags = UART_FLAGS;
        if ((flags & RX_EMPTY) != 0) return;
        for (unsigned left = (flags & RX_FULL) != 0 ? FIFO_BYTES : 1; left > 0; left--) received((uint8_t)UART_DATA);
    }
}

void board_tick(void) { board_uart_isr(); }

void board_put(uint8_t byte) {
    static unsigned room;
    if (room == 0) {
        while ((UART_FLAGS & TX_EMPTY) == 0) {
        }
        room = FIFO_BYTES;
    }
    room--;
    UART_DATA = byte;
}
