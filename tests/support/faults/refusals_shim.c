/* Stands between a process and libc, by LD_PRELOAD, and refuses what the environment says:
 * REFUSE_FLOCK=ERRNO    every flock() fails with it
 * REFUSE_READ=TEXT      reads of files whose path holds the text fail with EIO */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int flock(int fd, int operation) {
    const char *refused = getenv("REFUSE_FLOCK");
    if (refused) {
        errno = atoi(refused);
        return -1;
    }
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(fd, operation);
}

static int is_refused(int fd) {
    const char *text = getenv("REFUSE_READ");
    char link[64], path[4096];
    if (!text) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, text) != NULL;
}

#define REFUSING(NAME, PARAMETERS, ARGUMENTS)                                  \
    ssize_t NAME PARAMETERS {                                                  \
        if (is_refused(fd)) { errno = EIO; return -1; }                        \
        ssize_t (*real) PARAMETERS = dlsym(RTLD_NEXT, #NAME);                  \
        return real ARGUMENTS;                                                 \
    }
REFUSING(read, (int fd, void *to, size_t n), (fd, to, n))
REFUSING(pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
REFUSING(pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
