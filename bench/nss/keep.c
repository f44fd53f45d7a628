/* Keeps files in memory until it is killed: keep FILE…; prints a line when they are there.
 *
 * What is measured are warm lookups. A kernel that reclaims idle memory all the time (DAMON) takes pages of a file from
 * the cache between two measurements, and brings them back in smaller pieces than they came in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

static int keep(const char *path) {
	struct stat file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &file))
		return -1;
	if (!file.st_size)
		return close(fd);
	void *start = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, fd, 0);
	return start == MAP_FAILED || mlock(start, (size_t)file.st_size) ? -1 : close(fd);
}

int main(int argc, char **argv) {
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 1; i < argc; i++)
		if (keep(argv[i])) {
			fprintf(stderr, "keep: %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	puts("kept");
	fflush(stdout);
	for (;;)
		pause();
}
