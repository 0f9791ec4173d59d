/* ARM MPS2 with the AN386 image (Cortex-M4), as QEMU's -M mps2-an386: CMSDK UART0 (ARM DDI 0479). */
#include "board.h"
#include "line.h"

#define UART 0x40004000u
#define UART_DATA REGISTER(UART)
#define UART_STATE REGISTER(UART + 4)
#define UART_CONTROL REGISTER(UART + 8)
#define UART_INTERRUPT REGISTER(UART + 12)
#define TX_FULL 1u
#define RX_FULL 2u

const uint32_t board_clock_hz = 25000000;
const unsigned board_uart_irq = 0;
const uint32_t board_tick_hz = 1000;

void board_start_uart(void) {
    REGISTER(UART + 16) = 27; /* 25 MHz / 921600 */
    UART_CONTROL = 1u | 2u | 8u; /* transmit, receive, receive interrupt */
}

void board_uart_isr(void) {
    UART_INTERRUPT = 2u;
    while ((UART_STATE & RX_FULL) != 0) received((uint8_t)UART_DATA);
}

void board_tick(void) {}

void board_put(uint8_t byte) {
    while ((UART_STATE & TX_FULL) != 0) {
    }
    UART_DATA = byte;
}
