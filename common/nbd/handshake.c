/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/handshake.h"

#include <errno.h>
#include <stdio.h>

enum { OPTION_HEADER = 16, REPLY_HEADER = 20, GREETING = 18 };

/* ---- server ---- */

int nbd_server_start(struct nbd_server *s, struct buf *out)
{
    unsigned char hello[GREETING];
    s->greeted = s->no_zeroes = s->wants_block_size = false;
    s->name[0] = 0;
    s->error = "";
    nbd_put64(hello, NBD_MAGIC);
    nbd_put64(hello + 8, NBD_OPTS_MAGIC);
    nbd_put16(hello + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    return buf_add(out, hello, sizeof(hello));
}

static int reply(struct nbd_server *s, uint32_t type, const void *data, size_t len, struct buf *out)
{
    unsigned char h[REPLY_HEADER];
    nbd_put64(h, NBD_REPLY_MAGIC);
    nbd_put32(h + 8, s->option);
    nbd_put32(h + 12, type);
    nbd_put32(h + 16, (uint32_t)len);
    if (buf_reserve(out, sizeof(h) + len) < 0)
        return -ENOMEM;
    buf_add(out, h, sizeof(h));
    return buf_add(out, data, len);
}

static int refuse_text(struct nbd_server *s, uint32_t error, const char *text, struct buf *out)
{
    return reply(s, error, text, strlen(text), out);
}

int nbd_server_refuse(struct nbd_server *s, uint32_t error, const char *text, struct buf *out)
{
    if (s->option == NBD_OPT_EXPORT_NAME)
        return NBD_SERVER_ABORT;
    return refuse_text(s, error, text, out) < 0 ? -ENOMEM : NBD_SERVER_MORE;
}

/* EXPORT_NAME has no reply header: size, flags and, unless waived, 124 zero bytes. */
static int answer_plain(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    unsigned char r[10 + 124] = {0};
    nbd_put64(r, e->size);
    nbd_put16(r + 8, e->flags);
    return buf_add(out, r, s->no_zeroes ? 10 : sizeof(r)) < 0 ? -ENOMEM : NBD_SERVER_DONE;
}

int nbd_server_answer(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    if (s->option == NBD_OPT_EXPORT_NAME)
        return answer_plain(s, e, out);
    /* A client that does not ask for block sizes may send any: it must not meet a gateway that
     * takes only some. */
    if (!s->wants_block_size && e->min_block > 1 && s->option == NBD_OPT_GO)
        return nbd_server_refuse(s, NBD_REP_ERR_BLOCK_SIZE_REQD,
                                 "this volume has a minimum block size", out);
    unsigned char info[14];
    nbd_put16(info, NBD_INFO_EXPORT);
    nbd_put64(info + 2, e->size);
    nbd_put16(info + 10, e->flags);
    if (reply(s, NBD_REP_INFO, info, 12, out) < 0)
        return -ENOMEM;
    nbd_put16(info, NBD_INFO_BLOCK_SIZE);
    nbd_put32(info + 2, e->min_block);
    nbd_put32(info + 6, e->pref_block);
    nbd_put32(info + 10, e->max_block);
    if (s->wants_block_size && reply(s, NBD_REP_INFO, info, 14, out) < 0)
        return -ENOMEM;
    if (reply(s, NBD_REP_ACK, NULL, 0, out) < 0)
        return -ENOMEM;
    return s->option == NBD_OPT_GO ? NBD_SERVER_DONE : NBD_SERVER_MORE;
}

int nbd_server_list(struct nbd_server *s, const char *name, struct buf *out)
{
    unsigned char entry[4 + NBD_NAME_MAX];
    if (!name)
        return reply(s, NBD_REP_ACK, NULL, 0, out);
    size_t n = strnlen(name, NBD_NAME_MAX);
    nbd_put32(entry, (uint32_t)n);
    memcpy(entry + 4, name, n);
    return reply(s, NBD_REP_SERVER, entry, 4 + n, out);
}

static int bad(struct nbd_server *s, const char *why)
{
    s->error = why;
    return -EPROTO;
}

/* The name must be text: a NUL inside would make it another one. */
static int take_name(struct nbd_server *s, const unsigned char *p, size_t n)
{
    if (n > NBD_NAME_MAX || memchr(p, 0, n))
        return -EINVAL;
    memcpy(s->name, p, n);
    s->name[n] = 0;
    return 0;
}

/* INFO and GO: name length, name, number of requests, requests. */
static int take_info(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    static const char malformed[] = "malformed option";
    if (n < 6)
        return refuse_text(s, NBD_REP_ERR_INVALID, malformed, out);
    size_t name = nbd_get32(p);
    if (name > n - 6)
        return refuse_text(s, NBD_REP_ERR_INVALID, malformed, out);
    size_t requests = nbd_get16(p + 4 + name);
    if (n != 6 + name + 2 * requests)
        return refuse_text(s, NBD_REP_ERR_INVALID, malformed, out);
    if (take_name(s, p + 4, name) < 0)
        return refuse_text(s, NBD_REP_ERR_INVALID, "export name is not text", out);
    s->wants_block_size = false;
    for (size_t i = 0; i < requests; i++)
        if (nbd_get16(p + 6 + name + 2 * i) == NBD_INFO_BLOCK_SIZE)
            s->wants_block_size = true;
    return NBD_SERVER_EXPORT;
}

static int take_option(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    switch (s->option) {
    case NBD_OPT_EXPORT_NAME:
        s->wants_block_size = true;
        if (take_name(s, p, n) < 0)
            return bad(s, "export name is not text");
        return NBD_SERVER_EXPORT;
    case NBD_OPT_ABORT:
        reply(s, NBD_REP_ACK, NULL, 0, out);
        return NBD_SERVER_ABORT;
    case NBD_OPT_LIST:
        if (n)
            return refuse_text(s, NBD_REP_ERR_INVALID, "LIST takes no data", out);
        return NBD_SERVER_LIST;
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return take_info(s, p, n, out);
    case NBD_OPT_STARTTLS:
        return refuse_text(s, NBD_REP_ERR_POLICY, "TLS is not offered here", out);
    default:
        return refuse_text(s, NBD_REP_ERR_UNSUP, "unknown option", out);
    }
}

static int take_flags(struct nbd_server *s, const unsigned char *data, size_t len, size_t *used)
{
    if (len < 4)
        return NBD_SERVER_MORE;
    uint32_t flags = nbd_get32(data);
    if (flags & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))
        return bad(s, "unknown client flags");
    if (!(flags & NBD_FLAG_FIXED_NEWSTYLE))
        return bad(s, "client does not speak fixed newstyle");
    s->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    s->greeted = true;
    *used = 4;
    return NBD_SERVER_MORE;
}

int nbd_server_input(struct nbd_server *s, const unsigned char *data, size_t len, size_t *used,
                     struct buf *out)
{
    *used = 0;
    if (!s->greeted) {
        int r = take_flags(s, data, len, used);
        if (r < 0 || !s->greeted)
            return r;
    }
    while (len - *used >= OPTION_HEADER) {
        const unsigned char *p = data + *used;
        if (nbd_get64(p) != NBD_OPTS_MAGIC)
            return bad(s, "wrong option magic");
        size_t n = nbd_get32(p + 12);
        if (n > NBD_OPTION_MAX)
            return bad(s, "option too long");
        if (len - *used < OPTION_HEADER + n)
            break;
        s->option = nbd_get32(p + 8);
        *used += OPTION_HEADER + n;
        int r = take_option(s, p + OPTION_HEADER, n, out);
        if (r != NBD_SERVER_MORE)
            return r;
    }
    return NBD_SERVER_MORE;
}

/* ---- client ---- */

enum { CLIENT_GREETING, CLIENT_REPLIES };

void nbd_client_start(struct nbd_client *c, const char *name)
{
    *c = (struct nbd_client){
        .name = name,
        .export = {.min_block = 1, .pref_block = NBD_PREFERRED_BLOCK, .max_block = NBD_PAYLOAD_MAX},
    };
}

static int client_fail(struct nbd_client *c, int err, const char *why)
{
    snprintf(c->error, sizeof(c->error), "%s", why);
    return err;
}

/* Our flags, then GO with the one information request that matters. */
static int client_greet(struct nbd_client *c, const unsigned char *p, struct buf *out)
{
    if (nbd_get64(p) != NBD_MAGIC)
        return client_fail(c, -EPROTO, "not an NBD server");
    if (nbd_get64(p + 8) != NBD_OPTS_MAGIC)
        return client_fail(c, -EPROTO, "an old-style NBD server");
    uint16_t theirs = nbd_get16(p + 16);
    if (!(theirs & NBD_FLAG_FIXED_NEWSTYLE))
        return client_fail(c, -EPROTO, "server does not speak fixed newstyle");
    size_t name = strlen(c->name);
    size_t len = 4 + name + 2 + 2;
    unsigned char h[4 + OPTION_HEADER + 4];
    nbd_put32(h, NBD_FLAG_FIXED_NEWSTYLE | (theirs & NBD_FLAG_NO_ZEROES));
    nbd_put64(h + 4, NBD_OPTS_MAGIC);
    nbd_put32(h + 12, NBD_OPT_GO);
    nbd_put32(h + 16, (uint32_t)len);
    nbd_put32(h + 20, (uint32_t)name);
    unsigned char tail[4];
    nbd_put16(tail, 1);
    nbd_put16(tail + 2, NBD_INFO_BLOCK_SIZE);
    if (buf_reserve(out, sizeof(h) + name + sizeof(tail)) < 0)
        return -ENOMEM;
    buf_add(out, h, sizeof(h));
    buf_add(out, c->name, name);
    buf_add(out, tail, sizeof(tail));
    c->state = CLIENT_REPLIES;
    return 0;
}

static bool power_of_two(uint32_t v)
{
    return v && !(v & (v - 1));
}

static int client_info(struct nbd_client *c, const unsigned char *p, size_t n)
{
    if (n < 2)
        return client_fail(c, -EPROTO, "malformed information reply");
    switch (nbd_get16(p)) {
    case NBD_INFO_EXPORT:
        if (n != 12)
            return client_fail(c, -EPROTO, "malformed export information");
        c->export.size = nbd_get64(p + 2);
        c->export.flags = nbd_get16(p + 10);
        c->got_export = true;
        if (c->export.size > INT64_MAX)
            return client_fail(c, -EPROTO, "export size is out of range");
        return 0;
    case NBD_INFO_BLOCK_SIZE:
        if (n != 14)
            return client_fail(c, -EPROTO, "malformed block-size information");
        c->export.min_block = nbd_get32(p + 2);
        c->export.pref_block = nbd_get32(p + 6);
        c->export.max_block = nbd_get32(p + 10);
        if (!power_of_two(c->export.min_block) || c->export.min_block > 64 << 10 ||
            !power_of_two(c->export.pref_block) || c->export.pref_block < c->export.min_block ||
            c->export.max_block < c->export.min_block)
            return client_fail(c, -EPROTO, "impossible block sizes");
        return 0;
    default:
        return 0;
    }
}

static int client_error(struct nbd_client *c, uint32_t type, const unsigned char *p, size_t n)
{
    const char *what = type == NBD_REP_ERR_UNKNOWN    ? "no such export"
                       : type == NBD_REP_ERR_POLICY   ? "refused by the server's policy"
                       : type == NBD_REP_ERR_TLS_REQD ? "the server wants TLS"
                       : type == NBD_REP_ERR_UNSUP    ? "the server does not know GO"
                                                      : "refused by the server";
    size_t k = 0;
    char text[128];
    for (; k < n && k < sizeof(text) - 1; k++)
        text[k] = (char)(p[k] >= 0x20 && p[k] < 0x7f ? p[k] : '?');
    text[k] = 0;
    snprintf(c->error, sizeof(c->error), "%s%s%s%s", what, k ? " (" : "", text, k ? ")" : "");
    return type == NBD_REP_ERR_UNKNOWN ? -ENOENT : type == NBD_REP_ERR_POLICY ? -EPERM : -EPROTO;
}

static int client_reply(struct nbd_client *c, const unsigned char *p, size_t n)
{
    uint32_t type = nbd_get32(p + 12);
    if (nbd_get64(p) != NBD_REPLY_MAGIC || nbd_get32(p + 8) != NBD_OPT_GO)
        return client_fail(c, -EPROTO, "malformed option reply");
    if (type & NBD_REP_ERR)
        return client_error(c, type, p + REPLY_HEADER, n);
    if (type == NBD_REP_INFO)
        return client_info(c, p + REPLY_HEADER, n);
    if (type != NBD_REP_ACK || !c->got_export)
        return client_fail(c, -EPROTO, "unexpected option reply");
    return NBD_CLIENT_DONE;
}

int nbd_client_input(struct nbd_client *c, const unsigned char *data, size_t len, size_t *used,
                     struct buf *out)
{
    *used = 0;
    if (c->state == CLIENT_GREETING) {
        if (len < GREETING)
            return NBD_CLIENT_MORE;
        int r = client_greet(c, data, out);
        if (r < 0)
            return r;
        *used = GREETING;
    }
    while (len - *used >= REPLY_HEADER) {
        const unsigned char *p = data + *used;
        size_t n = nbd_get32(p + 16);
        if (n > NBD_OPTION_MAX)
            return client_fail(c, -EPROTO, "option reply too long");
        if (len - *used < REPLY_HEADER + n)
            break;
        *used += REPLY_HEADER + n;
        int r = client_reply(c, p, n);
        if (r != 0)
            return r;
    }
    return NBD_CLIENT_MORE;
}

/* ---- transmission ---- */

int nbd_request_parse(const unsigned char *p, struct nbd_request *r)
{
    if (nbd_get32(p) != NBD_REQUEST_MAGIC)
        return -EPROTO;
    r->flags = nbd_get16(p + 4);
    r->type = nbd_get16(p + 6);
    r->cookie = nbd_get64(p + 8);
    r->offset = nbd_get64(p + 16);
    r->length = nbd_get32(p + 24);
    return 0;
}

void nbd_request_format(unsigned char *p, const struct nbd_request *r)
{
    nbd_put32(p, NBD_REQUEST_MAGIC);
    nbd_put16(p + 4, r->flags);
    nbd_put16(p + 6, r->type);
    nbd_put64(p + 8, r->cookie);
    nbd_put64(p + 16, r->offset);
    nbd_put32(p + 24, r->length);
}

/*
 * The command's own flags, and what the export must offer for it.  FUA is allowed on every command
 * where it was negotiated; false: an unknown command.
 */
static bool command_known(uint16_t type, uint16_t *flags, uint16_t *needs)
{
    *flags = NBD_CMD_FLAG_FUA;
    *needs = 0;
    switch (type) {
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
        return true;
    case NBD_CMD_FLUSH:
        *needs = NBD_TF_FLUSH;
        return true;
    case NBD_CMD_TRIM:
        *needs = NBD_TF_TRIM;
        return true;
    case NBD_CMD_CACHE:
        *needs = NBD_TF_CACHE;
        return true;
    case NBD_CMD_WRITE_ZEROES:
        *flags |= NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
        *needs = NBD_TF_WRITE_ZEROES;
        return true;
    default:
        return false;
    }
}

uint32_t nbd_request_check(const struct nbd_request *r, const struct nbd_export *e, uint64_t size)
{
    uint16_t flags, needs;
    if (!command_known(r->type, &flags, &needs) || (r->flags & ~flags) ||
        (needs && !(e->flags & needs)))
        return NBD_EINVAL;
    if (r->flags & NBD_CMD_FLAG_FUA && !(e->flags & NBD_TF_FUA))
        return NBD_EINVAL;
    if (r->flags & NBD_CMD_FLAG_FAST_ZERO && !(e->flags & NBD_TF_FAST_ZERO))
        return NBD_EINVAL;
    if (nbd_changes_data(r->type) && e->flags & NBD_TF_READ_ONLY)
        return NBD_EPERM;
    if (r->type == NBD_CMD_FLUSH)
        return r->offset || r->length ? NBD_EINVAL : 0;
    uint32_t mask = e->min_block - 1;
    if (r->offset > size || r->length > size - r->offset)
        return r->type == NBD_CMD_WRITE || r->type == NBD_CMD_WRITE_ZEROES ? NBD_ENOSPC
                                                                           : NBD_EINVAL;
    /* The tail of a volume that is no multiple of the block size may be asked for as it is. */
    if (r->offset & mask || (r->length & mask && r->offset + r->length != size))
        return NBD_EINVAL;
    if (r->type == NBD_CMD_READ && r->length > NBD_PAYLOAD_MAX)
        return NBD_EOVERFLOW;
    return 0;
}
