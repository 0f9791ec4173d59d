/* As much of CBOR (RFC 8949) as SMP needs: numbers of 32 bits, strings, booleans, heads of maps and lists. */
#pragma once
#include "wire.h"

enum { CBOR_NUMBER = 0, CBOR_BYTES = 2, CBOR_TEXT = 3, CBOR_LIST = 4, CBOR_MAP = 5, CBOR_SIMPLE = 7 };
#define CBOR_FALSE 20u
#define CBOR_TRUE 21u

typedef struct {
    uint8_t major;
    uint32_t value;    /* the number, the string's length, or how many entries follow */
    const uint8_t *at; /* the string */
} cbor_item;

/* The next item without what it contains. What is not known, of indefinite length or too large sets `from->bad`. */
cbor_item cbor_read(bridge_reader *from);

void cbor_write_head(bridge_writer *to, uint8_t major, uint32_t value);
void cbor_write_text(bridge_writer *to, const char *text);
void cbor_write_bytes(bridge_writer *to, uint8_t major, const uint8_t *bytes, uint32_t length);
void cbor_write_bool(bridge_writer *to, bool value);
