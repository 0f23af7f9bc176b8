/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What reads of a volume may return, told by what was asked and answered so far.
 *
 * A volume is a row of units of UNIT_BYTES, behind a margin of some bytes that nobody writes.  A
 * write puts into each of its units a pattern made of volume, unit and the write's number, so that
 * what is read names the write that it comes from.  Per unit the model keeps every write whose data
 * may be there:
 *   flying     asked and not answered: may be there or not
 *   acked      answered with success: overrides all that had ended before it was asked
 *   doubtful   answered with an error, or never (its connection ended): may be there or not, or
 *              come later still, until a write that was asked after it had ended is answered.  So
 *              is a TRIM, as a write of zeros.
 * Two acked writes that overlapped in time may be in either order, but one read that shows one
 * of them settles it (I3, S4).  What a flying write has shown to one read, the next read does not
 * take back, unless the write ends in doubt.
 *
 * Time is a count of events, so that intervals are those that the asking side saw: they contain the
 * true ones, and no verdict depends on a clock.
 */
#ifndef SOAK_MODEL_H
#define SOAK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { UNIT_BYTES = 512 };

struct model;

/* A read under way: what it may return must not be forgotten.  Embedded in its owner. */
struct model_read {
    struct model_read *prev, *next;
    uint64_t asked;
};

/* A unit that is not as it may be. */
struct finding {
    uint64_t unit;   /* or UINT64_MAX: in the margins */
    uint64_t offset; /* in bytes, of the volume */
    char what[200];  /* what was read */
};

/*
 * The model of a volume of SIZE bytes, all zeros, whose units begin at byte MARGIN.  KEEP: remember
 * what a double failure may bring back (model_crash()).  NULL: out of memory.
 */
struct model *model_new(unsigned volume, uint64_t size, uint64_t margin, bool keep);
void model_free(struct model *m);

uint64_t model_units(const struct model *m);
/* The first byte of UNIT. */
uint64_t model_offset(const struct model *m, uint64_t unit);

/* The bytes that write OP (0: zeros) puts into N units from FIRST. */
void model_pattern(const struct model *m, uint64_t first, uint64_t n, uint64_t op, void *to);

/* Write OP, of zeros or of its pattern, is about to be asked for N units from FIRST. */
void model_asked(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool zeros);
/* It was answered with success; FUA: it is durable. */
void model_acked(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool fua);
/* It ended in doubt.  OVER: nobody executes it from now on, else model_over() will be called. */
void model_doubtful(struct model *m, uint64_t first, uint64_t n, uint64_t op, bool over);
void model_over(struct model *m, uint64_t first, uint64_t n, uint64_t op);

/* A flush that is about to be asked: what to hand to model_flushed() when it was answered. */
uint64_t model_flush_asked(struct model *m);
void model_flushed(struct model *m, uint64_t asked);

/*
 * What was acknowledged and not flushed is lost, all or in part: it is doubtful, and what it had
 * overridden may be there again.
 */
void model_crash(struct model *m);

/* A read, or a question for the block status, is about to be asked; it is over. */
void model_read_asked(struct model *m, struct model_read *r);
void model_read_over(struct model *m, struct model_read *r);

/* May R have returned these bytes?  False fills F.  What is seen narrows what may be seen later. */
bool model_check(struct model *m, const struct model_read *r, uint64_t offset, const void *data,
                 size_t len, struct finding *f);
/* May R have been told that these bytes read as zeros? */
bool model_check_zero(struct model *m, const struct model_read *r, uint64_t offset, uint64_t length,
                      struct finding *f);

/*
 * May a disk hold these bytes at this moment, below whatever caches there are?  What is durable is
 * there, or something newer.  Only with KEEP.
 */
bool model_check_disk(struct model *m, uint64_t offset, const void *data, size_t len,
                      struct finding *f);

/* Prints, for a finding, what UNIT may hold for R, a line each. */
void model_explain(const struct model *m, const struct model_read *r, uint64_t unit, FILE *to);

#endif
