/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/fleet/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fsfile.h"
#include "common/base/rng.h"
#include "common/fleet/prefix.h"
#include "tests/unit/tap.h"

#define ALL_PARTS (FLEET_GATEWAYS | FLEET_VOLUMES | FLEET_SITES | FLEET_DISTANCES)

static const char *const names[] = {"gateways.csv", "volumes.csv", "sites.csv", "distances.csv"};

static const char gateways[] = "gateway,uri,site,capacity_bytes,iops_limit,state,hook\n"
                               "gw-a,nbd+unix:///?socket=/a,eu,,,active,dir /srv/gw-a\n"
                               "gw-b,nbd://b:1,us,1000,5.5,drain,\n"
                               "gw-c,nbd://c:1,,,,down,\n";
static const char volumes[] = "volume,size_bytes,policy,gateways,group\n"
                              "v1,,auto,,\n"
                              "v2,4096,pinned, gw-a  gw-b ,g\n";
static const char sites[] = "client,site,tz\n"
                            "*,else,\n"
                            "10.0.0.0/8,eu,Europe/Berlin\n"
                            "10.1.0.0/16,us,\n"
                            "10.1.2.3,one,\n"
                            "10.1.2.128/25,half,\n"
                            "2001:db8::/32,six,\n"
                            "uid:7,seven,\n";
static const char distances[] = "site,gateway,rtt_us\neu,gw-a,100\nfar,gw-b,200.5\n";

static char dir[] = "/tmp/gs-fleet-XXXXXX";

static const char *path_of(size_t i)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
    return path;
}

static void put(size_t i, const char *text)
{
    if (text)
        CHECK(fsfile_replace(path_of(i), text, strlen(text)) == 0);
    else
        unlink(path_of(i));
}

static void put_all(void)
{
    put(0, gateways);
    put(1, volumes);
    put(2, sites);
    put(3, distances);
}

static void test_load(void)
{
    struct fleet f = {0};
    put_all();
    CHECK(fleet_load(&f, dir, ALL_PARTS) == 0);
    CHECK_EQ_U64(f.gateway_names.n, 3);
    const struct fleet_gateway *g = fleet_gateway(&f, "gw-b");
    CHECK(g == &f.gateways[1]);
    CHECK_STR(g->name, "gw-b");
    CHECK_STR(g->uri, "nbd://b:1");
    CHECK_STR(g->site, "us");
    CHECK_EQ_U64(g->capacity_bytes, 1000);
    CHECK(g->iops_limit == 5.5);
    CHECK(g->state == GATEWAY_STATE_DRAIN);
    CHECK_STR(g->hook, "");
    CHECK_STR(f.gateways[0].hook, "dir /srv/gw-a");
    CHECK_EQ_U64(f.gateways[0].capacity_bytes, 0);
    CHECK(!fleet_gateway(&f, "gw-x"));
    const struct fleet_volume *v = fleet_volume(&f, "v2");
    CHECK_EQ_U64(v->size_bytes, 4096);
    CHECK(v->policy == POLICY_PINNED);
    CHECK_STR(v->group, "g");
    CHECK_STR(v->anti, "");
    CHECK(!fleet_volume(&f, "v3"));
    fleet_release(&f);
    fleet_release(&f);
}

static void test_allowed(void)
{
    struct fleet f = {0};
    CHECK(fleet_load(&f, dir, ALL_PARTS) == 0);
    CHECK(fleet_allowed(&f, "v1", "gw-c"));
    CHECK(fleet_allowed(&f, "unlisted", "gw-c"));
    CHECK(fleet_allowed(&f, "v2", "gw-a"));
    CHECK(fleet_allowed(&f, "v2", "gw-b"));
    CHECK(!fleet_allowed(&f, "v2", "gw-c"));
    CHECK(!fleet_allowed(&f, "v2", "gw-"));
    CHECK(!fleet_allowed(&f, "v2", ""));
    fleet_release(&f);
}

static void test_admits(void)
{
    static const struct {
        const char *volume, *client;
        bool admitted;
    } cases[] = {
        {"open", "uid:7", true},
        {"open", "192.0.2.1", true},
        {"unlisted", "uid:7", true},
        {"star", "unknown", true},
        {"star", "uid:7", true},
        {"few", "uid:7", true},
        {"few", "uid:07", true},
        {"few", "uid:70", false},
        {"few", "uid:", false},
        {"few", "7", false},
        {"few", "10.1.2.3", true},
        {"few", "10.1.2.3:40000", true},
        {"few", "10.1.2.4", false},
        {"few", "::ffff:10.1.2.3", true},
        {"few", "192.168.255.1", true},
        {"few", "192.169.0.1", false},
        {"few", "2001:db8::1", true},
        {"few", "[2001:db8::1]:9", true},
        {"few", "2001:db9::1", false},
        {"few", "unknown", false},
        {"few", "", false},
        {"few", "*", false},
        {"all4", "10.0.0.1", true},
        {"all4", "2001:db8::1", false},
        {"all4", "uid:0", false},
    };
    struct fleet f = {0};
    put(1, "volume,size_bytes,policy,gateways,clients\n"
           "open,,auto,,\n"
           "star,,auto,,uid:1 *\n"
           "few,,auto,, uid:7  10.1.2.3 192.168.0.0/16 2001:db8::/32 \n"
           "all4,,auto,,0.0.0.0/0\n");
    CHECK(fleet_load(&f, dir, FLEET_VOLUMES) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (!test_check(fleet_admits(&f, cases[i].volume, cases[i].client) == cases[i].admitted,
                        __FILE__, __LINE__))
            fprintf(stderr, "case %zu: '%s' on '%s'\n", i, cases[i].client, cases[i].volume);
    fleet_release(&f);
    /* Without the column, and without the file, anybody may. */
    put(1, volumes);
    CHECK(fleet_load(&f, dir, FLEET_VOLUMES) == 0);
    CHECK(fleet_admits(&f, "v2", "uid:7"));
    fleet_release(&f);
    put(1, NULL);
    CHECK(fleet_load(&f, dir, FLEET_VOLUMES) == 0);
    CHECK(fleet_admits(&f, "v2", "uid:7"));
    fleet_release(&f);
    put_all();
}

static void test_sites(void)
{
    static const char *const cases[][2] = {
        {"10.9.9.9", "eu"},
        {"10.9.9.9:40000", "eu"},
        {"10.1.9.9", "us"},
        {"10.1.2.3:5", "one"},
        {"10.1.2.127", "us"},
        {"10.1.2.128", "half"},
        {"10.1.2.255:1", "half"},
        {"11.0.0.1", "else"},
        {"[2001:db8::1]:80", "six"},
        {"2001:db8:ffff::1", "six"},
        {"2001:db9::1", "else"},
        {"[::ffff:10.1.2.3]:9", "one"},
        {"uid:7", "seven"},
        {"uid:70", "else"},
        {"uid:", "else"},
        {"host", "else"},
        {"", "else"},
        {"[", "else"},
        {"*", "else"},
    };
    struct fleet f = {0};
    CHECK(fleet_load(&f, dir, FLEET_SITES) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_STR(fleet_site_of(&f, cases[i][0]), cases[i][1]);
    fleet_release(&f);
}

/* An address of few, so that prefixes meet: IPv4, the same as IPv6, or IPv6 of its own. */
static void draw_address(struct rng *r, char out[64])
{
    static const unsigned byte[] = {0, 1, 2, 127, 128, 255};
    unsigned b[4];
    for (size_t i = 0; i < 4; i++)
        b[i] = byte[rng_below(r, 6)];
    const uint64_t kind = rng_below(r, 5);
    if (kind == 0)
        snprintf(out, 64, "::ffff:%u.%u.%u.%u", b[0] % 3, b[1], b[2], b[3]);
    else if (kind == 1)
        snprintf(out, 64, "%x:%x::%x:%x", b[0] % 3, b[1], b[2], b[3]);
    else
        snprintf(out, 64, "%u.%u.%u.%u", b[0] % 3, b[1], b[2], b[3]);
}

/* The longest prefix, looked for one by one; the first of equal ones. */
static size_t site_by_hand(char (*client)[64], size_t n, const char *asked)
{
    struct fleet_prefix address, p;
    size_t site = n;
    int best = -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(client[i], asked) == 0)
            return i;
    for (size_t i = 0; i < n; i++) {
        if (best < 0 && strcmp(client[i], "*") == 0)
            site = i;
        if (prefix_of_client(asked, &address) < 0 || prefix_parse(client[i], &p) < 0)
            continue;
        if (p.bits > best && prefix_holds(&p, &address)) {
            best = p.bits;
            site = i;
        }
    }
    return site;
}

static size_t draw_clients(struct rng *r, char (*client)[64], size_t n)
{
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        char address[64];
        draw_address(r, address);
        const uint64_t most = strchr(address, ':') ? 128 : 32, bits = rng_below(r, most + 1);
        const uint64_t kind = rng_below(r, 20);
        if (kind == 0)
            snprintf(client[made], 64, "*");
        else if (kind == 1)
            snprintf(client[made], 64, "uid:%u", (unsigned)rng_below(r, 9));
        else if (kind == 2)
            snprintf(client[made], 64, "%s", address);
        else
            snprintf(client[made], 64, "%.50s/%u", address, (unsigned)bits);
        size_t k = 0;
        while (strcmp(client[k], client[made]) != 0)
            k++;
        made += k == made;
    }
    return made;
}

static void test_random_sites(void)
{
    enum { MOST = 300 };
    static char client[MOST][64];
    struct rng r;
    rng_init(&r, 17);
    for (size_t round = 0; round < 60; round++) {
        const size_t n = draw_clients(&r, client, 1 + rng_below(&r, round < 30 ? 8 : MOST));
        struct buf text = {0};
        struct fleet f = {0};
        CHECK(buf_printf(&text, "client,site,tz\n") >= 0);
        for (size_t i = 0; i < n; i++)
            CHECK(buf_printf(&text, "%s,site-%zu,\n", client[i], i) >= 0);
        put(2, text.data);
        CHECK(fleet_load(&f, dir, FLEET_SITES) == 0);
        for (size_t i = 0; i < 200; i++) {
            char asked[64], right[32] = "default";
            draw_address(&r, asked);
            if (i % 10 == 0)
                snprintf(asked, sizeof(asked), "uid:%zu", i / 20);
            const size_t site = site_by_hand(client, n, asked);
            if (site < n)
                snprintf(right, sizeof(right), "site-%zu", site);
            CHECK_STR(fleet_site_of(&f, asked), right);
        }
        fleet_release(&f);
        buf_release(&text);
    }
    put(2, sites);
}

static void test_distances(void)
{
    struct fleet f = {0};
    CHECK(fleet_load(&f, dir, FLEET_DISTANCES) == 0);
    CHECK_EQ_U64(f.gateway_names.n, 3); /* brought along */
    CHECK_EQ_U64(f.site_names.n, 3);    /* eu, us, far */
    size_t far = (size_t)intern_find(&f.site_names, "far");
    size_t eu = (size_t)intern_find(&f.site_names, "eu");
    CHECK(f.rtt_us[eu * 3 + 0] == 100);
    CHECK(isnan(f.rtt_us[eu * 3 + 1]));
    CHECK(f.rtt_us[far * 3 + 1] == 200.5);
    CHECK(isnan(f.rtt_us[far * 3 + 2]));
    fleet_release(&f);
}

static void test_absent(void)
{
    struct fleet f = {0};
    put(1, NULL);
    put(2, NULL);
    put(3, NULL);
    CHECK(fleet_load(&f, dir, ALL_PARTS) == 0);
    CHECK(fleet_allowed(&f, "v2", "gw-c"));
    CHECK_STR(fleet_site_of(&f, "10.1.2.3"), "default");
    CHECK(isnan(f.rtt_us[0]));
    fleet_release(&f);
    put(0, NULL);
    CHECK(fleet_load(&f, dir, ALL_PARTS) == -ENOENT);
    CHECK(f.status == EX_NOINPUT);
    CHECK(strstr(f.error, "gateways.csv': no such file or directory"));
    fleet_release(&f);
    CHECK(fleet_load(&f, dir, FLEET_VOLUMES | FLEET_SITES) == 0);
    fleet_release(&f);
    put_all();
}

/* Each mistake is named with its file and line. */
static void test_mistakes(void)
{
    static const struct {
        size_t file;
        const char *text;
        int status;
        const char *error; /* behind the folder's name */
    } cases[] = {
        {0, "gateway,uri,site,capacity_bytes,iops_limit,state,hook\na,u,,,,active,\na,u,,,,down,\n",
         EX_CONFIG, "gateways.csv:3: gateway 'a' stands twice"},
        {0, "gateway,uri\na,u\n", EX_DATAERR,
         "gateways.csv:1: column 'site' of gateway records is missing"},
        {0, "gateway,uri,site,capacity_bytes,iops_limit,state,hook\na,u,,,,up,\n", EX_DATAERR,
         "gateways.csv:2: state 'up' is not one of active, cordoned, drain, down"},
        {1, "volume,size_bytes,policy,gateways\nv,,auto,\nv,,auto,\n", EX_CONFIG,
         "volumes.csv:3: volume 'v' stands twice"},
        {1, "volume,size_bytes,policy,gateways\nv,,auto,gw-a gw-x\n", EX_CONFIG,
         "volumes.csv:2: no gateway 'gw-x' in gateways.csv"},
        {1, "volume,size_bytes,policy,gateways,clients\nv,,auto,,uid:1 10.0.0.0/33\n", EX_CONFIG,
         "volumes.csv:2: client '10.0.0.0/33' is not an address, a prefix, uid:N or *"},
        {1, "volume,size_bytes,policy,gateways,clients\nv,,auto,,uid:1;uid:2\n", EX_CONFIG,
         "volumes.csv:2: client 'uid:1;uid:2' is not an address, a prefix, uid:N or *"},
        {2, "client,site\n10.0.0.0/33,eu\n", EX_CONFIG,
         "sites.csv:2: client '10.0.0.0/33' is not an address, a prefix, uid:N or *"},
        {2, "client,site\nuid:x,eu\n", EX_CONFIG,
         "sites.csv:2: client 'uid:x' is not an address, a prefix, uid:N or *"},
        {2, "client,site\n*,eu\n*,us\n", EX_CONFIG, "sites.csv:3: client '*' stands twice"},
        {3, "site,gateway,rtt_us\neu,gw-x,1\n", EX_CONFIG,
         "distances.csv:2: no gateway 'gw-x' in gateways.csv"},
        {3, "site,gateway,rtt_us\neu,gw-a,1\neu,gw-a,2\n", EX_CONFIG,
         "distances.csv: site 'eu' and gateway 'gw-a' stand twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fleet f = {0};
        put_all();
        if (cases[i].file == 0)
            put(1, NULL);
        put(cases[i].file, cases[i].text);
        CHECK(fleet_load(&f, dir, ALL_PARTS) < 0);
        CHECK_EQ_U64(f.status, cases[i].status);
        CHECK(strlen(f.error) > strlen(dir));
        CHECK_STR(f.error + strlen(dir) + 1, cases[i].error);
        fleet_release(&f);
    }
    put_all();
}

int main(void)
{
    test_begin("fleet");
    CHECK(mkdtemp(dir));
    test_load();
    test_allowed();
    test_admits();
    test_sites();
    test_random_sites();
    test_distances();
    test_absent();
    test_mistakes();
    for (size_t i = 0; i < 4; i++)
        put(i, NULL);
    rmdir(dir);
    return test_done();
}
