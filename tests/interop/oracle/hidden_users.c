/* A source of nsswitch.conf as directories are: it finds one user who is asked for, and lists nobody.
   The hash is that of site.PASSWORD. */
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>

static enum nss_status fill(struct passwd *found)
{
    found->pw_name = "ghost";
    found->pw_passwd = "$1$saltsalt$4GjbKnCDSyi2rl7G9MlD10";
    found->pw_uid = found->pw_gid = 4711;
    found->pw_gecos = "";
    found->pw_dir = "/home/ghost";
    found->pw_shell = "/bin/sh";
    return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_hidden_getpwnam_r(
    const char *name, struct passwd *found, char *buffer, size_t size, int *error)
{
    return strcmp(name, "ghost") ? NSS_STATUS_NOTFOUND : fill(found);
}

enum nss_status _nss_hidden_getpwuid_r(
    uid_t number, struct passwd *found, char *buffer, size_t size, int *error)
{
    return number != 4711 ? NSS_STATUS_NOTFOUND : fill(found);
}
