/* The entry points of the module, loaded as libc loads them, and what its answers may be. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DATABASE "/var/lib/pam_oauth2_device/nss.db"
#define NOTHING 4711

static struct {
    enum nss_status (*getpwnam)(const char *, struct passwd *, char *, size_t, int *);
    enum nss_status (*getpwuid)(uid_t, struct passwd *, char *, size_t, int *);
    enum nss_status (*getpwent)(struct passwd *, char *, size_t, int *);
    enum nss_status (*getgrnam)(const char *, struct group *, char *, size_t, int *);
    enum nss_status (*getgrgid)(gid_t, struct group *, char *, size_t, int *);
    enum nss_status (*getgrent)(struct group *, char *, size_t, int *);
    enum nss_status (*initgroups)(const char *, gid_t, long *, long *, gid_t **, long, int *);
    enum nss_status (*setpwent)(int), (*setgrent)(int);
    enum nss_status (*endpwent)(void), (*endgrent)(void);
} module;

#define FAIL(...) do { fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); fprintf(stderr, __VA_ARGS__); \
    fputc('\n', stderr); _exit(1); } while (0)
#define CHECK(condition, ...) do { if (!(condition)) { fprintf(stderr, "not so: %s\n", #condition); \
    FAIL(__VA_ARGS__); } } while (0)

#ifdef LINKED
/* The module's code is part of the program: `make sanitize`. */
#define ENTRY_POINT(symbol, field) \
    extern __typeof__(*module.field) _nss_oauth2_##symbol; module.field = _nss_oauth2_##symbol;

static void load_module(const char *path)
{
    (void)path;
    ENTRY_POINT(getpwnam_r, getpwnam) ENTRY_POINT(getpwuid_r, getpwuid) ENTRY_POINT(getpwent_r, getpwent)
    ENTRY_POINT(getgrnam_r, getgrnam) ENTRY_POINT(getgrgid_r, getgrgid) ENTRY_POINT(getgrent_r, getgrent)
    ENTRY_POINT(initgroups_dyn, initgroups) ENTRY_POINT(setpwent, setpwent) ENTRY_POINT(setgrent, setgrent)
    ENTRY_POINT(endpwent, endpwent) ENTRY_POINT(endgrent, endgrent)
}
#else
static void load_module(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        FAIL("%s", dlerror());
    struct { const char *name; void **place; } symbols[] = {
        {"getpwnam_r", (void **)&module.getpwnam}, {"getpwuid_r", (void **)&module.getpwuid},
        {"getpwent_r", (void **)&module.getpwent}, {"getgrnam_r", (void **)&module.getgrnam},
        {"getgrgid_r", (void **)&module.getgrgid}, {"getgrent_r", (void **)&module.getgrent},
        {"initgroups_dyn", (void **)&module.initgroups}, {"setpwent", (void **)&module.setpwent},
        {"setgrent", (void **)&module.setgrent}, {"endpwent", (void **)&module.endpwent},
        {"endgrent", (void **)&module.endgrent},
    };
    for (size_t n = 0; n < sizeof symbols / sizeof *symbols; n++) {
        char name[64];
        snprintf(name, sizeof name, "_nss_oauth2_%s", symbols[n].name);
        if (!(*symbols[n].place = dlsym(library, name)))
            FAIL("%s", dlerror());
    }
}
#endif

/* The pairs of status and errno that the module's documentation names, and no other. */
static inline int is_documented(enum nss_status status, int code)
{
    switch (status) {
    case NSS_STATUS_SUCCESS: return code == NOTHING;
    case NSS_STATUS_NOTFOUND: return code == ENOENT;
    case NSS_STATUS_UNAVAIL: return code == ENOENT || code == EIO;
    case NSS_STATUS_TRYAGAIN: return code == ERANGE || code == EAGAIN;
    default: return 0;
    }
}

#define DOCUMENTED(status, code) \
    CHECK(is_documented(status, code), "status %d, errno %d", (int)(status), code)

static inline int maps_of_database(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024];
    int count = 0;
    CHECK(maps, "%s", strerror(errno));
    while (fgets(line, sizeof line, maps))
        count += strstr(line, DATABASE) != NULL;
    fclose(maps);
    return count;
}

static inline size_t read_file(const char *path, char **bytes)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && fstat(file, &status) == 0, "%s: %s", path, strerror(errno));
    *bytes = malloc(status.st_size);
    CHECK(read(file, *bytes, status.st_size) == status.st_size, "%s", path);
    close(file);
    return status.st_size;
}

/* As the publisher does it: another file, the byte in the old one, and then a rename over it. */
static inline void publish_bytes(const char *bytes, size_t size)
{
    int retired = open(DATABASE, O_WRONLY | O_CLOEXEC);
    int file = open(DATABASE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(file >= 0 && write(file, bytes, size) == (ssize_t)size, "%s", strerror(errno));
    close(file);
    if (retired >= 0) {
        if (lseek(retired, 0, SEEK_END) > 72)
            CHECK(pwrite(retired, "\1", 1, 72) == 1, "%s", strerror(errno));
        close(retired);
    }
    CHECK(rename(DATABASE ".new", DATABASE) == 0, "%s", strerror(errno));
}
