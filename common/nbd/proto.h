/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NBD on the wire: numbers and structures of the protocol
 * (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md).  All integers are
 * big-endian there; the helpers below read and write them at any alignment.
 */
#ifndef GS_NBD_PROTO_H
#define GS_NBD_PROTO_H

#include <stdint.h>
#include <string.h>

#define NBD_MAGIC         UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC    UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REPLY_MAGIC   UINT64_C(0x0003e889045565a9) /* of an option reply */
#define NBD_REQUEST_MAGIC UINT32_C(0x25609513)
#define NBD_SIMPLE_MAGIC  UINT32_C(0x67446698)
#define NBD_CHUNK_MAGIC   UINT32_C(0x668e33ef) /* of a structured reply */

/* Handshake flags. */
enum { NBD_FLAG_FIXED_NEWSTYLE = 1, NBD_FLAG_NO_ZEROES = 2 };

/* Options. */
enum {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
};

/* Option replies. */
#define NBD_REP_ACK                 UINT32_C(1)
#define NBD_REP_SERVER              UINT32_C(2)
#define NBD_REP_INFO                UINT32_C(3)
#define NBD_REP_META_CONTEXT        UINT32_C(4)
#define NBD_REP_ERR                 UINT32_C(0x80000000)
#define NBD_REP_ERR_UNSUP           (NBD_REP_ERR | 1)
#define NBD_REP_ERR_POLICY          (NBD_REP_ERR | 2)
#define NBD_REP_ERR_INVALID         (NBD_REP_ERR | 3)
#define NBD_REP_ERR_PLATFORM        (NBD_REP_ERR | 4)
#define NBD_REP_ERR_TLS_REQD        (NBD_REP_ERR | 5)
#define NBD_REP_ERR_UNKNOWN         (NBD_REP_ERR | 6)
#define NBD_REP_ERR_SHUTDOWN        (NBD_REP_ERR | 7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD (NBD_REP_ERR | 8)
#define NBD_REP_ERR_TOO_BIG         (NBD_REP_ERR | 9)

/* Information of INFO and GO. */
enum { NBD_INFO_EXPORT = 0, NBD_INFO_NAME = 1, NBD_INFO_DESCRIPTION = 2, NBD_INFO_BLOCK_SIZE = 3 };

/* Transmission flags. */
enum {
    NBD_TF_HAS_FLAGS = 1 << 0,
    NBD_TF_READ_ONLY = 1 << 1,
    NBD_TF_FLUSH = 1 << 2,
    NBD_TF_FUA = 1 << 3,
    NBD_TF_ROTATIONAL = 1 << 4,
    NBD_TF_TRIM = 1 << 5,
    NBD_TF_WRITE_ZEROES = 1 << 6,
    NBD_TF_DF = 1 << 7,
    NBD_TF_MULTI_CONN = 1 << 8,
    NBD_TF_RESIZE = 1 << 9,
    NBD_TF_CACHE = 1 << 10,
    NBD_TF_FAST_ZERO = 1 << 11,
};

/* Commands and their flags. */
enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};
enum {
    NBD_CMD_FLAG_FUA = 1,
    NBD_CMD_FLAG_NO_HOLE = 2,
    NBD_CMD_FLAG_DF = 4,
    NBD_CMD_FLAG_REQ_ONE = 8,
    NBD_CMD_FLAG_FAST_ZERO = 16,
};

/* Structured replies: flags and types of chunks. */
enum { NBD_CHUNK_DONE = 1 };
enum { NBD_CHUNK_IS_ERROR = 1 << 15 }; /* a bit of the type */
enum {
    NBD_CHUNK_NONE = 0,
    NBD_CHUNK_OFFSET_DATA = 1,
    NBD_CHUNK_OFFSET_HOLE = 2,
    NBD_CHUNK_BLOCK_STATUS = 5,
    NBD_CHUNK_ERROR = 32769,
    NBD_CHUNK_ERROR_OFFSET = 32770,
};

/* The metadata context of BLOCK_STATUS, and its flags. */
#define NBD_ALLOCATION "base:allocation"
enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 };

/* Errors of replies; equal to Linux's numbers but for the name. */
enum {
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108,
};

enum {
    NBD_REQUEST_LEN = 28,        /* magic, flags, type, cookie, offset, length */
    NBD_SIMPLE_LEN = 16,         /* magic, error, cookie */
    NBD_CHUNK_LEN = 20,          /* magic, flags, type, cookie, length */
    NBD_NAME_MAX = 4096,         /* bytes of an export name */
    NBD_PAYLOAD_MAX = 32u << 20, /* of a READ or WRITE, where nothing else was negotiated */
    NBD_PREFERRED_BLOCK = 4096,  /* where the server names none */
};

static inline uint16_t nbd_get16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static inline uint32_t nbd_get32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t nbd_get64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline void nbd_put16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void nbd_put32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void nbd_put64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the helpers above swap bytes: little-endian machines only"
#endif

#endif
