/*
 * OpenSSH's SecurityKeyProvider (sk-api.h) over fidokit.
 *
 * Nothing is done here: each call is written to a program, fidokit/provider/main.py, and what it
 * answers is copied into memory that the caller frees. abi.py fixes both messages. Which Python
 * runs that program stands in a file beside this library (see library.py).
 *
 * -DFIDOKIT_SK_API=9 builds it for OpenSSH 8.9 and 9.0, which know neither SK_FORCE_OPERATION nor
 * "credential exists": there a resident key that would replace its namesake is refused.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef FIDOKIT_SK_API
#define FIDOKIT_SK_API 10
#endif

#define SK_ERR_GENERAL (-1)
#define SK_ERR_LAST (-5)
#define LONGEST (4U << 20) /* bytes of a message, as in abi.py */
#define MOST_KEYS 4096U
#define EXPORT __attribute__((visibility("default")))

extern char **environ;

/* The structures are sk-api.h's, versions 9 and 10. */
struct sk_enroll_response {
	uint8_t flags;
	uint8_t *public_key;
	size_t public_key_len;
	uint8_t *key_handle;
	size_t key_handle_len;
	uint8_t *signature;
	size_t signature_len;
	uint8_t *attestation_cert;
	size_t attestation_cert_len;
	uint8_t *authdata;
	size_t authdata_len;
};

struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	uint8_t *sig_r;
	size_t sig_r_len;
	uint8_t *sig_s;
	size_t sig_s_len;
};

struct sk_resident_key {
	uint32_t alg;
	size_t slot;
	char *application;
	struct sk_enroll_response key;
	uint8_t flags;
	uint8_t *user_id;
	size_t user_id_len;
};

struct sk_option {
	char *name;
	char *value;
	uint8_t required;
};

enum operation { ENROLL = 1, SIGN = 2, LOAD = 3 };

/* --- bytes that grow ------------------------------------------------------------------------ */

struct bytes {
	uint8_t *data;
	size_t size, room;
	int failed;
};

/* Holds the PIN: the old place is wiped before it is given back. */
static void add(struct bytes *to, const void *data, size_t size)
{
	if (to->failed || size > LONGEST || to->size + size > LONGEST) {
		to->failed = 1;
		return;
	}
	if (to->size + size > to->room) {
		size_t room = 2 * (to->size + size) + 256;
		uint8_t *moved = malloc(room);
		if (moved == NULL) {
			to->failed = 1;
			return;
		}
		if (to->size)
			memcpy(moved, to->data, to->size);
		if (to->data)
			explicit_bzero(to->data, to->room);
		free(to->data);
		to->data = moved;
		to->room = room;
	}
	if (size)
		memcpy(to->data + to->size, data, size);
	to->size += size;
}

static void wipe(struct bytes *all)
{
	if (all->data)
		explicit_bzero(all->data, all->room);
	free(all->data);
	memset(all, 0, sizeof(*all));
}

static void add_u8(struct bytes *to, uint8_t value)
{
	add(to, &value, 1);
}

static void add_u32(struct bytes *to, uint32_t value)
{
	uint8_t wire[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
		(uint8_t)value };
	add(to, wire, sizeof(wire));
}

static void add_string(struct bytes *to, const void *data, size_t size)
{
	add_u32(to, (uint32_t)size); /* where that cuts it off, it is too long to be added, too */
	add(to, data, size);
}

static void add_text(struct bytes *to, const char *text)
{
	add_string(to, text, text == NULL ? 0 : strlen(text));
}

static void add_options(struct bytes *to, struct sk_option **options)
{
	uint32_t count = 0;
	while (options && options[count])
		count++;
	add_u32(to, count);
	for (uint32_t at = 0; at < count; at++) {
		add_text(to, options[at]->name);
		add_text(to, options[at]->value);
		add_u8(to, options[at]->required);
	}
}

/* --- what is taken from a reply; after the first fault nothing is taken any more -------------- */

struct reply {
	const uint8_t *data;
	size_t left;
	int failed;
};

static const uint8_t *take(struct reply *from, size_t size)
{
	const uint8_t *data = from->data;
	if (from->failed || size > from->left) {
		from->failed = 1;
		return NULL;
	}
	from->data += size;
	from->left -= size;
	return data;
}

static uint8_t take_u8(struct reply *from)
{
	const uint8_t *data = take(from, 1);
	return data ? data[0] : 0;
}

static uint32_t take_u32(struct reply *from)
{
	const uint8_t *data = take(from, 4);
	return data ? (uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3] : 0;
}

/* A copy for the caller to free; a NUL follows it, which is not counted. */
static void take_string(struct reply *from, uint8_t **copy, size_t *size)
{
	uint32_t length = take_u32(from);
	const uint8_t *data = take(from, length);
	if (data == NULL)
		return;
	*copy = malloc((size_t)length + 1);
	if (*copy == NULL) {
		from->failed = 1;
		return;
	}
	memcpy(*copy, data, length);
	(*copy)[length] = 0;
	*size = length;
}

static char *take_text(struct reply *from)
{
	uint8_t *text = NULL;
	size_t size = 0;
	take_string(from, &text, &size);
	if (text && memchr(text, 0, size))
		from->failed = 1;
	return (char *)text;
}

static int take_status(struct reply *from)
{
	int status = -(int)(take_u8(from) & 0x7f);
	return from->failed || status < SK_ERR_LAST ? SK_ERR_GENERAL : status;
}

static int is_whole(const struct reply *all)
{
	return !all->failed && all->left == 0;
}

static void free_enrolled(struct sk_enroll_response *all)
{
	free(all->public_key);
	free(all->key_handle);
	free(all->signature);
	free(all->attestation_cert);
	free(all->authdata);
}

static int take_enrolled(struct reply from, struct sk_enroll_response **result)
{
	int status = take_status(&from);
	if (status)
		return status;
	struct sk_enroll_response *made = calloc(1, sizeof(*made));
	if (made == NULL)
		return SK_ERR_GENERAL;
	made->flags = take_u8(&from);
	take_string(&from, &made->public_key, &made->public_key_len);
	take_string(&from, &made->key_handle, &made->key_handle_len);
	take_string(&from, &made->signature, &made->signature_len);
	take_string(&from, &made->attestation_cert, &made->attestation_cert_len);
	take_string(&from, &made->authdata, &made->authdata_len);
	if (is_whole(&from)) {
		*result = made;
		return 0;
	}
	free_enrolled(made);
	free(made);
	return SK_ERR_GENERAL;
}

static int take_signature(struct reply from, struct sk_sign_response **result)
{
	int status = take_status(&from);
	if (status)
		return status;
	struct sk_sign_response *made = calloc(1, sizeof(*made));
	if (made == NULL)
		return SK_ERR_GENERAL;
	made->flags = take_u8(&from);
	made->counter = take_u32(&from);
	take_string(&from, &made->sig_r, &made->sig_r_len);
	take_string(&from, &made->sig_s, &made->sig_s_len);
	if (is_whole(&from)) {
		*result = made;
		return 0;
	}
	free(made->sig_r);
	free(made->sig_s);
	free(made);
	return SK_ERR_GENERAL;
}

static struct sk_resident_key *take_key(struct reply *from, size_t slot)
{
	struct sk_resident_key *key = calloc(1, sizeof(*key));
	if (key == NULL) {
		from->failed = 1;
		return NULL;
	}
	key->slot = slot;
	key->alg = take_u32(from);
	key->application = take_text(from);
	key->flags = take_u8(from);
	take_string(from, &key->user_id, &key->user_id_len);
	take_string(from, &key->key.public_key, &key->key.public_key_len);
	take_string(from, &key->key.key_handle, &key->key.key_handle_len);
	return key;
}

static void free_keys(struct sk_resident_key **keys, size_t count)
{
	for (size_t at = 0; at < count; at++) {
		if (keys[at] == NULL)
			continue;
		free(keys[at]->application);
		free(keys[at]->user_id);
		free_enrolled(&keys[at]->key);
		free(keys[at]);
	}
	free(keys);
}

static int take_keys(struct reply from, struct sk_resident_key ***result, size_t *result_count)
{
	int status = take_status(&from);
	if (status)
		return status;
	uint32_t count = take_u32(&from);
	if (from.failed || count > MOST_KEYS)
		return SK_ERR_GENERAL;
	struct sk_resident_key **keys = calloc((size_t)count + 1, sizeof(*keys));
	if (keys == NULL)
		return SK_ERR_GENERAL;
	for (uint32_t at = 0; at < count && !from.failed; at++)
		keys[at] = take_key(&from, at);
	if (is_whole(&from)) {
		*result = keys;
		*result_count = count;
		return 0;
	}
	free_keys(keys, count);
	return SK_ERR_GENERAL;
}

/* --- the program that does the work ----------------------------------------------------------- */

static const char here; /* an address inside of this library */

/* Whether a group that may write is a user's own, as Debian gives each one, or Debian's group for
 * /usr/local while nobody is in it. */
static int is_private(const struct stat *at)
{
	struct passwd *owner = getpwuid(at->st_uid);
	char *name = owner ? strdup(owner->pw_name) : NULL;
	struct group *group = name ? getgrgid(at->st_gid) : NULL;
	int private = group && (!strcmp(group->gr_name, name) || !strcmp(group->gr_name, "staff"));
	for (char **member = private ? group->gr_mem : NULL; member && *member; member++)
		private = private && !strcmp(*member, name);
	free(name);
	return private;
}

/* Whether root, this user and the library's owner alone may change what is there. */
static int is_ours(const struct stat *at, uid_t owner)
{
	if (at->st_uid != 0 && at->st_uid != geteuid() && at->st_uid != owner)
		return 0;
	if (S_ISDIR(at->st_mode) && at->st_mode & S_ISVTX)
		return 1;
	return !(at->st_mode & S_IWOTH) && (!(at->st_mode & S_IWGRP) || is_private(at));
}

/* The same for a file and for each folder above it: whoever may rename one puts another there. */
static int is_believed(const char *library, const char *file)
{
	struct stat at;
	char *place = stat(library, &at) ? NULL : realpath(file, NULL);
	uid_t owner = at.st_uid;
	int believed = place != NULL;
	while (believed) {
		believed = !lstat(place, &at) && is_ours(&at, owner);
		char *slash = strrchr(place, '/');
		if (!believed || slash == NULL || slash[1] == 0)
			break;
		slash[slash == place] = 0;
	}
	if (place && !believed)
		fprintf(stderr, "fidokit: others may change %s, so it is not believed; run: chmod go-w %s\n",
		    place, place);
	else if (!place)
		fprintf(stderr, "fidokit: %s is missing; run: fidokit provider path\n", file);
	free(place);
	return believed;
}

/* The interpreter that the file beside this library names, without its newline. */
static int find_python(char *python, int size)
{
	Dl_info self;
	char path[4096];
	if (dladdr(&here, &self) == 0 || self.dli_fname == NULL)
		return -1;
	if (snprintf(path, sizeof(path), "%s.python", self.dli_fname) >= (int)sizeof(path))
		return -1;
	if (!is_believed(self.dli_fname, path))
		return -1;
	FILE *file = fopen(path, "re");
	char *read = file ? fgets(python, size, file) : NULL;
	if (file)
		fclose(file);
	if (read == NULL) {
		fprintf(stderr, "fidokit: %s cannot be read; run: fidokit provider path\n", path);
		return -1;
	}
	python[strcspn(python, "\n")] = 0;
	return 0;
}

static int start(const char *python, int channel, pid_t *child)
{
	char *argv[] = { (char *)python, "-P", "-m", "fidokit.provider.main", NULL };
	posix_spawn_file_actions_t actions;
	if (posix_spawn_file_actions_init(&actions))
		return -1;
	int failed = posix_spawn_file_actions_adddup2(&actions, channel, 0) ||
	    posix_spawn_file_actions_adddup2(&actions, channel, 1) ||
	    (errno = posix_spawn(child, python, &actions, NULL, argv, environ)) != 0;
	posix_spawn_file_actions_destroy(&actions);
	if (failed)
		fprintf(stderr, "fidokit: cannot run %s: %s; run: fidokit provider path\n", python,
		    strerror(errno));
	return failed ? -1 : 0;
}

static int send_all(int channel, const struct bytes *request)
{
	size_t sent = 0;
	while (sent < request->size) {
		ssize_t size = send(channel, request->data + sent, request->size - sent, MSG_NOSIGNAL);
		if (size < 0 && errno != EINTR)
			return -1;
		sent += size > 0 ? (size_t)size : 0;
	}
	return shutdown(channel, SHUT_WR);
}

static int receive_all(int channel, struct bytes *answer)
{
	uint8_t piece[4096];
	for (;;) {
		ssize_t size = recv(channel, piece, sizeof(piece), 0);
		if (size == 0 || (size < 0 && errno != EINTR))
			return size == 0 && !answer->failed ? 0 : -1;
		if (size > 0)
			add(answer, piece, (size_t)size);
		if (answer->failed)
			return -1;
	}
}

static int converse(const struct bytes *request, struct bytes *answer)
{
	char python[4096];
	int ends[2];
	pid_t child;
	if (request->failed || find_python(python, sizeof(python)))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -1;
	int failed = start(python, ends[1], &child);
	close(ends[1]);
	if (!failed) {
		failed = send_all(ends[0], request) || receive_all(ends[0], answer);
		shutdown(ends[0], SHUT_RDWR); /* it may still be writing what is too long for us */
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	return failed;
}

/* What abi.py calls a request; its answer is the caller's to wipe. */
static struct reply ask(struct bytes *request, struct bytes *answer)
{
	int failed = converse(request, answer);
	wipe(request);
	return (struct reply){ answer->data, answer->size, failed };
}

static void begin(struct bytes *request, enum operation operation, uint8_t flags, const char *pin,
    struct sk_option **options)
{
	add_u8(request, FIDOKIT_SK_API);
	add_u8(request, operation);
	add_u8(request, flags);
	add_u8(request, pin != NULL);
	add_text(request, pin);
	add_options(request, options);
}

/* --- sk-api.h --------------------------------------------------------------------------------- */

EXPORT uint32_t sk_api_version(void)
{
	return (uint32_t)FIDOKIT_SK_API << 16;
}

EXPORT int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len,
    const char *application, uint8_t flags, const char *pin, struct sk_option **options,
    struct sk_enroll_response **enroll_response)
{
	struct bytes request = { 0 }, answer = { 0 };
	*enroll_response = NULL;
	begin(&request, ENROLL, flags, pin, options);
	add_u32(&request, alg);
	add_text(&request, application);
	add_string(&request, challenge, challenge_len);
	int status = take_enrolled(ask(&request, &answer), enroll_response);
	wipe(&answer);
	return status;
}

EXPORT int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
    const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
    struct sk_option **options, struct sk_sign_response **sign_response)
{
	struct bytes request = { 0 }, answer = { 0 };
	*sign_response = NULL;
	begin(&request, SIGN, flags, pin, options);
	add_u32(&request, alg);
	add_text(&request, application);
	add_string(&request, data, data_len);
	add_string(&request, key_handle, key_handle_len);
	int status = take_signature(ask(&request, &answer), sign_response);
	wipe(&answer);
	return status;
}

EXPORT int sk_load_resident_keys(
    const char *pin, struct sk_option **options, struct sk_resident_key ***rks, size_t *nrks)
{
	struct bytes request = { 0 }, answer = { 0 };
	*rks = NULL;
	*nrks = 0;
	begin(&request, LOAD, 0, pin, options);
	int status = take_keys(ask(&request, &answer), rks, nrks);
	wipe(&answer);
	return status;
}
