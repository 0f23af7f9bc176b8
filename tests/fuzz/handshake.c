/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both sides of the NBD handshake on any bytes, cut anywhere.  Held to: no more is eaten than was
 * given, the cuts change neither what is said nor how it ends, and a request that passes the check
 * lies within the volume, was negotiated, and is printed as it was read, as is a chunk's header.
 *
 * The first byte chooses the side (bit 0) and whether structured replies are offered or wanted (bit
 * 1), and seeds the cuts.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/nbd/handshake.h"
#include "fuzz.h"

/* How a conversation went. */
struct talk {
    struct buf out;
    size_t eaten;
    int last;
    char text[256];
    bool structured, allocation;
    uint32_t id;
};

/* ---- the server, which has every volume whose name's length is even ---- */

static int answer(struct nbd_server *s, int step, struct buf *out)
{
    const struct nbd_export e = {.size = 1 << 20,
                                 .flags = NBD_TF_HAS_FLAGS,
                                 .min_block = strlen(s->name) % 4 ? 1 : 512,
                                 .pref_block = 4096,
                                 .max_block = NBD_PAYLOAD_MAX};
    if (step == NBD_SERVER_EXPORT) {
        require(strlen(s->name) <= NAME_LEN_MAX);
        return strlen(s->name) % 2 ? nbd_server_refuse(s, NBD_REP_ERR_UNKNOWN, "no", out)
                                   : nbd_server_answer(s, &e, out);
    }
    if (step != NBD_SERVER_LIST)
        return step;
    require(nbd_server_list(s, "v", out) == 0 && nbd_server_list(s, NULL, out) == 0);
    return NBD_SERVER_MORE;
}

static int serve(struct nbd_server *s, const unsigned char *data, size_t len, size_t *used,
                 struct buf *out)
{
    int step = nbd_server_input(s, data, len, used, out);
    require(*used <= len && (step != NBD_SERVER_MORE || len - *used < 16 + NBD_OPTION_MAX));
    return answer(s, step, out);
}

/* ---- a conversation ---- */

struct side {
    bool server;
    struct nbd_server s;
    struct nbd_client c;
};

static void start(struct side *p, bool server, bool structured, struct buf *out)
{
    *p = (struct side){.server = server};
    require(nbd_server_start(&p->s, out) == 0);
    nbd_client_start(&p->c, "volume");
    p->s.offer_structured = p->c.want_structured = structured;
}

static int feed(struct side *p, const unsigned char *data, size_t len, size_t *used,
                struct buf *out)
{
    if (p->server)
        return serve(&p->s, data, len, used, out);
    int r = nbd_client_input(&p->c, data, len, used, out);
    require(*used <= len);
    return r;
}

static void note_end(struct talk *t, const struct side *p, bool structured)
{
    const struct nbd_export *e = &p->c.export;
    t->structured = p->server ? p->s.structured : e->structured;
    t->allocation = p->server ? nbd_server_allocation(&p->s) : e->allocation;
    t->id = e->allocation_id;
    require(structured || !t->structured);
    require(t->structured || !t->allocation);
    require(e->allocation || !e->allocation_id);
    require(p->server || memchr(p->c.error, 0, sizeof(p->c.error)));
    memcpy(t->text, p->c.error, sizeof(t->text));
}

/* Feeds DATA as it would come from a socket, in pieces that follow from CUTS (0: all at once). */
static void converse(struct talk *t, unsigned how, const unsigned char *data, size_t size,
                     unsigned cuts)
{
    struct side p;
    start(&p, how & 1, how & 2, &t->out);
    for (size_t have = 0; t->last == 0 && have < size;) {
        size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 32 : size;
        have = piece < size - have ? have + piece : size;
        for (size_t used = 1; t->last == 0 && used;) {
            /* A copy of its own, so that a sanitizer sees who reads behind its end. */
            size_t len = have - t->eaten;
            unsigned char *part = malloc(len ? len : 1);
            require(part != NULL);
            memcpy(part, data + t->eaten, len);
            t->last = feed(&p, part, len, &used, &t->out);
            t->eaten += used;
            free(part);
        }
    }
    note_end(t, &p, how & 2);
}

static void compare_talks(unsigned how, const unsigned char *data, size_t size, unsigned cuts)
{
    struct talk whole = {0}, cut = {0};
    converse(&whole, how, data, size, 0);
    converse(&cut, how, data, size, cuts | 1);
    require(whole.last == cut.last && whole.out.len == cut.out.len);
    require(memcmp(whole.out.data, cut.out.data, whole.out.len) == 0);
    require(whole.last < 0 || whole.eaten == cut.eaten);
    require(strcmp(whole.text, cut.text) == 0);
    require(whole.structured == cut.structured && whole.allocation == cut.allocation);
    require(whole.id == cut.id);
    buf_release(&whole.out);
    buf_release(&cut.out);
}

/* ---- requests ---- */

static void check_request(const unsigned char *p)
{
    const uint64_t size = (1 << 20) - 100;
    const struct nbd_export e = {.size = 1 << 20,
                                 .flags = nbd_get16(p),
                                 .min_block = 1 << (p[2] % 13),
                                 .pref_block = 4096,
                                 .max_block = p[2] & 16 ? UINT32_MAX : 1 << 16,
                                 .structured = p[2] & 32,
                                 .allocation = p[2] & 64};
    struct nbd_request r, back;
    unsigned char wire[NBD_REQUEST_LEN];
    memcpy(wire, p + 3, sizeof(wire));
    nbd_put32(wire, NBD_REQUEST_MAGIC);
    require(nbd_request_parse(wire, &r) == 0);
    unsigned char again[NBD_REQUEST_LEN];
    nbd_request_format(again, &r);
    require(memcmp(wire, again, sizeof(wire)) == 0 && nbd_request_parse(again, &back) == 0);
    if (nbd_request_check(&r, &e, size))
        return;
    require(r.offset <= size && r.length <= size - r.offset);
    require(r.offset % e.min_block == 0);
    require(!nbd_changes_data(r.type) || !(e.flags & NBD_TF_READ_ONLY));
    require(r.type != NBD_CMD_BLOCK_STATUS || (e.structured && e.allocation && r.length));
    require(!(r.flags & NBD_CMD_FLAG_DF) || (e.structured && r.type == NBD_CMD_READ));
    require((r.type != NBD_CMD_READ && r.type != NBD_CMD_WRITE) || r.length <= e.max_block);
}

/* ---- chunks ---- */

static void check_chunk(const unsigned char *p)
{
    struct nbd_chunk c;
    unsigned char wire[NBD_CHUNK_LEN], again[NBD_CHUNK_LEN];
    memcpy(wire, p, sizeof(wire));
    require(nbd_chunk_parse(wire, &c) == (nbd_get32(wire) == NBD_CHUNK_MAGIC ? 0 : -EPROTO));
    nbd_put32(wire, NBD_CHUNK_MAGIC);
    require(nbd_chunk_parse(wire, &c) == 0);
    nbd_chunk_format(again, &c);
    require(memcmp(wire, again, sizeof(wire)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    compare_talks(data[0] & 3, data + 1, size - 1, data[0]);
    if (size >= 3 + NBD_REQUEST_LEN)
        check_request(data);
    if (size >= NBD_CHUNK_LEN)
        check_chunk(data);
    return 0;
}
