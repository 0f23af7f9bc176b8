/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gateway that answers requests with any bytes, cut anywhere.  Held to: what legworld.h holds a
 * leg to, and that the cuts change neither what is answered nor how the leg is lost.
 *
 * The first byte chooses the kind of gateway (its three lowest bits) and seeds the cuts.
 */
#include "fuzz.h"
#include "tests/unit/legworld.h"

static void run(struct leg_world *w, unsigned how, const uint8_t *bytes, size_t len, unsigned cuts)
{
    world_begin(w, how);
    world_ask(w, NBD_CMD_READ, 0, 64, 0);
    world_ask(w, NBD_CMD_READ, 8192, 600, 0);
    world_ask(w, NBD_CMD_READ, 5, 1, NBD_CMD_FLAG_DF);
    world_ask(w, NBD_CMD_READ, 1 << 20, 300 << 10, 0);
    world_ask(w, NBD_CMD_WRITE, 4096, 64, NBD_CMD_FLAG_FUA);
    world_ask(w, NBD_CMD_FLUSH, 0, 0, 0);
    world_ask(w, NBD_CMD_TRIM, 0, 4096, 0);
    world_ask(w, NBD_CMD_WRITE_ZEROES, 8192, 4096, NBD_CMD_FLAG_NO_HOLE);
    if (how & WORLD_STRUCTURED && how & WORLD_ALLOCATION) {
        world_ask(w, NBD_CMD_BLOCK_STATUS, 0, 1 << 20, 0);
        world_ask(w, NBD_CMD_BLOCK_STATUS, 4096, 512, NBD_CMD_FLAG_REQ_ONE);
    }
    world_tell(w, bytes, len, cuts);
    if (w->broken) {
        fprintf(stderr, "broken: %s\n", w->broken);
        abort();
    }
}

static void compare(const struct world_asked *a, const struct world_asked *b)
{
    require(a->answers == b->answers && a->error == b->error);
    require(a->status.len == b->status.len &&
            (!a->status.len || memcmp(a->status.data, b->status.data, a->status.len) == 0));
    /* What was on its way when the leg was lost depends on the cuts. */
    size_t n = a->delivered < b->delivered ? a->delivered : b->delivered;
    require(memcmp(a->data, b->data, n) == 0);
    require(!a->answers || a->delivered == b->delivered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leg_world whole, cut;
    if (!size)
        return 0;
    run(&whole, data[0] & 7, data + 1, size - 1, 0);
    run(&cut, data[0] & 7, data + 1, size - 1, 1 + data[0] / 8);
    require(whole.lost == cut.lost && strcmp(whole.error, cut.error) == 0);
    for (unsigned i = 0; i < whole.n_asked; i++)
        compare(&whole.asked[i], &cut.asked[i]);
    world_end(&whole);
    world_end(&cut);
    return 0;
}
