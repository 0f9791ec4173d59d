#include "chip.h"
#include "dispatch.h"
#include "hal.h"
#include "session.h"

static void obey_bench(void) {
    const board_bench *bench = hal_bench();
    if (bench == NULL) return;
    const bridge_environment_request request = {
        .mask = (uint8_t)bench->mask, .age_seconds = bench->age_seconds, .temperature_mc = bench->temperature_mc};
    bridge_environment_reply reply;
    (void)on_environment(&request, &reply);
}

int main(void) {
    for (;;) {
        hal_start();
        chip_start();
        session_start();
        while (!session_serve()) {
            hal_idle();
            obey_bench();
        }
        hal_reset();
    }
}
