/*
 * Makes writing calls fail for the files below one folder; loaded before the C library (LD_PRELOAD).
 *
 * FAIL_UNDER  the folder
 * FAIL_AT     the number of the failing call, from 1; 0 for none
 * FAIL_ERRNO  the error it fails with
 * FAIL_ON     if set, all later calls fail as well: a full disk stays full
 * FAIL_COUNT  a file of 8 bytes with the number of calls
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *under;
static long fail_at;
static int fail_errno, fail_on;
static uint64_t *calls;

__attribute__((constructor)) static void start(void)
{
    const char *count = getenv("FAIL_COUNT");
    under = getenv("FAIL_UNDER");
    if (!under || !count)
        return;
    fail_at = atol(getenv("FAIL_AT"));
    fail_errno = atoi(getenv("FAIL_ERRNO"));
    fail_on = getenv("FAIL_ON") != NULL;
    int file = syscall(SYS_openat, AT_FDCWD, count, O_RDWR, 0);
    if (file < 0)
        abort();
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (calls == MAP_FAILED)
        abort();
}

/* Whether this call must fail. */
static int fails(const char *path)
{
    char absolute[PATH_MAX];
    if (!calls || !path)
        return 0;
    if (path[0] != '/') {
        if (!getcwd(absolute, sizeof absolute))
            return 0;
        strncat(absolute, "/", sizeof absolute - strlen(absolute) - 1);
        strncat(absolute, path, sizeof absolute - strlen(absolute) - 1);
        path = absolute;
    }
    if (strncmp(path, under, strlen(under)) != 0)
        return 0;
    long call = __atomic_add_fetch(calls, 1, __ATOMIC_SEQ_CST);
    if (fail_at == 0 || call < fail_at || (call > fail_at && !fail_on))
        return 0;
    errno = fail_errno;
    return 1;
}

static int fails_open(int file)
{
    char link[64], path[PATH_MAX];
    if (!calls)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return path[0] == '/' && fails(path); /* else a pipe or the like */
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...)                       \
    {                                                                \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = va_arg(rest, mode_t);                          \
        va_end(rest);                                                \
        return WRITES(flags) && fails(path) ? -1 : REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                 \
    int name(int folder, const char *path, int flags, ...)           \
    {                                                                \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = va_arg(rest, mode_t);                          \
        va_end(rest);                                                \
        return WRITES(flags) && fails(path) ? -1 : REAL(name)(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define ON_FILE(type, name, parameters, arguments)                   \
    type name parameters                                             \
    {                                                                \
        return fails_open(file) ? -1 : REAL(name) arguments;         \
    }
ON_FILE(ssize_t, write, (int file, const void *bytes, size_t length), (file, bytes, length))
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count))
ON_FILE(ssize_t, pwrite, (int file, const void *bytes, size_t length, off_t at), (file, bytes, length, at))
ON_FILE(ssize_t, pwrite64, (int file, const void *bytes, size_t length, off64_t at), (file, bytes, length, at))
ON_FILE(int, fsync, (int file), (file))
ON_FILE(int, fdatasync, (int file), (file))
ON_FILE(int, ftruncate, (int file, off_t length), (file, length))
ON_FILE(int, ftruncate64, (int file, off64_t length), (file, length))

#define ON_PATH(name, parameters, to, arguments)                     \
    int name parameters                                              \
    {                                                                \
        return fails(to) ? -1 : REAL(name) arguments;                \
    }
ON_PATH(mkdir, (const char *path, mode_t mode), path, (path, mode))
ON_PATH(rename, (const char *from, const char *to), to, (from, to))
ON_PATH(renameat, (int a, const char *from, int b, const char *to), to, (a, from, b, to))
ON_PATH(link, (const char *from, const char *to), to, (from, to))
ON_PATH(linkat, (int a, const char *from, int b, const char *to, int flags), to, (a, from, b, to, flags))
