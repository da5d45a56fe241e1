/* Loaded into a store or a server (LD_PRELOAD): a disk that loses power or fills up, and a clock that jumps.
 *
 * TK_SYNCED  a file to which every fsync adds a line "<inode> <size>": the size of the file that the disk keeps. Later
 *            bytes may be lost with the power. Renames count as kept at once.
 * TK_FULL    while this file exists, the disk is full: a write to a regular file writes half of its bytes, then ENOSPC.
 * TK_CLOCK   a file of 8 bytes, a number of milliseconds that is added to the time of day.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int synced = -1;
static const char *full;
static const volatile int64_t *clock_offset_ms;

static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    real_write = next("write");
    real_fsync = next("fsync");
    real_fdatasync = next("fdatasync");
    real_clock_gettime = next("clock_gettime");
    const char *path = getenv("TK_SYNCED");
    if (path) synced = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    full = getenv("TK_FULL");
    path = getenv("TK_CLOCK");
    if (path) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) clock_offset_ms = mapped;
        if (file >= 0) close(file);
    }
}

static void note_sync(int file, off_t size) {
    struct stat status;
    char line[64];
    if (synced < 0 || fstat(file, &status) || !S_ISREG(status.st_mode)) return;
    int length = snprintf(line, sizeof line, "%llu %lld\n", (unsigned long long)status.st_ino, (long long)size);
    if (real_write(synced, line, (size_t)length) != length) abort();
}

static off_t size_of(int file) {
    struct stat status;
    return fstat(file, &status) ? 0 : status.st_size;
}

int fsync(int file) {
    off_t size = size_of(file); /* bytes written during the sync are not synced */
    int result = real_fsync(file);
    if (!result) note_sync(file, size);
    return result;
}

int fdatasync(int file) {
    off_t size = size_of(file);
    int result = real_fdatasync(file);
    if (!result) note_sync(file, size);
    return result;
}

ssize_t write(int file, const void *bytes, size_t count) {
    struct stat status;
    if (full && !fstat(file, &status) && S_ISREG(status.st_mode) && !access(full, F_OK)) {
        if (count < 2) {
            errno = ENOSPC;
            return -1;
        }
        return real_write(file, bytes, count / 2);
    }
    return real_write(file, bytes, count);
}

int clock_gettime(clockid_t id, struct timespec *time) {
    if (!real_clock_gettime) real_clock_gettime = next("clock_gettime");
    int result = real_clock_gettime(id, time);
    if (!result && clock_offset_ms && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ms = *clock_offset_ms;
        time->tv_sec += ms / 1000;
        time->tv_nsec += (ms % 1000) * 1000000;
        if (time->tv_nsec < 0) time->tv_sec--, time->tv_nsec += 1000000000;
        if (time->tv_nsec >= 1000000000) time->tv_sec++, time->tv_nsec -= 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
