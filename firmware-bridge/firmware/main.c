#include "chip.h"
#include "hal.h"
#include "session.h"

int main(void) {
    for (;;) {
        hal_start();
        chip_start();
        session_start();
        while (!session_serve()) hal_idle();
        hal_reset();
    }
}
