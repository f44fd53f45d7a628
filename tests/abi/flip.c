/* Every bit of a published database turned over in turn, or the file cut at every byte: flip MODULE FILE bits|cut
 *
 * After each change everything is asked and enumerated by a reader that opens the file anew. Prints how often which
 * status came. */
#include "driver.h"

static char buffer[1 << 20];
static long answers[4];

static void count(enum nss_status status, int code)
{
    DOCUMENTED(status, code);
    answers[status + 2]++;
}

static void check_person(const struct passwd *person)
{
    CHECK(person->pw_uid >= 1000 && person->pw_gid >= 1000, "%u %u", person->pw_uid, person->pw_gid);
    CHECK(!strpbrk(person->pw_gecos, ":\n") && !strpbrk(person->pw_dir, ":\n") && !strpbrk(person->pw_shell, ":\n"),
          "a field that breaks a line of passwd(5)");
}

static void check_group(const struct group *group)
{
    CHECK(group->gr_gid != 0 && group->gr_gid != (gid_t)-1, "%u", group->gr_gid);
    for (char **member = group->gr_mem; *member; member++)
        CHECK(**member && !strpbrk(*member, ":,\n "), "a member that breaks a line of group(5)");
}

static void ask_everything(void)
{
    struct passwd person;
    struct group group;
    int code;
    static const char *const names[] = {"p0", "p2", "p19", "nobody", "g"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        code = NOTHING;
        enum nss_status status = module.getpwnam(names[n], &person, buffer, sizeof buffer, &code);
        count(status, code);
        if (status == NSS_STATUS_SUCCESS) {
            CHECK(strcmp(person.pw_name, names[n]) == 0, "%s for %s", person.pw_name, names[n]);
            check_person(&person);
        }
        code = NOTHING;
        status = module.getgrnam(names[n], &group, buffer, sizeof buffer, &code);
        count(status, code);
        if (status == NSS_STATUS_SUCCESS) {
            CHECK(strcmp(group.gr_name, names[n]) == 0, "%s for %s", group.gr_name, names[n]);
            check_group(&group);
        }
        long start = 0, size = 4;
        gid_t *gids = malloc(size * sizeof *gids);
        code = NOTHING;
        status = module.initgroups(names[n], 7, &start, &size, &gids, -1, &code);
        count(status, code);
        for (long at = 0; at < start; at++)
            CHECK(gids[at] != 0 && gids[at] != (gid_t)-1, "%u", gids[at]);
        CHECK(status == NSS_STATUS_SUCCESS || start == 0, "%ld gids beside an error", start);
        free(gids);
    }
    for (unsigned id = 5000; id < 5003; id++) {
        code = NOTHING;
        enum nss_status status = module.getpwuid(id, &person, buffer, sizeof buffer, &code);
        count(status, code);
        if (status == NSS_STATUS_SUCCESS)
            CHECK(person.pw_uid == id, "%u for %u", person.pw_uid, id);
    }
    code = NOTHING;
    enum nss_status status = module.getgrgid(9000, &group, buffer, sizeof buffer, &code);
    count(status, code);
    if (status == NSS_STATUS_SUCCESS)
        check_group(&group);
}

static void enumerate(long most)
{
    struct passwd person;
    struct group group;
    enum nss_status status;
    int code = NOTHING;
    uid_t last = 0;
    long entries = 0;
    module.setpwent(0);
    while ((status = module.getpwent(&person, buffer, sizeof buffer, &code)) == NSS_STATUS_SUCCESS) {
        CHECK(person.pw_uid > last && ++entries < most, "%u after %u", person.pw_uid, last);
        check_person(&person);
        last = person.pw_uid;
    }
    count(status, code);
    code = NOTHING;
    entries = 0;
    module.setgrent(0);
    while ((status = module.getgrent(&group, buffer, sizeof buffer, &code)) == NSS_STATUS_SUCCESS) {
        CHECK(++entries < most, "an enumeration without an end");
        check_group(&group);
    }
    count(status, code);
}

int main(int argc, char **argv)
{
    char *bytes;
    CHECK(argc == 4, "three arguments");
    size_t size = read_file(argv[2], &bytes);
    int bits = strcmp(argv[3], "bits") == 0;
    long changes = 0;
    load_module(argv[1]);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < (bits ? 8 : 1); bit++, changes++) {
            alarm(10); /* an endless loop ends here */
            bytes[at] ^= bits << bit;
            publish_bytes(bytes, bits ? size : at);
            ask_everything();
            if (at % 8 == 0 || at < 512)
                enumerate(size);
            bytes[at] ^= bits << bit;
        }
    free(bytes);
    printf("%ld changes: %ld answers, %ld absent, %ld unavailable, %ld try again\n", changes,
           answers[NSS_STATUS_SUCCESS + 2], answers[NSS_STATUS_NOTFOUND + 2], answers[NSS_STATUS_UNAVAIL + 2],
           answers[NSS_STATUS_TRYAGAIN + 2]);
    return 0;
}
