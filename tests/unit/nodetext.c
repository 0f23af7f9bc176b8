/* links: cmd/gateway-probe */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is read of node_exporter's text, and what two answers come to. */
#include <math.h>
#include <string.h>

#include "cmd/gateway-probe/nodetext.h"
#include "tests/unit/tap.h"

static const char first[] = "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n"
                            "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 100\n"
                            "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 10\n"
                            "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 50\n"
                            "node_memory_MemTotal_bytes 1.6e+10\n"
                            "node_memory_MemAvailable_bytes 4e+09\n"
                            "node_disk_io_time_seconds_total{device=\"sda\"} 5\n"
                            "node_disk_read_time_seconds_total{device=\"sda\"} 10\n"
                            "node_disk_write_time_seconds_total{device=\"sda\"} 10\n"
                            "node_disk_reads_completed_total{device=\"sda\"} 1000\n"
                            "node_disk_writes_completed_total{device=\"sda\"} 1000\n"
                            "node_disk_io_time_seconds_total{device=\"loop0\"} 5\n"
                            "node_netstat_Tcp_OutSegs 1000\n"
                            "node_netstat_Tcp_RetransSegs 10\n"
                            "node_network_receive_errs_total{device=\"eth0\"} 3\n"
                            "node_network_receive_errs_total{device=\"lo\"} 100\n";

static const char second[] = "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 104\n"
                             "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 11\n"
                             "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 55\n"
                             "node_memory_MemTotal_bytes 1.6e+10\n"
                             "node_memory_MemAvailable_bytes 8e+09\n"
                             "node_disk_io_time_seconds_total{device=\"sda\"} 9\n"
                             "node_disk_read_time_seconds_total{device=\"sda\"} 11\n"
                             "node_disk_write_time_seconds_total{device=\"sda\"} 10\n"
                             "node_disk_reads_completed_total{device=\"sda\"} 1050\n"
                             "node_disk_writes_completed_total{device=\"sda\"} 1050\n"
                             "node_disk_io_time_seconds_total{device=\"loop0\"} 15\n"
                             "node_netstat_Tcp_OutSegs 1200\n"
                             "node_netstat_Tcp_RetransSegs 20\n"
                             "node_network_receive_errs_total{device=\"eth0\"} 8\n"
                             "node_network_receive_errs_total{device=\"lo\"} 900";

static double value(const struct node_metric *m, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(m[i].name, name) == 0)
            return m[i].value;
    return NAN;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void test_rates(void)
{
    struct node_sample a, b;
    struct node_sample none = {0};
    struct node_metric m[NODE_METRICS_MAX];
    node_parse(first, 1000, &a);
    node_parse(second, 1010, &b);
    CHECK(a.known && b.known && a.n_disks == 1);
    size_t n = node_metrics(&none, &a, m);
    CHECK(n == 1 && near(value(m, n, "mem_used"), 0.75));
    n = node_metrics(&a, &b, m);
    CHECK(n == 6 && near(value(m, n, "mem_used"), 0.5) && near(value(m, n, "cpu_busy"), 0.5));
    CHECK(near(value(m, n, "disk_util"), 0.4) && near(value(m, n, "disk_await_us"), 10000));
    CHECK(near(value(m, n, "net_loss"), 0.05) && near(value(m, n, "net_error_rate"), 0.5));
    /* The host was restarted: what needs both has no value. */
    CHECK(node_metrics(&b, &a, m) == 1);
    a.time = 1020;
    CHECK(node_metrics(&b, &a, m) == 1);
}

static void test_nonsense(void)
{
    static const char *const texts[] = {
        "",
        "\n\n",
        "{",
        "node_cpu_seconds_total",
        "node_cpu_seconds_total ",
        "node_cpu_seconds_total{mode=\"idle\" 5",
        "node_cpu_seconds_total{mode=\"idle\"} ",
        "node_cpu_seconds_total{mode=\"idle\"}\n5\n",
        "node_cpu_seconds_total{mode=\"idle\"} NaN",
        "node_cpu_seconds_total{mode=\"idle\"} -1",
        "node_cpu_seconds_total{mode=\"idle\"} 1e308\nnode_cpu_seconds_total{mode=\"user\"} 1e308",
        "node_network_receive_errs_total{device=\"e\"} +Inf",
        "node_disk_io_time_seconds_total{device=\"} 5",
        "node_disk_io_time_seconds_total{device=\"\"} 5",
        "node_disk_io_time_seconds_total{device} 5",
        "<html>node_cpu_seconds_total</html>",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct node_sample s;
        node_parse(texts[i], 1, &s);
        CHECK(!s.known || s.n_disks == 1);
    }
    struct node_sample s;
    node_parse("node_disk_io_time_seconds_total{x=\"}\",device=\"a-name-that-is-far-longer-than-32-"
               "bytes-are\"} 5",
               1, &s);
    CHECK(s.n_disks == 1 && strlen(s.disks[0].name) == NODE_NAME_MAX - 1);
}

int main(void)
{
    test_begin("nodetext");
    test_rates();
    test_nonsense();
    return test_done();
}
