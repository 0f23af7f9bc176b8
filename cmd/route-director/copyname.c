/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "copyname.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/parse.h"

static const char hex[] = "0123456789abcdef";
/* Of the same length as ".copy": where a control socket's path fits, so does this one's. */
static const char sock[] = ".sock";

int copy_token(char token[COPY_TOKEN_LEN + 1])
{
    unsigned char bytes[COPY_TOKEN_LEN / 2];
    ssize_t n = getrandom(bytes, sizeof(bytes), 0);
    if (n != (ssize_t)sizeof(bytes))
        return n < 0 ? -errno : -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        token[2 * i] = hex[bytes[i] >> 4];
        token[2 * i + 1] = hex[bytes[i] & 15];
    }
    token[COPY_TOKEN_LEN] = 0;
    return 0;
}

void copy_name_format(const struct copy_name *n, char text[COPY_NAME_SIZE])
{
    snprintf(text, COPY_NAME_SIZE, "%u-%s-%s", n->worker, n->token,
             n->side == ROLE_TARGET ? "target" : "source");
}

int copy_name_parse(const char *text, struct copy_name *n)
{
    char worker[8];
    uint64_t number;
    size_t len = strcspn(text, "-");
    if (!text[len] || len >= sizeof(worker))
        return -EINVAL;
    memcpy(worker, text, len);
    worker[len] = 0;
    const char *token = text + len + 1;
    if (parse_u64(worker, &number) < 0 || strspn(token, hex) != COPY_TOKEN_LEN)
        return -EINVAL;
    const char *side = token + COPY_TOKEN_LEN;
    bool target = strcmp(side, "-target") == 0;
    if (!target && strcmp(side, "-source") != 0)
        return -EINVAL;
    n->worker = (unsigned)number;
    n->side = target ? ROLE_TARGET : ROLE_OWNER;
    memcpy(n->token, token, COPY_TOKEN_LEN);
    n->token[COPY_TOKEN_LEN] = 0;
    return 0;
}

char *copy_socket(const char *control)
{
    char *path;
    size_t len = strlen(control);
    size_t cut = strlen(sock);
    if (len > cut && strcmp(control + len - cut, sock) == 0)
        len -= cut;
    return asprintf(&path, "%.*s.copy", (int)len, control) < 0 ? NULL : path;
}
