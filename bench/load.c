/*
 * A load generator for unary gRPC calls, small enough never to be what limits.
 *
 *   load HOST PORT PATH BODY CONNECTIONS IN_FLIGHT WARM_UP SECONDS [ID_AT [NUMBER_AT [RATE]]]
 *
 * Keeps IN_FLIGHT calls under way on CONNECTIONS connections of HTTP/2 without TLS; or, with a RATE, begins so many calls
 * a second, whatever becomes of those before, as long as no more than IN_FLIGHT are under way. BODY is a file with the
 * request message. Each call carries its own: at ID_AT (bytes from its beginning) 32 hexadecimal digits are written that
 * no other call has, and at NUMBER_AT 4 decimal digits that go round from 0000 to 0999. The calls that end within
 * SECONDS, after WARM_UP, are counted. A call that is answered with a message has succeeded, one with trailers alone, or
 * whose stream is reset, has been refused. Prints one JSON object: seconds, what the generator used of the CPU in seconds, and for both kinds how many
 * there were and their latencies in microseconds.
 *
 * The response headers are not decoded: the table for their compression is set to size 0, so none has to be kept.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { FRAME_MAX = 16384, READ_MAX = 1 << 18, SHARE = 16, WINDOW_GIVEN = 1 << 30, BODY_MAX = 60000 };

typedef struct {
    int used;
    int answered;
    double began;
} Call;

typedef struct {
    int fd;
    uint32_t next_stream;
    int64_t window;       /* bytes that may be sent */
    int64_t consumed;     /* bytes received since the last WINDOW_UPDATE */
    int in_flight, target;
    Call *calls;          /* by stream, modulo calls_size */
    uint32_t calls_size;
    char *out;
    size_t out_begin, out_end, out_size;
    char in[READ_MAX];
    size_t in_size;
} Connection;

typedef struct {
    uint32_t *microseconds;
    size_t count, size;
} Latencies;

static char *body, first_block[1024], authority[300];
static const char *path;
static size_t body_size, first_block_size;
static long id_at = -1, number_at = -1;
static uint64_t nonce, sent;
static double count_from, count_until, rate, began_at;
static uint64_t begun;
static Latencies succeeded, refused;

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void note(Latencies *latencies, double seconds) {
    if (latencies->count == latencies->size) {
        latencies->size = latencies->size ? 2 * latencies->size : 1 << 20;
        latencies->microseconds = realloc(latencies->microseconds, latencies->size * sizeof(uint32_t));
        if (!latencies->microseconds) die("no memory");
    }
    latencies->microseconds[latencies->count++] = (uint32_t)(seconds * 1e6);
}

static char *room(Connection *c, size_t size) {
    if (c->out_begin == c->out_end) c->out_begin = c->out_end = 0;
    if (c->out_end + size > c->out_size) {
        c->out_size = 2 * (c->out_end + size);
        c->out = realloc(c->out, c->out_size);
        if (!c->out) die("no memory");
    }
    c->out_end += size;
    return c->out + c->out_end - size;
}

static void put_frame(Connection *c, int type, int flags, uint32_t stream, const void *payload, size_t size) {
    unsigned char *at = (unsigned char *)room(c, 9 + size);
    at[0] = size >> 16, at[1] = size >> 8, at[2] = size, at[3] = type, at[4] = flags;
    at[5] = stream >> 24, at[6] = stream >> 16, at[7] = stream >> 8, at[8] = stream;
    memcpy(at + 9, payload, size);
}

static uint32_t number_at_byte(const void *bytes) {
    const unsigned char *b = bytes;
    return (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static void put_window_update(Connection *c, uint32_t size) {
    unsigned char bytes[4] = {size >> 24, size >> 16, size >> 8, size};
    put_frame(c, WINDOW_UPDATE, 0, 0, bytes, 4);
}

/* Append a header that both ends keep in their tables from then on; a name of 1 byte is the index of a known one. */
static void add_header(const char *name, const char *value) {
    char *at = first_block + first_block_size;
    if ((unsigned char)name[0] < 62) {
        *at++ = 0x40 | name[0];
    } else {
        *at++ = 0x40;
        *at++ = (char)strlen(name);
        at = stpcpy(at, name);
    }
    *at++ = (char)strlen(value);
    at = stpcpy(at, value);
    first_block_size = at - first_block;
}

static void make_headers(void) {
    first_block[0] = (char)0x83; /* :method POST */
    first_block[1] = (char)0x86; /* :scheme http */
    first_block_size = 2;
    add_header("\x04", path);
    add_header("\x01", authority);
    add_header("\x1f", "application/grpc");
    add_header("te", "trailers");
}

static void put_call(Connection *c) {
    static const char later_block[] = {(char)0x83, (char)0x86, (char)0xc1, (char)0xc0, (char)0xbf, (char)0xbe};
    uint32_t stream = c->next_stream;
    Call *call = &c->calls[(stream >> 1) & (c->calls_size - 1)];
    if (call->used) die("a call was overtaken by a whole round of others");
    char digits[40];
    if (id_at >= 0) {
        snprintf(digits, sizeof digits, "%016llx%016llx", (unsigned long long)nonce, (unsigned long long)sent);
        memcpy(body + 5 + id_at, digits, 32);
    }
    if (number_at >= 0) {
        snprintf(digits, sizeof digits, "%04d", (int)(sent % 1000));
        memcpy(body + 5 + number_at, digits, 4);
    }
    if (stream == 1)
        put_frame(c, HEADERS, END_HEADERS, stream, first_block, first_block_size);
    else
        put_frame(c, HEADERS, END_HEADERS, stream, later_block, sizeof later_block);
    for (size_t at = 0; at < body_size; at += FRAME_MAX) {
        size_t size = body_size - at < FRAME_MAX ? body_size - at : FRAME_MAX;
        put_frame(c, DATA, at + size == body_size ? END_STREAM : 0, stream, body + at, size);
    }
    *call = (Call){.used = 1, .began = now()};
    c->window -= body_size;
    c->next_stream += 2;
    c->in_flight++;
    sent++;
}

static void end_call(Connection *c, uint32_t stream) {
    Call *call = &c->calls[(stream >> 1) & (c->calls_size - 1)];
    if (!call->used) return;
    double ended = now();
    if (ended >= count_from && ended < count_until) note(call->answered ? &succeeded : &refused, ended - call->began);
    call->used = 0;
    c->in_flight--;
}

static void take_settings(Connection *c, const unsigned char *payload, size_t size) {
    for (size_t at = 0; at + 6 <= size; at += 6)
        if (payload[at + 1] == 4 && number_at_byte(payload + at + 2) < body_size)
            die("the server takes no request of this size at once");
    put_frame(c, SETTINGS, ACK, 0, "", 0);
}

static void take_frame(Connection *c, int type, int flags, uint32_t stream, const unsigned char *payload, size_t size) {
    if (type == DATA) {
        c->calls[(stream >> 1) & (c->calls_size - 1)].answered = 1;
        c->consumed += size;
        if (c->consumed > WINDOW_GIVEN / 2) {
            put_window_update(c, c->consumed);
            c->consumed = 0;
        }
    }
    if ((type == DATA || type == HEADERS) && flags & END_STREAM) end_call(c, stream);
    if (type == RST_STREAM) end_call(c, stream);
    if (type == SETTINGS && !(flags & ACK)) take_settings(c, payload, size);
    if (type == PING && !(flags & ACK)) put_frame(c, PING, ACK, 0, payload, size);
    if (type == WINDOW_UPDATE && stream == 0) c->window += number_at_byte(payload) & 0x7fffffff;
    if (type == GOAWAY) errno = 0, die("the server ended the connection");
}

static void receive(Connection *c) {
    ssize_t size = read(c->fd, c->in + c->in_size, READ_MAX - c->in_size);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) die("the server closed the connection");
    c->in_size += size;
    size_t at = 0;
    while (c->in_size - at >= 9) {
        const unsigned char *frame = (unsigned char *)c->in + at;
        size_t payload = (size_t)frame[0] << 16 | frame[1] << 8 | frame[2];
        if (c->in_size - at < 9 + payload) break;
        take_frame(c, frame[3], frame[4], number_at_byte(frame + 5) & 0x7fffffff, frame + 9, payload);
        at += 9 + payload;
    }
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
}

/* Begin what this connection may; with a rate, its share of what is due, and what it has no room for is left out. */
static void begin_calls(Connection *c) {
    uint64_t due = (uint64_t)((now() - began_at) * rate);
    for (int share = 0; rate ? share < SHARE && begun < due : 1; share++, begun++) {
        int fits = c->in_flight < c->target && c->window >= (int64_t)body_size;
        if (fits) put_call(c);
        else if (!rate) return;
    }
}

static void transmit(Connection *c) {
    begin_calls(c);
    while (c->out_begin < c->out_end) {
        ssize_t size = write(c->fd, c->out + c->out_begin, c->out_end - c->out_begin);
        if (size < 0 && errno == EAGAIN) return;
        if (size < 0) die("the server closed the connection");
        c->out_begin += size;
    }
}

static void open_connection(Connection *c, const struct addrinfo *address, int target) {
    static const unsigned char settings[] = {0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff};
    c->fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, address->ai_addr, address->ai_addrlen)) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->next_stream = 1;
    c->window = 65535;
    c->target = target;
    c->calls_size = 1 << 18;
    c->calls = calloc(c->calls_size, sizeof(Call));
    if (!c->calls) die("no memory");
    memcpy(room(c, 24), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    put_frame(c, SETTINGS, 0, 0, settings, sizeof settings);
    put_window_update(c, WINDOW_GIVEN);
}

static void read_body(const char *name) {
    FILE *file = fopen(name, "rb");
    body = malloc(BODY_MAX + 6);
    if (!file || !body) die(name);
    size_t size = fread(body + 5, 1, BODY_MAX + 1, file);
    if (size > BODY_MAX) errno = 0, die("the request is too large");
    body[0] = 0, body[1] = size >> 24, body[2] = size >> 16, body[3] = size >> 8, body[4] = size;
    body_size = size + 5;
    fclose(file);
}

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void print_latencies(const char *name, Latencies *l) {
    if (l->count) qsort(l->microseconds, l->count, sizeof(uint32_t), by_size);
#define AT(share) (l->count ? l->microseconds[(size_t)((l->count - 1) * (share))] : 0)
    printf(", \"%s\": {\"calls\": %zu, \"p50\": %u, \"p99\": %u, \"p999\": %u, \"max\": %u}", name, l->count, AT(0.5),
           AT(0.99), AT(0.999), AT(1.0));
}

int main(int count, char **words) {
    if (count < 9 || count > 12) errno = 0, die("usage: HOST PORT PATH BODY CONNECTIONS IN_FLIGHT WARM_UP SECONDS [ID_AT [NUMBER_AT [RATE]]]");
    int connections = atoi(words[5]), in_flight = atoi(words[6]);
    double warm_up = atof(words[7]), seconds = atof(words[8]);
    path = words[3];
    snprintf(authority, sizeof authority, "%s:%s", words[1], words[2]);
    if (strlen(path) > 120 || strlen(authority) > 120) errno = 0, die("the path or the address is too long");
    if (connections < 1 || in_flight < connections) errno = 0, die("there must be a call for each connection");
    if (count > 9) id_at = atol(words[9]);
    if (count > 10) number_at = atol(words[10]);
    if (count > 11) rate = atof(words[11]);
    read_body(words[4]);
    if (id_at + 32 > (long)body_size - 5 || number_at + 4 > (long)body_size - 5) errno = 0, die("ID_AT or NUMBER_AT is outside the request");
    make_headers();
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    nonce = (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec + ((uint64_t)getpid() << 40);

    struct addrinfo *address, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(words[1], words[2], &hints, &address)) errno = 0, die("no such address");
    Connection *all = calloc(connections, sizeof(Connection));
    struct pollfd *polled = calloc(connections, sizeof(struct pollfd));
    if (!all || !polled) die("no memory");
    for (int i = 0; i < connections; i++) {
        open_connection(&all[i], address, in_flight / connections + (i < in_flight % connections));
        polled[i].fd = all[i].fd;
    }
    began_at = now();
    count_from = began_at + warm_up;
    count_until = count_from + seconds;
    double cpu_before = 0;
    for (double t = now(); t < count_until; t = now()) {
        if (!cpu_before && t >= count_from) cpu_before = cpu_seconds();
        for (int i = 0; i < connections; i++) {
            transmit(&all[i]);
            polled[i].events = POLLIN | (all[i].out_begin < all[i].out_end ? POLLOUT : 0);
        }
        poll(polled, connections, rate ? 1 : 100);
        for (int i = 0; i < connections; i++)
            if (polled[i].revents) receive(&all[i]);
    }
    printf("{\"seconds\": %.3f, \"cpu_seconds\": %.3f", seconds, cpu_seconds() - cpu_before);
    print_latencies("succeeded", &succeeded);
    print_latencies("refused", &refused);
    printf("}\n");
    return 0;
}
