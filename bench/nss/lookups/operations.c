/* What is asked of a name service: once as fast as it goes, once with the whole answer compared. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 1 << 20 };

static __thread char buffer[BUFFER];
static __thread gid_t *gids;
static __thread long room;

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_number(const void *a, const void *b) {
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
	return x < y ? -1 : x > y;
}

static int is(const struct passwd *entry, const struct person *person) {
	return entry->pw_uid == person->uid && entry->pw_gid == person->gid && !strcmp(entry->pw_name, person->name)
	       && !strcmp(entry->pw_gecos, person->gecos) && !strcmp(entry->pw_dir, person->home)
	       && !strcmp(entry->pw_shell, person->shell);
}

static int name_hit(const struct service *service, const struct keys *keys, size_t n) {
	const struct person *person = &keys->person[n % keys->people];
	struct passwd entry;
	int error = 0;
	return service->getpwnam(person->name, &entry, buffer, BUFFER, &error) == NSS_STATUS_SUCCESS
	       && entry.pw_uid == person->uid;
}

static int name_hit_whole(const struct service *service, const struct keys *keys, size_t n) {
	const struct person *person = &keys->person[n % keys->people];
	struct passwd entry;
	int error = 0;
	return service->getpwnam(person->name, &entry, buffer, BUFFER, &error) == NSS_STATUS_SUCCESS && is(&entry, person);
}

static int uid_hit(const struct service *service, const struct keys *keys, size_t n) {
	const struct person *person = &keys->person[n % keys->people];
	struct passwd entry;
	int error = 0;
	return service->getpwuid(person->uid, &entry, buffer, BUFFER, &error) == NSS_STATUS_SUCCESS
	       && entry.pw_uid == person->uid;
}

static int uid_hit_whole(const struct service *service, const struct keys *keys, size_t n) {
	const struct person *person = &keys->person[n % keys->people];
	struct passwd entry;
	int error = 0;
	return service->getpwuid(person->uid, &entry, buffer, BUFFER, &error) == NSS_STATUS_SUCCESS && is(&entry, person);
}

static int name_miss(const struct service *service, const struct keys *keys, size_t n) {
	struct passwd entry;
	int error = 0;
	return service->getpwnam(keys->absent_name[n % keys->absent], &entry, buffer, BUFFER, &error) == NSS_STATUS_NOTFOUND;
}

static int group(const struct service *service, const struct keys *keys, size_t n) {
	const struct members *group = &keys->group[n % keys->groups];
	struct group entry;
	int error = 0;
	return service->getgrnam(group->name, &entry, buffer, BUFFER, &error) == NSS_STATUS_SUCCESS
	       && entry.gr_gid == group->gid;
}

static int group_whole(const struct service *service, const struct keys *keys, size_t n) {
	const struct members *group = &keys->group[n % keys->groups];
	struct group entry;
	int error = 0;
	if (service->getgrnam(group->name, &entry, buffer, BUFFER, &error) != NSS_STATUS_SUCCESS
	    || entry.gr_gid != group->gid || strcmp(entry.gr_name, group->name))
		return 0;
	size_t count = 0;
	while (entry.gr_mem[count])
		count++;
	if (count != group->count)
		return 0;
	qsort(entry.gr_mem, count, sizeof *entry.gr_mem, by_name);
	for (size_t i = 0; i < count; i++)
		if (strcmp(entry.gr_mem[i], group->members[i]))
			return 0;
	return 1;
}

/* libc hands over an array that has room for the primary group and some more, and lets the module enlarge it. */
static long gids_of(const struct service *service, const char *name) {
	long start = 1;
	int error = 0;
	if (!gids) {
		room = 64;
		gids = malloc((size_t)room * sizeof *gids);
	}
	gids[0] = 1;
	if (service->initgroups(name, 1, &start, &room, &gids, -1, &error) != NSS_STATUS_SUCCESS)
		return -1;
	return start - 1;
}

/* The groups are those of the truth, and no other one than everybody's; a primary group that is repeated is harmless. */
static int gids_are(const struct keys *keys, const struct groups_of *of, long count) {
	size_t same = 0;
	if (count < 0)
		return 0;
	for (long i = 1; i <= count; i++) {
		if (bsearch(&gids[i], of->gids, of->count, sizeof *gids, by_number))
			same++;
		else if (gids[i] != keys->everybodys)
			return 0;
	}
	return same == of->count;
}

static int supplementary(const struct service *service, const struct keys *keys, size_t n) {
	const struct groups_of *of = &keys->of[n % keys->groups_of];
	return gids_of(service, of->name) >= (long)of->count;
}

static int supplementary_whole(const struct service *service, const struct keys *keys, size_t n) {
	const struct groups_of *of = &keys->of[n % keys->groups_of];
	return gids_are(keys, of, gids_of(service, of->name));
}

static int supplementary_500(const struct service *service, const struct keys *keys, size_t n) {
	(void)n;
	return gids_of(service, keys->heavy.name) >= (long)keys->heavy.count;
}

static int supplementary_500_whole(const struct service *service, const struct keys *keys, size_t n) {
	(void)n;
	return gids_are(keys, &keys->heavy, gids_of(service, keys->heavy.name));
}

static size_t people(const struct keys *keys) { return keys->people; }
static size_t absent(const struct keys *keys) { return keys->absent; }
static size_t groups(const struct keys *keys) { return keys->groups; }
static size_t members(const struct keys *keys) { return keys->groups_of; }
static size_t one(const struct keys *keys) { return keys ? 1 : 0; }
static int has_people(const struct service *service) { return service->getpwnam && service->getpwuid; }
static int has_groups(const struct service *service) { return !!service->getgrnam; }
static int has_initgroups(const struct service *service) { return !!service->initgroups; }

static const struct operation operations[] = {
	{ "name-hit", name_hit, name_hit_whole, people, has_people },
	{ "uid-hit", uid_hit, uid_hit_whole, people, has_people },
	{ "name-miss", name_miss, name_miss, absent, has_people },
	{ "group", group, group_whole, groups, has_groups },
	{ "initgroups-5", supplementary, supplementary_whole, members, has_initgroups },
	{ "initgroups-500", supplementary_500, supplementary_500_whole, one, has_initgroups },
};

const struct operation *find_operation(const char *name) {
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	fail("there is no operation %s", name);
}
