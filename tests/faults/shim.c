/* Faults of a machine, for one process: preloaded by the test, never part of the product.
 *
 * A page that the test shares says what is to go wrong:
 *   - the clock on the wall is ahead or behind (CLOCK_REALTIME only, as when somebody sets it);
 *   - fsync and fdatasync of the database fail with EIO;
 *   - writes to the database fail with ENOSPC;
 *   - the process dies (SIGKILL) just before its n-th operation on the database's files;
 *   - it dies just before its n-th sync, or just after it, with nothing between.
 * Operations are what SQLite does to node.db and its write-ahead log: writes, truncations, syncs.
 * A commit is a run of writes and one sync, so every commit point lies between two operations.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE = 2, SYNC = 3 };

struct page {                   /* shim.py has the same order */
    int64_t clock_offset_ns;
    int64_t failing_syncs;      /* how many more of them fail; negative: all */
    int64_t failing_writes;     /* the same of writes */
    int64_t die_before;         /* number of the operation; 0: none */
    int64_t operations;         /* how many there were */
    int64_t died_before;        /* kind of operation that was not done */
    int64_t failed_syncs;       /* how many have failed */
    int64_t failed_writes;
    int64_t syncs;              /* how many there were */
    int64_t die_before_sync;    /* number of the sync; 0: none */
    int64_t die_after_sync;
};

static struct page nothing;
static struct page *page = &nothing;

__attribute__((constructor)) static void open_page(void) {
    const char *path = getenv("FAULT_PAGE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        page = found;
    close(file);
}

static int is_database(int file) {
    char link[32], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strncmp(name, "/node.db", 8) == 0;
}

static void die_at(int64_t chosen, int64_t number, enum kind kind) {
    if (chosen && number >= chosen) {
        page->died_before = kind;
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
}

static void count(enum kind kind) {
    die_at(page->die_before, __atomic_add_fetch(&page->operations, 1, __ATOMIC_SEQ_CST), kind);
}

static int is_failing(int64_t *left, int64_t *done) {
    int64_t now = __atomic_load_n(left, __ATOMIC_SEQ_CST);
    if (now == 0)
        return 0;
    if (now > 0)
        __atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(done, 1, __ATOMIC_SEQ_CST);
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define WRITING(name, parameters, arguments)                                   \
    ssize_t name parameters {                                                  \
        REAL(name);                                                            \
        if (is_database(file)) {                                               \
            count(WRITE);                                                      \
            if (is_failing(&page->failing_writes, &page->failed_writes)) {     \
                errno = ENOSPC;                                                \
                return -1;                                                     \
            }                                                                  \
        }                                                                      \
        return real arguments;                                                 \
    }

WRITING(write, (int file, const void *data, size_t size), (file, data, size))
WRITING(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
WRITING(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))

#define TRUNCATING(name, offset)                                               \
    int name(int file, offset size) {                                          \
        REAL(name);                                                            \
        if (is_database(file))                                                 \
            count(TRUNCATE);                                                   \
        return real(file, size);                                               \
    }

TRUNCATING(ftruncate, off_t)
TRUNCATING(ftruncate64, off64_t)

#define SYNCING(name)                                                          \
    int name(int file) {                                                       \
        REAL(name);                                                            \
        if (!is_database(file))                                                \
            return real(file);                                                 \
        count(SYNC);                                                           \
        int64_t number = __atomic_add_fetch(&page->syncs, 1, __ATOMIC_SEQ_CST); \
        die_at(page->die_before_sync, number, SYNC);                           \
        if (is_failing(&page->failing_syncs, &page->failed_syncs)) {           \
            errno = EIO;                                                       \
            return -1;                                                         \
        }                                                                      \
        int result = real(file);                                               \
        die_at(page->die_after_sync, number, SYNC);                            \
        return result;                                                         \
    }

SYNCING(fsync)
SYNCING(fdatasync)

int clock_gettime(clockid_t clock, struct timespec *when) {
    REAL(clock_gettime);
    int result = real(clock, when);
    int64_t offset = page->clock_offset_ns;
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t nanoseconds = when->tv_nsec + offset % 1000000000;
        when->tv_sec += offset / 1000000000;
        if (nanoseconds < 0) {
            nanoseconds += 1000000000;
            when->tv_sec--;
        } else if (nanoseconds >= 1000000000) {
            nanoseconds -= 1000000000;
            when->tv_sec++;
        }
        when->tv_nsec = nanoseconds;
    }
    return result;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *when) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (when)
        *when = now.tv_sec;
    return now.tv_sec;
}
