/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checks for unit tests, which are plain C programs:
 *
 *     int main(void)
 *     {
 *         test_begin("parse");
 *         CHECK(parse_u64("12", &v) == 0);
 *         CHECK_EQ_U64(v, 12);
 *         return test_done();
 *     }
 *
 * A failed check is reported on stderr and the program goes on.  To be included by one source file
 * of a program only: the state is that file's.
 */
#ifndef GS_UNIT_TAP_H
#define GS_UNIT_TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test_state {
    const char *name;
    unsigned long checks;
    unsigned long failed;
};

static inline struct test_state *test_state(void)
{
    static struct test_state st = {"unnamed", 0, 0};
    return &st;
}

/* Names the test (stored); the first call of main(). */
static inline void test_begin(const char *name)
{
    test_state()->name = name;
}

/* Counts a check; after a failed one the caller says what was wrong. */
static inline bool test_check(bool ok, const char *file, int line)
{
    struct test_state *st = test_state();
    st->checks++;
    if (ok)
        return true;
    st->failed++;
    fprintf(stderr, "%s:%d: %s: ", file, line, st->name);
    return false;
}

static inline void test_u64(uint64_t a, uint64_t b, const char *what, const char *file, int line)
{
    if (!test_check(a == b, file, line))
        fprintf(stderr, "%s is %" PRIu64 ", not %" PRIu64 "\n", what, a, b);
}

static inline void test_str(const char *a, const char *b, const char *what, const char *file,
                            int line)
{
    if (!test_check(a && b && strcmp(a, b) == 0, file, line))
        fprintf(stderr, "%s is '%s', not '%s'\n", what, a ? a : "(null)", b ? b : "(null)");
}

/* COND holds. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!test_check((cond), __FILE__, __LINE__))                                               \
            fprintf(stderr, "not so: %s\n", #cond);                                                \
    } while (0)

/* Unsigned A equals B, the expected value. */
#define CHECK_EQ_U64(a, b) test_u64((a), (b), #a, __FILE__, __LINE__)

/* String A equals B, the expected text. */
#define CHECK_STR(a, b) test_str((a), (b), #a, __FILE__, __LINE__)

/* Prints the summary line and returns main()'s status. */
static inline int test_done(void)
{
    const struct test_state *st = test_state();
    if (st->failed) {
        printf("%s: %lu of %lu checks failed\n", st->name, st->failed, st->checks);
        return 1;
    }
    printf("%s: %lu checks passed\n", st->name, st->checks);
    return 0;
}

#endif
