/* Reads the keys and their right answers: people (passwd lines), groups (group lines), absent names, groups of people. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_number(const void *a, const void *b) {
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
	return x < y ? -1 : x > y;
}

/* Calls `add` with every line of a file, split at colons. */
static size_t each_line(const char *directory, const char *file, size_t fields,
                        void (*add)(struct keys *, size_t, char **), struct keys *keys) {
	char path[4096], *line = NULL;
	size_t room = 0, lines = 0;
	snprintf(path, sizeof path, "%s/%s", directory, file);
	FILE *in = fopen(path, "re");
	if (!in)
		fail("%s: %s", path, strerror(errno));
	while (getline(&line, &room, in) > 0) {
		char *field[8], *rest = strdup(line);
		size_t count = 0;
		rest[strcspn(rest, "\n")] = 0;
		while (count < fields && (field[count] = strsep(&rest, ":")))
			count++;
		if (count < fields)
			fail("%s: line %zu has too few fields", path, lines + 1);
		add(keys, lines++, field);
	}
	free(line);
	fclose(in);
	if (!lines)
		fail("%s is empty", path);
	return lines;
}

static void *grown(void *array, size_t index, size_t size) {
	if (index & (index - 1))
		return array;
	array = realloc(array, (index ? 2 * index : 1) * size);
	if (!array)
		fail("out of memory");
	return array;
}

static gid_t number(const char *text) { return (gid_t)strtoul(text, NULL, 10); }

static void add_person(struct keys *keys, size_t index, char **field) {
	keys->person = grown(keys->person, index, sizeof *keys->person);
	keys->person[index] = (struct person){ field[0], field[4], field[5], field[6], number(field[2]), number(field[3]) };
}

static void add_absent(struct keys *keys, size_t index, char **field) {
	keys->absent_name = grown(keys->absent_name, index, sizeof *keys->absent_name);
	keys->absent_name[index] = field[0];
}

static void add_group(struct keys *keys, size_t index, char **field) {
	struct members group = { .name = field[0], .gid = number(field[2]) };
	for (char *name; (name = strsep(&field[3], ",")); group.count++) {
		group.members = grown(group.members, group.count, sizeof *group.members);
		group.members[group.count] = name;
	}
	qsort(group.members, group.count, sizeof *group.members, by_name);
	keys->group = grown(keys->group, index, sizeof *keys->group);
	keys->group[index] = group;
}

static struct groups_of parse_groups_of(char **field) {
	struct groups_of of = { .name = field[0] };
	for (char *gid; (gid = strsep(&field[1], ",")); of.count++) {
		of.gids = grown(of.gids, of.count, sizeof *of.gids);
		of.gids[of.count] = number(gid);
	}
	qsort(of.gids, of.count, sizeof *of.gids, by_number);
	return of;
}

static void add_groups_of(struct keys *keys, size_t index, char **field) {
	keys->of = grown(keys->of, index, sizeof *keys->of);
	keys->of[index] = parse_groups_of(field);
}

static void set_heavy(struct keys *keys, size_t index, char **field) {
	(void)index;
	keys->heavy = parse_groups_of(field);
}

static void set_everybodys(struct keys *keys, size_t index, char **field) {
	(void)index;
	keys->everybodys = number(field[1]);
}

void load_keys(struct keys *keys, const char *directory) {
	*keys = (struct keys){ 0 };
	keys->people = each_line(directory, "keys.people", 7, add_person, keys);
	keys->absent = each_line(directory, "keys.absent", 1, add_absent, keys);
	keys->groups = each_line(directory, "keys.groups", 4, add_group, keys);
	keys->groups_of = each_line(directory, "keys.groups-of", 2, add_groups_of, keys);
	each_line(directory, "keys.heavy", 2, set_heavy, keys);
	each_line(directory, "keys.everybody", 2, set_everybodys, keys);
}
