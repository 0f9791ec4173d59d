/* A process stands for the board: the line is its standard input and output. For tests; straps are its arguments. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hal.h"
#include "images.h"
#include "memory-slots.h"
#include "session.h"
#include "slots.h"

#define SLOT_BYTES 65536u
#define FLASH_BYTES (2u * SLOT_BYTES + 1u)

int firmware_main(void);

static board_straps straps;
static uint32_t boots;
static uint8_t arrived[4096];
static size_t arrived_length;
static size_t arrived_at;
static uint8_t leaving[65536];
static size_t leaving_length;
/* Both slots and the marks, in a file that outlives the process; none: it has no slots. */
static uint8_t *flash;

static void flush(void) {
    for (size_t at = 0; at < leaving_length;) {
        const ssize_t written = write(STDOUT_FILENO, leaving + at, leaving_length - at);
        if (written <= 0) exit(0);
        at += (size_t)written;
    }
    leaving_length = 0;
}

void hal_start(void) {
    boots++;
    images_boot();
}

int hal_read(void) {
    if (arrived_at == arrived_length) {
        struct pollfd line = {STDIN_FILENO, POLLIN, 0};
        if (poll(&line, 1, 0) <= 0) return -1;
        const ssize_t got = read(STDIN_FILENO, arrived, sizeof arrived);
        if (got <= 0) {
            flush();
            exit(0);
        }
        arrived_at = 0;
        arrived_length = (size_t)got;
    }
    return arrived[arrived_at++];
}

void hal_write(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (leaving_length == sizeof leaving) flush();
        leaving[leaving_length++] = bytes[i];
    }
}

void hal_idle(void) {
    flush();
    struct pollfd line = {STDIN_FILENO, POLLIN, 0};
    (void)poll(&line, 1, -1);
}

uint32_t hal_millis(void) { return 0; }
uint32_t hal_boot_id(void) { return straps.noise + boots - 1; }
uint8_t hal_reset_reason(void) { return boots > 1 ? RESET_COMMAND : RESET_POWER_ON; }
void hal_reset(void) { flush(); }
const board_straps *hal_straps(void) { return &straps; }
const board_bench *hal_bench(void) { return NULL; }

const uint32_t memory_slot_bytes = SLOT_BYTES;
uint8_t *memory_slots(void) { return flash; }
const char *hal_board(void) { return "host"; }

static void open_flash(const char *path) {
    const int file = open(path, O_RDWR);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) exit(2);
    flash = mapped;
}

static uint32_t number(int count, char **arguments, int at) {
    return at < count ? (uint32_t)strtoll(arguments[at], NULL, 10) : 0;
}

/* noise, seed, age in seconds, warmer in thousandths of a kelvin, file that is its flash */
int main(int count, char **arguments) {
    straps.noise = number(count, arguments, 1);
    straps.seed = number(count, arguments, 2);
    straps.age_seconds = number(count, arguments, 3);
    straps.warmer_mc = (int32_t)number(count, arguments, 4);
    if (count > 5) open_flash(arguments[5]);
    return firmware_main();
}
