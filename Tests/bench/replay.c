/* Sends prepared requests and takes the answers: the same loop for NEXA and for HTTP, so that a comparison of the two measures servers and
 * protocols and no client library.
 *
 *     replay PORT nexa|http FILE CONNECTIONS IN_FLIGHT SECONDS COUNT_MAX keep|fresh
 *
 * FILE: u32 number of answers to the greeting, u32 length, greeting; then requests, each u32 length and bytes (integers big-endian). The
 * requests are taken in turn, again and again, until SECONDS or COUNT_MAX are over. `fresh`: a connection for each request, its opening is
 * part of the latency. Prints one line of JSON. One thread, epoll; requests of one connection are pipelined, answers come in their order.
 *
 * `headers` counts what TCP and IPv4 add: 52 bytes for each segment of either direction (20 IPv4, 20 TCP, 12 time stamps), as the kernel
 * counted the segments of each connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 1024, CONNECTIONS_MAX = 1024, INPUT_BYTES = 4 << 20, LATENCIES_MAX = 8 << 20, TOGETHER_BYTES = 32 << 10,
       SEGMENT_HEADER = 52 };

struct request { const uint8_t *bytes; uint32_t count; };

struct connection {
    int fd, greetings_due, in_flight, first, has_sent;
    uint64_t sent_at[IN_FLIGHT_MAX];
    const uint8_t *out;
    size_t out_count;
    uint8_t together[TOGETHER_BYTES];
    uint8_t *in;
    size_t in_count;
};

static struct request *requests;
static struct request greeting;
static uint32_t greeting_answers, request_count, next_request;
static uint64_t started, finished, asked, answered, failed, sent_bytes, received_bytes, segments, opened;
static uint64_t seconds_ns, count_max;
static int port, is_http, is_fresh, depth, epoll;
static uint32_t *latencies;
static size_t latency_count;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "replay: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static uint32_t big_endian(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size || size < 8) die("the file of requests cannot be read");
    fclose(file);
    greeting_answers = big_endian(bytes);
    size_t at = 4;
    requests = malloc(sizeof *requests * ((size_t)size / 4 + 1));
    for (int is_first = 1; at + 4 <= (size_t)size; is_first = 0) {
        struct request one = {bytes + at + 4, big_endian(bytes + at)};
        at += 4 + (size_t)one.count;
        if (at > (size_t)size) die("a request reaches beyond the end of the file");
        if (is_first) greeting = one;
        else requests[request_count++] = one;
    }
    if (request_count == 0) die("there are no requests");
}

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->sent_at[0] = now();
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll");
    c->greetings_due = (int)greeting_answers;
    c->in_flight = c->first = c->has_sent = 0;
    c->in_count = c->out_count = 0;
    if (greeting.count > 0) {
        c->out = greeting.bytes;
        c->out_count = greeting.count;
    }
    opened++;
}

static void close_connection(struct connection *c) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) segments += info.tcpi_segs_in + info.tcpi_segs_out;
    close(c->fd);
    /* FIN, its acknowledgement, and the same from the other side. */
    segments += 3;
    c->fd = -1;
}

static int is_over(void) { return asked >= count_max || now() - started >= seconds_ns; }

/* Writes what may be written: small requests that may go now go with one write, as those of one turn of a client's event loop do. */
static void push(struct connection *c) {
    for (;;) {
        while (c->out_count > 0) {
            ssize_t count = send(c->fd, c->out, c->out_count, MSG_NOSIGNAL);
            if (count < 0) die("the server went away");
            c->out += count;
            c->out_count -= (size_t)count;
            sent_bytes += (uint64_t)count;
        }
        if (c->greetings_due > 0 || is_over()) return;
        while (c->in_flight < depth && !(is_fresh && c->has_sent) && asked < count_max) {
            struct request *one = &requests[next_request % request_count];
            int is_alone = one->count > TOGETHER_BYTES;
            if (c->out_count > 0 && (is_alone || c->out_count + one->count > TOGETHER_BYTES)) break;
            next_request++;
            if (is_alone) {
                c->out = one->bytes;
                c->out_count = one->count;
            } else {
                if (c->out_count == 0) c->out = c->together;
                memcpy(c->together + c->out_count, one->bytes, one->count);
                c->out_count += one->count;
            }
            if (!is_fresh) c->sent_at[(c->first + c->in_flight) % IN_FLIGHT_MAX] = now();
            c->in_flight++;
            c->has_sent = 1;
            asked++;
            if (is_alone) break;
        }
        if (c->out_count == 0) return;
    }
}

/* The length of the answer at the beginning of the input, 0 where it is not complete; whether it is an error. */
static size_t answer_length(struct connection *c, int *is_error) {
    if (!is_http) {
        if (c->in_count < 12) return 0;
        if (memcmp(c->in, "NEXA\1", 5) != 0) die("that is no answer");
        *is_error = c->in[5] == 0x82 || c->in[5] == 0x84;
        size_t total = 12 + (size_t)big_endian(c->in + 8);
        return total <= c->in_count ? total : 0;
    }
    uint8_t *end = memmem(c->in, c->in_count, "\r\n\r\n", 4);
    if (!end) return 0;
    *is_error = c->in[9] != '2';
    size_t total = (size_t)(end - c->in) + 4;
    for (uint8_t *line = c->in; line < end;) {
        uint8_t *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (!next) break;
        if (strncasecmp((char *)line, "content-length:", 15) == 0) total += strtoul((char *)line + 15, NULL, 10);
        if (strncasecmp((char *)line, "transfer-encoding:", 18) == 0) die("chunked answers are not taken");
        line = next + 2;
    }
    return total <= c->in_count ? total : 0;
}

static void take(struct connection *c) {
    ssize_t count = recv(c->fd, c->in + c->in_count, INPUT_BYTES - c->in_count, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) die("the server closed a connection");
    c->in_count += (size_t)count;
    received_bytes += (uint64_t)count;
    size_t at = 0, length;
    int is_error = 0;
    uint8_t *base = c->in;
    size_t held = c->in_count;
    while (c->in = base + at, c->in_count = held - at, (length = answer_length(c, &is_error)) > 0) {
        at += length;
        if (c->greetings_due > 0) {
            if (is_error) die("the greeting was refused");
            c->greetings_due--;
            continue;
        }
        if (c->in_flight == 0) die("an answer too many");
        finished = now();
        if (latency_count < LATENCIES_MAX) {
            uint64_t took = finished - c->sent_at[is_fresh ? 0 : c->first];
            latencies[latency_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
        }
        c->first = (c->first + 1) % IN_FLIGHT_MAX;
        c->in_flight--;
        answered++;
        failed += (uint64_t)is_error;
    }
    memmove(base, base + at, held - at);
    c->in = base;
    c->in_count = held - at;
    if (c->in_count == INPUT_BYTES) die("an answer is larger than 4 MiB");
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) {
    if (latency_count == 0) return 0;
    size_t at = (size_t)(q * (double)latency_count);
    return latencies[at < latency_count ? at : latency_count - 1] / 1000.0;
}

int main(int count, char **arguments) {
    if (count != 9) {
        fprintf(stderr, "usage: replay PORT nexa|http FILE CONNECTIONS IN_FLIGHT SECONDS COUNT_MAX keep|fresh\n");
        return 2;
    }
    port = atoi(arguments[1]);
    is_http = strcmp(arguments[2], "http") == 0;
    load(arguments[3]);
    int connection_count = atoi(arguments[4]);
    depth = atoi(arguments[5]);
    seconds_ns = (uint64_t)(atof(arguments[6]) * 1e9);
    count_max = strtoull(arguments[7], NULL, 10);
    is_fresh = strcmp(arguments[8], "fresh") == 0;
    if (connection_count < 1 || connection_count > CONNECTIONS_MAX || depth < 1 || depth >= IN_FLIGHT_MAX) die("too many or too few connections");
    latencies = malloc(sizeof *latencies * LATENCIES_MAX);
    struct connection *connections = calloc((size_t)connection_count, sizeof *connections);
    epoll = epoll_create1(0);
    if (!latencies || !connections || epoll < 0) die("no memory");
    started = now();
    for (int i = 0; i < connection_count; i++) {
        connections[i].in = malloc(INPUT_BYTES);
        if (!connections[i].in) die("no memory");
        open_connection(&connections[i]);
        push(&connections[i]);
    }
    struct epoll_event events[CONNECTIONS_MAX];
    while (!(is_over() && asked == answered)) {
        int ready = epoll_wait(epoll, events, CONNECTIONS_MAX, 10000);
        if (ready == 0) die("no answer for ten seconds");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            take(c);
            if (is_fresh && c->has_sent && c->in_flight == 0) {
                close_connection(c);
                if (is_over()) continue;
                open_connection(c);
            }
            push(c);
        }
    }
    double seconds = (double)(finished - started) / 1e9;
    for (int i = 0; i < connection_count; i++)
        if (connections[i].fd >= 0) close_connection(&connections[i]);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    printf("{\"requests\":%llu,\"seconds\":%.6f,\"failed\":%llu,\"p50\":%.2f,\"p99\":%.2f,\"sent\":%llu,\"received\":%llu,\"segments\":%llu,"
           "\"headers\":%llu,\"connections\":%llu,\"client_cpu\":%.0f}\n",
           (unsigned long long)answered, seconds, (unsigned long long)failed, quantile(0.5), quantile(0.99), (unsigned long long)sent_bytes,
           (unsigned long long)received_bytes, (unsigned long long)segments, (unsigned long long)(segments * SEGMENT_HEADER),
           (unsigned long long)opened, cpu);
    return 0;
}
