/* What stands between a reset and main on a board with slots. */
#pragma once

/* Starts the image of the slot that is due. Returns if there is none, or if this is it. */
void boot(void);
