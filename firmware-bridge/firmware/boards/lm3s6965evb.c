/* Stellaris LM3S6965 evaluation board, as QEMU's -M lm3s6965evb: PL011 as UART0 (ARM DDI 0183). */
#include "board.h"

#define UART 0x4000C000u
#define UART_DATA REGISTER(UART)
#define UART_FLAGS REGISTER(UART + 0x18)
#define UART_CLEAR REGISTER(UART + 0x44)
#define RX_EMPTY 0x10u
#define TX_FULL 0x20u
#define RX_AND_TIMEOUT 0x50u

const uint32_t board_clock_hz = 12000000;
const unsigned board_uart_irq = 5;

void board_start_uart(void) {
    REGISTER(0x400FE104u) |= 1u; /* RCGC1: UART0's clock */
    REGISTER(UART + 0x30) = 0;
    REGISTER(UART + 0x24) = 0; /* 12 MHz / 16 / 921600 = 0.814 = 52 / 64 */
    REGISTER(UART + 0x28) = 52;
    REGISTER(UART + 0x2C) = 0x70; /* 8N1 with FIFO */
    REGISTER(UART + 0x34) = 0;    /* interrupt at an eighth */
    REGISTER(UART + 0x38) = RX_AND_TIMEOUT;
    REGISTER(UART + 0x30) = 0x301;
}

void board_uart_isr(void) {
    UART_CLEAR = RX_AND_TIMEOUT;
    while ((UART_FLAGS & RX_EMPTY) == 0) received((uint8_t)UART_DATA);
}

void board_put(uint8_t byte) {
    while ((UART_FLAGS & TX_FULL) != 0) {
    }
    UART_DATA = byte;
}
