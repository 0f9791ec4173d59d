/* All tiles of the device and the room that it stands in; does what the protocol's commands ask. */
#pragma once
#include <stdint.h>

/* As after power-on: volatile cells and buffers are lost. */
void chip_start(void);

/* Eight bytes, from the seed. */
const uint8_t *chip_uid(void);
