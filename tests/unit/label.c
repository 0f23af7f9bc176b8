/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* migrate-exec's labels of cold copies: made, noted, found again. */
#include "cmd/migrate-exec/label.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/migrate-exec/journal.h"
#include "tests/unit/tap.h"

static void test_make(void)
{
    char a[LABEL_SIZE];
    char b[LABEL_SIZE];
    char name[NAME_LEN_MAX + 1];
    CHECK(label_make(a, "v", 7, 65536, "-") == 0);
    CHECK(label_make(b, "v", 7, 65536, "-") == 0);
    CHECK(strcmp(a, b) != 0);
    CHECK(strncmp(a, "v,7,", 4) == 0 && strcmp(a + 4 + 16, ",65536,-") == 0);
    memset(name, 'v', NAME_LEN_MAX);
    name[NAME_LEN_MAX] = 0;
    CHECK(label_make(a, name, UINT64_MAX, UINT64_MAX, "00112233445566778899aabbccddeeff") == 0);
    CHECK_EQ_U64(strlen(a), LABEL_SIZE - 1);
}

static void test_note(void)
{
    char detail[LABEL_DETAIL_SIZE];
    char label[LABEL_SIZE] = "untouched";
    char huge[LABEL_DETAIL_SIZE + LABEL_SIZE];
    bool unknown = true;
    label_note(detail, "commit, archive", "v,7,5f,65536,-", false);
    CHECK_STR(detail, "commit, archive, label v,7,5f,65536,-");
    CHECK(label_of_note(detail, label, &unknown) == 1 && !unknown);
    CHECK_STR(label, "v,7,5f,65536,-");
    label_note(detail, "commit", "v,8,5f,65536,-", true);
    CHECK(label_of_note(detail, label, &unknown) == 1 && unknown);
    CHECK_STR(label, "v,8,5f,65536,-");
    CHECK(label_of_note("commit", label, &unknown) == 0);
    CHECK(label_of_note("commit, label ", label, &unknown) == 0);
    memset(huge, 'v', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = 0;
    memcpy(huge, ", label ", 8);
    CHECK(label_of_note(huge, label, &unknown) == 0);
    CHECK_STR(label, "v,8,5f,65536,-");
}

/* Writes the note of the commit ID, whose old copy is on SOURCE, to its journal. */
static void commit(const char *state, const char *id, const char *source, const char *detail)
{
    struct journal *j = NULL;
    struct event e = {.time = 1, .phase = PHASE_RETIRE, .event = EVENT_BEGIN, .volume = "v"};
    snprintf(e.migration, sizeof(e.migration), "%s", id);
    snprintf(e.source, sizeof(e.source), "%s", source);
    snprintf(e.target, sizeof(e.target), "gw-z");
    snprintf(e.who, sizeof(e.who), "me");
    snprintf(e.detail, sizeof(e.detail), "%s", detail);
    CHECK(journal_open(state, id, true, &j) == 0);
    CHECK(journal_append(j, &e) == 0);
    journal_close(j);
}

static void test_find(void)
{
    char state[] = "/tmp/gs-label-XXXXXX";
    char label[LABEL_SIZE] = "untouched";
    CHECK(mkdtemp(state) != NULL);
    CHECK(label_find(state, "v", "gw-a", label) == 0);
    commit(state, "v-10", "gw-a", "commit, label ten");
    commit(state, "v-9", "gw-a", "commit, label nine");
    commit(state, "v-11", "gw-b", "commit, label eleven");
    CHECK(label_find(state, "v", "gw-c", label) == 0);
    CHECK(label_find(state, "w", "gw-a", label) == 0);
    CHECK_STR(label, "untouched");
    CHECK(label_find(state, "v", "gw-a", label) == 1);
    CHECK_STR(label, "ten"); /* epochs are compared as numbers, and no clock is asked */
    commit(state, "v-12", "gw-a", "commit, label twelve of a copy that is unknown");
    CHECK(label_find(state, "v", "gw-a", label) == 0);
    commit(state, "v-13", "gw-a", "commit, label thirteen");
    CHECK(label_find(state, "v", "gw-a", label) == 1);
    commit(state, "v-13", "gw-a", "commit, remove, label thirteen");
    CHECK(label_find(state, "v", "gw-a", label) == 0);
    commit(state, "v-14", "gw-a", "commit");
    CHECK(label_find(state, "v", "gw-a", label) == 0);
    char path[256];
    static const char *const ids[] = {"v-9", "v-10", "v-11", "v-12", "v-13", "v-14"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        snprintf(path, sizeof(path), "%s/migrations/%s.csv", state, ids[i]);
        CHECK(unlink(path) == 0);
    }
    snprintf(path, sizeof(path), "%s/migrations", state);
    CHECK(rmdir(path) == 0 && rmdir(state) == 0);
}

int main(void)
{
    test_begin("label");
    test_make();
    test_note();
    test_find();
    return test_done();
}
