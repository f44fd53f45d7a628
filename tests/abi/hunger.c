/* A process without memory, or without descriptors: hunger MODULE OLD NEW
 *
 * OLD and NEW are published databases with the person `ann`, in all of the groups 9000 to 48999, and one group with a
 * row of its own; NEW has `bob`, too.
 * Allocations and mappings fail while the program says so. Every call ends with a documented status, hits do not even
 * ask for memory, and afterwards everything is as it was. */
#include "driver.h"
#include <sys/syscall.h>

static struct { int no_memory, no_mapping; long refused; } hunger;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), __libc_free(void *);

#define ALLOCATION(call) \
    do { if (!hunger.no_memory) return call; hunger.refused++; errno = ENOMEM; return NULL; } while (0)

void *malloc(size_t size) { ALLOCATION(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { ALLOCATION(__libc_calloc(count, size)); }
void *realloc(void *old, size_t size) { ALLOCATION(__libc_realloc(old, size)); }
void *memalign(size_t alignment, size_t size) { ALLOCATION(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { ALLOCATION(__libc_memalign(alignment, size)); }
void free(void *old) { __libc_free(old); }

int posix_memalign(void **place, size_t alignment, size_t size)
{
    void *made = memalign(alignment, size);
    return made ? (*place = made, 0) : ENOMEM;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    if (hunger.no_mapping) {
        hunger.refused++;
        errno = hunger.no_mapping;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
}

static void starve(int mapping)
{
    hunger.no_memory = 1;
    hunger.no_mapping = mapping;
    hunger.refused = 0;
}

static void feed(void)
{
    hunger.no_memory = hunger.no_mapping = 0;
}

typedef struct { enum nss_status status; int code; } answer;

static char buffer[1 << 16];
static struct passwd person;
static struct group group;

static answer by_name(const char *name)
{
    answer got = {0, NOTHING};
    got.status = module.getpwnam(name, &person, buffer, sizeof buffer, &got.code);
    return got;
}

static answer memberships(long size, long *entered)
{
    answer got = {0, NOTHING};
    long start = 1;
    feed();
    gid_t *groups = malloc(size * sizeof *groups);
    starve(ENOMEM);
    got.status = module.initgroups("ann", 7, &start, &size, &groups, -1, &got.code);
    feed();
    free(groups);
    *entered = start - 1;
    return got;
}

/* Needs `status` and `code` that are expected. */
#define EXPECT(call) \
    do { \
        answer got = {0, NOTHING}; \
        got.status = call; \
        CHECK(got.status == status && got.code == code, "%s: status %d, errno %d", #call, (int)got.status, got.code); \
    } while (0)

/* All lookups but initgroups, which needs memory: for the person or group `name` with `uid` or `gid`. */
static void expect_all(const char *name, uid_t uid, gid_t gid, enum nss_status status, int code)
{
    EXPECT(module.getpwnam(name, &person, buffer, sizeof buffer, &got.code));
    EXPECT(module.getpwuid(uid, &person, buffer, sizeof buffer, &got.code));
    EXPECT(module.getgrnam(name, &group, buffer, sizeof buffer, &got.code));
    EXPECT(module.getgrgid(gid, &group, buffer, sizeof buffer, &got.code));
}

static void expect_first_entries(enum nss_status status, int code)
{
    module.setpwent(0), module.setgrent(0);
    EXPECT(module.getpwent(&person, buffer, sizeof buffer, &got.code));
    EXPECT(module.getgrent(&group, buffer, sizeof buffer, &got.code));
    module.endpwent(), module.endgrent();
}

static void hits(void)
{
    expect_all("ann", 5000, 5000, NSS_STATUS_SUCCESS, NOTHING);
    expect_first_entries(NSS_STATUS_SUCCESS, NOTHING);
}

static void misses(enum nss_status status, int code)
{
    expect_all("nobody", 4000, 4000, status, code);
}

static void without_memory_from_the_start(void)
{
    starve(ENOMEM);
    expect_all("ann", 5000, 5000, NSS_STATUS_TRYAGAIN, EAGAIN);
    expect_first_entries(NSS_STATUS_TRYAGAIN, EAGAIN);
    CHECK(hunger.refused > 0, "nothing was refused");
    feed();
    hits();
}

/* The first miss of a process finds out which program this is; where that cannot be told, every miss asks again. */
static void a_first_miss_without_proc(void)
{
    pid_t child = fork();
    CHECK(child >= 0, "%s", strerror(errno));
    if (child == 0) {
        CHECK(chroot("/dev") == 0 && chdir("/") == 0 && access("/proc", F_OK) != 0, "%s", strerror(errno));
        starve(ENOMEM);
        answer got = by_name("nobody");
        CHECK(got.status == NSS_STATUS_NOTFOUND || got.status == NSS_STATUS_UNAVAIL, "status %d", got.status);
        CHECK(hunger.refused == 0, "%ld allocations", hunger.refused);
        _exit(0);
    }
    int ended;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0, "ended with %x", ended);
}

/* Nobody has been missed in this process before. */
static void with_a_database_mapped(void)
{
    long entered;
    starve(ENOMEM);
    hits();
    misses(NSS_STATUS_NOTFOUND, ENOENT);
    CHECK(hunger.refused == 0, "%ld allocations", hunger.refused);
    answer got = memberships(40100, &entered);
    CHECK(got.status == NSS_STATUS_SUCCESS && entered == 40000, "status %d, %ld gids", got.status, entered);
    got = memberships(16, &entered);
    CHECK(got.status == NSS_STATUS_TRYAGAIN && got.code == EAGAIN && entered == 0, "status %d, errno %d, %ld gids",
          got.status, got.code, entered);
}

static void when_another_one_is_published(const char *bytes, size_t size)
{
    publish_bytes(bytes, size);
    starve(ENOMEM);
    hits();
    misses(NSS_STATUS_TRYAGAIN, EAGAIN);
    answer bob = by_name("bob");
    CHECK(bob.status == NSS_STATUS_TRYAGAIN && bob.code == EAGAIN, "status %d, errno %d", bob.status, bob.code);
    feed();
    CHECK(by_name("bob").status == NSS_STATUS_SUCCESS, "not there afterwards");
    hits();
    misses(NSS_STATUS_NOTFOUND, ENOENT);
}

/* What mmap(2) may say, and what libc is told. */
static void when_mmap_says(int number, enum nss_status status, int code, const char *bytes, size_t size)
{
    publish_bytes(bytes, size);
    starve(number);
    answer got = by_name("nobody");
    CHECK(got.status == status && got.code == code, "%s: status %d, errno %d", strerror(number), got.status, got.code);
    feed();
    hits();
}

/* Even who the file belongs to is found out without a word to malloc that must succeed. */
static void when_the_file_is_a_strangers(const char *bytes, size_t size)
{
    publish_bytes(bytes, size);
    CHECK(chown(DATABASE, 65534, 0) == 0, "%s", strerror(errno));
    starve(0);
    answer got = by_name("ann");
    CHECK(got.status == NSS_STATUS_UNAVAIL && got.code == EIO, "status %d, errno %d", got.status, got.code);
    feed();
    publish_bytes(bytes, size);
    hits();
}

static void without_address_space(const char *bytes, size_t size)
{
    struct rlimit old, none = {1 << 12, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_AS, &old) == 0, "%s", strerror(errno));
    none.rlim_max = old.rlim_max;
    publish_bytes(bytes, size);
    setrlimit(RLIMIT_AS, &none);
    answer hit = by_name("ann"), miss = by_name("nobody");
    setrlimit(RLIMIT_AS, &old);
    CHECK(hit.status == NSS_STATUS_SUCCESS, "status %d", hit.status);
    CHECK(miss.status == NSS_STATUS_TRYAGAIN && miss.code == EAGAIN, "status %d, errno %d", miss.status, miss.code);
    hits();
    misses(NSS_STATUS_NOTFOUND, ENOENT);
}

static void without_descriptors(const char *bytes, size_t size)
{
    struct rlimit old, none = {0, 0};
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0, "%s", strerror(errno));
    none.rlim_max = old.rlim_max;
    publish_bytes(bytes, size);
    setrlimit(RLIMIT_NOFILE, &none);
    hits();
    misses(NSS_STATUS_TRYAGAIN, EAGAIN);
    setrlimit(RLIMIT_NOFILE, &old);
    hits();
    misses(NSS_STATUS_NOTFOUND, ENOENT);
}

int main(int argc, char **argv)
{
    char *old, *new;
    CHECK(argc == 4, "three arguments");
    size_t old_size = read_file(argv[2], &old), new_size = read_file(argv[3], &new);
    publish_bytes(old, old_size);
    load_module(argv[1]);
    without_memory_from_the_start();
    a_first_miss_without_proc();
    with_a_database_mapped();
    when_another_one_is_published(new, new_size);
    int again[] = {ENOMEM, EAGAIN, ENFILE}, never[] = {EACCES, EPERM, ENODEV, EINVAL};
    for (int n = 0; n < 3; n++)
        when_mmap_says(again[n], NSS_STATUS_TRYAGAIN, EAGAIN, old, old_size);
    for (int n = 0; n < 4; n++)
        when_mmap_says(never[n], NSS_STATUS_UNAVAIL, EIO, new, new_size);
    when_the_file_is_a_strangers(old, old_size);
    without_address_space(new, new_size);
    without_descriptors(old, old_size);
    CHECK(maps_of_database() == 1, "%d mappings", maps_of_database());
    puts("done");
    return 0;
}
