/* libFuzzer stands for the board: its bytes are what comes from the host, after a HELLO so that all commands are open. */
#include <stdbool.h>
#include "frame.h"
#include "hal.h"
#include "session.h"
#include "chip.h"
#include "images.h"
#include "slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static bool sealing;
static uint8_t block[FRAME_BODY_MAX];
static size_t block_length;
static uint8_t sealed[FRAME_BLOCK_MAX + 2];
static size_t sealed_length;
static const board_straps straps;
#define SLOT_BYTES 1024u
static uint8_t flash[2][SLOT_BYTES];
static uint8_t marks;

void hal_start(void) {}
uint32_t hal_slot_bytes(void) { return SLOT_BYTES; }
const uint8_t *hal_slot(unsigned slot) { return flash[slot]; }
uint8_t hal_marks(void) { return marks; }
void hal_set_marks(uint8_t to) { marks = to; }
const char *hal_board(void) { return ""; }

bool hal_slot_erase(unsigned slot) {
    for (unsigned i = 0; i < SLOT_BYTES; i++) flash[slot][i] = 0xff;
    return true;
}

bool hal_slot_write(unsigned slot, uint32_t offset, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) flash[slot][offset + i] = bytes[i];
    return true;
}

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
        if (!session_serve()) continue;
        images_boot();
        session_start();
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

/* SMP in its command, with the lengths right that chance would not find: what to do, and a map. */
static void manage(uint8_t sequence, const uint8_t *bytes, uint8_t length) {
    static const uint8_t heads[8][4] = {{0, 0, 0, 0}, {2, 0, 0, 0}, {2, 0, 0, 5}, {0, 0, 1, 0},
                                        {2, 0, 1, 0}, {2, 0, 1, 1}, {2, 0, 1, 1}, {2, 0, 1, 1}};
    uint8_t message[2 + 8 + 255] = {0};
    if (length == 0) return;
    const uint8_t *head = heads[bytes[0] % 8];
    const uint8_t body = (uint8_t)(length - 1);
    message[0] = (uint8_t)(8 + body);
    message[1] = (uint8_t)((8 + body) >> 8);
    message[2] = head[0];
    message[5] = body;
    message[6] = head[1];
    message[7] = head[2];
    message[9] = head[3];
    for (unsigned i = 0; i < body; i++) message[10 + i] = bytes[1 + i];
    ask(BRIDGE_MANAGE, sequence, message, (uint16_t)(10 + body));
}

/* The first byte: raw bytes (even), or command, length and payload of one request after the other (odd). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t hello[6] = {BRIDGE_PROTOCOL_MIN, BRIDGE_PROTOCOL_MAX, 1, 2, 3, 4};
    if (size == 0) return 0;
    marks = 0;
    (void)hal_slot_erase(0);
    (void)hal_slot_erase(1);
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
        if (command == BRIDGE_MANAGE) manage(sequence++, block, (uint8_t)block_length);
        else ask(command, sequence++, block, (uint16_t)block_length);
        at += block_length;
    }
    return 0;
}
