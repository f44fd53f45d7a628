/* Publishes over and over while threads and processes look up: load MODULE EVEN ODD PUBLICATIONS
 *
 * EVEN and ODD are published databases; only ODD has the person `odd`. Wherever they have ten letters g in a row there
 * stands, once published, the number of the publication; even numbers are made from EVEN. Every answer is
 * compared with what was published before the call began and what may have been published before it ended. */
#include "driver.h"
#include <sys/prctl.h>

enum { THREADS = 8, PROCESSES = 8, READERS = THREADS + PROCESSES, TOKEN = 10, MEMBERS = 400 };

static struct shared {
    /* Numbers of publications: begun; complete to the last step, or seen by somebody. */
    _Atomic long begun, complete;
    _Atomic int stop;
    struct { _Atomic long reads, generations; char padding[48]; } reader[READERS];
} *shared;

static long number_in(const char *text)
{
    return strtol(text + strlen(text) - (TOKEN - 1), NULL, 10);
}

/* What one reader has seen, no other may be told to be absent or older afterwards. */
static void seen(long number)
{
    long complete = atomic_load(&shared->complete);
    while (complete < number && !atomic_compare_exchange_weak(&shared->complete, &complete, number))
        ;
}

/* One round of questions; gives the newest number seen. */
static long ask(long newest)
{
    static _Thread_local char buffer[1 << 16];
    struct passwd person;
    struct group group;
    int code = NOTHING;
    long before = atomic_load(&shared->complete);
    CHECK(module.getpwnam("ann", &person, buffer, sizeof buffer, &code) == NSS_STATUS_SUCCESS, "errno %d", code);
    long after = atomic_load(&shared->begun), number = number_in(person.pw_gecos);
    CHECK(number == number_in(person.pw_dir) && number == number_in(person.pw_shell), "torn: %s %s %s",
          person.pw_gecos, person.pw_dir, person.pw_shell);
    CHECK(number >= before && number >= newest && number <= after, "%ld <= %ld <= %ld", before, number, after);
    seen(newest = number);

    before = atomic_load(&shared->complete);
    CHECK(module.getgrgid(9000, &group, buffer, sizeof buffer, &code) == NSS_STATUS_SUCCESS, "errno %d", code);
    after = atomic_load(&shared->begun);
    number = number_in(group.gr_mem[0]);
    int members = 0;
    for (char **member = group.gr_mem; *member; member++, members++)
        CHECK(number_in(*member) == number, "torn: %s among those of %ld", *member, number);
    CHECK(members == MEMBERS && number >= before && number >= newest && number <= after, "%ld <= %ld <= %ld, %d",
          before, number, after, members);
    seen(newest = number);

    before = atomic_load(&shared->complete);
    enum nss_status status = module.getpwuid(5001, &person, buffer, sizeof buffer, &code);
    after = atomic_load(&shared->begun);
    DOCUMENTED(status, status == NSS_STATUS_SUCCESS ? NOTHING : code);
    if (before == after)
        CHECK(status == (before % 2 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND), "%d in publication %ld", status, before);
    if (status == NSS_STATUS_SUCCESS) {
        CHECK(number_in(person.pw_gecos) % 2 == 1 && number_in(person.pw_gecos) >= before, "%s", person.pw_gecos);
        seen(number_in(person.pw_gecos));
    }
    return newest;
}

static void *read_on(void *argument)
{
    long which = (long)argument, newest = 0;
    while (!atomic_load(&shared->stop)) {
        long seen = ask(newest);
        atomic_fetch_add(&shared->reader[which].generations, seen != newest);
        atomic_fetch_add(&shared->reader[which].reads, 1);
        newest = seen;
    }
    return NULL;
}

/* What a process has mapped and open after the last publication. */
static void nothing_is_left(void)
{
    ask(0);
    int maps = maps_of_database();
    CHECK(maps == 1, "%d mappings are left", maps);
    for (int descriptor = 3; descriptor < 64; descriptor++) {
        char link[32], path[512];
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(link, path, sizeof path - 1);
        CHECK(length < 0 || !memmem(path, length, "nss.db", 6), "descriptor %d is open", descriptor);
    }
}

static pid_t in_a_process(long first, int threads)
{
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no reader outlives a failing test */
    pthread_t thread[THREADS];
    for (long n = 0; n < threads; n++)
        CHECK(pthread_create(&thread[n], NULL, read_on, (void *)(first + n)) == 0, "thread %ld", n);
    for (int n = 0; n < threads; n++)
        pthread_join(thread[n], NULL);
    nothing_is_left();
    _exit(0);
}

static long reads(void)
{
    long sum = 0;
    for (int n = 0; n < READERS; n++)
        sum += atomic_load(&shared->reader[n].reads);
    return sum;
}

static void put_number(char *bytes, size_t size, const char *template, long number)
{
    char text[32];
    snprintf(text, sizeof text, "g%09ld", number);
    for (const char *at = template; (at = memmem(at, template + size - at, "gggggggggg", TOKEN)); at += TOKEN)
        memcpy(bytes + (at - template), text, TOKEN);
}

int main(int argc, char **argv)
{
    char *template[2], *bytes[2];
    size_t size[2];
    CHECK(argc == 5, "four arguments");
    long publications = atol(argv[4]);
    alarm(540);
    for (int n = 0; n < 2; n++) {
        size[n] = read_file(argv[2 + n], &template[n]);
        bytes[n] = memcpy(malloc(size[n]), template[n], size[n]);
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    put_number(bytes[0], size[0], template[0], 0);
    publish_bytes(bytes[0], size[0]);
    load_module(argv[1]);

    pid_t child[1 + PROCESSES];
    child[0] = in_a_process(0, THREADS);
    for (int n = 0; n < PROCESSES; n++)
        child[1 + n] = in_a_process(THREADS + n, 1);
    for (int n = 0; n < READERS; n++)
        while (!atomic_load(&shared->reader[n].reads)) {
            CHECK(waitpid(-1, NULL, WNOHANG) == 0, "a reader has ended");
            sched_yield();
        }
    setpriority(PRIO_PROCESS, 0, -10); /* sixteen readers leave it little otherwise */
    for (long number = 1; number <= publications; number++) {
        int parity = number % 2;
        put_number(bytes[parity], size[parity], template[parity], number);
        atomic_store(&shared->begun, number);
        publish_bytes(bytes[parity], size[parity]);
        seen(number);
        /* Fifty rounds of questions between any two publications. */
        for (long enough = reads() + 50; reads() < enough; usleep(20)) /* asleep, it is the first to run again */
            CHECK(waitpid(-1, NULL, WNOHANG) == 0, "a reader has ended");
    }
    atomic_store(&shared->stop, 1);
    long least = publications;
    for (int n = 0; n < READERS; n++) {
        long seen = atomic_load(&shared->reader[n].generations);
        least = seen < least ? seen : least;
    }
    for (int n = 0; n < 1 + PROCESSES; n++) {
        int status;
        CHECK(waitpid(child[n], &status, 0) == child[n] && status == 0, "reader %d ended with %d", n, status);
    }
    printf("%ld publications, %ld rounds of questions, every reader saw at least %ld of them\n", publications, reads(),
           least);
    return 0;
}
