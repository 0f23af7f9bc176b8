/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/gateway-probe/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

struct fetch {
    CURL *easy;
    struct buf text;
    bool running;
    bool too_long;
};

struct fetcher {
    CURLM *multi;
    int epoll; /* of curl's sockets, so that the caller polls one descriptor */
    uint64_t wake_us;
    uint64_t timeout_us;
    struct fetch **fetches; /* pointers: curl is told where each lies */
    size_t n;
    size_t cap;
    size_t n_running;
    fetch_done *done;
    void *arg;
};

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct fetcher *f = arg;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        e.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        e.events |= EPOLLOUT;
    if (epoll_ctl(f->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) < 0)
        return -1;
    curl_multi_assign(f->multi, fd, f);
    return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct fetcher *f = arg;
    (void)multi;
    f->wake_us = ms < 0 ? 0 : clock_mono_us() + (uint64_t)ms * 1000;
    return 0;
}

static size_t take_text(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    f->too_long = f->text.len + size * n > FETCH_MAX;
    return f->too_long || buf_add(&f->text, data, size * n) < 0 ? 0 : size * n;
}

struct fetcher *fetcher_new(uint64_t timeout_us, fetch_done *done, void *arg)
{
    struct fetcher *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    *f = (struct fetcher){.timeout_us = timeout_us, .done = done, .arg = arg};
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->multi = curl_multi_init();
    if (f->epoll < 0 || !f->multi) {
        fetcher_free(f);
        return NULL;
    }
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    return f;
}

static void fetch_free(struct fetcher *f, struct fetch *one)
{
    if (one->running)
        curl_multi_remove_handle(f->multi, one->easy);
    curl_easy_cleanup(one->easy);
    buf_release(&one->text);
    free(one);
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        fetch_free(f, f->fetches[i]);
    free(f->fetches);
    curl_multi_cleanup(f->multi);
    if (f->epoll >= 0)
        close(f->epoll);
    free(f);
}

static bool set_up(const struct fetcher *f, struct fetch *one, const char *url)
{
    CURL *c = one->easy;
    return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(f->timeout_us / 1000 + 1)) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_text) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, one) == CURLE_OK;
}

long fetcher_add(struct fetcher *f, const char *url)
{
    if (vec_room(&f->fetches, f->n, &f->cap, sizeof(*f->fetches)) < 0)
        return -ENOMEM;
    struct fetch *one = calloc(1, sizeof(*one));
    if (!one)
        return -ENOMEM;
    one->easy = curl_easy_init();
    if (!one->easy || !set_up(f, one, url)) {
        fetch_free(f, one);
        return -ENOMEM;
    }
    f->fetches[f->n] = one;
    return (long)f->n++;
}

void fetcher_begin(struct fetcher *f, size_t n)
{
    struct fetch *one = f->fetches[n];
    if (one->running || curl_multi_add_handle(f->multi, one->easy) != CURLM_OK)
        return;
    buf_clear(&one->text);
    one->too_long = false;
    one->running = true;
    f->n_running++;
}

bool fetcher_busy(const struct fetcher *f)
{
    return f->n_running > 0;
}

struct pollfd fetcher_pollfd(const struct fetcher *f)
{
    return (struct pollfd){.fd = f->epoll, .events = POLLIN};
}

uint64_t fetcher_wake_us(const struct fetcher *f)
{
    /* Without a timer of curl's it is only sockets that matter, but for a deadline far away. */
    return f->wake_us ? f->wake_us : clock_mono_us() + f->timeout_us;
}

static int end_fetch(struct fetcher *f, CURL *easy, CURLcode code)
{
    size_t i = 0;
    while (f->fetches[i]->easy != easy)
        i++;
    struct fetch *one = f->fetches[i];
    curl_multi_remove_handle(f->multi, easy);
    one->running = false;
    f->n_running--;
    if (code != CURLE_OK)
        return f->done(f->arg, i, NULL,
                       one->too_long ? "the answer is too long" : curl_easy_strerror(code));
    if (buf_add(&one->text, "", 1) < 0)
        return f->done(f->arg, i, NULL, "out of memory");
    return f->done(f->arg, i, one->text.data, NULL);
}

int fetcher_step(struct fetcher *f)
{
    struct epoll_event events[16];
    int running;
    int left;
    int n = epoll_wait(f->epoll, events, 16, 0);
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(f->multi, events[i].data.fd, 0, &running);
    if (f->wake_us && clock_mono_us() >= f->wake_us) {
        f->wake_us = 0;
        curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    int r = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(f->multi, &left));)
        if (m->msg == CURLMSG_DONE) {
            int e = end_fetch(f, m->easy_handle, m->data.result);
            r = r < 0 ? r : e;
        }
    return r;
}
