/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/handshake.h"

#include <errno.h>
#include <stdio.h>

enum { OPTION_HEADER = 16, REPLY_HEADER = 20, GREETING = 18 };

/* ---- server ---- */

int nbd_server_start(struct nbd_server *s, struct buf *out)
{
    unsigned char hello[GREETING];
    *s = (struct nbd_server){.error = ""};
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

/* Only who reads structured replies can ask for one that is not in pieces. */
static uint16_t client_flags(const struct nbd_server *s, const struct nbd_export *e)
{
    return (uint16_t)((e->flags & ~NBD_TF_DF) | (s->structured ? NBD_TF_DF : 0));
}

/* EXPORT_NAME has no reply header: size, flags and, unless waived, 124 zero bytes. */
static int answer_plain(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    unsigned char r[10 + 124] = {0};
    nbd_put64(r, e->size);
    nbd_put16(r + 8, client_flags(s, e));
    return buf_add(out, r, s->no_zeroes ? 10 : sizeof(r)) < 0 ? -ENOMEM : NBD_SERVER_DONE;
}

static int add_export(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    unsigned char info[12];
    nbd_put16(info, NBD_INFO_EXPORT);
    nbd_put64(info + 2, e->size);
    nbd_put16(info + 10, client_flags(s, e));
    return reply(s, NBD_REP_INFO, info, sizeof(info), out);
}

static int add_name(struct nbd_server *s, struct buf *out)
{
    unsigned char info[2 + NAME_LEN_MAX];
    size_t n = strlen(s->name);
    nbd_put16(info, NBD_INFO_NAME);
    memcpy(info + 2, s->name, n);
    return reply(s, NBD_REP_INFO, info, 2 + n, out);
}

static int add_block_sizes(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    unsigned char info[14];
    nbd_put16(info, NBD_INFO_BLOCK_SIZE);
    nbd_put32(info + 2, e->min_block);
    nbd_put32(info + 6, e->pref_block);
    nbd_put32(info + 10, e->max_block);
    return reply(s, NBD_REP_INFO, info, sizeof(info), out);
}

int nbd_server_answer(struct nbd_server *s, const struct nbd_export *e, struct buf *out)
{
    if (s->option == NBD_OPT_EXPORT_NAME)
        return answer_plain(s, e, out);
    /* A client that does not ask for block sizes may send any up to the usual most: it must not
     * meet a gateway that takes only some. */
    bool any_block = e->min_block <= 1 && e->max_block >= NBD_PAYLOAD_MAX;
    if (!s->wants_block_size && !any_block && s->option == NBD_OPT_GO)
        return nbd_server_refuse(s, NBD_REP_ERR_BLOCK_SIZE_REQD,
                                 "this volume does not take blocks of every size", out);
    if (add_export(s, e, out) < 0 || (s->wants_name && add_name(s, out) < 0) ||
        (s->wants_block_size && add_block_sizes(s, e, out) < 0) ||
        reply(s, NBD_REP_ACK, NULL, 0, out) < 0)
        return -ENOMEM;
    return s->option == NBD_OPT_GO ? NBD_SERVER_DONE : NBD_SERVER_MORE;
}

bool nbd_server_allocation(const struct nbd_server *s)
{
    struct hash128 name = hash128(s->name, strlen(s->name));
    return s->set_allocation && memcmp(&name, &s->set_name, sizeof(name)) == 0;
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

static int refuse_malformed(struct nbd_server *s, struct buf *out)
{
    return refuse_text(s, NBD_REP_ERR_INVALID, "malformed option", out);
}

/*
 * A name must be text: a NUL inside would make it another one.  0, -EINVAL, or -ENAMETOOLONG: a
 * good name, but none that a volume can have.
 */
static int check_name(const unsigned char *p, size_t n)
{
    if (n > NBD_NAME_MAX || memchr(p, 0, n))
        return -EINVAL;
    return n > NAME_LEN_MAX ? -ENAMETOOLONG : 0;
}

static int refuse_name(struct nbd_server *s, int err, struct buf *out)
{
    if (err == -EINVAL)
        return refuse_text(s, NBD_REP_ERR_INVALID, "export name is not text", out);
    return nbd_server_refuse(s, NBD_REP_ERR_UNKNOWN, "no such volume: not a volume's name", out);
}

static void take_name(struct nbd_server *s, const unsigned char *p, size_t n)
{
    memcpy(s->name, p, n);
    s->name[n] = 0;
}

static int take_export_name(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    int r = check_name(p, n);
    if (r == -EINVAL)
        return bad(s, "export name is not text");
    if (r < 0)
        return refuse_name(s, r, out);
    take_name(s, p, n);
    return NBD_SERVER_EXPORT;
}

/* INFO and GO: name length, name, number of requests, requests. */
static int take_info(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    if (n < 6)
        return refuse_malformed(s, out);
    size_t name = nbd_get32(p);
    if (name > n - 6)
        return refuse_malformed(s, out);
    size_t requests = nbd_get16(p + 4 + name);
    if (n != 6 + name + 2 * requests)
        return refuse_malformed(s, out);
    int r = check_name(p + 4, name);
    if (r < 0)
        return refuse_name(s, r, out);
    take_name(s, p + 4, name);
    s->wants_block_size = s->wants_name = false;
    for (size_t i = 0; i < requests; i++) {
        uint16_t wanted = nbd_get16(p + 6 + name + 2 * i);
        s->wants_block_size |= wanted == NBD_INFO_BLOCK_SIZE;
        s->wants_name |= wanted == NBD_INFO_NAME;
    }
    return NBD_SERVER_EXPORT;
}

static int take_structured(struct nbd_server *s, size_t n, struct buf *out)
{
    if (n)
        return refuse_text(s, NBD_REP_ERR_INVALID, "STRUCTURED_REPLY takes no data", out);
    s->structured = true;
    return reply(s, NBD_REP_ACK, NULL, 0, out);
}

/* Does the query of N bytes at P find base:allocation?  A list is also asked for all of "base:". */
static bool finds_allocation(bool list, const unsigned char *p, size_t n)
{
    static const char context[] = NBD_ALLOCATION, space[] = "base:";
    return (n == strlen(context) && memcmp(p, context, n) == 0) ||
           (list && n == strlen(space) && memcmp(p, space, n) == 0);
}

/*
 * The N bytes P of COUNT queries, each a length and a string: sets *FOUND where one finds
 * base:allocation, or where a list asks for everything.  0 or -EINVAL.
 */
static int take_queries(bool list, uint32_t count, const unsigned char *p, size_t n, bool *found)
{
    *found = list && count == 0;
    for (; count; count--) {
        if (n < 4)
            return -EINVAL;
        size_t query = nbd_get32(p);
        if (query > n - 4 || query > NBD_NAME_MAX)
            return -EINVAL;
        if (finds_allocation(list, p + 4, query))
            *found = true;
        p += 4 + query;
        n -= 4 + query;
    }
    return n ? -EINVAL : 0;
}

/* The id means nothing in a list. */
static int add_allocation(struct nbd_server *s, uint32_t id, struct buf *out)
{
    unsigned char context[4 + sizeof(NBD_ALLOCATION) - 1];
    nbd_put32(context, id);
    memcpy(context + 4, NBD_ALLOCATION, sizeof(context) - 4);
    return reply(s, NBD_REP_META_CONTEXT, context, sizeof(context), out);
}

/*
 * LIST_ and SET_META_CONTEXT: name length, name, number of queries, queries.  A SET replaces what
 * an earlier one selected, also where it is refused.
 */
static int take_contexts(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    bool list = s->option == NBD_OPT_LIST_META_CONTEXT, found;
    if (!list)
        s->set_allocation = false;
    if (!s->structured)
        return refuse_text(s, NBD_REP_ERR_INVALID, "structured replies come first", out);
    if (n < 8)
        return refuse_malformed(s, out);
    size_t name = nbd_get32(p);
    if (name > n - 8)
        return refuse_malformed(s, out);
    uint32_t queries = nbd_get32(p + 4 + name);
    if (take_queries(list, queries, p + 8 + name, n - 8 - name, &found) < 0)
        return refuse_malformed(s, out);
    int r = check_name(p + 4, name);
    if (r < 0)
        return refuse_name(s, r, out);
    if (found && add_allocation(s, list ? 0 : NBD_ALLOCATION_ID, out) < 0)
        return -ENOMEM;
    if (!list) {
        s->set_allocation = found;
        s->set_name = hash128(p + 4, name);
    }
    return reply(s, NBD_REP_ACK, NULL, 0, out);
}

static int refuse_unknown(struct nbd_server *s, struct buf *out)
{
    return refuse_text(s, NBD_REP_ERR_UNSUP, "unknown option", out);
}

static int take_option(struct nbd_server *s, const unsigned char *p, size_t n, struct buf *out)
{
    switch (s->option) {
    case NBD_OPT_EXPORT_NAME:
        return take_export_name(s, p, n, out);
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
    case NBD_OPT_STRUCTURED_REPLY:
        return s->offer_structured ? take_structured(s, n, out) : refuse_unknown(s, out);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return s->offer_structured ? take_contexts(s, p, n, out) : refuse_unknown(s, out);
    case NBD_OPT_STARTTLS:
        return refuse_text(s, NBD_REP_ERR_POLICY, "TLS is not offered here", out);
    default:
        return refuse_unknown(s, out);
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

/* Sends OPTION with the data that all of ours begin with: the export's name; then N bytes TAIL. */
static int ask_about_export(struct nbd_client *c, uint32_t option, const void *tail, size_t n,
                            struct buf *out)
{
    unsigned char h[OPTION_HEADER + 4];
    size_t name = strlen(c->name);
    nbd_put64(h, NBD_OPTS_MAGIC);
    nbd_put32(h + 8, option);
    nbd_put32(h + 12, (uint32_t)(4 + name + n));
    nbd_put32(h + 16, (uint32_t)name);
    if (buf_reserve(out, sizeof(h) + name + n) < 0)
        return -ENOMEM;
    buf_add(out, h, sizeof(h));
    buf_add(out, c->name, name);
    buf_add(out, tail, n);
    c->option = option;
    return 0;
}

/* GO with the one information request that matters. */
static int ask_go(struct nbd_client *c, struct buf *out)
{
    unsigned char tail[4];
    nbd_put16(tail, 1);
    nbd_put16(tail + 2, NBD_INFO_BLOCK_SIZE);
    return ask_about_export(c, NBD_OPT_GO, tail, sizeof(tail), out);
}

static int ask_allocation(struct nbd_client *c, struct buf *out)
{
    static const char query[] = NBD_ALLOCATION;
    unsigned char tail[8 + sizeof(query) - 1];
    nbd_put32(tail, 1);
    nbd_put32(tail + 4, sizeof(query) - 1);
    memcpy(tail + 8, query, sizeof(query) - 1);
    return ask_about_export(c, NBD_OPT_SET_META_CONTEXT, tail, sizeof(tail), out);
}

static int ask_structured(struct nbd_client *c, struct buf *out)
{
    unsigned char h[OPTION_HEADER] = {0};
    nbd_put64(h, NBD_OPTS_MAGIC);
    nbd_put32(h + 8, NBD_OPT_STRUCTURED_REPLY);
    c->option = NBD_OPT_STRUCTURED_REPLY;
    return buf_add(out, h, sizeof(h));
}

/* Our flags and the first option. */
static int client_greet(struct nbd_client *c, const unsigned char *p, struct buf *out)
{
    if (nbd_get64(p) != NBD_MAGIC)
        return client_fail(c, -EPROTO, "not an NBD server");
    if (nbd_get64(p + 8) != NBD_OPTS_MAGIC)
        return client_fail(c, -EPROTO, "an old-style NBD server");
    uint16_t theirs = nbd_get16(p + 16);
    if (!(theirs & NBD_FLAG_FIXED_NEWSTYLE))
        return client_fail(c, -EPROTO, "server does not speak fixed newstyle");
    unsigned char flags[4];
    nbd_put32(flags, NBD_FLAG_FIXED_NEWSTYLE | (theirs & NBD_FLAG_NO_ZEROES));
    if (buf_add(out, flags, sizeof(flags)) < 0)
        return -ENOMEM;
    return c->want_structured ? ask_structured(c, out) : ask_go(c, out);
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

static int unexpected(struct nbd_client *c)
{
    return client_fail(c, -EPROTO, "unexpected option reply");
}

/* The answers of N bytes P, of some TYPE, to each of our options. */

static int go_reply(struct nbd_client *c, uint32_t type, const unsigned char *p, size_t n)
{
    if (type & NBD_REP_ERR)
        return client_error(c, type, p, n);
    if (type == NBD_REP_INFO)
        return client_info(c, p, n);
    return type == NBD_REP_ACK && c->got_export ? NBD_CLIENT_DONE : unexpected(c);
}

/* A server that refuses is one without; where it refuses more than that, so it does with GO. */
static int structured_reply(struct nbd_client *c, uint32_t type, size_t n, struct buf *out)
{
    if (type & NBD_REP_ERR)
        return ask_go(c, out);
    if (type != NBD_REP_ACK || n)
        return unexpected(c);
    c->export.structured = true;
    return ask_allocation(c, out);
}

/* We asked for one context by its full name: there cannot be two. */
static int take_context(struct nbd_client *c, const unsigned char *p, size_t n)
{
    static const char name[] = NBD_ALLOCATION;
    if (n < 4 || n > 4 + NBD_NAME_MAX)
        return client_fail(c, -EPROTO, "malformed metadata context");
    if (c->got_context)
        return client_fail(c, -EPROTO, "more metadata contexts than were asked for");
    c->got_context = true;
    c->export.allocation = n == 4 + strlen(name) && memcmp(p + 4, name, n - 4) == 0;
    if (c->export.allocation)
        c->export.allocation_id = nbd_get32(p);
    return NBD_CLIENT_MORE;
}

static int context_reply(struct nbd_client *c, uint32_t type, const unsigned char *p, size_t n,
                         struct buf *out)
{
    if (type == NBD_REP_META_CONTEXT)
        return take_context(c, p, n);
    if (type & NBD_REP_ERR) {
        c->export.allocation = false;
        c->export.allocation_id = 0;
        return ask_go(c, out);
    }
    return type == NBD_REP_ACK && !n ? ask_go(c, out) : unexpected(c);
}

static int client_reply(struct nbd_client *c, const unsigned char *p, size_t n, struct buf *out)
{
    uint32_t type = nbd_get32(p + 12);
    const unsigned char *data = p + REPLY_HEADER;
    if (nbd_get64(p) != NBD_REPLY_MAGIC || nbd_get32(p + 8) != c->option)
        return client_fail(c, -EPROTO, "malformed option reply");
    switch (c->option) {
    case NBD_OPT_STRUCTURED_REPLY:
        return structured_reply(c, type, n, out);
    case NBD_OPT_SET_META_CONTEXT:
        return context_reply(c, type, data, n, out);
    default:
        return go_reply(c, type, data, n);
    }
}

int nbd_client_input(struct nbd_client *c, const unsigned char *data, size_t len, size_t *used,
                     struct buf *out)
{
    *used = 0;
    if (!c->option) {
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
        int r = client_reply(c, p, n, out);
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

int nbd_chunk_parse(const unsigned char *p, struct nbd_chunk *c)
{
    if (nbd_get32(p) != NBD_CHUNK_MAGIC)
        return -EPROTO;
    c->flags = nbd_get16(p + 4);
    c->type = nbd_get16(p + 6);
    c->cookie = nbd_get64(p + 8);
    c->length = nbd_get32(p + 16);
    return 0;
}

void nbd_chunk_format(unsigned char *p, const struct nbd_chunk *c)
{
    nbd_put32(p, NBD_CHUNK_MAGIC);
    nbd_put16(p + 4, c->flags);
    nbd_put16(p + 6, c->type);
    nbd_put64(p + 8, c->cookie);
    nbd_put32(p + 16, c->length);
}

/*
 * The command's own flags, and what the export must offer for it.  FUA is allowed on every command
 * where it was negotiated; false: a command that is unknown, or was not negotiated.
 */
static bool command_known(uint16_t type, const struct nbd_export *e, uint16_t *flags,
                          uint16_t *needs)
{
    *flags = NBD_CMD_FLAG_FUA;
    *needs = 0;
    switch (type) {
    case NBD_CMD_READ:
        if (e->structured)
            *flags |= NBD_CMD_FLAG_DF;
        return true;
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
    case NBD_CMD_BLOCK_STATUS:
        *flags |= NBD_CMD_FLAG_REQ_ONE;
        return e->structured && e->allocation;
    default:
        return false;
    }
}

/* Is there too much of it, or too little? */
static uint32_t check_length(const struct nbd_request *r, const struct nbd_export *e)
{
    switch (r->type) {
    case NBD_CMD_READ:
        if (r->length > NBD_PAYLOAD_MAX)
            return NBD_EOVERFLOW;
        return r->length > e->max_block ? NBD_EINVAL : 0;
    case NBD_CMD_WRITE:
        return r->length > e->max_block ? NBD_EINVAL : 0;
    case NBD_CMD_BLOCK_STATUS:
        return r->length ? 0 : NBD_EINVAL;
    default:
        return 0;
    }
}

uint32_t nbd_request_check(const struct nbd_request *r, const struct nbd_export *e, uint64_t size)
{
    uint16_t flags, needs;
    if (!command_known(r->type, e, &flags, &needs) || (r->flags & ~flags) ||
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
    return check_length(r, e);
}
