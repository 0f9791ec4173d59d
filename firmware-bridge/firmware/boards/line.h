/* What connects a Cortex-M board with the host: besides these, hal_read, hal_write, hal_idle and hal_millis. */
#pragma once

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL 0xE000E010u
#define SYSTICK_RELOAD 0xE000E014u
#define SYSTICK_VALUE 0xE000E018u

void line_start(void);
/* Returns once all that was written is out. */
void line_drain(void);
/* The interrupts of the system timer and of the line itself. */
void line_tick(void);
void line_isr(void);
