/* libFuzzer stands for the board: its bytes are what comes from the host, after a HELLO so that all commands are open. */
#include <stdbool.h>
#include "frame.h"
#include "hal.h"
#include "session.h"
#include "chip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static bool sealing;
static uint8_t block[FRAME_BODY_MAX];
static size_t block_length;
static uint8_t sealed[FRAME_BLOCK_MAX + 2];
static size_t sealed_length;
static const board_straps straps;

void hal_start(void) {}

int hal_read(void) {
    if (left == 0) return -1;
    left--;
    return *input++;
}

void hal_write(const uint8_t *bytes, size_t length) {
    if (!sealing) return;
    for (size_t i = 0; i < length; i++) sealed[sealed_length++] = bytes[i];
}

void hal_idle(void) {}
uint32_t hal_millis(void) { return 0; }
uint32_t hal_boot_id(void) { return 0; }
uint8_t hal_reset_reason(void) { return RESET_POWER_ON; }
void hal_reset(void) {}
const board_straps *hal_straps(void) { return &straps; }
const board_bench *hal_bench(void) { return NULL; }

static void say(const uint8_t *bytes, size_t length) {
    input = bytes;
    left = length;
    while (left > 0) {
        if (session_serve()) session_start();
    }
}

/* A request with a right checksum, which chance would not find. */
static void ask(uint8_t command, uint8_t sequence, const uint8_t *payload, uint16_t length) {
    const frame request = {BRIDGE_KIND_REQUEST, command, sequence, sequence, length, payload};
    sealing = true;
    sealed_length = 0;
    frame_send(&request);
    sealing = false;
    say(sealed, sealed_length);
}

/* The first byte: raw bytes (even), or command, length and payload of one request after the other (odd). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t hello[6] = {BRIDGE_PROTOCOL_MIN, BRIDGE_PROTOCOL_MAX, 1, 2, 3, 4};
    if (size == 0) return 0;
    chip_start();
    session_start();
    ask(BRIDGE_HELLO, 0, hello, sizeof hello);
    if ((data[0] & 1u) == 0) {
        say(data + 1, size - 1);
        return 0;
    }
    uint8_t sequence = 0;
    for (size_t at = 1; at + 2 <= size;) {
        const uint8_t command = data[at];
        block_length = data[at + 1];
        at += 2;
        if (block_length > size - at) block_length = size - at;
        for (size_t i = 0; i < block_length; i++) block[i] = data[at + i];
        ask(command, sequence++, block, (uint16_t)block_length);
        at += block_length;
    }
    return 0;
}
