/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/fleet/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "common/fleet/prefix.h"

/* A row of distances.csv, kept until every site is known. */
struct distance {
    size_t site;
    size_t gateway;
    double rtt_us;
};

/* What loading needs beside the result. */
struct load {
    struct fleet *f;
    const char *dir;
    unsigned parts;
    struct rec_reader *r; /* at the row in question */
    size_t cap;           /* of the array being filled */
    struct distance *distances;
    size_t n_distances;
};

typedef int load_row(struct load *l);

/* ---- failures ---- */

__attribute__((format(printf, 4, 5))) static int fail(struct load *l, int status, int err,
                                                      const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->f->error, sizeof(l->f->error), fmt, ap);
    va_end(ap);
    l->f->status = status;
    return err;
}

static int no_memory(struct load *l)
{
    return fail(l, EX_OSERR, -ENOMEM, "cannot read '%s': %s", l->dir, err_text(ENOMEM));
}

static int twice(struct load *l, const char *what, const char *name)
{
    return fail(l, EX_CONFIG, -EINVAL, "%s: %s '%s' stands twice", rec_reader_where(l->r), what,
                name);
}

static int unknown_gateway(struct load *l, const char *name)
{
    return fail(l, EX_CONFIG, -EINVAL, "%s: no gateway '%s' in gateways.csv",
                rec_reader_where(l->r), name);
}

static int not_a_client(struct load *l, const char *client)
{
    return fail(l, EX_CONFIG, -EINVAL, "%s: client '%s' is not an address, a prefix, uid:N or *",
                rec_reader_where(l->r), client);
}

/* ---- rows ---- */

static const char uid_prefix[] = "uid:";

/* A copy of a field, or NULL. */
static char *field_copy(const struct load *l, size_t col)
{
    return strdup(rec_text(l->r, col));
}

static void gateway_release(struct fleet_gateway *g)
{
    free(g->uri);
    free(g->site);
    free(g->hook);
    free(g->metrics);
    free(g->storage);
}

static int add_gateway(struct load *l)
{
    struct fleet *f = l->f;
    const char *name = rec_text(l->r, GATEWAY_GATEWAY);
    const char *site = rec_text(l->r, GATEWAY_SITE);
    if (intern_find(&f->gateway_names, name) >= 0)
        return twice(l, "gateway", name);
    if (vec_room(&f->gateways, f->gateway_names.n, &l->cap, sizeof(*f->gateways)) < 0)
        return no_memory(l);
    struct fleet_gateway g = {
        .uri = field_copy(l, GATEWAY_URI),
        .site = field_copy(l, GATEWAY_SITE),
        .capacity_bytes = rec_uint(l->r, GATEWAY_CAPACITY_BYTES),
        .iops_limit = rec_real(l->r, GATEWAY_IOPS_LIMIT),
        .state = (enum rec_gateway_state)rec_word(l->r, GATEWAY_STATE),
        .hook = field_copy(l, GATEWAY_HOOK),
        .metrics = field_copy(l, GATEWAY_METRICS),
        .storage = field_copy(l, GATEWAY_STORAGE),
    };
    const bool whole = g.uri && g.site && g.hook && g.metrics && g.storage;
    long id = whole ? intern_add(&f->gateway_names, name) : -ENOMEM;
    if (id < 0) {
        gateway_release(&g);
        return no_memory(l);
    }
    g.name = f->gateway_names.names[id];
    f->gateways[id] = g;
    return *site && intern_add(&f->site_names, site) < 0 ? no_memory(l) : 0;
}

static void volume_release(struct fleet_volume *v)
{
    free(v->gateways);
    free(v->group);
    free(v->anti);
    free(v->clients);
}

/* The first word of *LIST, blank-separated, moved behind it; its length, 0 at the end. */
static size_t next_word(const char **list, const char **word)
{
    *word = *list + strspn(*list, " ");
    size_t len = strcspn(*word, " ");
    *list = *word + len;
    return len;
}

static int check_allowed(struct load *l, const char *list)
{
    const char *word;
    for (size_t len; (len = next_word(&list, &word)) > 0;) {
        char name[NAME_LEN_MAX + 1];
        snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name)), word);
        if (len >= sizeof(name) || intern_find(&l->f->gateway_names, name) < 0)
            return unknown_gateway(l, name);
    }
    return 0;
}

static int parse_client(const char *client, struct fleet_prefix *p)
{
    uint64_t uid;
    p->bits = -1;
    if (strcmp(client, "*") == 0)
        return 0;
    if (strncmp(client, uid_prefix, strlen(uid_prefix)) == 0)
        return parse_u64(client + strlen(uid_prefix), &uid);
    return prefix_parse(client, p);
}

/* No form of a client is longer. */
enum { CLIENT_MAX = 64 };

/* Who may open a volume: the same forms as in sites.csv, several of them. */
static int check_clients(struct load *l, const char *list)
{
    const char *word;
    for (size_t len; (len = next_word(&list, &word)) > 0;) {
        char client[CLIENT_MAX];
        struct fleet_prefix p;
        snprintf(client, sizeof(client), "%.*s", (int)(len < sizeof(client) ? len : sizeof(client)),
                 word);
        if (len >= sizeof(client) || parse_client(client, &p) < 0)
            return not_a_client(l, client);
    }
    return 0;
}

static int add_volume(struct load *l)
{
    struct fleet *f = l->f;
    const char *name = rec_text(l->r, VOLUME_VOLUME);
    if (intern_find(&f->volume_names, name) >= 0)
        return twice(l, "volume", name);
    if (l->parts & FLEET_GATEWAYS && check_allowed(l, rec_text(l->r, VOLUME_GATEWAYS)) < 0)
        return -EINVAL;
    if (check_clients(l, rec_text(l->r, VOLUME_CLIENTS)) < 0)
        return -EINVAL;
    if (vec_room(&f->volumes, f->volume_names.n, &l->cap, sizeof(*f->volumes)) < 0)
        return no_memory(l);
    struct fleet_volume v = {
        .size_bytes = rec_uint(l->r, VOLUME_SIZE_BYTES),
        .policy = (enum rec_policy)rec_word(l->r, VOLUME_POLICY),
        .gateways = field_copy(l, VOLUME_GATEWAYS),
        .group = field_copy(l, VOLUME_GROUP),
        .anti = field_copy(l, VOLUME_ANTI),
        .clients = field_copy(l, VOLUME_CLIENTS),
        .standby = (enum rec_standby)rec_word(l->r, VOLUME_STANDBY),
    };
    bool whole = v.gateways && v.group && v.anti && v.clients;
    long id = whole ? intern_add(&f->volume_names, name) : -ENOMEM;
    if (id < 0) {
        volume_release(&v);
        return no_memory(l);
    }
    v.name = f->volume_names.names[id];
    f->volumes[id] = v;
    return 0;
}

static int add_site(struct load *l)
{
    struct fleet *f = l->f;
    const char *client = rec_text(l->r, SITE_CLIENT);
    struct fleet_prefix prefix;
    if (intern_find(&f->client_names, client) >= 0)
        return twice(l, "client", client);
    if (parse_client(client, &prefix) < 0)
        return not_a_client(l, client);
    if (vec_room(&f->sites, f->client_names.n, &l->cap, sizeof(*f->sites)) < 0)
        return no_memory(l);
    const long id = intern_add(&f->client_names, client);
    if (id < 0)
        return no_memory(l);
    struct fleet_site *s = &f->sites[id];
    *s = (struct fleet_site){field_copy(l, SITE_SITE), field_copy(l, SITE_TZ)};
    if (!s->site || !s->tz || intern_add(&f->site_names, s->site) < 0)
        return no_memory(l);
    return prefix_set_add(&f->prefixes, &prefix, (size_t)id) == -ENOMEM ? no_memory(l) : 0;
}

static int add_distance(struct load *l)
{
    const char *gateway = rec_text(l->r, DISTANCE_GATEWAY);
    long g = intern_find(&l->f->gateway_names, gateway);
    if (g < 0)
        return unknown_gateway(l, gateway);
    long site = intern_add(&l->f->site_names, rec_text(l->r, DISTANCE_SITE));
    if (site < 0 || vec_room(&l->distances, l->n_distances, &l->cap, sizeof(*l->distances)) < 0)
        return no_memory(l);
    l->distances[l->n_distances++] =
        (struct distance){(size_t)site, (size_t)g, rec_real(l->r, DISTANCE_RTT_US)};
    return 0;
}

/* ---- files ---- */

static int read_rows(struct load *l, load_row *add)
{
    int got;
    while ((got = rec_reader_next(l->r)) > 0) {
        got = add(l);
        if (got < 0)
            return got;
    }
    if (got < 0)
        fail(l, rec_reader_status(l->r), got, "%s", rec_reader_error(l->r));
    return got;
}

/* Reads DIR/NAME, if it is there or must be. */
static int load_file(struct load *l, const char *name, bool needed, const struct rec_schema *schema,
                     load_row *add)
{
    struct buf path = {0};
    int r = 0;
    l->cap = 0;
    l->r = rec_reader_new(schema);
    if (!l->r || buf_printf(&path, "%s/%s", l->dir, name) < 0) {
        r = no_memory(l);
        goto out;
    }
    if (!needed && access(path.data, F_OK) < 0 && errno == ENOENT)
        goto out;
    rec_reader_files(l->r, &path.data, 1);
    r = read_rows(l, add);
out:
    rec_reader_free(l->r);
    buf_release(&path);
    return r;
}

/* The matrix of distances, once every site has its number. */
static int fill_distances(struct load *l)
{
    struct fleet *f = l->f;
    size_t gateways = f->gateway_names.n;
    size_t n = f->site_names.n * gateways;
    f->rtt_us = malloc((n ? n : 1) * sizeof(*f->rtt_us));
    if (!f->rtt_us)
        return no_memory(l);
    for (size_t i = 0; i < n; i++)
        f->rtt_us[i] = NAN;
    for (size_t i = 0; i < l->n_distances; i++) {
        const struct distance *d = &l->distances[i];
        double *rtt_us = &f->rtt_us[d->site * gateways + d->gateway];
        if (!isnan(*rtt_us))
            return fail(l, EX_CONFIG, -EINVAL,
                        "%s/distances.csv: site '%s' and gateway '%s' stand twice", l->dir,
                        f->site_names.names[d->site], f->gateways[d->gateway].name);
        *rtt_us = d->rtt_us;
    }
    return 0;
}

int fleet_load(struct fleet *f, const char *dir, unsigned parts)
{
    if (parts & FLEET_DISTANCES)
        parts |= FLEET_GATEWAYS;
    struct load l = {.f = f, .dir = dir, .parts = parts};
    int r = 0;
    if (parts & FLEET_GATEWAYS)
        r = load_file(&l, "gateways.csv", true, &rec_gateway, add_gateway);
    if (r == 0 && parts & FLEET_VOLUMES)
        r = load_file(&l, "volumes.csv", false, &rec_volume, add_volume);
    if (r == 0 && parts & FLEET_SITES)
        r = load_file(&l, "sites.csv", false, &rec_site, add_site);
    prefix_set_sort(&f->prefixes);
    if (r == 0 && parts & FLEET_DISTANCES)
        r = load_file(&l, "distances.csv", false, &rec_distance, add_distance);
    if (r == 0)
        r = fill_distances(&l);
    free(l.distances);
    return r;
}

void fleet_release(struct fleet *f)
{
    for (size_t i = 0; i < f->gateway_names.n; i++) {
        gateway_release(&f->gateways[i]);
    }
    for (size_t i = 0; i < f->volume_names.n; i++)
        volume_release(&f->volumes[i]);
    for (size_t i = 0; i < f->client_names.n; i++) {
        free(f->sites[i].site);
        free(f->sites[i].tz);
    }
    free(f->gateways);
    free(f->volumes);
    free(f->sites);
    free(f->rtt_us);
    prefix_set_release(&f->prefixes);
    intern_release(&f->client_names);
    intern_release(&f->gateway_names);
    intern_release(&f->volume_names);
    intern_release(&f->site_names);
    *f = (struct fleet){0};
}

/* ---- questions ---- */

const struct fleet_gateway *fleet_gateway(const struct fleet *f, const char *name)
{
    long id = intern_find(&f->gateway_names, name);
    return id < 0 ? NULL : &f->gateways[id];
}

const struct fleet_volume *fleet_volume(const struct fleet *f, const char *name)
{
    long id = intern_find(&f->volume_names, name);
    return id < 0 ? NULL : &f->volumes[id];
}

bool fleet_allowed(const struct fleet *f, const char *volume, const char *gateway)
{
    const struct fleet_volume *v = fleet_volume(f, volume);
    const char *list = v ? v->gateways : "";
    const char *word;
    bool any = true;
    for (size_t len; (len = next_word(&list, &word)) > 0; any = false)
        if (strlen(gateway) == len && memcmp(word, gateway, len) == 0)
            return true;
    return any;
}

/* Is client NAME, of address ADDRESS (bits -1: none), what the WORD of LEN bytes says? */
static bool is_client(const char *word, size_t len, const char *name,
                      const struct fleet_prefix *address)
{
    char client[CLIENT_MAX];
    struct fleet_prefix p;
    uint64_t a, b;
    if (len >= sizeof(client))
        return false;
    memcpy(client, word, len);
    client[len] = 0;
    if (strcmp(client, "*") == 0)
        return true;
    size_t uid = strlen(uid_prefix);
    if (strncmp(client, uid_prefix, uid) == 0)
        return strncmp(name, uid_prefix, uid) == 0 && parse_u64(client + uid, &a) == 0 &&
               parse_u64(name + uid, &b) == 0 && a == b;
    return address->bits >= 0 && prefix_parse(client, &p) == 0 && prefix_holds(&p, address);
}

bool fleet_admits(const struct fleet *f, const char *volume, const char *client)
{
    const struct fleet_volume *v = fleet_volume(f, volume);
    const char *list = v ? v->clients : "";
    const char *word;
    struct fleet_prefix address;
    bool any = true;
    if (prefix_of_client(client, &address) < 0)
        address.bits = -1;
    for (size_t len; (len = next_word(&list, &word)) > 0; any = false)
        if (is_client(word, len, client, &address))
            return true;
    return any;
}

const char *fleet_site_of(const struct fleet *f, const char *client)
{
    struct fleet_prefix address;
    long id = intern_find(&f->client_names, client);
    if (id < 0 && prefix_of_client(client, &address) == 0) {
        const size_t number = prefix_set_find(&f->prefixes, &address);
        id = number == PREFIX_NONE ? -1 : (long)number;
    }
    if (id < 0)
        id = intern_find(&f->client_names, "*");
    return id < 0 ? "default" : f->sites[id].site;
}
