/*
 * A load generator for unary gRPC calls, small enough never to be the bottleneck.
 *
 *   load [OPTION]... HOST PORT PATH BODY
 *
 *   -c CONNECTIONS   of HTTP/2 (1)
 *   -f IN_FLIGHT     calls that are kept in flight (1); with a rate: the maximum in flight
 *   -w SECONDS       warm-up: calls that end within it are not counted (0)
 *   -s SECONDS       the time after it, whose calls are counted (1)
 *   -r RATE          begin this number of calls a second, whether or not earlier ones have ended
 *   -i ID_AT         write 32 hexadecimal digits, unique to the call, into each request at this offset in bytes
 *   -d NUMBER_AT     write 4 decimal digits into each request at this offset, from 0000 to 0999 in turn
 *   -H NAME:VALUE    send a header field with each call; may be given several times
 *   -T               use TLS, without a check of the server's certificate
 *
 * BODY is a file with the request message. A call that is answered with a message has succeeded. A call that ends with
 * trailers alone, or whose stream is reset, has been refused. Prints one JSON object: the seconds,
 * the CPU seconds of the generator and the number of calls begun in this time, the number of calls that succeeded
 * including the warm-up, and the number and the latencies in microseconds of successes and of refusals. For refusals it
 * also has the number of those whose trailers have a delay (grpc-retry-pushback-ms).
 *
 * No more calls are in flight on a connection than the server's SETTINGS allow. Response headers are not decoded: their
 * compression table has size 0, so that no header must be kept. TLS is OpenSSL 3, which is loaded with -T, so that the
 * generator compiles without its headers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
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
enum { FRAME_MAX = 16384, READ_MAX = 1 << 18, WINDOW_GIVEN = 1 << 30, BODY_MAX = 60000, ADDED_MAX = 16 };
enum { CALLS_SIZE = 1 << 16, GREETING_SECONDS = 10 };
enum { TLS_MODE = 33, PARTIAL_WRITE = 1, MOVING_BUFFER = 2, WANT_READ = 2, WANT_WRITE = 3 }; /* of OpenSSL */

#define DELAY_FIELD "grpc-retry-pushback-ms"

typedef struct {
    int used;
    int answered;
    double began;
} Call;

typedef struct {
    int fd;
    void *tls;            /* NULL without TLS */
    uint32_t next_stream;
    int64_t window;       /* bytes that may be sent */
    int64_t consumed;     /* bytes received since the last WINDOW_UPDATE */
    int settled;          /* the server's SETTINGS have arrived */
    int in_flight, wanted;
    int target;           /* the wanted number of calls, at most what the server's SETTINGS allow */
    Call *calls;          /* by stream, modulo CALLS_SIZE */
    char *out;
    size_t out_begin, out_end, out_size;
    char in[READ_MAX];
    size_t in_size;
} Connection;

typedef struct {
    uint32_t *microseconds;
    size_t count, size;
} Latencies;

static char *body, first_block[4096], later_block[64], authority[300];
static const char *path, *added[ADDED_MAX];
static size_t body_size, first_block_size, later_block_size;
static int added_count, fields_count;
static long id_at = -1, number_at = -1;
static uint64_t nonce, sent;
static double count_from, count_until, rate, began_at;
static uint64_t due_begun, all_succeeded, delayed;
static Latencies succeeded, refused;
static unsigned char delay_name[32];
static size_t delay_name_size;
static void *tls_context;

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

/* The functions of OpenSSL that the generator uses. */
static struct {
    void *(*client_method)(void), *(*new_context)(const void *), *(*new)(void *);
    int (*set_protocols)(void *, const unsigned char *, unsigned), (*set_socket)(void *, int), (*connect)(void *);
    long (*control)(void *, int, long, void *);
    int (*read)(void *, void *, int), (*write)(void *, const void *, int), (*error)(const void *, int);
} ssl;

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) errno = 0, die(name);
    return found;
}

static void load_tls(void) {
    static const char *names[] = {"libssl.so.3", "libssl.3.dylib", "libssl.so"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW);
    if (!library) errno = 0, die("there is no OpenSSL 3 here");
    *(void **)&ssl.client_method = symbol(library, "TLS_client_method");
    *(void **)&ssl.new_context = symbol(library, "SSL_CTX_new");
    *(void **)&ssl.new = symbol(library, "SSL_new");
    *(void **)&ssl.set_protocols = symbol(library, "SSL_set_alpn_protos");
    *(void **)&ssl.set_socket = symbol(library, "SSL_set_fd");
    *(void **)&ssl.connect = symbol(library, "SSL_connect");
    *(void **)&ssl.control = symbol(library, "SSL_ctrl");
    *(void **)&ssl.read = symbol(library, "SSL_read");
    *(void **)&ssl.write = symbol(library, "SSL_write");
    *(void **)&ssl.error = symbol(library, "SSL_get_error");
    tls_context = ssl.new_context(ssl.client_method());
    if (!tls_context) errno = 0, die("TLS cannot be used");
}

static void begin_tls(Connection *c) {
    c->tls = ssl.new(tls_context);
    if (!c->tls || ssl.set_protocols(c->tls, (const unsigned char *)"\x02h2", 3) || !ssl.set_socket(c->tls, c->fd))
        errno = 0, die("TLS cannot be used");
    ssl.control(c->tls, TLS_MODE, PARTIAL_WRITE | MOVING_BUFFER, NULL);
    if (ssl.connect(c->tls) != 1) errno = 0, die("the TLS handshake has failed");
}

/* Return a number of bytes, as read and write do, or -1 with EAGAIN if the socket is not ready. */
static ssize_t tls_result(Connection *c, int size) {
    if (size > 0) return size;
    int error = ssl.error(c->tls, size);
    errno = error == WANT_READ || error == WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static ssize_t read_some(Connection *c, char *to, size_t size) {
    return c->tls ? tls_result(c, ssl.read(c->tls, to, (int)size)) : read(c->fd, to, size);
}

static ssize_t write_some(Connection *c, const char *from, size_t size) {
    if (size > 1 << 20) size = 1 << 20;
    return c->tls ? tls_result(c, ssl.write(c->tls, from, (int)size)) : write(c->fd, from, size);
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

/* Append a header that both ends then keep in their tables. A name of 1 byte is the index of a known name. */
static void add_header(const char *name, size_t name_size, const char *value) {
    if (name_size > 100 || strlen(value) > 120) errno = 0, die("a header field is too long");
    if (first_block + sizeof first_block - 256 < first_block + first_block_size) errno = 0, die("too many header fields");
    char *at = first_block + first_block_size;
    if (name_size == 1 && (unsigned char)name[0] < 62) {
        *at++ = 0x40 | name[0];
    } else {
        *at++ = 0x40;
        *at++ = (char)name_size;
        at = mempcpy(at, name, name_size);
    }
    *at++ = (char)strlen(value);
    at = stpcpy(at, value);
    first_block_size = at - first_block;
    fields_count++;
}

/* Make the header blocks. The first call of a connection sends the fields, later calls their indexes in the table. */
static void make_headers(void) {
    char scheme = (char)(tls_context ? 0x87 : 0x86);
    first_block[0] = later_block[0] = (char)0x83; /* :method POST */
    first_block[1] = later_block[1] = scheme;
    first_block_size = later_block_size = 2;
    add_header("\x04", 1, path);
    add_header("\x01", 1, authority);
    add_header("\x1f", 1, "application/grpc");
    add_header("te", 2, "trailers");
    for (int i = 0; i < added_count; i++) {
        const char *colon = strchr(added[i], ':');
        if (!colon || colon == added[i]) errno = 0, die("a header field must be NAME:VALUE");
        add_header(added[i], colon - added[i], colon + 1);
    }
    for (int i = fields_count; i--;) later_block[later_block_size++] = (char)(0x80 | (62 + i));
}

/* Make the name of the field with a refusal's delay in the Huffman code of RFC 7541 (appendix B). */
static void make_delay_name(void) {
    static const struct { char letter, bits; unsigned code; } letters[] = {
        {'-', 6, 0x16}, {'a', 5, 0x03}, {'b', 6, 0x23}, {'c', 5, 0x04}, {'e', 5, 0x05}, {'g', 6, 0x26}, {'h', 6, 0x27},
        {'k', 7, 0x75}, {'m', 6, 0x29}, {'p', 6, 0x2b}, {'r', 6, 0x2c}, {'s', 5, 0x08}, {'t', 5, 0x09}, {'u', 6, 0x2d},
        {'y', 7, 0x7a},
    };
    uint64_t bits = 0;
    int waiting = 0;
    for (const char *at = DELAY_FIELD; *at; at++) {
        size_t i = 0;
        while (letters[i].letter != *at) i++;
        bits = bits << letters[i].bits | letters[i].code;
        for (waiting += letters[i].bits; waiting >= 8; waiting -= 8)
            delay_name[delay_name_size++] = (unsigned char)(bits >> (waiting - 8));
    }
    if (waiting) delay_name[delay_name_size++] = (unsigned char)(bits << (8 - waiting) | (0xff >> waiting));
}

static int names_delay(const unsigned char *block, size_t size) {
    return memmem(block, size, DELAY_FIELD, strlen(DELAY_FIELD)) || memmem(block, size, delay_name, delay_name_size);
}

static void write_digits(char *at, uint64_t number, int count, unsigned base) {
    while (count--) {
        at[count] = "0123456789abcdef"[number % base];
        number /= base;
    }
}

static void put_call(Connection *c) {
    uint32_t stream = c->next_stream;
    Call *call = &c->calls[(stream >> 1) & (CALLS_SIZE - 1)];
    if (call->used) die("a call was overtaken by a whole round of others");
    if (id_at >= 0) {
        write_digits(body + 5 + id_at, nonce, 16, 16);
        write_digits(body + 5 + id_at + 16, sent, 16, 16);
    }
    if (number_at >= 0) write_digits(body + 5 + number_at, sent % 1000, 4, 10);
    if (stream == 1)
        put_frame(c, HEADERS, END_HEADERS, stream, first_block, first_block_size);
    else
        put_frame(c, HEADERS, END_HEADERS, stream, later_block, later_block_size);
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

static void end_call(Connection *c, uint32_t stream, int has_delay) {
    Call *call = &c->calls[(stream >> 1) & (CALLS_SIZE - 1)];
    if (!call->used) return;
    double ended = now();
    all_succeeded += call->answered;
    if (ended >= count_from && ended < count_until) {
        note(call->answered ? &succeeded : &refused, ended - call->began);
        delayed += !call->answered && has_delay;
    }
    call->used = 0;
    c->in_flight--;
}

static void take_settings(Connection *c, const unsigned char *payload, size_t size) {
    for (size_t at = 0; at + 6 <= size; at += 6) {
        uint32_t name = number_at_byte(payload + at) >> 16, value = number_at_byte(payload + at + 2);
        if (name == 3) c->target = value < (uint32_t)c->wanted ? (int)value : c->wanted;
        if (name == 4 && value < body_size) errno = 0, die("the server takes no request of this size at once");
    }
    c->settled = 1;
    put_frame(c, SETTINGS, ACK, 0, "", 0);
}

static void take_frame(Connection *c, int type, int flags, uint32_t stream, const unsigned char *payload, size_t size) {
    if (type == DATA) {
        c->calls[(stream >> 1) & (CALLS_SIZE - 1)].answered = 1;
        c->consumed += size;
        if (c->consumed > WINDOW_GIVEN / 2) {
            put_window_update(c, c->consumed);
            c->consumed = 0;
        }
    }
    if (type == DATA && flags & END_STREAM) end_call(c, stream, 0);
    if (type == HEADERS && flags & END_STREAM) end_call(c, stream, names_delay(payload, size));
    if (type == RST_STREAM) end_call(c, stream, 0);
    if (type == SETTINGS && !(flags & ACK)) take_settings(c, payload, size);
    if (type == PING && !(flags & ACK)) put_frame(c, PING, ACK, 0, payload, size);
    if (type == WINDOW_UPDATE && stream == 0) c->window += number_at_byte(payload) & 0x7fffffff;
    if (type == GOAWAY) errno = 0, die("the server ended the connection");
}

static void take_frames(Connection *c) {
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

static void receive(Connection *c) {
    do {
        ssize_t size = read_some(c, c->in + c->in_size, READ_MAX - c->in_size);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) die("the server closed the connection");
        c->in_size += size;
        take_frames(c);
    } while (c->tls); /* poll does not show bytes that OpenSSL has already decrypted */
}

static int has_room(const Connection *c) { return c->in_flight < c->target && c->window >= (int64_t)body_size; }

/* Begin the calls that are due, on the connections in turn. Calls without a connection that has room are skipped. */
static void begin_due_calls(Connection *all, int connections) {
    static int next;
    uint64_t due = (uint64_t)((now() - began_at) * rate);
    for (int full = 0; due_begun < due && full < connections; next = (next + 1) % connections) {
        if (has_room(&all[next])) {
            put_call(&all[next]);
            due_begun++;
            full = 0;
        } else {
            full++;
        }
    }
    due_begun = due;
}

static void begin_calls(Connection *all, int connections) {
    if (rate) {
        begin_due_calls(all, connections);
        return;
    }
    for (int i = 0; i < connections; i++)
        while (has_room(&all[i])) put_call(&all[i]);
}

static void transmit(Connection *c) {
    while (c->out_begin < c->out_end) {
        ssize_t size = write_some(c, c->out + c->out_begin, c->out_end - c->out_begin);
        if (size < 0 && errno == EAGAIN) return;
        if (size < 0) die("the server closed the connection");
        c->out_begin += size;
    }
}

/* Write, wait until a connection is ready, and read. */
static void turn(Connection *all, struct pollfd *polled, int connections, int wait_ms) {
    for (int i = 0; i < connections; i++) {
        transmit(&all[i]);
        polled[i].events = POLLIN | (all[i].out_begin < all[i].out_end ? POLLOUT : 0);
    }
    poll(polled, connections, wait_ms);
    for (int i = 0; i < connections; i++)
        if (polled[i].revents) receive(&all[i]);
}

static int all_settled(const Connection *all, int connections) {
    for (int i = 0; i < connections; i++)
        if (!all[i].settled) return 0;
    return 1;
}

static void open_connection(Connection *c, const struct addrinfo *address, int target) {
    static const unsigned char settings[] = {0, 1, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff};
    c->fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, address->ai_addr, address->ai_addrlen)) die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (tls_context) begin_tls(c);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->next_stream = 1;
    c->window = 65535;
    c->wanted = c->target = target;
    c->calls = calloc(CALLS_SIZE, sizeof(Call));
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
    int connections = 1, in_flight = 1;
    double warm_up = 0, seconds = 1;
    for (int option; (option = getopt(count, words, "c:f:w:s:r:i:d:H:T")) != -1;) switch (option) {
        case 'c': connections = atoi(optarg); break;
        case 'f': in_flight = atoi(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'i': id_at = atol(optarg); break;
        case 'd': number_at = atol(optarg); break;
        case 'H':
            if (added_count == ADDED_MAX) errno = 0, die("too many header fields");
            added[added_count++] = optarg;
            break;
        case 'T': load_tls(); break;
        default: return 2;
        }
    if (count - optind != 4) errno = 0, die("usage: load [OPTION]... HOST PORT PATH BODY");
    const char *host = words[optind], *port = words[optind + 1];
    path = words[optind + 2];
    snprintf(authority, sizeof authority, "%s:%s", host, port);
    if (connections < 1 || in_flight < connections) errno = 0, die("there must be a call for each connection");
    read_body(words[optind + 3]);
    if (id_at + 32 > (long)body_size - 5 || number_at + 4 > (long)body_size - 5)
        errno = 0, die("ID_AT or NUMBER_AT is outside the request");
    make_headers();
    make_delay_name();
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    nonce = (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec + ((uint64_t)getpid() << 40);

    struct addrinfo *address, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, port, &hints, &address)) errno = 0, die("no such address");
    Connection *all = calloc(connections, sizeof(Connection));
    struct pollfd *polled = calloc(connections, sizeof(struct pollfd));
    if (!all || !polled) die("no memory");
    for (int i = 0; i < connections; i++) {
        open_connection(&all[i], address, in_flight / connections + (i < in_flight % connections));
        polled[i].fd = all[i].fd;
    }
    for (double until = now() + GREETING_SECONDS; !all_settled(all, connections);) {
        turn(all, polled, connections, 100);
        if (now() > until) errno = 0, die("the server does not send its SETTINGS");
    }
    began_at = now();
    count_from = began_at + warm_up;
    count_until = count_from + seconds;
    double cpu_before = 0;
    uint64_t sent_before = 0;
    for (double t = now(); t < count_until; t = now()) {
        if (!cpu_before && t >= count_from) cpu_before = cpu_seconds(), sent_before = sent;
        begin_calls(all, connections);
        turn(all, polled, connections, rate ? 1 : 100);
    }
    printf("{\"seconds\": %.3f, \"cpu_seconds\": %.3f, \"begun\": %llu, \"all_succeeded\": %llu, \"delayed\": %llu",
           seconds, cpu_seconds() - cpu_before, (unsigned long long)(sent - sent_before),
           (unsigned long long)all_succeeded, (unsigned long long)delayed);
    print_latencies("succeeded", &succeeded);
    print_latencies("refused", &refused);
    printf("}\n");
    return 0;
}
