#include "images.h"
#include "slots.h"

/* MCUboot, boot/bootutil/include/bootutil/image.h */
#define MAGIC 0x96f3b83du
#define HEADER_BYTES 32u
#define PROTECTED_MAGIC 0x6908u
#define TLV_MAGIC 0x6907u
#define TLV_HEAD_BYTES 4u
#define TLV_SHA256 0x10u
/* The first of those that are a vendor's own. */
#define TLV_BOARD 0xa0u
#define NO_IMAGE_VERSION 1u
/* The byte that the board keeps. */
#define MARK_SLOT 1u
#define MARK_PENDING 2u
#define MARK_TRYING 4u

static uint16_t u16_at(const uint8_t *at) { return (uint16_t)(at[0] | (at[1] << 8)); }
static uint32_t u32_at(const uint8_t *at) { return u16_at(at) | ((uint32_t)u16_at(at + 2) << 16); }

/* Finds a TLV in the area at `at`, of which there are `left` bytes. Tells the area's length, 0 if there is none. */
static uint32_t find_tlv(const uint8_t *at, uint32_t left, uint16_t magic, uint16_t type, const uint8_t **found,
                         uint16_t *length) {
    *found = NULL;
    *length = 0;
    if (left < TLV_HEAD_BYTES || u16_at(at) != magic) return 0;
    const uint32_t total = u16_at(at + 2);
    if (total < TLV_HEAD_BYTES || total > left) return 0;
    for (uint32_t from = TLV_HEAD_BYTES; total - from >= TLV_HEAD_BYTES;) {
        const uint16_t size = u16_at(at + from + 2);
        const uint32_t room = total - from - TLV_HEAD_BYTES;
        if (size > room) return 0;
        if (u16_at(at + from) == type) {
            *found = at + from + TLV_HEAD_BYTES;
            *length = size;
        }
        from += TLV_HEAD_BYTES + size;
    }
    return total;
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (a[i] != b[i]) return false;
    }
    return true;
}

bool image_read(const uint8_t *at, uint32_t length, image *out) {
    if (length < HEADER_BYTES || u32_at(at) != MAGIC) return false;
    const uint32_t header = u16_at(at + 8);
    const uint32_t protected_bytes = u16_at(at + 10);
    const uint32_t program = u32_at(at + 12);
    if (header < HEADER_BYTES || header > length || program > length - header) return false;
    const uint32_t end = header + program;
    if (protected_bytes > length - end) return false;
    out->program = at + header;
    out->program_length = program;
    if (find_tlv(at + end, protected_bytes, PROTECTED_MAGIC, TLV_BOARD, &out->board, &out->board_length) !=
        protected_bytes) {
        return false;
    }
    const uint32_t sealed = end + protected_bytes;
    const uint8_t *digest;
    uint16_t digest_length;
    const uint32_t area = find_tlv(at + sealed, length - sealed, TLV_MAGIC, TLV_SHA256, &digest, &digest_length);
    if (area == 0 || digest_length != SHA256_BYTES) return false;
    out->major = at[20];
    out->minor = at[21];
    out->revision = u16_at(at + 22);
    sha256(at, sealed, out->hash);
    return same(digest, out->hash, SHA256_BYTES);
}

bool image_is_for_board(const image *of) {
    const char *board = hal_board();
    uint16_t length = 0;
    while (board[length] != '\0') length++;
    return of->board_length == length && same(of->board, (const uint8_t *)board, length);
}

unsigned images_active(void) {
    const uint8_t marks = hal_marks();
    return (marks & MARK_SLOT) ^ ((marks & MARK_TRYING) != 0 ? 1u : 0u);
}

bool images_confirmed(void) { return (hal_marks() & MARK_TRYING) == 0; }
bool images_pending(void) { return (hal_marks() & MARK_PENDING) != 0; }

void images_boot(void) {
    image candidate;
    if (hal_slot_bytes() == 0) return;
    const uint8_t slot = hal_marks() & MARK_SLOT;
    const bool due = images_pending() && image_read(hal_slot(slot ^ 1u), hal_slot_bytes(), &candidate) &&
                     image_is_for_board(&candidate);
    if (hal_marks() != slot) hal_set_marks(due ? slot | MARK_TRYING : slot);
}

uint32_t images_firmware(void) {
    if (hal_slot_bytes() < HEADER_BYTES) return NO_IMAGE_VERSION;
    const uint8_t *at = hal_slot(images_active());
    if (u32_at(at) != MAGIC) return NO_IMAGE_VERSION;
    return ((uint32_t)at[20] << 24) | ((uint32_t)at[21] << 16) | u16_at(at + 22);
}

void images_test(void) { hal_set_marks((hal_marks() & MARK_SLOT) | MARK_PENDING); }
void images_confirm(void) { hal_set_marks((uint8_t)images_active()); }
