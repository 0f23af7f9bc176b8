/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both sides of the NBD handshake on any bytes, cut anywhere.  Held to: no more is eaten than was
 * given, the cuts change neither what is said nor how it ends, and a request that passes the check
 * lies within the volume and is printed as it was read.
 *
 * The first byte chooses the side and seeds the cuts.
 */
#include <stdlib.h>

#include "common/nbd/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How a conversation went. */
struct talk {
    struct buf out;
    size_t eaten;
    int last;
    char text[256];
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* ---- the server, which has every volume whose name's length is even ---- */

static int answer(struct nbd_server *s, int step, struct buf *out)
{
    const struct nbd_export e = {1 << 20, NBD_TF_HAS_FLAGS, strlen(s->name) % 4 ? 1 : 512, 4096,
                                 NBD_PAYLOAD_MAX};
    if (step == NBD_SERVER_EXPORT) {
        require(strlen(s->name) <= NBD_NAME_MAX);
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

static int feed(struct nbd_server *s, struct nbd_client *c, const unsigned char *data, size_t len,
                size_t *used, struct buf *out)
{
    if (s)
        return serve(s, data, len, used, out);
    int r = nbd_client_input(c, data, len, used, out);
    require(*used <= len);
    return r;
}

/* Feeds DATA as it would come from a socket, in pieces that follow from CUTS (0: all at once). */
static void converse(struct talk *t, bool server, const unsigned char *data, size_t size,
                     unsigned cuts)
{
    struct nbd_server s = {0};
    struct nbd_client c;
    nbd_client_start(&c, "volume");
    require(nbd_server_start(&s, &t->out) == 0);
    for (size_t have = 0; t->last == 0 && have < size;) {
        size_t piece = cuts ? 1 + (cuts = cuts * 1103515245 + 12345) / 65536 % 32 : size;
        have = piece < size - have ? have + piece : size;
        for (size_t used = 1; t->last == 0 && used;) {
            /* A copy of its own, so that a sanitizer sees who reads behind its end. */
            size_t len = have - t->eaten;
            unsigned char *part = malloc(len ? len : 1);
            require(part != NULL);
            memcpy(part, data + t->eaten, len);
            t->last = feed(server ? &s : NULL, &c, part, len, &used, &t->out);
            t->eaten += used;
            free(part);
        }
    }
    require(server || memchr(c.error, 0, sizeof(c.error)));
    memcpy(t->text, c.error, sizeof(t->text));
}

static void compare_talks(bool server, const unsigned char *data, size_t size, unsigned cuts)
{
    struct talk whole = {0}, cut = {0};
    converse(&whole, server, data, size, 0);
    converse(&cut, server, data, size, cuts | 1);
    require(whole.last == cut.last && whole.out.len == cut.out.len);
    require(memcmp(whole.out.data, cut.out.data, whole.out.len) == 0);
    require(whole.last < 0 || whole.eaten == cut.eaten);
    require(strcmp(whole.text, cut.text) == 0);
    buf_release(&whole.out);
    buf_release(&cut.out);
}

/* ---- requests ---- */

static void check_request(const unsigned char *p)
{
    const uint64_t size = (1 << 20) - 100;
    const struct nbd_export e = {1 << 20, nbd_get16(p), 1 << (p[2] % 13), 4096, NBD_PAYLOAD_MAX};
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    compare_talks(data[0] & 1, data + 1, size - 1, data[0]);
    if (size >= 3 + NBD_REQUEST_LEN)
        check_request(data);
    return 0;
}
