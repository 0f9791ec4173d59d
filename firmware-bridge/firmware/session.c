#include "session.h"
#include "chip.h"
#include "dispatch.h"
#include "hal.h"
#include "images.h"
#include "slots.h"
#include "smp.h"

#define INPUT_BITS 8u

_Static_assert((LINK_WINDOW & (LINK_WINDOW - 1)) == 0, "sequence numbers wrap in step with the answers");

/* So that a repetition is answered but not executed again. */
typedef struct {
    bool kept;
    uint8_t kind;
    uint8_t command;
    uint8_t sequence;
    uint16_t length;
    uint8_t payload[LINK_MTU];
} answer;

static deframer incoming;
static answer answers[LINK_WINDOW];
/* What is remembered between HELLO and the next restart. */
static bool talking;
static uint32_t conversation;
/* The oldest request that the host still waits for. */
static uint8_t oldest;

session_counters session_counted(void) { return (session_counters){incoming.frames, incoming.discarded}; }

static void fill_greeting(bridge_hello_reply *reply, uint8_t protocol, uint32_t nonce) {
    *reply = (bridge_hello_reply){
        .protocol = protocol,
        .protocol_min = BRIDGE_PROTOCOL_MIN,
        .protocol_max = BRIDGE_PROTOCOL_MAX,
        .nonce = nonce,
        .mtu = LINK_MTU,
        .window = LINK_WINDOW,
        .buffer_bytes = LINK_BUFFER_BYTES,
        .boot_id = hal_boot_id(),
        .firmware = images_firmware(),
        .reset_reason = hal_reset_reason(),
        .tiles = CHIP_TILES,
        .rows = CHIP_ROWS,
        .columns = CHIP_COLUMNS,
        .weight_bits = CHIP_WEIGHT_BITS,
        .input_bits = INPUT_BITS,
        .adc_bits = CHIP_ADC_BITS,
        .features = BRIDGE_FEATURE_ENVIRONMENT | BRIDGE_FEATURE_READ_ROW | BRIDGE_FEATURE_SELF_TEST |
                    (hal_slot_bytes() > 0 ? BRIDGE_FEATURE_MANAGE : 0),
        .accumulator_bits = CHIP_ACCUMULATOR_BITS,
        .uid = {chip_uid(), 8},
    };
}

static void send_greeting(void) {
    uint8_t payload[64];
    bridge_hello_reply reply;
    bridge_writer to = {payload, sizeof payload, false};
    fill_greeting(&reply, BRIDGE_PROTOCOL_MAX, 0);
    bridge_write_hello_reply(&to, &reply);
    const frame out = {BRIDGE_KIND_REPLY, BRIDGE_HELLO, 0, 0, (uint16_t)(sizeof payload - to.left), payload};
    frame_send(&out);
}

static void forget_answers(void) {
    for (unsigned i = 0; i < LINK_WINDOW; i++) answers[i].kept = false;
    oldest = 0;
}

void session_start(void) {
    incoming.length = 0;
    incoming.frames = 0;
    incoming.discarded = 0;
    talking = false;
    smp_start();
    send_greeting();
}

/* A repeated HELLO changes nothing; another one begins a new conversation. */
uint8_t on_hello(const bridge_hello_request *request, bridge_hello_reply *reply) {
    const uint8_t highest = request->protocol_max;
    const uint8_t common = highest < BRIDGE_PROTOCOL_MAX ? highest : BRIDGE_PROTOCOL_MAX;
    const bool spoken = common >= request->protocol_min && common >= BRIDGE_PROTOCOL_MIN;
    if (spoken && !(talking && conversation == request->nonce)) {
        talking = true;
        conversation = request->nonce;
        forget_answers();
    }
    fill_greeting(reply, spoken ? common : 0, request->nonce);
    return 0;
}

uint8_t on_reset(void) { return 0; }

static void execute(const frame *request, answer *into) {
    bridge_writer to = {into->payload, sizeof into->payload, false};
    const uint8_t refusal = bridge_dispatch(request->command, request->payload, request->length, &to);
    into->kind = refusal == 0 ? BRIDGE_KIND_REPLY : BRIDGE_KIND_REFUSAL;
    into->command = request->command;
    into->sequence = request->sequence;
    into->length = (uint16_t)(sizeof into->payload - to.left);
    if (refusal == 0) return;
    into->payload[0] = refusal;
    into->length = 1;
}

static void send_answer(const answer *from, uint8_t sequence) {
    const frame out = {from->kind, from->command, sequence, sequence, from->length, from->payload};
    frame_send(&out);
}

/* The host's oldest open request only moves forward; answers before it are not needed any more. */
static void advance(uint8_t ack) {
    const uint8_t steps = (uint8_t)(ack - oldest);
    if (steps > 2 * LINK_WINDOW) return;
    for (uint8_t i = 0; i < steps; i++) {
        answer *const done = &answers[(uint8_t)(oldest + i) % LINK_WINDOW];
        if (done->sequence == (uint8_t)(oldest + i)) done->kept = false;
    }
    oldest = ack;
}

static bool handle(const frame *request) {
    if (request->kind != BRIDGE_KIND_REQUEST) return false;
    if (request->command == BRIDGE_HELLO) {
        static answer greeting;
        execute(request, &greeting);
        /* A refusal keeps the request's number; a greeting begins the numbering. */
        send_answer(&greeting, greeting.kind == BRIDGE_KIND_REPLY ? 0 : request->sequence);
        return false;
    }
    if (!talking) {
        send_greeting();
        return false;
    }
    advance(request->ack);
    answer *const place = &answers[request->sequence % LINK_WINDOW];
    const bool known = place->kept && place->sequence == request->sequence;
    if (!known) {
        if ((uint8_t)(request->sequence - oldest) >= LINK_WINDOW) return false;
        execute(request, place);
        place->kept = true;
    }
    send_answer(place, place->sequence);
    if (known || place->kind != BRIDGE_KIND_REPLY) return false;
    return request->command == BRIDGE_RESET || (request->command == BRIDGE_MANAGE && smp_reset_asked());
}

bool session_serve(void) {
    frame request;
    for (int byte = hal_read(); byte >= 0; byte = hal_read()) {
        if (deframer_push(&incoming, (uint8_t)byte, &request) && handle(&request)) return true;
    }
    return false;
}
