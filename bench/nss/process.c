/* What a whole process costs, by name service; one line "label round microseconds" for every round.
 *
 *   process lookups  ROUNDS NAME UID SOURCES…          this very program, started to look one name up by SOURCES
 *   process commands ROUNDS OUTPUT SOURCES… -- COMMAND  a real command under an nsswitch.conf that says SOURCES
 *
 * SOURCES is the right side of an nsswitch.conf line, "files oauth2", and the label, with commas for blanks. A wrong
 * answer ends in status 1. What COMMAND printed first is left in OUTPUT/SOURCES. Needs root, for mount namespaces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <nss.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS = 8 };

extern char **environ;
extern int __nss_configure_lookup(const char *database, const char *sources);

struct job {
	char *label;
	char *argv[8];
	int to, from;
};

static void fail(const char *what) {
	fprintf(stderr, "process: %s: %s\n", what, strerror(errno));
	exit(2);
}

static char *with_blanks(const char *label) {
	char *sources = strdup(label);
	for (char *c = sources; *c; c++)
		if (*c == ',')
			*c = ' ';
	return sources;
}

/* The tiny program: NAME must have UID. */
static int look_up(char **argument) {
	__nss_configure_lookup("passwd", argument[0]);
	const struct passwd *entry = getpwnam(argument[1]);
	return entry && entry->pw_uid == (uid_t)strtoul(argument[2], NULL, 10) ? 0 : 1;
}

/* Microseconds from the start of a program to its end; its output goes to `output`. */
static double run(char **argv, const char *output, int *status) {
	posix_spawn_file_actions_t actions;
	pid_t child;
	struct timespec begun, ended;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	if ((errno = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ)))
		fail(argv[0]);
	waitpid(child, status, 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	posix_spawn_file_actions_destroy(&actions);
	return (double)(ended.tv_sec - begun.tv_sec) * 1e6 + (double)(ended.tv_nsec - begun.tv_nsec) / 1e3;
}

static int lookups(int rounds, char *name, char *uid, int jobs, char **labels) {
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	int status, bad = 0;
	if (length < 0)
		fail("/proc/self/exe");
	self[length] = 0;
	for (int round = -3; round < rounds; round++)
		for (int i = 0; i < jobs; i++) {
			char *label = labels[(i + round + 3) % jobs];
			char *argv[] = { self, "child", with_blanks(label), name, uid, NULL };
			double spent = run(argv, "/dev/null", &status);
			if (status)
				fprintf(stderr, "process: %s: %s is not %s\n", label, name, uid);
			bad |= status;
			if (round >= 0)
				printf("%s %d %.1f\n", label, round, spent);
			free(argv[2]);
		}
	return bad ? 1 : 0;
}

/* Sits in a mount namespace with its own nsswitch.conf, and runs the command once for every byte it is sent. */
static void serve(const struct job *job, int orders, int results, const char *directory) {
	char path[4096], output[4096], text[256], byte;
	int status;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("a mount namespace");
	char *sources = with_blanks(job->label);
	snprintf(path, sizeof path, "%s/nsswitch.%s", directory, job->label);
	snprintf(output, sizeof output, "%s/%s", directory, job->label);
	int length = snprintf(text, sizeof text, "passwd: %s\ngroup: %s\n", sources, sources);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)length) != length || close(fd))
		fail(path);
	if (mount(path, "/etc/nsswitch.conf", NULL, MS_BIND, NULL))
		fail("/etc/nsswitch.conf");
	while (read(orders, &byte, 1) == 1) {
		double spent = run((char **)job->argv, byte == 'f' ? output : "/dev/null", &status);
		if (write(results, &spent, sizeof spent) != sizeof spent)
			break;
	}
	_exit(0);
}

static void start(struct job *job, const char *directory) {
	int orders[2], results[2];
	if (pipe2(orders, O_CLOEXEC) || pipe2(results, O_CLOEXEC))
		fail("a pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (!child) {
		close(orders[1]);
		close(results[0]);
		serve(job, orders[0], results[1], directory);
	}
	close(orders[0]);
	close(results[1]);
	job->to = orders[1];
	job->from = results[0];
}

static double ask(const struct job *job, char byte) {
	double spent;
	if (write(job->to, &byte, 1) != 1 || read(job->from, &spent, sizeof spent) != sizeof spent)
		fail(job->label);
	return spent;
}

static int commands(int rounds, const char *directory, int jobs, char **labels, char **command) {
	struct job job[JOBS];
	for (int i = 0; i < jobs; i++) {
		job[i] = (struct job){ .label = labels[i] };
		for (int k = 0; k < 7 && command[k]; k++)
			job[i].argv[k] = command[k];
		start(&job[i], directory);
		ask(&job[i], 'f');
	}
	for (int round = -3; round < rounds; round++)
		for (int i = 0; i < jobs; i++) {
			const struct job *next = &job[(i + round + 3) % jobs];
			double spent = ask(next, 'x');
			if (round >= 0)
				printf("%s %d %.1f\n", next->label, round, spent);
		}
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 5 && !strcmp(argv[1], "child"))
		return look_up(argv + 2);
	if (argc > 5 && !strcmp(argv[1], "lookups"))
		return lookups(atoi(argv[2]), argv[3], argv[4], argc - 5, argv + 5);
	int last = 4;
	while (last < argc && strcmp(argv[last], "--"))
		last++;
	if (last + 1 >= argc || last - 4 > JOBS || strcmp(argv[1], "commands")) {
		fprintf(stderr, "usage: see the head of process.c\n");
		return 2;
	}
	return commands(atoi(argv[2]), argv[3], last - 4, argv + 4, argv + last + 1);
}
