/* Drives name service modules through their own symbols, and prints one line for every round and service.
 *
 *   lookups check   KEYS OPERATIONS SERVICE          every key once, whole answers
 *   lookups latency KEYS OPERATIONS ROUNDS SERVICE…  "operation label round nanoseconds"
 *   lookups threads KEYS OPERATION ROUNDS SERVICE…   "operation label round one two cpu_one cpu_two share": lookups a
 *                                                    second by one thread and by two, CPU nanoseconds of each lookup,
 *                                                    and the least share of a core that a thread got
 *   lookups memory  KEYS LOOKUPS SERVICE             "KiB descriptors" that the module adds to this process
 *   lookups loop    KEYS OPERATION LOOKUPS SERVICE   nothing but the lookups, to be watched from outside
 *
 * KEYS is a directory; OPERATIONS are separated by commas; SERVICE is label[:name]=path. A wrong answer ends in status 1.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A cell is one service's share of a round: what it manages in CELL_US. Whoever manages FAST lookups or more makes SAME: a
 * key that comes again within a cell is found in the processor's caches, so that whoever made more lookups would find more
 * of them there. Services that need longer for a single lookup take part in every RARELYth round alone, so that the fast
 * ones stay close to each other in time. */
enum { SERVICES = 16, CELL_US = 1000, FAST = 100, SAME = 1000, RARELY = 8, SLICE_US = 10000 };

static struct keys keys;
static struct service services[SERVICES];
static size_t count;
static size_t wrong;

void fail(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fputs("lookups: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t clock_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t nanoseconds(void) { return clock_of(CLOCK_MONOTONIC); }

struct service parse_service(char *argument) {
	struct service service = { .label = strsep(&argument, "="), .path = argument };
	char *name = strchr(service.label, ':');
	if (name)
		*name++ = 0;
	service.name = name ? name : service.label;
	return service;
}

static void *symbol(void *library, const struct service *service, const char *function) {
	char name[128];
	snprintf(name, sizeof name, "_nss_%s_%s", service->name, function);
	return dlsym(library, name);
}

void load_service(struct service *service) {
	void *library = dlopen(service->path ? service->path : "libc.so.6", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		fail("%s: %s", service->label, dlerror());
	service->getpwnam = symbol(library, service, "getpwnam_r");
	service->getpwuid = symbol(library, service, "getpwuid_r");
	service->getgrnam = symbol(library, service, "getgrnam_r");
	service->initgroups = symbol(library, service, "initgroups_dyn");
	if (!service->getpwnam || !service->getpwuid)
		fail("%s has no lookups of people", service->label);
}

/* `patience`: microseconds after which a slow service need not answer for the remaining keys. */
static void check(const struct service *service, const struct operation *operation, uint64_t patience) {
	uint64_t begun = nanoseconds();
	size_t bad = 0, all = operation->different(&keys), n = 0;
	for (; n < all && (n < 20 || nanoseconds() - begun < patience * 1000); n++)
		bad += !operation->check(service, &keys, n);
	if (bad)
		fprintf(stderr, "lookups: %s %s: %zu of %zu answers are wrong\n", service->label, operation->name, bad, n);
	wrong += bad;
}

/* How many lookups a cell has. */
static size_t batch(const struct service *service, const struct operation *operation) {
	uint64_t begun = nanoseconds(), spent;
	size_t n = 0;
	do {
		wrong += !operation->ask(service, &keys, n++);
		spent = nanoseconds() - begun;
	} while (spent < CELL_US * 1000u);
	return n < FAST ? n : SAME;
}

/* Another order for every round: a service that reads megabytes leaves cold caches to the next, and in a fixed order that
 * would always be the same one. The same sequence each time the program runs. */
static void shuffle(size_t *order) {
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = (size_t)rand() % (i + 1), kept = order[i];
		order[i] = order[j];
		order[j] = kept;
	}
}

static void latency(const struct operation *operation, size_t rounds) {
	size_t cell[SERVICES], order[SERVICES], start = 0;
	for (size_t s = 0; s < count; s++) {
		order[s] = s;
		if (!operation->has(&services[s]))
			continue;
		check(&services[s], operation, 1000 * CELL_US);
		cell[s] = batch(&services[s], operation);
	}
	for (size_t round = 0; round < rounds; round++) {
		shuffle(order);
		for (size_t i = 0; i < count; i++) {
			size_t s = order[i];
			if (!operation->has(&services[s]) || (cell[s] == 1 && round % RARELY))
				continue;
			uint64_t begun = nanoseconds();
			for (size_t n = 0; n < cell[s]; n++)
				wrong += !operation->ask(&services[s], &keys, start + n);
			uint64_t spent = nanoseconds() - begun;
			printf("%s %s %zu %.2f\n", operation->name, services[s].label, round, (double)spent / (double)cell[s]);
		}
		start += 7919;
	}
}

/* Threads */

struct worker {
	const struct service *service;
	const struct operation *operation;
	size_t first, done, bad;
	int cpu;
	uint64_t cpu_ns;
};
static atomic_int going;

static void *work(void *argument) {
	struct worker *worker = argument;
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET((size_t)worker->cpu, &only);
	pthread_setaffinity_np(pthread_self(), sizeof only, &only);
	size_t n = 0, bad = !worker->operation->ask(worker->service, &keys, worker->first);
	while (!atomic_load_explicit(&going, memory_order_acquire))
		sched_yield();
	uint64_t begun = clock_of(CLOCK_THREAD_CPUTIME_ID);
	while (atomic_load_explicit(&going, memory_order_relaxed) == 1)
		for (size_t k = 0; k < 16; k++)
			bad += !worker->operation->ask(worker->service, &keys, worker->first + n++);
	worker->cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID) - begun;
	worker->done = n;
	worker->bad = bad;
	return NULL;
}

/* Lookups a second of all threads together; CPU nanoseconds of each in `cpu_ns`; lowers `share` to the least of a core
 * that a thread got. */
static double together(const struct service *service, const struct operation *operation, const int *cpus, size_t threads,
                       double *cpu_ns, double *share) {
	pthread_t thread[2];
	struct worker worker[2];
	size_t done = 0;
	uint64_t spent = 0;
	struct timespec slice = { 0, SLICE_US * 1000 }, beginning = { 0, 1000000 };
	atomic_store(&going, 0);
	for (size_t i = 0; i < threads; i++) {
		worker[i] = (struct worker){ .service = service, .operation = operation, .first = i * 7777, .cpu = cpus[i] };
		if (pthread_create(&thread[i], NULL, work, &worker[i]))
			fail("no thread");
	}
	nanosleep(&beginning, NULL);
	uint64_t begun = nanoseconds();
	atomic_store_explicit(&going, 1, memory_order_release);
	nanosleep(&slice, NULL);
	atomic_store(&going, 2);
	for (size_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	uint64_t ended = nanoseconds();
	for (size_t i = 0; i < threads; i++) {
		done += worker[i].done;
		wrong += worker[i].bad;
		spent += worker[i].cpu_ns;
		double got = (double)worker[i].cpu_ns / (double)(ended - begun);
		*share = got < *share ? got : *share;
	}
	*cpu_ns = done ? (double)spent / (double)done : 0;
	return (double)done * 1e9 / (double)(ended - begun);
}

static void threads(const struct operation *operation, size_t rounds) {
	cpu_set_t allowed;
	int cpus[2], found = 0;
	sched_getaffinity(0, sizeof allowed, &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed))
			cpus[found++] = cpu;
	if (found < 2)
		fail("two threads need two cores");
	for (size_t round = 0; round < rounds; round++)
		for (size_t s = 0; s < count; s++) {
			double one_ns, two_ns, share = 1;
			int turned[2] = { cpus[round % 2], cpus[1 - round % 2] };
			double one = together(&services[s], operation, turned, 1, &one_ns, &share);
			double two = together(&services[s], operation, turned, 2, &two_ns, &share);
			printf("%s %s %zu %.0f %.0f %.1f %.1f %.3f\n", operation->name, services[s].label, round, one, two, one_ns,
			       two_ns, share);
		}
}

/* Memory */

/* Pages of its own that this process has, those of files that it wrote to among them. Pages of files that nobody wrote to
 * are in memory once for all processes. */
static long private_kib(void) {
	char line[256];
	long kib = -1;
	FILE *in = fopen("/proc/self/smaps_rollup", "re");
	if (!in)
		fail("no smaps_rollup");
	while (fgets(line, sizeof line, in))
		sscanf(line, "Anonymous: %ld", &kib);
	fclose(in);
	return kib;
}

static int descriptors(void) {
	int open = 0;
	for (int fd = 0; fd < 1024; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	return open;
}

static enum nss_status nobody(const char *name, struct passwd *entry, char *buffer, size_t size, int *error) {
	(void)name, (void)entry, (void)error;
	memset(buffer, 1, size);
	return NSS_STATUS_NOTFOUND;
}

static void memory(struct service *service, size_t lookups) {
	const struct service stand_in = { .getpwnam = nobody };
	const struct operation *by_name = find_operation("name-hit"), *by_uid = find_operation("uid-hit");
	/* The harness's own buffer, and stdio's, are there before the first look. */
	by_name->ask(&stand_in, &keys, 0);
	private_kib();
	long before = private_kib();
	int open = descriptors();
	load_service(service);
	for (size_t n = 0; n < lookups; n += 2) {
		wrong += !by_name->ask(service, &keys, n);
		wrong += !by_uid->ask(service, &keys, n + 1);
	}
	printf("%ld %d\n", private_kib() - before, descriptors() - open);
}

static void each_operation(char *names, size_t rounds) {
	for (char *name; (name = strsep(&names, ","));) {
		if (rounds)
			latency(find_operation(name), rounds);
		else
			check(&services[0], find_operation(name), UINT64_MAX / 1000);
	}
}

int main(int argc, char **argv) {
	if (argc < 4)
		fail("usage: see the head of lookups.c");
	const char *mode = argv[1];
	int is_memory = !strcmp(mode, "memory"), is_check = !strcmp(mode, "check");
	int first = is_memory || is_check ? 4 : 5;
	load_keys(&keys, argv[2]);
	if (argc <= first || argc - first > SERVICES)
		fail("no service, or too many");
	for (int i = first; i < argc; i++) {
		services[count] = parse_service(argv[i]);
		if (!is_memory)
			load_service(&services[count]);
		count++;
	}
	size_t number = strtoul(argv[is_memory ? 3 : 4], NULL, 10);
	if (is_memory)
		memory(&services[0], number);
	else if (is_check)
		each_operation(argv[3], 0);
	else if (!strcmp(mode, "latency"))
		each_operation(argv[3], number);
	else if (!strcmp(mode, "threads"))
		threads(find_operation(argv[3]), number);
	else if (!strcmp(mode, "loop"))
		for (size_t n = 0; n < number; n++)
			wrong += !find_operation(argv[3])->ask(&services[0], &keys, n);
	else
		fail("there is no %s", mode);
	if (wrong)
		fail("%zu wrong answers", wrong);
	return 0;
}
