/* What a Cortex-M board adds to uart.c: its UART and its clock. */
#pragma once
#include <stdint.h>

extern const uint32_t board_clock_hz;
extern const unsigned board_uart_irq;

/* How often board_tick is called; a multiple of 1000. */
extern const uint32_t board_tick_hz;
void board_tick(void);

/* 8N1, no flow control, an interrupt for received bytes. */
void board_start_uart(void);
/* The interrupt: passes each received byte to received(). */
void board_uart_isr(void);
/* Waits until the transmitter takes it. */
void board_put(uint8_t byte);

void received(uint8_t byte);
