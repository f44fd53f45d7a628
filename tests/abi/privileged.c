/* A setuid program that asks for a name: privileged NAME. Its module is fixed when it is compiled, as libc's path is. */
#include "driver.h"
#include <sys/auxv.h>

int main(int argc, char **argv)
{
    struct passwd person;
    char buffer[4096];
    int code = NOTHING;
    CHECK(argc == 2, "one argument");
    CHECK(geteuid() == 0 && getuid() != 0 && getauxval(AT_SECURE), "not run as a setuid program");
    load_module(MODULE);
    /* For whoever watches the system calls. */
    access("/from-here-on", F_OK);
    enum nss_status status = module.getpwnam(argv[1], &person, buffer, sizeof buffer, &code);
    access("/up-to-here", F_OK);
    printf("%d %d", status, code);
    if (status == NSS_STATUS_SUCCESS)
        printf(" %s %u %s %s", person.pw_name, person.pw_uid, person.pw_dir, person.pw_shell);
    putchar('\n');
    return 0;
}
