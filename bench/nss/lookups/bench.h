/* Shared by the files of `lookups`: services, keys with the right answers, operations. */
#ifndef BENCH_H
#define BENCH_H

#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A name service module, called as libc calls it: by its symbols. */
struct service {
	const char *label, *name, *path;
	enum nss_status (*getpwnam)(const char *, struct passwd *, char *, size_t, int *);
	enum nss_status (*getpwuid)(uid_t, struct passwd *, char *, size_t, int *);
	enum nss_status (*getgrnam)(const char *, struct group *, char *, size_t, int *);
	enum nss_status (*initgroups)(const char *, gid_t, long *, long *, gid_t **, long, int *);
};

/* label[:name]=path; `files` has no path, it is libc's own. */
struct service parse_service(char *argument);
void load_service(struct service *service);

struct person {
	char *name, *gecos, *home, *shell;
	uid_t uid;
	gid_t gid;
};
struct members {
	char *name;
	gid_t gid;
	size_t count;
	char **members; /* sorted */
};
struct groups_of {
	char *name;
	size_t count;
	gid_t *gids; /* sorted */
};
/* What is asked for, in the order of asking, with the right answers. */
struct keys {
	size_t people, absent, groups, groups_of;
	struct person *person;
	char **absent_name;
	struct members *group;
	struct groups_of *of;
	struct groups_of heavy;
	gid_t everybodys; /* may be among anybody's groups: our module's people group */
};
void load_keys(struct keys *keys, const char *directory);

struct operation {
	const char *name;
	/* As few checks as tell a hit from a miss: this is what is timed. */
	int (*ask)(const struct service *, const struct keys *, size_t);
	/* The whole answer against the truth. */
	int (*check)(const struct service *, const struct keys *, size_t);
	size_t (*different)(const struct keys *);
	int (*has)(const struct service *);
};
const struct operation *find_operation(const char *name);

uint64_t nanoseconds(void);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
