/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of private exports, and of their socket. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/route-director/copyname.h"
#include "common/base/parse.h"
#include "tests/unit/tap.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static void test_round_trip(void)
{
    const unsigned workers[] = {0, 7, 63, 9999999};
    char text[COPY_NAME_SIZE];
    for (size_t i = 0; i < sizeof(workers) / sizeof(*workers); i++) {
        for (int side = 1; side <= 2; side++) {
            struct copy_name a = {.worker = workers[i], .side = (enum leg_role)side}, b = {0};
            CHECK(copy_token(a.token) == 0);
            copy_name_format(&a, text);
            CHECK(parse_name(text) == 0); /* it is an export name as any other */
            CHECK(copy_name_parse(text, &b) == 0);
            CHECK_EQ_U64(b.worker, a.worker);
            CHECK_STR(b.token, a.token);
            CHECK(b.side == a.side);
        }
    }
}

static void test_tokens_differ(void)
{
    char a[COPY_TOKEN_LEN + 1], b[COPY_TOKEN_LEN + 1];
    CHECK(copy_token(a) == 0 && copy_token(b) == 0);
    CHECK(strcmp(a, b) != 0);
    CHECK_EQ_U64(strspn(a, "0123456789abcdef"), COPY_TOKEN_LEN);
    CHECK_EQ_U64(strlen(a), COPY_TOKEN_LEN);
}

static void test_other_names(void)
{
    static const char *const names[] = {"",
                                        "v",
                                        "-",
                                        "0",
                                        "0-",
                                        "0-source",
                                        "0-" TOKEN,
                                        "0-" TOKEN "-",
                                        "0-" TOKEN "-Source",
                                        "0-" TOKEN "-sources",
                                        "0-" TOKEN "0-source",
                                        "-" TOKEN "-source",
                                        " 0-" TOKEN "-source",
                                        "+1-" TOKEN "-source",
                                        "x-" TOKEN "-source",
                                        "12345678-" TOKEN "-source",
                                        "0-0123456789ABCDEF0123456789ABCDEF-source",
                                        "0-0123456789abcdef0123456789abcde-source",
                                        "0--" TOKEN "-source"};
    struct copy_name n = {.worker = 5};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        CHECK(copy_name_parse(names[i], &n) == -EINVAL);
    CHECK_EQ_U64(n.worker, 5); /* untouched */
}

static void check_socket(const char *control, const char *expected)
{
    char *path = copy_socket(control);
    CHECK_STR(path, expected);
    free(path);
}

static void test_socket(void)
{
    check_socket("/run/gateshift/director.sock", "/run/gateshift/director.copy");
    check_socket("control", "control.copy");
    check_socket("/run/a.sock.d/c", "/run/a.sock.d/c.copy");
    check_socket(".sock", ".sock.copy");
}

int main(void)
{
    test_begin("copyname");
    test_round_trip();
    test_tokens_differ();
    test_other_names();
    test_socket();
    return test_done();
}
