/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The NBD fixed newstyle handshake, both sides, as state machines over bytes: no sockets, no
 * blocking.  (proto.md: "Handshake phase", "Option types", "Option reply types".)
 */
#ifndef GS_NBD_HANDSHAKE_H
#define GS_NBD_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/hash.h"
#include "common/base/parse.h"
#include "common/nbd/proto.h"

/* What an export is, as one side tells the other. */
struct nbd_export {
    uint64_t size;
    uint16_t flags;         /* NBD_TF_… */
    uint32_t min_block;     /* 1 where the server names none */
    uint32_t pref_block;    /* NBD_PREFERRED_BLOCK … */
    uint32_t max_block;     /* NBD_PAYLOAD_MAX …, up to UINT32_MAX */
    bool structured;        /* READs are answered in structured replies */
    bool allocation;        /* BLOCK_STATUS tells of base:allocation … */
    uint32_t allocation_id; /* … under this id, which is the server's choice */
};

/* ---- the server's side ---- */

/* A longer option is refused and the connection closed: nothing known needs so much. */
enum { NBD_OPTION_MAX = 64 << 10 };

/* The id under which our clients get base:allocation. */
enum { NBD_ALLOCATION_ID = 1 };

enum nbd_server_step {
    NBD_SERVER_MORE,   /* all input eaten, more is needed */
    NBD_SERVER_EXPORT, /* the client asks for .name: _answer() or _refuse(), then feed on */
    NBD_SERVER_LIST,   /* the client asks for the exports: _list() */
    NBD_SERVER_DONE,   /* the transmission phase begins with the next byte */
    NBD_SERVER_ABORT,  /* the client said good-bye; send what is in OUT and close */
};

struct nbd_server {
    uint32_t option;       /* being answered */
    bool offer_structured; /* the caller's, after the start: false, and such options are unknown */
    bool greeted;          /* client flags read */
    bool no_zeroes;
    bool structured;             /* structured replies are negotiated */
    bool wants_block_size;       /* this option asks for block sizes … */
    bool wants_name;             /* … and for the name */
    bool set_allocation;         /* base:allocation is selected … */
    struct hash128 set_name;     /* … for the export whose name has this digest */
    char name[NAME_LEN_MAX + 1]; /* the export asked for; may be empty */
    const char *error;           /* after a negative step: the reason, a constant */
};

/* Starts: puts the greeting into OUT.  0 or -ENOMEM. */
int nbd_server_start(struct nbd_server *s, struct buf *out);

/*
 * Reads one step's worth of the LEN bytes DATA; *USED tells how many are eaten.  Replies are
 * appended to OUT.  Returns a step, or -EPROTO (s->error says why; close after sending OUT), or
 * -ENOMEM.
 */
int nbd_server_input(struct nbd_server *s, const unsigned char *data, size_t len, size_t *used,
                     struct buf *out);

/*
 * Answers NBD_SERVER_EXPORT.  _answer returns NBD_SERVER_DONE (transmission begins) or
 * NBD_SERVER_MORE (it was INFO, or a GO without a question for the block sizes that E has and that
 * are not everybody's).  Whether the client gets NBD_TF_DF follows from what it negotiated, not
 * from E.  _refuse returns NBD_SERVER_MORE, or NBD_SERVER_ABORT where the
 * protocol has no way to say no (EXPORT_NAME).  TEXT is for people.  Or -ENOMEM.
 */
int nbd_server_answer(struct nbd_server *s, const struct nbd_export *e, struct buf *out);
int nbd_server_refuse(struct nbd_server *s, uint32_t error, const char *text, struct buf *out);

/*
 * At NBD_SERVER_EXPORT and NBD_SERVER_DONE: has the client selected base:allocation (under
 * NBD_ALLOCATION_ID) for just the export that it opens?
 */
bool nbd_server_allocation(const struct nbd_server *s);

/* Answers NBD_SERVER_LIST: one call for each name, then with NULL.  0 or -ENOMEM. */
int nbd_server_list(struct nbd_server *s, const char *name, struct buf *out);

/* ---- the client's side: asks for one export with GO ---- */

enum nbd_client_step { NBD_CLIENT_MORE, NBD_CLIENT_DONE };

struct nbd_client {
    const char *name;         /* borrowed */
    uint32_t option;          /* the one that was asked last; 0: not greeted yet */
    bool want_structured;     /* the caller's, after the start: ask for structured replies and
                                base:allocation, but go on without what the server refuses */
    bool got_context;         /* the server has named a metadata context */
    bool got_export;          /* … and the export's size and flags */
    struct nbd_export export; /* valid at NBD_CLIENT_DONE */
    char error[256];          /* after a negative step */
};

void nbd_client_start(struct nbd_client *c, const char *name);

/*
 * As nbd_server_input().  -ENOENT: the server does not have the export; -EPERM: its policy refuses;
 * -EPROTO: not NBD, or nothing this side speaks; c->error says it in words.
 */
int nbd_client_input(struct nbd_client *c, const unsigned char *data, size_t len, size_t *used,
                     struct buf *out);

/* ---- transmission ---- */

struct nbd_request {
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    uint32_t length;
};

/* Parses NBD_REQUEST_LEN bytes: 0, or -EPROTO (wrong magic). */
int nbd_request_parse(const unsigned char *p, struct nbd_request *r);
void nbd_request_format(unsigned char *p, const struct nbd_request *r);

/* The header of a chunk of a structured reply; LENGTH bytes follow it. */
struct nbd_chunk {
    uint16_t flags; /* NBD_CHUNK_DONE */
    uint16_t type;
    uint64_t cookie;
    uint32_t length;
};

/* Parses NBD_CHUNK_LEN bytes: 0, or -EPROTO (wrong magic).  What LENGTH may be is not looked at. */
int nbd_chunk_parse(const unsigned char *p, struct nbd_chunk *c);
void nbd_chunk_format(unsigned char *p, const struct nbd_chunk *c);

/*
 * May R be sent to export E, seen as a volume of SIZE bytes?  0 or the protocol's error to answer
 * with (NBD_EINVAL, NBD_EPERM, NBD_ENOSPC, NBD_EOVERFLOW).  E says in .structured and .allocation
 * what was negotiated with whoever sent R.
 */
uint32_t nbd_request_check(const struct nbd_request *r, const struct nbd_export *e, uint64_t size);

/* Is it a command that changes data? */
static inline bool nbd_changes_data(uint16_t type)
{
    return type == NBD_CMD_WRITE || type == NBD_CMD_TRIM || type == NBD_CMD_WRITE_ZEROES;
}

#endif
