#include "smp.h"
#include "cbor.h"
#include "dispatch.h"
#include "images.h"
#include "slots.h"

/* https://docs.zephyrproject.org/latest/services/device_mgmt/smp_protocol.html, version 1: `rc` says what is wrong. */
#define HEADER_BYTES 8u
#define OP_BITS 7u
#define OP_READ 0u
#define OP_WRITE 2u
#define ECHO 0x000000u
#define RESET 0x000005u
#define STATE 0x000100u
#define UPLOAD 0x000101u
#define ECHO_MOST 256u
#define REPLY_MOST 512u

enum { OK = 0, NOT_WRITTEN = 1, INVALID = 3, NOT_FOUND = 5, BAD_STATE = 6, TOO_LARGE = 7, UNSUPPORTED = 8,
       CORRUPT = 9, DENIED = 11 };

enum { FIELD_D, FIELD_DATA, FIELD_OFF, FIELD_LEN, FIELD_SHA, FIELD_HASH, FIELD_CONFIRM, FIELDS };
static const struct { const char *name; uint8_t major; } known[FIELDS] = {
    {"d", CBOR_TEXT},    {"data", CBOR_BYTES}, {"off", CBOR_NUMBER},    {"len", CBOR_NUMBER},
    {"sha", CBOR_BYTES}, {"hash", CBOR_BYTES}, {"confirm", CBOR_SIMPLE},
};
typedef struct { bool given[FIELDS]; cbor_item of[FIELDS]; } fields;

/* The image that is coming: it goes on where it stopped if the same one is begun again. */
static struct { bool begun; uint8_t sha[SHA256_BYTES]; uint32_t length; uint32_t offset; } upload;
static bool reset_asked;

void smp_start(void) {
    upload.begun = false;
    reset_asked = false;
}

bool smp_reset_asked(void) { return reset_asked; }

static bool is_named(const cbor_item *key, const char *name) {
    uint32_t i = 0;
    while (i < key->value && name[i] != '\0' && (uint8_t)name[i] == key->at[i]) i++;
    return i == key->value && name[i] == '\0';
}

/* A map of names and plain values; names that are not known are passed over. */
static bool read_fields(bridge_reader *from, fields *into) {
    const cbor_item map = cbor_read(from);
    if (from->bad || map.major != CBOR_MAP) return false;
    for (uint32_t i = 0; i < map.value; i++) {
        const cbor_item key = cbor_read(from);
        const cbor_item value = cbor_read(from);
        if (from->bad || key.major != CBOR_TEXT || value.major == CBOR_LIST || value.major == CBOR_MAP) return false;
        for (unsigned field = 0; field < FIELDS; field++) {
            if (!is_named(&key, known[field].name)) continue;
            if (value.major != known[field].major || into->given[field]) return false;
            into->given[field] = true;
            into->of[field] = value;
        }
    }
    const cbor_item *confirm = &into->of[FIELD_CONFIRM];
    if (into->given[FIELD_CONFIRM] && confirm->value != CBOR_FALSE && confirm->value != CBOR_TRUE) return false;
    return bridge_read_end(from);
}

static bool is_hash(const cbor_item *item, const uint8_t *hash) {
    if (item->value != SHA256_BYTES) return false;
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        if (item->at[i] != hash[i]) return false;
    }
    return true;
}

static bool read_slot(unsigned slot, image *out) { return image_read(hal_slot(slot), hal_slot_bytes(), out); }

static unsigned echo(const fields *given, bridge_writer *to) {
    const cbor_item *text = &given->of[FIELD_D];
    if (!given->given[FIELD_D]) return INVALID;
    if (text->value > ECHO_MOST) return TOO_LARGE;
    cbor_write_head(to, CBOR_MAP, 1);
    cbor_write_text(to, "r");
    cbor_write_bytes(to, CBOR_TEXT, text->at, text->value);
    return OK;
}

static char *write_number(char *to, unsigned value) {
    if (value >= 10) to = write_number(to, value / 10);
    *to++ = (char)('0' + value % 10);
    return to;
}

static void write_version(bridge_writer *to, const image *of) {
    char text[sizeof "255.255.65535"];
    char *at = write_number(text, of->major);
    *at++ = '.';
    at = write_number(at, of->minor);
    *at++ = '.';
    at = write_number(at, of->revision);
    cbor_write_bytes(to, CBOR_TEXT, (const uint8_t *)text, (uint32_t)(at - text));
}

static void write_flag(bridge_writer *to, const char *name, bool value) {
    cbor_write_text(to, name);
    cbor_write_bool(to, value);
}

/* Keys by length and then by their letters (RFC 8949, 4.2.3), so that there is one way to say it. */
static void write_slot(bridge_writer *to, unsigned slot, const image *of) {
    const bool active = slot == images_active();
    cbor_write_head(to, CBOR_MAP, 8);
    cbor_write_text(to, "hash");
    cbor_write_bytes(to, CBOR_BYTES, of->hash, SHA256_BYTES);
    cbor_write_text(to, "slot");
    cbor_write_head(to, CBOR_NUMBER, slot);
    write_flag(to, "active", active);
    write_flag(to, "pending", !active && images_pending());
    cbor_write_text(to, "version");
    write_version(to, of);
    write_flag(to, "bootable", image_is_for_board(of));
    write_flag(to, "confirmed", active == images_confirmed());
    write_flag(to, "permanent", false);
}

static unsigned write_state(bridge_writer *to) {
    image of[2];
    const bool there[2] = {read_slot(0, &of[0]), read_slot(1, &of[1])};
    cbor_write_head(to, CBOR_MAP, 1);
    cbor_write_text(to, "images");
    cbor_write_head(to, CBOR_LIST, (uint32_t)there[0] + there[1]);
    for (unsigned slot = 0; slot < 2; slot++) {
        if (there[slot]) write_slot(to, slot, &of[slot]);
    }
    return OK;
}

/* Marks the other image for a trial, or confirms the one that runs. */
static unsigned change_state(const fields *given, bridge_writer *to) {
    const cbor_item *hash = &given->of[FIELD_HASH];
    const bool confirm = given->given[FIELD_CONFIRM] && given->of[FIELD_CONFIRM].value == CBOR_TRUE;
    const unsigned active = images_active();
    image of[2];
    const bool named = given->given[FIELD_HASH];
    const bool running = named && read_slot(active, &of[0]) && is_hash(hash, of[0].hash);
    const bool waiting = named && read_slot(active ^ 1u, &of[1]) && is_hash(hash, of[1].hash);
    if (named && !running && !waiting) return NOT_FOUND;
    if (!named && !confirm) return INVALID;
    if (confirm) {
        if (named && !running) return BAD_STATE;
        if (!images_confirmed()) images_confirm();
        return write_state(to);
    }
    if (!waiting || !images_confirmed()) return BAD_STATE;
    images_test();
    return write_state(to);
}

static unsigned begin_upload(const fields *given, unsigned slot) {
    const cbor_item *sha = &given->of[FIELD_SHA];
    if (!given->given[FIELD_LEN] || !given->given[FIELD_SHA] || sha->value != SHA256_BYTES) return INVALID;
    const uint32_t length = given->of[FIELD_LEN].value;
    if (upload.begun && upload.length == length && is_hash(sha, upload.sha)) return OK;
    if (length > hal_slot_bytes()) return TOO_LARGE;
    upload.begun = false;
    if (!hal_slot_erase(slot)) return NOT_WRITTEN;
    for (unsigned i = 0; i < SHA256_BYTES; i++) upload.sha[i] = sha->at[i];
    upload.length = length;
    upload.offset = 0;
    upload.begun = true;
    return OK;
}

/* What has arrived as a whole is an image, undamaged and made for this board; else it is erased. */
static unsigned judge_upload(unsigned slot) {
    uint8_t digest[SHA256_BYTES];
    image of;
    unsigned result = OK;
    sha256(hal_slot(slot), upload.length, digest);
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        if (digest[i] != upload.sha[i]) result = CORRUPT;
    }
    if (result == OK && !image_read(hal_slot(slot), upload.length, &of)) result = CORRUPT;
    if (result == OK && !image_is_for_board(&of)) result = DENIED;
    if (result == OK) return OK;
    upload.begun = false;
    (void)hal_slot_erase(slot);
    return result;
}

static unsigned take_upload(const fields *given, bridge_writer *to) {
    const cbor_item *data = &given->of[FIELD_DATA];
    const unsigned slot = images_active() ^ 1u;
    if (!given->given[FIELD_OFF] || !given->given[FIELD_DATA]) return INVALID;
    if (!images_confirmed() || images_pending()) return BAD_STATE;
    const uint32_t offset = given->of[FIELD_OFF].value;
    if (offset == 0) {
        const unsigned refused = begin_upload(given, slot);
        if (refused != OK) return refused;
    }
    if (!upload.begun) return BAD_STATE;
    if (offset == upload.offset && upload.offset < upload.length) {
        if (data->value > upload.length - offset) return INVALID;
        if (!hal_slot_write(slot, offset, data->at, data->value)) return NOT_WRITTEN;
        upload.offset += data->value;
        const unsigned refused = upload.offset == upload.length ? judge_upload(slot) : OK;
        if (refused != OK) return refused;
    }
    cbor_write_head(to, CBOR_MAP, 1);
    cbor_write_text(to, "off");
    cbor_write_head(to, CBOR_NUMBER, upload.offset);
    return OK;
}

static unsigned execute(uint32_t command, unsigned op, const fields *given, bridge_writer *to) {
    if (command == ECHO) return echo(given, to);
    if (command == STATE && op == OP_READ) return write_state(to);
    if (command == STATE) return change_state(given, to);
    if (command == UPLOAD && op == OP_WRITE) return take_upload(given, to);
    if (command != RESET || op != OP_WRITE) return UNSUPPORTED;
    reset_asked = true;
    cbor_write_head(to, CBOR_MAP, 0);
    return OK;
}

uint8_t on_manage(const bridge_manage_request *request, bridge_manage_reply *reply) {
    static uint8_t out[REPLY_MOST];
    const uint8_t *in = request->message.at;
    const uint16_t length = request->message.length;
    reset_asked = false;
    if (hal_slot_bytes() == 0) return BRIDGE_REFUSAL_UNSUPPORTED;
    if (length < HEADER_BYTES || (size_t)((in[2] << 8) | in[3]) != length - HEADER_BYTES) return BRIDGE_REFUSAL_MALFORMED;
    const unsigned op = in[0] & OP_BITS;
    if (op != OP_READ && op != OP_WRITE) return BRIDGE_REFUSAL_MALFORMED;
    const uint32_t command = ((uint32_t)in[4] << 16) | ((uint32_t)in[5] << 8) | in[7];
    bridge_reader from = {in + HEADER_BYTES, length - HEADER_BYTES, false};
    bridge_writer to = {out + HEADER_BYTES, sizeof out - HEADER_BYTES, false};
    fields given = {0};
    const unsigned result = read_fields(&from, &given) ? execute(command, op, &given, &to) : (unsigned)INVALID;
    if (result != OK) {
        cbor_write_head(&to, CBOR_MAP, 1);
        cbor_write_text(&to, "rc");
        cbor_write_head(&to, CBOR_NUMBER, result);
    }
    const size_t body = sizeof out - HEADER_BYTES - to.left;
    for (unsigned i = 0; i < HEADER_BYTES; i++) out[i] = in[i];
    out[0] = (uint8_t)(op + 1);
    out[1] = 0;
    out[2] = (uint8_t)(body >> 8);
    out[3] = (uint8_t)body;
    reply->message = (bridge_bytes){out, (uint16_t)(HEADER_BYTES + body)};
    return 0;
}
