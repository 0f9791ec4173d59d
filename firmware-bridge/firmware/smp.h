/*
 * Management by SMP, MCUmgr's protocol, inside the command `manage`: echo and reset, and the state, upload, trial and
 * confirmation of firmware images. The same answers as firmware-bridge/emulator/manager.ts.
 */
#pragma once
#include <stdbool.h>

/* An upload that was under way is forgotten. */
void smp_start(void);
/* Whether the last message asked for a restart. */
bool smp_reset_asked(void);
