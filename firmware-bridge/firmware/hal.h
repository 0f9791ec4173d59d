/* All that the firmware asks of a board. One file per board implements it, in boards/. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* After power-on and after hal_reset. */
void hal_start(void);
/* The next byte from the host, or -1 if there is none. */
int hal_read(void);
/* Takes all bytes; waits where the line is slower. */
void hal_write(const uint8_t *bytes, size_t length);
/* Sleeps until there may be something to read. */
void hal_idle(void);
uint32_t hal_millis(void);
/* Another number after each start, as far as the board can tell. */
uint32_t hal_boot_id(void);
/* One of BRIDGE_RESET_... in session.h. */
uint8_t hal_reset_reason(void);
/* Restarts the board once all that was written is out. May return where a process stands for the board. */
void hal_reset(void);

/* What is fixed outside of the firmware, as by fuses: which chip it is, and how old its tiles are when programmed. */
typedef struct {
    uint32_t noise; /* of the memory at power-on */
    uint32_t seed;  /* 0: 1 */
    uint32_t age_seconds;
    int32_t warmer_mc; /* than the reference */
} board_straps;
const board_straps *hal_straps(void);

/* What the array lives through while it works, as a debug probe writes it: the fields of ENVIRONMENT. */
typedef struct {
    uint32_t mark; /* BENCH_MARK: written, and not taken yet */
    uint32_t mask;
    uint32_t age_seconds;
    int32_t temperature_mc;
} board_bench;
#define BENCH_MARK 0x68636e62u
/* Returned once each time that it is written; NULL if there is nothing new. Good until the next call. */
const board_bench *hal_bench(void);
