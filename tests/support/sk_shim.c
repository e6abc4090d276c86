/* A SecurityKeyProvider for tests alone: it signs by running sk_shim.py. OpenSSH's sk-api.h, version 10. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	uint8_t *sig_r;
	size_t sig_r_len;
	uint8_t *sig_s;
	size_t sig_s_len;
};

uint32_t sk_api_version(void) { return 0x000a0000; }

int sk_enroll() { return -2; }

int sk_load_resident_keys() { return -2; }

static void put_hex(FILE *out, const uint8_t *data, size_t size)
{
	for (size_t at = 0; at < size; at++)
		fprintf(out, "%02x", data[at]);
}

static uint8_t *from_hex(const char *hex, size_t *size)
{
	*size = strlen(hex) / 2;
	uint8_t *data = calloc(1, *size + 1);
	for (size_t at = 0; data && at < *size; at++)
		sscanf(hex + 2 * at, "%2hhx", data + at);
	return data;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
    const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
    void **options, struct sk_sign_response **response)
{
	char path[4096], command[8192], r[512], s[512] = "";
	unsigned int signed_flags, counter;
	(void)flags, (void)pin, (void)options;
	snprintf(path, sizeof path, "%s/request", getenv("SK_SHIM_HOME"));
	FILE *out = fopen(path, "w");
	if (!out)
		return -1;
	fprintf(out, "%u %s ", alg, application);
	put_hex(out, key_handle, key_handle_len);
	fputc(' ', out);
	put_hex(out, data, data_len);
	fclose(out);
	snprintf(command, sizeof command, "\"$SK_SHIM_PYTHON\" \"$SK_SHIM_PROGRAM\" < %s", path);
	FILE *in = popen(command, "r");
	int found = in ? fscanf(in, "%u %u %511s %511s", &signed_flags, &counter, r, s) : 0;
	if (in)
		pclose(in);
	if (found < 3 || !(*response = calloc(1, sizeof **response)))
		return -1;
	(*response)->flags = signed_flags;
	(*response)->counter = counter;
	(*response)->sig_r = from_hex(r, &(*response)->sig_r_len);
	if (found == 4)
		(*response)->sig_s = from_hex(s, &(*response)->sig_s_len);
	return 0;
}
