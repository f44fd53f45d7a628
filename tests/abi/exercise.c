/* Every entry point, for programs that watch over memory: exercise MODULE FILE...
 *
 * FILEs are published one after the other, good ones and broken ones. Every answer is asked for with every size of the
 * buffer from nothing to enough, each a block of malloc's own, so that one byte too far is seen; then once more by
 * threads that look up and enumerate while the files are published again. */
#include "driver.h"

enum { THREADS = 8, MOST = 1 << 16 };

static const char *const names[] = {"ann", "p0", "p2", "p3", "g", "crowd", "nobody", "", "pam_unix_non_existent:"};
static const unsigned ids[] = {0, 999, 5000, 5002, 5003, 9000, 9001, 65534, UINT32_MAX};

/* Reads all of what was answered. */
static size_t touch(const char *text)
{
    return strlen(text);
}

static size_t touch_person(const struct passwd *person)
{
    return touch(person->pw_name) + touch(person->pw_passwd) + touch(person->pw_gecos) + touch(person->pw_dir)
        + touch(person->pw_shell) + person->pw_uid + person->pw_gid;
}

static size_t touch_group(const struct group *group)
{
    size_t sum = touch(group->gr_name) + touch(group->gr_passwd) + group->gr_gid;
    for (char **member = group->gr_mem; *member; member++)
        sum += touch(*member);
    return sum;
}

typedef enum nss_status question(size_t which, void *result, char *buffer, size_t size, int *code);

static enum nss_status by_name(size_t which, void *result, char *buffer, size_t size, int *code)
{
    return module.getpwnam(names[which], result, buffer, size, code);
}

static enum nss_status by_uid(size_t which, void *result, char *buffer, size_t size, int *code)
{
    return module.getpwuid(ids[which], result, buffer, size, code);
}

static enum nss_status next_person(size_t which, void *result, char *buffer, size_t size, int *code)
{
    (void)which;
    return module.getpwent(result, buffer, size, code);
}

static enum nss_status group_by_name(size_t which, void *result, char *buffer, size_t size, int *code)
{
    return module.getgrnam(names[which], result, buffer, size, code);
}

static enum nss_status by_gid(size_t which, void *result, char *buffer, size_t size, int *code)
{
    return module.getgrgid(ids[which], result, buffer, size, code);
}

static enum nss_status next_group(size_t which, void *result, char *buffer, size_t size, int *code)
{
    (void)which;
    return module.getgrent(result, buffer, size, code);
}

/* Sizes grow until the answer finds room; large ones not by one. */
static enum nss_status at_every_size(question *ask, size_t which, int of_group)
{
    enum nss_status status = NSS_STATUS_TRYAGAIN;
    int code = ERANGE;
    for (size_t size = 0; status == NSS_STATUS_TRYAGAIN && code == ERANGE; size += size < 100 ? 1 : size / 5) {
        CHECK(size < MOST, "no buffer is large enough");
        char *buffer = malloc(size);
        /* Also of malloc's own: what is not written must not be read. */
        void *result = malloc(of_group ? sizeof(struct group) : sizeof(struct passwd));
        code = NOTHING;
        status = ask(which, result, buffer, size, &code);
        DOCUMENTED(status, code);
        if (status == NSS_STATUS_SUCCESS)
            CHECK((of_group ? touch_group(result) : touch_person(result)) > 0, "an empty answer");
        free(result);
        free(buffer);
    }
    return status;
}

static void enumerate(question *ask, int of_group)
{
    int entries = 0;
    while (at_every_size(ask, 0, of_group) == NSS_STATUS_SUCCESS)
        CHECK(++entries < 10000, "an enumeration without an end");
}

static void memberships(const char *name)
{
    for (long size = 1; size < 20; size += 3)
        for (long limit = -1; limit < 12; limit += 4) {
            long start = 1, room = size;
            gid_t *groups = malloc(size * sizeof *groups);
            int code = NOTHING;
            groups[0] = 7;
            enum nss_status status = module.initgroups(name, 7, &start, &room, &groups, limit, &code);
            DOCUMENTED(status, code);
            CHECK(start >= 1 && start <= room && groups[0] == 7, "%ld of %ld", start, room);
            gid_t sum = 0;
            for (long n = 0; n < start; n++)
                sum += groups[n];
            CHECK(sum >= 7, "the sum of gids");
            free(groups);
        }
}

static void everything(void)
{
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        at_every_size(by_name, n, 0);
        at_every_size(group_by_name, n, 1);
        memberships(names[n]);
    }
    for (size_t n = 0; n < sizeof ids / sizeof *ids; n++) {
        at_every_size(by_uid, n, 0);
        at_every_size(by_gid, n, 1);
    }
    module.setpwent(0);
    enumerate(next_person, 0);
    module.endpwent();
    module.setgrent(0);
    enumerate(next_group, 1);
    module.endgrent();
}

static _Atomic int stop;

static void *look_up(void *number)
{
    char *buffer = malloc(MOST);
    struct passwd person;
    struct group group;
    for (long n = (long)number; !atomic_load(&stop); n++) {
        int code = NOTHING;
        enum nss_status status = NSS_STATUS_SUCCESS;
        switch (n % 7) {
        case 0: status = module.getpwnam("p2", &person, buffer, MOST, &code); break;
        case 1: status = module.getgrgid(9000, &group, buffer, MOST, &code); break;
        case 2: status = module.getpwuid(4000 + n % 2000, &person, buffer, MOST, &code); break;
        case 3: status = module.getpwent(&person, buffer, MOST, &code); break;
        case 4: status = module.getgrent(&group, buffer, MOST, &code); break;
        case 5: module.setpwent(0), module.endgrent(); break;
        case 6: memberships("p2"); break;
        }
        DOCUMENTED(status, code);
        if (status == NSS_STATUS_SUCCESS && (n % 7 == 0 || n % 7 == 3))
            touch_person(&person);
        if (status == NSS_STATUS_SUCCESS && (n % 7 == 1 || n % 7 == 4))
            touch_group(&group);
    }
    free(buffer);
    return NULL;
}

int main(int argc, char **argv)
{
    char *bytes[64];
    size_t size[64];
    int files = argc - 2;
    CHECK(files > 0 && files <= 64, "%d files", files);
    load_module(argv[1]);
    for (int n = 0; n < files; n++) {
        size[n] = read_file(argv[2 + n], &bytes[n]);
        publish_bytes(bytes[n], size[n]);
        everything();
    }
    pthread_t thread[THREADS];
    for (long n = 0; n < THREADS; n++)
        CHECK(pthread_create(&thread[n], NULL, look_up, (void *)n) == 0, "thread %ld", n);
    for (int round = 0; round < 8 * files; round++) {
        publish_bytes(bytes[round % files], size[round % files]);
        usleep(500);
    }
    atomic_store(&stop, 1);
    for (int n = 0; n < THREADS; n++)
        pthread_join(thread[n], NULL);
    /* What nobody reads any more is not mapped any more. */
    publish_bytes(bytes[0], size[0]);
    everything();
    CHECK(maps_of_database() == 1, "%d mappings", maps_of_database());
    for (int n = 0; n < files; n++)
        free(bytes[n]);
    puts("done");
    return 0;
}
