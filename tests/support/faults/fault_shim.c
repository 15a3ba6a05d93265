/* Counts what a process does to the files of one installation, and makes the n-th such call the
 * process's last, or makes it fail.
 *
 * Loaded by LD_PRELOAD, it stands between SQLite, Python and the C library. Between two of the
 * calls below nothing on the disk changes, so a kill at each of them is a kill at every instant.
 * Nothing happens until fault_arm() is called: that is what the forked child does first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, TORN, PAUSE, FAIL_ONCE, FAIL_ON };

static char root[PATH_MAX];
static size_t root_length;
static long *counter;      /* shared with the parent, which reads it after the kill */
static char *last;         /* the n-th call in words, likewise shared */
static long chosen;
static int mode, code, log_file = -1;

/* Arm the shim: count calls below `folder`, and act at number `n` (from 1). `shared` is a mapping
 * of 4096 bytes; `log` is a descriptor that takes one line per call, or -1. */
void fault_arm(const char *folder, int how, long n, int error, void *shared, int log)
{
    snprintf(root, sizeof root, "%s/", folder);
    counter = shared;
    last = (char *)shared + sizeof *counter;
    mode = how;
    chosen = n;
    code = error;
    log_file = log;
    root_length = strlen(root);
}

/* Calls that give the disk something to hold can fail for want of room or by an I/O error. */
static int can_fail(const char *call)
{
    return strcmp(call, "unlink") != 0 && strcmp(call, "chown") != 0 && strcmp(call, "chmod") != 0;
}

/* Return 0 to go on, -1 to fail with errno set, 1 to write half and be killed. */
static int reached(const char *call, const char *path)
{
    static __thread int inside;
    if (!root_length || inside || strncmp(path, root, root_length) != 0)
        return 0;
    size_t length = strlen(path);
    if (mode < FAIL_ONCE && length > 4 && strcmp(path + length - 4, "-shm") == 0)
        return 0; /* dies with its last user, and the next one builds it anew */
    inside = 1;
    long n = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    if (log_file >= 0)
        dprintf(log_file, "%s %s\n", call, path + root_length);
    int fate = 0;
    if (n == chosen) {
        snprintf(last, 4000, "%s %s", call, path + root_length);
        if (mode == KILL || (mode == TORN && strcmp(call, "write") != 0))
            kill(getpid(), SIGKILL);
        if (mode == PAUSE)
            kill(getpid(), SIGSTOP);
        if (mode == TORN)
            fate = 1;
    }
    if ((mode == FAIL_ONCE && n == chosen) || (mode == FAIL_ON && chosen && n >= chosen))
        if (can_fail(call)) {
            errno = code;
            fate = -1;
        }
    inside = 0;
    return fate;
}

static int reached_descriptor(const char *call, int descriptor)
{
    char link[64], path[PATH_MAX];
    if (!root_length)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return reached(call, path);
}

/* Half of what is left is not known here, half of the whole file is. */
static size_t half_of(int descriptor, size_t size)
{
    struct stat found;
    if (fstat(descriptor, &found) == 0 && (size_t)found.st_size < size)
        size = found.st_size;
    return size / 2;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_PATH(name, call, path, parameters, arguments)      \
    int name parameters                                        \
    {                                                          \
        return reached(call, path) ? -1 : REAL(name) arguments; \
    }
#define ON_DESCRIPTOR(name, call, parameters, arguments)                 \
    int name parameters                                                   \
    {                                                                     \
        return reached_descriptor(call, fd) ? -1 : REAL(name) arguments; \
    }
#define WRITING(name, call, parameters, whole, half)            \
    ssize_t name parameters                                      \
    {                                                            \
        int fate = reached_descriptor(call, fd);                 \
        if (fate < 0)                                            \
            return -1;                                           \
        if (fate) {                                              \
            ssize_t ignored = REAL(name) half;                   \
            (void)ignored;                                       \
            kill(getpid(), SIGKILL);                             \
        }                                                        \
        return REAL(name) whole;                                 \
    }
#define OPENING(name)                                                        \
    int name(const char *path, int flags, ...)                               \
    {                                                                        \
        va_list rest;                                                        \
        va_start(rest, flags);                                               \
        int bits = flags & O_CREAT ? va_arg(rest, int) : 0;                  \
        va_end(rest);                                                        \
        int news = flags & O_TRUNC || (flags & O_CREAT && access(path, F_OK)); \
        return news && reached("create", path) ? -1 : REAL(name)(path, flags, bits); \
    }

OPENING(open)
OPENING(open64)
WRITING(write, "write", (int fd, const void *data, size_t size), (fd, data, size),
        (fd, data, size / 2))
WRITING(pwrite, "write", (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
        (fd, data, size / 2, at))
WRITING(pwrite64, "write", (int fd, const void *data, size_t size, off64_t at),
        (fd, data, size, at), (fd, data, size / 2, at))
WRITING(sendfile, "write", (int fd, int in, off_t *at, size_t size), (fd, in, at, size),
        (fd, in, at, half_of(in, size)))
WRITING(sendfile64, "write", (int fd, int in, off64_t *at, size_t size), (fd, in, at, size),
        (fd, in, at, half_of(in, size)))
ON_DESCRIPTOR(fsync, "fsync", (int fd), (fd))
ON_DESCRIPTOR(fdatasync, "fsync", (int fd), (fd))
ON_DESCRIPTOR(ftruncate, "truncate", (int fd, off_t size), (fd, size))
ON_DESCRIPTOR(ftruncate64, "truncate", (int fd, off64_t size), (fd, size))
ON_DESCRIPTOR(fchmod, "chmod", (int fd, mode_t bits), (fd, bits))
ON_DESCRIPTOR(fchown, "chown", (int fd, uid_t user, gid_t group), (fd, user, group))
ON_PATH(unlink, "unlink", path, (const char *path), (path))
ON_PATH(mkdir, "mkdir", path, (const char *path, mode_t bits), (path, bits))
ON_PATH(chmod, "chmod", path, (const char *path, mode_t bits), (path, bits))
ON_PATH(chown, "chown", path, (const char *path, uid_t user, gid_t group), (path, user, group))
ON_PATH(link, "link", to, (const char *from, const char *to), (from, to))
ON_PATH(linkat, "link", to, (int in, const char *from, int out, const char *to, int flags),
        (in, from, out, to, flags))
ON_PATH(rename, "rename", to, (const char *from, const char *to), (from, to))
