/* The device's half of the conversation: HELLO, the window, answers kept for repetition. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "frame.h"

#define RESET_POWER_ON 1u
#define RESET_COMMAND 2u
#define RESET_BROWN_OUT 3u

typedef struct { uint32_t frames; uint32_t discarded; } session_counters;

/* As after a restart: says HELLO_ACK by itself, so that a host that waits learns of it. */
void session_start(void);
/* Takes bytes from the host as long as there are some. True: the host asked for a restart. */
bool session_serve(void);
session_counters session_counted(void);
