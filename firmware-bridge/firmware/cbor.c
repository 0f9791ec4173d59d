#include "cbor.h"

/* Values of a head's low five bits from here on say how many bytes follow. */
#define IN_BYTES 24u
#define MAJOR_SHIFT 5

static uint32_t big_endian(bridge_reader *from, unsigned bytes) {
    uint32_t value = 0;
    while (bytes-- > 0) value = (value << 8) | bridge_read_u8(from);
    return value;
}

cbor_item cbor_read(bridge_reader *from) {
    const uint8_t head = bridge_read_u8(from);
    const uint8_t low = head & 31u;
    cbor_item item = {(uint8_t)(head >> MAJOR_SHIFT), low, NULL};
    if (low > IN_BYTES + 2 || item.major == 1 || item.major == 6) from->bad = true;
    else if (low >= IN_BYTES) item.value = big_endian(from, 1u << (low - IN_BYTES));
    if (item.major == CBOR_SIMPLE && low >= IN_BYTES) from->bad = true;
    if (item.major == CBOR_BYTES || item.major == CBOR_TEXT) item.at = bridge_take(from, item.value);
    return item;
}

void cbor_write_head(bridge_writer *to, uint8_t major, uint32_t value) {
    const unsigned bytes = value < IN_BYTES ? 0 : value < 256 ? 1 : value < 65536 ? 2 : 4;
    const uint32_t low = bytes == 0 ? value : IN_BYTES + bytes / 2;
    bridge_write_u8(to, (uint8_t)((uint32_t)major << MAJOR_SHIFT | low));
    for (unsigned i = bytes; i > 0; i--) bridge_write_u8(to, (uint8_t)(value >> (8 * (i - 1))));
}

void cbor_write_bytes(bridge_writer *to, uint8_t major, const uint8_t *bytes, uint32_t length) {
    cbor_write_head(to, major, length);
    for (uint32_t i = 0; i < length; i++) bridge_write_u8(to, bytes[i]);
}

void cbor_write_text(bridge_writer *to, const char *text) {
    uint32_t length = 0;
    while (text[length] != '\0') length++;
    cbor_write_bytes(to, CBOR_TEXT, (const uint8_t *)text, length);
}

void cbor_write_bool(bridge_writer *to, bool value) {
    cbor_write_head(to, CBOR_SIMPLE, value ? CBOR_TRUE : CBOR_FALSE);
}
