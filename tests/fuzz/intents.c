/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file of intents of any bytes.  Held to: what is reported is a list of runs within the volume,
 * in order and apart; it is reported again until it is laid; then nothing is.
 *
 * The first bytes say which volume, how much of a good file stands before the rest, and whether it
 * is cut there, so that the fuzzer comes past the header's checksum.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/route-director/intents.h"
#include "common/base/fsfile.h"
#include "folder.h"
#include "fuzz.h"

struct seen {
    uint64_t size, end, sum;
    unsigned n;
};

static void see(void *arg, uint64_t offset, uint64_t length)
{
    struct seen *s = arg;
    require(length > 0 && offset < s->size && length <= s->size - offset);
    require(s->n ? offset > s->end : true);
    s->end = offset + length;
    s->sum = s->sum * 31 + offset * 7 + length;
    s->n++;
}

static struct intents *open_it(const char *path, uint64_t size, struct seen *seen)
{
    struct intents *t;
    struct intents_setup s = {.path = path, .size = size, .left = see, .arg = seen};
    memset(&s.host.boot, 'A', sizeof(s.host.boot));
    *seen = (struct seen){.size = size};
    require(intents_open(&s, &t) == 0);
    return t;
}

/* All of it marked. */
static void make_good_file(const char *path, uint64_t size)
{
    struct seen seen;
    struct intents *t = open_it(path, size, &seen);
    require(seen.n == 0);
    intents_begin(t, 0, size);
    intents_close(t);
}

static void put(const char *path, const uint8_t *data, size_t size, off_t at, bool cut)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    require(fd >= 0 && pwrite(fd, data, size, at) == (ssize_t)size);
    require(!cut || ftruncate(fd, at + (off_t)size) == 0);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CHOICE = 3, SIZES = 5, GOOD = 128 };
    static const uint64_t sizes[SIZES] = {1, 5 << 20, (33 << 20) + 7, 1u << 30, 0};
    char path[64];
    struct seen first, again;
    if (size < CHOICE)
        return 0;
    uint64_t volume = sizes[data[0] % SIZES];
    snprintf(path, sizeof(path), "%s/v", folder());
    if (data[1] < GOOD)
        make_good_file(path, volume);
    put(path, data + CHOICE, size - CHOICE, data[1] % GOOD, data[2] & 1);
    intents_close(open_it(path, volume, &first));
    struct intents *t = open_it(path, volume, &again);
    require(again.n == first.n && again.sum == first.sum);
    intents_begin(t, 1, volume);
    intents_lay(t);
    intents_end(t, 1, volume);
    intents_close(t);
    require(access(path, F_OK) < 0);
    return 0;
}
