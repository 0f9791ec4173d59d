/* RP2040 (Raspberry Pi Pico), UART0 on GPIO 0 and 1: a PL011 (RP2040 datasheet, 4.2). Clocks as the boot ROM leaves them
 * would be too slow; the second-stage boot loader is expected to have set clk_sys and clk_peri to 125 MHz. */
#include "board.h"
#include "line.h"

#define UART 0x40034000u
#define UART_DATA REGISTER(UART)
#define UART_FLAGS REGISTER(UART + 0x18)
#define UART_CLEAR REGISTER(UART + 0x44)
#define RESETS_CLEAR 0x4000F000u
#define RESETS_DONE 0x4000C008u
#define UART0_AND_IO (1u << 22 | 1u << 5 | 1u << 8)
#define RX_EMPTY 0x10u
#define TX_FULL 0x20u
#define RX_AND_TIMEOUT 0x50u
#define FUNCTION_UART 2u

const uint32_t board_clock_hz = 125000000;
const unsigned board_uart_irq = 20;
const uint32_t board_tick_hz = 1000;

void board_start_uart(void) {
    REGISTER(RESETS_CLEAR) = UART0_AND_IO;
    while ((REGISTER(RESETS_DONE) & UART0_AND_IO) != UART0_AND_IO) {
    }
    REGISTER(0x40014004u) = FUNCTION_UART; /* GPIO 0: TX */
    REGISTER(0x4001400Cu) = FUNCTION_UART; /* GPIO 1: RX */
    REGISTER(UART + 0x30) = 0;
    REGISTER(UART + 0x24) = 8; /* 125 MHz / 16 / 921600 = 8.477 = 8 + 31 / 64 */
    REGISTER(UART + 0x28) = 31;
    REGISTER(UART + 0x2C) = 0x70; /* 8N1 with FIFO */
    REGISTER(UART + 0x34) = 0;
    REGISTER(UART + 0x38) = RX_AND_TIMEOUT;
    REGISTER(UART + 0x30) = 0x301;
}

void board_uart_isr(void) {
    UART_CLEAR = RX_AND_TIMEOUT;
    while ((UART_FLAGS & RX_EMPTY) == 0) received((uint8_t)UART_DATA);
}

void board_tick(void) {}

void board_put(uint8_t byte) {
    while ((UART_FLAGS & TX_FULL) != 0) {
    }
    UART_DATA = byte;
}
